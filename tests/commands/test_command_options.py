"""Each option of each command, where it arrives."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import AsyncIterator
from datetime import time
from typing import Any

import pytest

from binance_sbe.commands import book, cli, doctor, serving, watch
from binance_sbe.commands.options import DEMO_SYMBOLS, parsed
from binance_sbe.commands.watch import streams_of

FEED: dict[str, Any] = {
    "seconds": None, "metrics_port": None, "metrics_host": "127.0.0.1", "lines": 1,
    "renew_at": None, "give_up_after": 60.0,
}  # fmt: skip
GIVEN = [
    "--seconds", "3", "--metrics-port", "9100", "--host", "::1", "--lines", "2",
    "--renew-at", "04:30", "--give-up", "7",
]  # fmt: skip
ARRIVES: dict[str, Any] = {
    "seconds": 3.0, "metrics_port": 9100, "metrics_host": "::1", "lines": 2,
    "renew_at": time(4, 30), "give_up_after": 7.0,
}  # fmt: skip
PROD = {"url": None, "environment": "prod"}
LOCAL = {"url": "ws://local", "api_key": "any"}


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, tuple[Any, ...], dict[str, Any]]]:
    """What would have been done."""
    found: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = []

    def noted(name: str, code: int) -> Any:
        async def instead(*arguments: Any, **options: Any) -> int:
            found.append((name, arguments, options))
            return code

        return instead

    @contextlib.asynccontextmanager
    async def exchange(*arguments: Any, **options: Any) -> AsyncIterator[str]:
        found.append(("exchange", arguments, options))
        yield "ws://local"

    async def examine(patient: Any) -> AsyncIterator[doctor.Finding]:
        found.append(("examine", (patient,), {}))
        for code in (None, 0, 4, 5):
            yield doctor.Finding("clock", f"code {code}", code)

    monkeypatch.setattr(watch, "show", noted("watch", 3))
    monkeypatch.setattr(book, "show", noted("book", 4))
    monkeypatch.setattr(serving, "serve", noted("serve", 5))
    monkeypatch.setattr(serving, "exchange_process", exchange)
    monkeypatch.setattr(doctor, "examine", examine)
    return found


def test_options_of_watch(calls: list[Any]) -> None:
    assert cli.main(["watch"]) == 3
    name, (streams, title), options = calls.pop()
    assert (name, streams, title) == ("watch", streams_of(DEMO_SYMBOLS), "prod")
    assert options == {"once": False, "as_json": False, **FEED, **PROD}
    assert cli.main(["watch", "BTCUSDT", "--streams", "trade,depth", "--streams", "trade", *GIVEN,
                     "--once", "--json", "--environment", "demo"]) == 3  # fmt: skip
    name, (streams, title), options = calls.pop()
    assert (streams, title) == (["btcusdt@trade", "btcusdt@depth"], "demo")
    where = {"url": None, "environment": "demo"}
    assert options == {"once": True, "as_json": True, **ARRIVES, **where}
    cli.main(["watch", "btcusdt", "--url", "ws://h:1"])
    _, (streams, title), options = calls.pop()
    assert len(streams) == 4
    assert (title, options["url"]) == ("ws://h:1", "ws://h:1")
    assert calls == []
    cli.main(["watch", "btcusdt", "--simulate"])
    assert calls[0] == ("exchange", (["btcusdt"],), {})
    _, (_, title), options = calls[1]
    assert (title, options) == (
        "local exchange",
        {"once": False, "as_json": False, **FEED, **LOCAL},
    )


def test_options_of_demo(calls: list[Any], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["demo"]) == 3
    (_, arguments, market), (_, (streams, title), options) = calls
    assert (arguments, market) == ((DEMO_SYMBOLS,), {"rate": 1000.0, "seed": 0})
    assert (streams, title) == (streams_of(DEMO_SYMBOLS), "local exchange")
    assert options == {"is_demo": True, **FEED, "seconds": 10.0, **LOCAL}
    assert "local exchange on ws://local, 16 streams" in capsys.readouterr().out
    calls.clear()
    assert cli.main(["demo", "btcusdt", "--rate", "5", "--seed", "9", "--simulate", *GIVEN]) == 3
    (_, arguments, market), (_, _, options) = calls
    assert (arguments, market) == ((["btcusdt"],), {"rate": 5.0, "seed": 9})
    assert options == {"is_demo": True, **ARRIVES, **LOCAL}


def test_options_of_book(calls: list[Any]) -> None:
    assert cli.main(["book"]) == 4
    name, (symbols,), options = calls.pop()
    assert (name, symbols) == ("book", DEMO_SYMBOLS[:1])
    form = {"levels": 10, "limit": 1000, "once": False, "as_json": False}
    assert options == {**form, **FEED, **PROD}
    cli.main(["book", "ETHUSDT", "btcusdt", "--levels", "3", "--limit", "5000", "--once", "--json",
              *GIVEN, "--environment", "testnet"])  # fmt: skip
    _, (symbols,), options = calls.pop()
    form = {"levels": 3, "limit": 5000, "once": True, "as_json": True}
    assert symbols == ["ethusdt", "btcusdt"]
    assert options == {**form, **ARRIVES, "url": None, "environment": "testnet"}


def test_options_of_doctor(calls: list[Any], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["doctor"]) == 4  # the code of the first trouble
    _, (patient,), _ = calls.pop()
    assert patient == doctor.Patient("prod", None, ("btcusdt",), None, None)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["ok", "?", "FAIL", "FAIL"]
    cli.main(["doctor", "ethusdt", "bnbusdt", "--url", "ws://h:1", "--lifecycle", "file.json"])
    _, (patient,), _ = calls.pop()
    assert patient == doctor.Patient("prod", "ws://h:1", ("ethusdt", "bnbusdt"), None, "file.json")
    cli.main(["doctor", "--symbol", "ethusdt", "--simulate"])
    assert calls[0] == ("exchange", (["ethusdt"],), {})
    assert calls[1][1][0].url == "ws://local"


def test_options_of_simulate(calls: list[Any]) -> None:
    assert cli.main(["simulate"]) == 5
    _, (symbols,), options = calls.pop()
    assert symbols == DEMO_SYMBOLS
    assert options == {
        "with_parent": False, "rate": 1000.0, "seed": 0, "api_keys": None, "host": "127.0.0.1",
        "port": 9443, "faults": [], "fault_seconds": 10.0, "lifetime": None,
    }  # fmt: skip
    cli.main(["simulate", "btcusdt", "--host", "::1", "--port", "0", "--rate", "5", "--seed", "9",
              "--key", "a", "--key", "b", "--faults", "cut,cut@2.5", "--every", "3", "--lifetime",
              "60", "--with-parent"])  # fmt: skip
    _, (symbols,), options = calls.pop()
    assert symbols == ["btcusdt"]
    assert options == {
        "with_parent": True, "rate": 5.0, "seed": 9, "api_keys": ["a", "b"], "host": "::1",
        "port": 0, "faults": ["cut", "cut@2.5"], "fault_seconds": 3.0, "lifetime": 60.0,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("watch --seconds 0", "watch: error: argument --seconds: '0' is not a positive number"),
        ("watch --seconds nan", "'nan' is not a positive number"),
        ("watch --seconds inf", "'inf' is not a positive number"),
        ("watch --seconds x", "'x' is not a positive number"),
        ("watch --lines 4", "argument --lines: invalid choice: '4' (1, 2, 3)"),
        ("watch --environment prd", "invalid choice: 'prd': did you mean 'prod'? (prod, testnet"),
        ("watch --environment prod --url ws://h", "not allowed with argument"),
        ("watch --simulate --url ws://h", "not allowed with argument"),
        ("watch --url http://h", "is not ws:// or wss://"),
        ("watch --streams trades", "'trades' is none of trade, bestBidAsk, depth20, depth: did "
         "you mean 'trade'?"),
        ("watch --renew-at 25:00", "'25:00' is not a time of day, such as 04:30"),
        ("watch --metrics-port 65536", "'65536' is not a port: 0 to 65535"),
        ("watch --metrics-port -1", "'-1' is not a port: 0 to 65535"),
        ("watch b@c", "'b@c' is not a symbol, such as btcusdt"),
        ("watch --host a\tb", "is not an address to serve on"),
        ("book --levels 0", "'0' is not a number of levels"),
        ("book --levels 1.5", "'1.5' is not a number of levels"),
        ("book --limit 5001", "'5001' is more than 5000 levels"),
        ("simulate --faults cuts", "cuts"),
        ("simulate --every 3", "simulate: error: --every: there are no --faults that it is about"),
        ("simulate --lifetime 0", "'0' is not a positive number"),
        ("wacth", "invalid command: 'wacth': did you mean 'watch'? (demo, watch, book, doctor"),
        ("", "a COMMAND is needed: one of demo, watch, book, doctor, simulate, inspect"),
        ("watch --secnds=3", "watch: error: unrecognized arguments: --secnds=3: did you mean "
         "'--seconds'?"),
        ("--verison watch", "binance-sbe: error: unrecognized arguments: --verison: did you mean "
         "'--version'?"),
        ("--verison", "binance-sbe: error: unrecognized arguments: --verison: did you mean"),
        ("inspect a b", "inspect: error: unrecognized arguments: b"),
        ("inspect", "the following arguments are required: FRAME"),
        ("inspect a --schema spot", "invalid choice: 'spot'"),
    ],
)  # fmt: skip
def test_what_can_not_be_is_told_by_the_command_that_was_meant(
    given: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(given.split(" ") if given else [])
    assert ended.value.code == 2
    assert said in capsys.readouterr().err


def test_edges_of_what_may_be_given() -> None:
    assert parsed(["watch", "--metrics-port", "65535"]).metrics_port == 65535
    assert parsed(["book", "--limit", "5000", "--levels", "1"]).limit == 5000
    assert parsed(["watch", "--streams", ","]).streams == list(watch.KINDS)
    assert parsed(["inspect", "-", "--schema", "fix_sbe"]).schema == "fix_sbe"
    assert parsed(["inspect", "x"]).schema is None


def test_arguments_are_those_of_the_process_where_none_are_given(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["binance-sbe", "--version"])
    with pytest.raises(SystemExit) as ended:
        parsed(None)
    assert ended.value.code == 0
    assert capsys.readouterr().out.startswith("binance-sbe ")


def test_an_error_is_cut_where_it_is_too_long(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parsed(["watch", "--seconds", "9" * 5000 + "x"])
    said = capsys.readouterr().err.splitlines()[-1]
    assert 2000 < len(said) < 2100
