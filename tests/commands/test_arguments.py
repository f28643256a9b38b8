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
from test_options import Arrived

import binance_sbe
from binance_sbe import live
from binance_sbe.commands import arguments, cli, options, watch
from binance_sbe.commands.cli import main
from binance_sbe.errors import ConnectionRefused, FeedError, MissingKey, Unreachable


@pytest.fixture
def arrived(monkeypatch: pytest.MonkeyPatch) -> Arrived:
    monkeypatch.delenv("BINANCE_API_KEY", raising=False)
    return Arrived(monkeypatch)


GOOD: list[tuple[Any, str, Any]] = [
    (arguments.kinds, "trade,depth", ["trade", "depth"]),
    (arguments.positive, "1e-9", 1e-9), (arguments.positive, "5", 5.0),
    (arguments.count, "1", 1), (arguments.count, "99999", 99999),
    (arguments.limit, "5000", 5000), (arguments.limit, "1", 1),
    (arguments.port, "0", 0), (arguments.port, "65535", 65535),
    (arguments.host, "::1", "::1"), (arguments.symbol, "BtcUsdt", "btcusdt"),
    (arguments.url, "wss://h", "wss://h"), (arguments.time_of_day, "23:59", time_of_day(23, 59)),
    (arguments.faults, "cut@0", ["cut@0"]), (arguments.faults, "", []),
    (arguments.duration, "1h", 3600.0), (arguments.duration, "90", 90.0),
    (arguments.duration, "100000d", 8.64e9), (arguments.duration, "0.5 ms", 0.0005),
    (arguments.size, "512MB", 512 * 10**6), (arguments.size, "1.5 GiB", 3 << 29),
    (arguments.size, "2kb", 2000),
    (arguments.rotation, "1h", {"rotate_seconds": 3600.0}),
    (arguments.rotation, "512MB", {"rotate_bytes": 512 * 10**6}),
    (arguments.durability, "batch", "batch"), (arguments.durability, "2s", 2.0),
    (arguments.moment, "1795886161000000000", 1795886161000000000),
    (arguments.moment, "1970-01-01", 0), (arguments.moment, "1970-01-01T01:00+01:00", 0),
    (arguments.moment, "1970-01-01 00:00:01.5", 1_500_000_000),
    (arguments.tape_streams, "BTCUSDT@trade,depth", ["btcusdt@trade", "depth"]),
    (arguments.rows, "10", 10), (arguments.speed, "max", float("inf")),
    (arguments.speed, "0.5", 0.5), (arguments.clients, "0", 0), (arguments.clients, "1000", 1000),
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
    *((arguments.duration, text, f"'{text}' is not a duration, such as 30s, 10m or 1h")
      for text in ("", "0", "0s", "-1s", "1 week", "inf", "1e3", "1H")),
    *((arguments.size, text, f"'{text}' is not a size, such as 512MB or 2GiB")
      for text in ("", "512", "MB", "-1MB", "1TBB")),
    *((arguments.rotation, text, f"'{text}' is neither a duration nor a size, such as 1h or 512MB")
      for text in ("", "0", "512 megabytes")),
    *((arguments.durability, text, f"'{text}' is not batch, os or a duration, such as 1s")
      for text in ("", "0", "never")),
    *((arguments.moment, text,
       f"'{text}' is not a time, such as 2026-11-27T09:30, or ns since 1970")
      for text in ("", "now", "2026-13-01", "9" * 30)),
    *((arguments.moment, text, f"'{text}' is not between 1970 and 2262")
      for text in ("1969-12-31T23:59:59", "0001-01-01", "2262-04-12", "9999-12-31")),
    *((arguments.tape_streams, text, f"'{text}' names no stream: leave it out for all")
      for text in ("", ",", ",,")),
    *((arguments.kinds, text, f"'{text}' names none of trade, bestBidAsk, depth20, depth")
      for text in ("", ",")),
    (arguments.tape_streams, "trades", "stream 'trades' is not '<symbol>@<kind>', such as "
     "'btcusdt@trade', or a kind alone: trade, bestBidAsk, depth20, depth"),
    *((arguments.speed, text, f"'{text}' is not a speed, such as 1, 10 or max")
      for text in ("", "0", "-1", "nan", "fast")),
    *((arguments.clients, text, f"'{text}' is not a number of clients: 0 to 1000")
      for text in ("", "-1", "1001", "x")),
    *((arguments.rows, text, f"'{text}' is not a number of frames") for text in ("", "0", "-1")),
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


# wrong use


def refused(given: str | list[str], capsys: Any) -> str:
    """What is said of wrong arguments, after the usage."""
    words = given if isinstance(given, list) else given.split(" ") if given else []
    program = f"binance-sbe {words[0]}" if words and words[0] in cli._COMMANDS else "binance-sbe"
    with pytest.raises(SystemExit) as caught:
        main(words)
    assert caught.value.code == 2
    text: str = capsys.readouterr().err
    usage, _, said = text.partition(f"\n{program}: error: ")
    assert usage.startswith(f"usage: {program} [-h]")
    return f"{program}: error: {said}"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (
            "wacth",
            "invalid command: 'wacth': did you mean 'watch'? (demo, watch, book, plot, doctor",
        ),
        (
            "",
            "a COMMAND is needed: one of demo, watch, book, plot, doctor, record, tape, replay, ",
        ),
        (
            "--verison watch",
            "binance-sbe: error: unrecognized arguments: --verison: did you mean '--version'?",
        ),
        ("--verison", "binance-sbe: error: unrecognized arguments: --verison: did you mean"),
        (
            "wach",
            "invalid command: 'wach': did you mean 'watch'? (demo, watch, book, plot, doctor, "
            "record, tape, replay, relay, simulate, fix, convert, inspect)",
        ),
        ("xyz", "invalid command: 'xyz' (demo, watch"),
        ("--json watch", "unrecognized arguments: --json"),
        ("zzz", "invalid command: 'zzz' (demo, watch, book,"),
        ("--verison", "--verison: did you mean '--version'?"),
        ("--lines watch --lines 2", "unrecognized arguments: --lines"),
        ("fly", "invalid command: 'fly'"),
        ("demo --seconds 0", "'0' is not a duration"),
        ("record btcusdt --out x --rotate 1h --rotate 2h", "--rotate is given a duration once"),
        ("demo --seconds x", "'x' is not a duration"),
        ("demo a/b", "'a/b' is not a symbol"),
        ("watch --seconds 0", "watch: error: argument --for/--seconds: '0' is not a duration"),
        ("watch --seconds nan", "'nan' is not a duration"),
        ("watch --seconds inf", "'inf' is not a duration"),
        ("watch --seconds x", "'x' is not a duration"),
        ("watch --lines 4", "argument --lines: invalid choice: '4' (1, 2, 3)"),
        ("watch --environment prd", "invalid choice: 'prd': did you mean 'prod'? (prod, testnet"),
        ("watch --environment prod --url ws://h", "not allowed with argument"),
        ("watch --simulate --url ws://h", "not allowed with argument"),
        ("watch --url http://h", "is not ws:// or wss://"),
        (
            "watch --streams trades",
            "'trades' is none of trade, bestBidAsk, depth20, depth: did you mean 'trade'?",
        ),
        ("watch --renew-at 25:00", "'25:00' is not a time of day, such as 04:30"),
        ("watch --metrics-port 65536", "'65536' is not a port: 0 to 65535"),
        ("watch --metrics-port -1", "'-1' is not a port: 0 to 65535"),
        ("watch b@c", "'b@c' is not a symbol, such as btcusdt"),
        ("watch --host a\tb", "is not an address to serve on"),
        (
            "watch --secnds=3",
            "watch: error: unrecognized arguments: --secnds=3: did you mean '--seconds'?",
        ),
        ("watch --jsn", "unrecognized arguments: --jsn: did you mean '--json'?"),
        ("watch --secs=5", "unrecognized arguments: --secs=5"),
        ("watch --line=5", "invalid choice: '5' (1, 2, 3)"),
        (
            "watch --environment tesnet",
            "invalid choice: 'tesnet': did you mean 'testnet'? (prod, testnet, demo)",
        ),
        ("watch --url ws://h:9 --simulate", "not allowed with argument --url"),
        ("watch --lnes 2", "--lnes: did you mean '--lines'?"),
        ("watch btcusdt --environment moon", "invalid choice: 'moon'"),
        ("watch btcusdt --url http://x", "url 'http://x' is not ws:// or wss://"),
        ("watch btcusdt@trade", "'btcusdt@trade' is not a symbol"),
        ("watch btcusdt --url ws://h:1/ws/x", "with a host and a port, and no more"),
        ("watch btcusdt --fast", "unrecognized arguments: --fast"),
        ("watch btc!", "'btc!' is not a symbol"),
        ("watch btcusdt --url ws://h:1 --environment demo", "not allowed with"),
        (
            "watch btcusdt --streams trade,kline",
            "'kline' is none of trade, bestBidAsk, depth20, depth",
        ),
        ("watch btcusdt --renew-at 25:00", "'25:00' is not a time of day, such as 04:30"),
        ("watch btcusdt --metrics-port x", "'x' is not a port"),
        ("watch btcusdt --lines 4", "invalid choice: '4'"),
        (["watch", "btcusdt", "--host", ""], "is not an address to serve on"),
        (["watch", "btcusdt", "--host", " "], "is not an address to serve on"),
        (["watch", "btcusdt", "--host", "a b"], "is not an address to serve on"),
        ("book --levels 0", "'0' is not a number of levels"),
        ("book --levels 1.5", "'1.5' is not a number of levels"),
        ("book --limit 5001", "'5001' is more than 5000 levels"),
        ("book \x1b[2J", "'\\x1b[2J' is not a symbol"),
        ("book --lnes=2", "--lnes=2: did you mean '--lines'?"),
        (["book", "btc usdt"], "'btc usdt' is not a symbol"),
        ("book btcusdt --levels 0", "'0' is not a number of levels"),
        ("book btcusdt --limit 5001", "'5001' is more than 5000 levels"),
        ("book btcusdt --limit ten", "'ten' is not a number of levels"),
        ("book btcusdt --url ws://127.0.0.1:1 --simulate", "--simulate: not allowed with"),
        ("doctor --json", "unrecognized arguments: --json"),
        ("doctor a/b", "'a/b' is not a symbol"),
        ("simulate --faults cuts", "cuts"),
        ("simulate --every 3", "simulate: error: --every: there are no --faults that it is about"),
        ("simulate --lifetime 0", "'0' is not a duration"),
        ("simulate --every 5", "--every: there are no --faults that it is about"),
        ("simulate --port 70000", "'70000' is not a port"),
        ("simulate --port abc", "'abc' is not a port"),
        ("simulate --rate -5", "'-5' is not a positive number"),
        (["simulate", "bad symbol"], "'bad symbol' is not a symbol"),
        ("simulate --faults cut@-1", "'-1' is not a number of seconds from 0 up"),
        (["simulate", "--host", ""], "is not an address to serve on"),
        (["simulate", "--host", " "], "is not an address to serve on"),
        (["simulate", "--host", "a b"], "is not an address to serve on"),
        ("simulate --faults cut,fire", "there is no fault 'fire'; there are cut, close, silence"),
        ("inspect a b", "inspect: error: unrecognized arguments: b"),
        ("inspect", "the following arguments are required: FRAME"),
        ("inspect a --schema spot", "invalid choice: 'spot'"),
        ("inspect x y", "unrecognized arguments: y"),
        ("inspect x --schema spot", "invalid choice: 'spot'"),
        ("inspect - --schema spot_stram", "did you mean 'spot_stream'?"),
    ],
)
def test_wrong_use_is_told_by_the_command_that_was_meant(
    given: str | list[str], said: str, capsys: Any
) -> None:
    assert said in refused(given, capsys)


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
        (
            ModuleNotFoundError("No module", name="binance_sbe.spot_sbe"),
            1,
            "binance_sbe.spot_sbe is not compiled: 'make build' in the checkout compiles all "
            "decoders, in some minutes",
        ),
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
