"""What arguments may be, what is said of others, and how a command ends."""

from __future__ import annotations

import argparse
import asyncio
import inspect
import io
import sys
from datetime import time as time_of_day
from pathlib import Path
from typing import Any

import pytest
import vectors
from test_options import URL, Arrived

import binance_sbe
from binance_sbe import live
from binance_sbe.commands import arguments, cli, options, watch
from binance_sbe.commands.cli import main
from binance_sbe.errors import ConnectionRefused, FeedError, MissingKey, Unreachable
from binance_sbe.venue.streams import KINDS


@pytest.fixture
def arrived(monkeypatch: pytest.MonkeyPatch) -> Arrived:
    monkeypatch.delenv("BINANCE_API_KEY", raising=False)
    return Arrived(monkeypatch)


GOOD: list[tuple[Any, str, Any]] = [
    (arguments.kinds, "trade,depth", ["trade", "depth"]), (arguments.kinds, "", list(KINDS)),
    (arguments.positive, "1e-9", 1e-9), (arguments.positive, "5", 5.0),
    (arguments.count, "1", 1), (arguments.count, "99999", 99999),
    (arguments.limit, "5000", 5000), (arguments.limit, "1", 1),
    (arguments.port, "0", 0), (arguments.port, "65535", 65535),
    (arguments.host, "::1", "::1"), (arguments.symbol, "BtcUsdt", "btcusdt"),
    (arguments.url, "wss://h", "wss://h"), (arguments.time_of_day, "23:59", time_of_day(23, 59)),
    (arguments.faults, "cut@0", ["cut@0"]), (arguments.faults, "", []),
]  # fmt: skip
BAD: list[tuple[Any, str, str]] = [
    (arguments.kinds, "trades",
     "'trades' is none of trade, bestBidAsk, depth20, depth: did you mean 'trade'?"),
    (arguments.kinds, "trade,x", "'x' is none of trade, bestBidAsk, depth20, depth"),
    *((arguments.positive, text, f"'{text}' is not a positive number")
      for text in ("0", "-1", "inf", "nan", "", "one", "-0.0")),
    *((arguments.count, text, f"'{text}' is not a number of levels")
      for text in ("0", "-1", "", "1.5", "²", "١")),
    (arguments.limit, "5001", "'5001' is more than 5000 levels"),
    (arguments.limit, "0", "'0' is not a number of levels"),
    *((arguments.port, text, f"'{text}' is not a port: 0 to 65535")
      for text in ("65536", "-1", "", "x", "²")),
    *((arguments.host, text, f"'{text}' is not an address to serve on") for text in ("", "a b")),
    (arguments.symbol, "a b", "'a b' is not a symbol, such as btcusdt"),
    (arguments.time_of_day, "25:00", "'25:00' is not a time of day, such as 04:30"),
    (arguments.faults, "cut@x", "fault 'cut@x': 'x' is not a number of seconds from 0 up"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "text", "value"), GOOD)
def test_what_an_argument_may_be(kind: Any, text: str, value: Any) -> None:
    found = kind(text)
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(("kind", "text", "said"), BAD)
def test_what_an_argument_may_not_be(kind: Any, text: str, said: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError) as caught:
        kind(text)
    assert str(caught.value) == said


def refused(capsys: Any, *command: str) -> str:
    with pytest.raises(SystemExit) as caught:
        main(command)
    assert caught.value.code == 2
    said: str = capsys.readouterr().err
    return said


@pytest.mark.parametrize(
    ("command", "program", "said"),
    [
        ([], "", "a COMMAND is needed: one of demo, watch, book, doctor, simulate, inspect"),
        (["wach"], "",
         "invalid command: 'wach': did you mean 'watch'? (demo, watch, book, doctor, simulate, "
         "inspect)"),
        (["xyz"], "", "invalid command: 'xyz' (demo, watch"),
        (["--json", "watch"], "", "unrecognized arguments: --json"),
        (["watch", "--jsn"], " watch", "unrecognized arguments: --jsn: did you mean '--json'?"),
        (["watch", "--secs=5"], " watch", "unrecognized arguments: --secs=5"),
        (["watch", "--line=5"], " watch", "invalid choice: '5' (1, 2, 3)"),
        (["doctor", "--json"], " doctor", "unrecognized arguments: --json"),
        (["inspect", "x", "y"], " inspect", "unrecognized arguments: y"),
        (["inspect", "x", "--schema", "spot"], " inspect", "invalid choice: 'spot'"),
        (["watch", "--environment", "tesnet"], " watch",
         "invalid choice: 'tesnet': did you mean 'testnet'? (prod, testnet, demo)"),
        (["simulate", "--every", "5"], " simulate",
         "--every: there are no --faults that it is about"),
        (["book", "\x1b[2J"], " book", "'\\x1b[2J' is not a symbol"),
        (["watch", "--url", URL, "--simulate"], " watch", "not allowed with argument --url"),
    ],
)  # fmt: skip
def test_wrong_use_is_told_with_the_usage_of_the_command(
    command: list[str], program: str, said: str, capsys: Any
) -> None:
    error = refused(capsys, *command)
    assert error.startswith(f"usage: binance-sbe{program} [-h]")
    assert f"\nbinance-sbe{program}: error: " in error
    assert said in error


