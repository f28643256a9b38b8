"""The local exchange as a command and as a child, without processes; and the end of a demo."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import socket
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from binance_sbe import simulator
from binance_sbe.commands import recap, serving
from binance_sbe.commands.display import Market
from binance_sbe.errors import FeedError
from binance_sbe.simulator.faults import KINDS
from binance_sbe.spot_stream import MESSAGES

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


def served(
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
    exchange = served(monkeypatch, with_parent=with_parent, rate=5.0)
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
    served(monkeypatch, host="0.0.0.0")
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
        served(monkeypatch, error)


class Stream:
    def __init__(self, *lines: bytes) -> None:
        self.lines = list(lines)

    async def readline(self) -> bytes:
        return self.lines.pop(0) if self.lines else b""

    async def read(self) -> bytes:
        return b"".join(self.lines)


class Process:
    """A child that ends when it is told to, or not before it is killed, or has ended already."""

    def __init__(self, out: bytes, err: bytes = b"", how: str = "ends") -> None:
        self.stdout, self.stderr = Stream(out), Stream(err)
        self.how = how
        self.calls: list[str] = []

    def terminate(self) -> None:
        self.calls.append("terminate")
        if self.how == "is gone":
            raise ProcessLookupError

    async def communicate(self) -> None:
        self.calls.append("communicate")
        if self.how == "is deaf":
            await asyncio.sleep(60)

    def kill(self) -> None:
        self.calls.append("kill")

    async def wait(self) -> None:
        self.calls.append("wait")


def child_of(monkeypatch: pytest.MonkeyPatch, process: Process, **options: Any) -> tuple[Any, ...]:
    """The URL, the command and what it was started with."""
    started: list[tuple[Any, ...]] = []

    async def start(*command: str, **how: Any) -> Process:
        started.append((command, how))
        return process

    async def work() -> str:
        async with serving.exchange_process(["btcusdt", "ethusdt"], **options) as url:
            assert process.calls == []
            return url

    monkeypatch.setattr(serving.asyncio, "create_subprocess_exec", start)
    monkeypatch.setattr(serving, "_END_SECONDS", 0.01)
    url = asyncio.run(work())
    return (url, *started[0])


def test_a_child_is_started_on_a_free_port_without_the_key_and_ended(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("BINANCE_API_KEY", "secret")
    monkeypatch.setenv("OTHER", "kept")
    process = Process(b"serving btcusdt, ethusdt on ws://127.0.0.1:4711\n")
    url, command, how = child_of(monkeypatch, process, rate=2.5, seed=7)
    assert url == "ws://127.0.0.1:4711"
    assert command == (
        sys.executable, "-m", "binance_sbe", "simulate", "btcusdt", "ethusdt", "--port", "0",
        "--rate", "2.5", "--seed", "7", "--with-parent",
    )  # fmt: skip
    assert how["start_new_session"] is True
    assert how["stdin"] == how["stdout"] == how["stderr"] == asyncio.subprocess.PIPE
    assert how["env"] == {k: v for k, v in os.environ.items() if k != "BINANCE_API_KEY"}
    assert how["env"]["OTHER"] == "kept"
    assert process.calls == ["terminate", "communicate"]
    process = Process(b"serving x on ws://h:1\n")
    _, command, _ = child_of(monkeypatch, process)
    assert command[-5:] == ("--rate", "1000.0", "--seed", "0", "--with-parent")


@pytest.mark.parametrize(
    ("how", "calls"),
    [
        ("is gone", ["terminate", "communicate"]),
        ("is deaf", ["terminate", "communicate", "kill", "wait"]),
    ],
)
def test_a_child_ends_however_it_behaves(
    how: str, calls: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    process = Process(b"serving x on ws://h:1\n", how=how)
    child_of(monkeypatch, process)
    assert process.calls == calls


@pytest.mark.parametrize(
    ("out", "err", "said"),
    [
        (b"", b"Traceback\n  many lines\nOSError: no room\n\n", "OSError: no room"),
        (b"what is this?\n", b"", "no output"),
        (b"", b"bad \xff\n", "bad \ufffd"),
    ],
)
def test_a_child_that_does_not_serve_is_an_error_with_its_last_words(
    out: bytes, err: bytes, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = Process(out, err)
    with pytest.raises(FeedError) as caught:
        child_of(monkeypatch, process)
    assert str(caught.value).replace("\\ufffd", "\ufffd") == (
        f"the local exchange did not start: {said}"
    )
    assert process.calls == ["terminate", "communicate"]


# the end of a demo


class Table:
    def __init__(self, message: type, groups: dict[str, object]) -> None:
        dtype = SimpleNamespace(names=[f"column_{i}" for i in range(12)])
        self.records = SimpleNamespace(itemsize=64, dtype=dtype)
        self.groups = groups


@pytest.mark.parametrize(("width", "longest"), [(80, 79), (120, 119), (20, 40)])
def test_what_came_is_told_class_by_class(width: int, longest: int) -> None:
    market: Any = Market()
    first, second, *others = MESSAGES.values()
    market.first = {first: Table(first, {"trades": 1}), second: Table(second, {})}
    market.rows.update({first: 1234, second: 5})
    market.entries[first, "trades"] = 6789
    market.rejected = 3
    stats: Any = SimpleNamespace(
        left_over_bytes=4,
        decoding=SimpleNamespace(count=1),
        decode_ns=lambda percent: 1250.0 * percent / 50,
    )
    lines = recap.summary(market, stats, width)
    assert lines[0].endswith(", as record arrays (feed.batches):")
    assert lines[1] == f"{first.__name__}: 1,234 rows of 64 bytes, 6,789 trades"
    at = lines.index(f"{second.__name__}: 5 rows of 64 bytes")
    columns = lines[2:at]
    assert " ".join(columns).split() == [f"column_{i}," for i in range(11)] + ["column_11"]
    assert all(line.startswith("  ") for line in columns)
    assert max(map(len, columns)) <= longest
    assert longest - max(map(len, columns)) < 12 or len(columns) == 1
    assert [line for line in lines if "none arrived" in line] == [
        f"{message.__name__}: none arrived" for message in others
    ]
    assert lines[-1] == "rejected frames: 3; left-over bytes: 4; decoding one: median 1.25 us"


def test_what_to_try_next_is_named_as_the_command_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["/x/__main__.py"])
    lines = recap.next_steps()
    assert lines[0] == "try next:"
    assert [line.split("binance_sbe ")[1].split("  ")[0] for line in lines if "-m" in line] == [
        "watch --simulate btcusdt", "book --simulate btcusdt", "doctor", "watch btcusdt",
    ]  # fmt: skip
    assert lines.index("and with an API key in BINANCE_API_KEY (README.md shows it in Python, "
                       "too):") == 3  # fmt: skip
    monkeypatch.setattr(sys, "argv", ["/opt/bin/thing"])
    monkeypatch.setattr(recap.shutil, "which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr(recap.Path, "cwd", lambda: Path("/nowhere"))
    assert recap.command_name() == "/opt/bin/thing"
