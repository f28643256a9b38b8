"""What commands serve: the local exchange, here or as a child, and metrics."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from binance_sbe import simulator
from binance_sbe.commands import serving
from binance_sbe.errors import FeedError
from binance_sbe.rest import Client
from binance_sbe.simulator import Exchange
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


# Gives as its URL whether it has a key and a session of its own; ends when it is told to.
SAYS = """import os, sys
assert os.environ["OTHER"] == "kept"
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
        monkeypatch.setenv("OTHER", "kept")

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
        (
            "import sys; sys.exit('Traceback\\n  many lines\\nOSError: no room\\n')",
            "OSError: no room",
        ),
        ("import os; os.write(2, b'bad \\xff\\n')", "bad \\ufffd"),
    ],
)
def test_a_child_that_does_not_start_says_why(
    program: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    child = Child(monkeypatch, program)

    async def work() -> None:
        async with serving.exchange_process(["a"]):
            pass

    with pytest.raises(FeedError) as caught:
        asyncio.run(work())
    said = f"the local exchange did not start: {said}"
    assert str(caught.value).replace("\ufffd", "\\ufffd") == said
    assert child.process.returncode is not None


def test_a_child_that_is_gone_already_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    child = Child(monkeypatch, "print('ws://h:5')")

    async def work() -> None:
        async with serving.exchange_process(["a"]):
            await child.process.wait()

    asyncio.run(work())
    assert child.process.returncode == 0
    assert child.command[-5:] == ("--rate", "1000.0", "--seed", "0", "--with-parent")


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


# with an exchange that only pretends


FAULTS = sorted(KINDS)[:2]


class FakeExchange:
    """Notes what it was made with; ends itself after a few looks."""

    made: list[FakeExchange]
    error: OSError | None = None

    def __init__(self, symbols: Any, **options: Any) -> None:
        self.symbols, self.options = symbols, options
        self.host = options.get("host", "127.0.0.1")
        self.port = 9443
        self.url = f"ws://{self.host}:9443"
        self.markets = dict.fromkeys(symbols)
        self.events_sent = 12_345
        self.fault_schedule = SimpleNamespace(done=[])
        self.made.append(self)

    async def __aenter__(self) -> FakeExchange:
        if self.error is not None:
            raise self.error
        return self

    async def __aexit__(self, *_: object) -> None:
        self.events_sent += 1  # after it has ended


def pretended(
    monkeypatch: pytest.MonkeyPatch,
    error: OSError | None = None,
    with_parent: bool = False,
    **options: Any,
) -> FakeExchange:
    FakeExchange.made, FakeExchange.error = [], error
    stops: dict[str, Any] = {}

    def ending(name: str) -> Any:
        @contextlib.contextmanager
        def until(stop: Any) -> Any:
            stops[name] = stop
            yield

        return until

    async def arrives(event: asyncio.Event, seconds: float) -> bool:
        (exchange,) = FakeExchange.made
        done = exchange.fault_schedule.done
        assert seconds == 0.2
        done.append((0.25 + len(done), FAULTS[len(done) > 0]))
        if len(done) == 3:
            stops["parent" if with_parent else "signal"]()
        return event.is_set()

    monkeypatch.setattr(simulator, "Exchange", FakeExchange)
    monkeypatch.setattr("binance_sbe.feed.transport.websocket.arrives", arrives)
    monkeypatch.setattr(serving, "at_signal", ending("signal"))
    monkeypatch.setattr(serving, "at_end_of_parent", ending("parent"))
    assert (
        asyncio.run(serving.serve(["btcusdt", "ethusdt"], with_parent=with_parent, **options)) == 0
    )
    assert ("parent" in stops) is with_parent
    return FakeExchange.made[0]


@pytest.mark.parametrize("with_parent", [True, False])
def test_what_is_served_is_said_and_every_fault_once(
    with_parent: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    exchange = pretended(monkeypatch, with_parent=with_parent, rate=5.0)
    assert (exchange.symbols, exchange.options) == (["btcusdt", "ethusdt"], {"rate": 5.0})
    one, two = (KINDS[name] for name in FAULTS)
    said = capsys.readouterr()
    assert said.out.splitlines() == [
        "serving btcusdt, ethusdt on ws://127.0.0.1:9443",
        f"0.2 s: {FAULTS[0]}: {one}",
        f"1.2 s: {FAULTS[1]}: {two}",
        f"2.2 s: {FAULTS[1]}: {two}",
        "12,346 frames sent",
        f"2 times: {two}",
        f"1 times: {one}",
    ]
    assert said.err == ""


def test_an_exchange_that_is_open_to_others_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pretended(monkeypatch, host="0.0.0.0")
    assert capsys.readouterr().err == "open to other machines: --host 0.0.0.0\n"


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(errno.EADDRINUSE, "x"), "something serves there already; --port 0 takes a free"),
        (OSError(errno.EADDRNOTAVAIL, "x"), "this machine does not have that address"),
        (OSError(errno.EACCES, "x"), "ports below 1024 take more rights"),
        (socket.gaierror(socket.EAI_NONAME, "x"), "there is no such host"),
        (OSError(errno.EIO, "the words of the system"), "the words of the system"),
    ],
)
def test_why_nothing_can_be_served_is_said(
    error: OSError, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(FeedError, match=f"can't serve on 127.0.0.1:9443: {said}"):
        pretended(monkeypatch, error)


# where it serves


def listening(*arguments: str) -> tuple[str, str, set[str]]:
    """What it says, and the addresses it listens on, as the kernel has them."""
    start = [sys.executable, "-m", "binance_sbe", "simulate", "btcusdt", "--port", "0"]
    with subprocess.Popen(
        [*start, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        line = process.stdout.readline().strip()
        port = f"{int(line.rpartition(':')[2]):04X}"
        rows = [row.split() for row in (Path("/proc") / "net" / "tcp").read_text().splitlines()[1:]]
        listening = {
            row[1].partition(":")[0] for row in rows if row[3] == "0A" and row[1].endswith(port)
        }
        process.terminate()
        _, said = process.communicate(timeout=20)
    return line, said, listening


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="sockets are looked for in /proc")
def test_an_exchange_is_for_this_machine_unless_told_otherwise() -> None:
    line, said, addresses = listening()
    assert line.startswith("serving btcusdt on ws://127.0.0.1:")
    assert (said, addresses) == ("", {"0100007F"})
    line, said, addresses = listening("--host", "0.0.0.0")
    assert line.startswith("serving btcusdt on ws://0.0.0.0:")
    assert (said, addresses) == ("open to other machines: --host 0.0.0.0\n", {"00000000"})


# metrics


@pytest.mark.parametrize(
    ("host", "place", "more"),
    [
        ("127.0.0.1", "127.0.0.1", ""), ("localhost", "localhost", ""), ("::1", "[::1]", ""),
        ("0.0.0.0", "0.0.0.0", ", open to other machines"),
    ],
)  # fmt: skip
def test_where_metrics_are_served_is_told(
    host: str, place: str, more: str, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    asked: list[Any] = []

    @contextlib.contextmanager
    def serve(*given: Any) -> Any:
        asked.append(given)
        yield 9100

    monkeypatch.setattr("binance_sbe.feed.metrics.serve", serve)
    feed: Any = object()
    with serving.metrics_of(feed, 5, host):
        assert asked == [(feed, 5, host)]
    assert capsys.readouterr().err == f"metrics at http://{place}:9100/metrics{more}\n"
    with serving.metrics_of(feed, None, host):
        assert len(asked) == 1