def test_arguments_are_those_of_the_process_where_none_are_given(
    arrived: Arrived, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["binance-sbe", "book", "ethusdt"])
    assert main() == 0
    assert arrived.calls[0][1] == (["ethusdt"],)
    assert options.parsed(["watch"]).command == "watch"


def test_the_version_is_that_of_the_package(capsys: Any) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["--version"])
    assert caught.value.code == 0
    assert capsys.readouterr().out == f"binance-sbe {binance_sbe.__version__}\n"


# how a command ends


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (FeedError("the reason"), 1, "the reason"),
        (MissingKey("no key"), 2, "no key"),
        (Unreachable("no way"), 3, "no way"),
        (ConnectionRefused("ws://h", 500, ""), 4, "ws://h refused the connection with HTTP 500"),
        (OSError(28, "No space left"), 1, "[Errno 28] No space left"),
        (OSError(2, "No such file", "a/file"), 1, "a/file: No such file"),
        (asyncio.CancelledError(), 0, None),
        (KeyboardInterrupt(), 0, None),
        (BrokenPipeError(), 0, None),
    ],
)
def test_an_error_is_a_sentence_and_an_exit_code(
    error: BaseException, code: int, said: str | None, arrived: Arrived,
    monkeypatch: pytest.MonkeyPatch, capsys: Any,
) -> None:  # fmt: skip
    async def fail(*_: Any, **__: Any) -> int:
        raise error

    monkeypatch.setattr(watch, "show", fail)
    assert main(["watch"]) == code
    out, err = capsys.readouterr()
    assert (out, err) == ("", "" if said is None else f"binance-sbe: {said}\n")


def test_the_names_at_the_top_lead_where_they_are() -> None:
    assert binance_sbe.connect is live.connect
    assert inspect.signature(binance_sbe.books) == inspect.signature(live.books)
    assert cli.LOCAL == "local exchange"
    assert {*binance_sbe.__all__} <= {*dir(binance_sbe)}
    assert not {"TYPE_CHECKING", "Any", "import_module"} & {*dir(binance_sbe)}
    with pytest.raises(AttributeError, match="module 'binance_sbe' has no attribute 'nothing'"):
        _ = binance_sbe.nothing


# inspect


def inspected(
    capsys: Any, monkeypatch: pytest.MonkeyPatch, *command: str, given: bytes = b""
) -> tuple[int, str, str]:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(given)))
    code = main(["inspect", *command])
    out, err = capsys.readouterr()
    return code, out, err


def test_options_of_inspect_arrive(
    tmp_path: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = tmp_path / "frame"
    raw.write_bytes(vectors.BEST_BID_ASK)
    code, out, err = inspected(capsys, monkeypatch, str(raw))
    assert (code, err) == (0, "")
    assert out.splitlines()[-1] == "BestBidAskStreamEvent, version 0, 66 bytes"
    assert inspected(capsys, monkeypatch, "-", given=vectors.BEST_BID_ASK) == (0, out, "")
    for name in ("spot_sbe", "fix_sbe"):
        code, other, _ = inspected(capsys, monkeypatch, str(raw), "--schema", name)
        assert code == 1
        assert ">>> " in other
        assert "BestBidAsk" not in other
    assert inspected(capsys, monkeypatch, "-", "--schema", "spot_stream",
                     given=vectors.BEST_BID_ASK) == (0, out, "")  # fmt: skip


def test_what_can_not_be_inspected_is_said(
    tmp_path: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    digits = "32001127010000009"
    assert inspected(capsys, monkeypatch, digits) == (
        2, "", "binance-sbe: FRAME is a file: echo 320011270100... | binance-sbe inspect -\n",
    )  # fmt: skip
    assert inspected(capsys, monkeypatch, digits[:16]) == (
        1, "", f"binance-sbe: {digits[:16]}: No such file or directory\n",
    )  # fmt: skip
    assert inspected(capsys, monkeypatch, "-", given=b"") == (1, "", "binance-sbe: -: is empty\n")
    assert inspected(capsys, monkeypatch, "-", given=vectors.BEST_BID_ASK[:40])[0] == 1
