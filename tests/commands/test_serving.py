"""The local exchange as a command, and as the child of one."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
import time
from typing import Any

import pytest

from binance_sbe.commands import serving
from binance_sbe.errors import FeedError
from binance_sbe.rest import Client
from binance_sbe.simulator import Exchange, server
from binance_sbe.simulator.faults import KINDS


def served(capsys: Any, *symbols: str, seconds: float = 0.3, **options: Any) -> tuple[Any, Any]:
    """The lines on both outputs of an exchange that is told to end after a while."""

    async def work() -> int:
        loop = asyncio.get_running_loop()
        loop.call_later(seconds, os.kill, os.getpid(), signal.SIGTERM)
        return await serving.serve(symbols, **{"port": 0} | options)

    assert asyncio.run(work()) == 0
    out, err = capsys.readouterr()
    return out.splitlines(), err.splitlines()


def test_what_is_served_and_what_went_wrong_is_told(capsys: Any) -> None:
    faults = ["limit@0", "old@0", "limit@0.01"]
    out, err = served(capsys, "btcusdt", "ETHUSDT", faults=faults, seconds=0.6)
    assert err == []
    assert re.fullmatch(r"serving btcusdt, ethusdt on ws://127\.0\.0\.1:\d+", out[0])
    names = ["limit", "old", "limit"]
    assert [re.sub(r"^\d\.\d s: ", "", line) for line in out[1:4]] == [
        f"{name}: {KINDS[name]}" for name in names
    ]
    assert out[4:] == ["0 frames sent", f"2 times: {KINDS['limit']}", f"1 times: {KINDS['old']}"]


def test_others_are_told_to_be_let_in(capsys: Any) -> None:
    out, err = served(capsys, "btcusdt", host="0.0.0.0", seconds=0.1)
    assert err == ["open to other machines: --host 0.0.0.0"]
    assert out[-1] == "0 frames sent"


def test_frames_are_counted_in_groups_of_three_digits(
    capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Busy(Exchange):
        async def __aenter__(self) -> Exchange:
            self.events_sent = 12_345
            return await super().__aenter__()

    monkeypatch.setattr("binance_sbe.simulator.Exchange", Busy)
    assert served(capsys, "btcusdt", seconds=0.1)[0][-1] == "12,345 frames sent"
    assert server.Exchange is not Busy


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(13, "Permission denied"), "ports below 1024 take more rights"),
        (OSError(98, "in use"), "something serves there already; --port 0 takes a free port"),
        (OSError(99, "x"), "this machine does not have that address"),
        (OSError(5, "Input/output error"), "Input/output error"),
    ],
)
def test_why_it_can_not_be_served_is_told(
    error: OSError, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: Any, **__: Any) -> Any:
        raise error

    monkeypatch.setattr(server, "serve", fail)
    with pytest.raises(FeedError, match=f"^can't serve on 127.0.0.1:80: {re.escape(said)}$"):
        asyncio.run(serving.serve(["btcusdt"], port=80))


# as a child

# Gives as its URL whether it has a key and a session of its own; ends when it is told to.
SAYS = """import os, sys
has_key, is_alone = 'BINANCE_API_KEY' in os.environ, os.getsid(0) == os.getpid()
print('words', f'ws://{has_key},{is_alone}', flush=True)
sys.stdin.read()"""


class Child:
    """Another program in place of the exchange; what it was given, and how it ended."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, program: str) -> None:
        self.program = program
        self.command: tuple[str, ...] = ()
        self.process: Any = None
        self._start = asyncio.create_subprocess_exec
        monkeypatch.setattr(asyncio, "create_subprocess_exec", self.start)
        monkeypatch.setenv("BINANCE_API_KEY", "a key")

    async def start(self, *command: str, **options: Any) -> Any:
        self.command = command
        self.process = await self._start(
            sys.executable, "-c", self.program, *command[1:], **options
        )
        return self.process


def test_a_child_is_given_its_market_and_no_key_and_ends_with_the_block(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    child = Child(monkeypatch, SAYS)

    async def work() -> str:
        async with serving.exchange_process(["a", "b"], rate=2.5, seed=7) as url:
            assert child.process.returncode is None
            return url

    assert asyncio.run(work()) == "ws://False,True"
    assert child.process.returncode == -signal.SIGTERM
    assert child.command[1:] == (
        "-m", "binance_sbe", "simulate", "a", "b", "--port", "0", "--rate", "2.5", "--seed", "7",
        "--with-parent",
    )  # fmt: skip


def test_a_child_that_does_not_end_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    child = Child(
        monkeypatch,
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
        "print('ws://h:5', flush=True); time.sleep(60)",
    )
    monkeypatch.setattr(serving, "_END_SECONDS", 0.2)

    async def work() -> None:
        async with serving.exchange_process(["a"]):
            pass

    started = time.monotonic()
    asyncio.run(work())
    assert child.process.returncode == -signal.SIGKILL
    assert time.monotonic() - started < 30


@pytest.mark.parametrize(
    ("program", "said"),
    [
        ("print('no url')", "no output"),
        ("import sys; print('x', file=sys.stderr); print('why', file=sys.stderr); print()", "why"),
    ],
)
def test_a_child_that_does_not_start_says_why(
    program: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    Child(monkeypatch, program)

    async def work() -> None:
        async with serving.exchange_process(["a"]):
            pass

    with pytest.raises(FeedError, match=f"^the local exchange did not start: {said}$"):
        asyncio.run(work())


def test_a_real_child_serves_what_it_is_told() -> None:
    async def work() -> None:
        async with serving.exchange_process(["btcusdt"], rate=5.0, seed=3) as url:
            assert re.fullmatch(r"ws://127\.0\.0\.1:\d+", url)
            async with Client(url=url.replace("ws:", "http:")) as client:
                found = await client.get("/api/v3/depth", symbol="BTCUSDT", limit=5)
            market = Exchange(["btcusdt"], seed=3).markets["btcusdt"]
            ours = market.best_bid, market.best_ask
            theirs = int(found.bids["price"][0]), int(found.asks["price"][0])
            assert theirs == pytest.approx(ours, rel=1e-3)
            assert market.update_id <= found.last_update_id < market.update_id + 1000

    asyncio.run(work())
