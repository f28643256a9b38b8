"""Every option of every command, where it arrives."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import re
import shlex
import sys
from collections.abc import AsyncIterator
from datetime import time as time_of_day
from pathlib import Path
from typing import Any

import pytest

from binance_sbe.commands import book, doctor, plot, record, relaying, serving, watch
from binance_sbe.commands.cli import main
from binance_sbe.commands.options import WEB_PORT, _parser, parsed
from binance_sbe.commands.signed import Signed
from binance_sbe.commands.web import view
from binance_sbe.simulator import faults
from binance_sbe.tape import Recording
from binance_sbe.venue.streams import KINDS

DEMO = ("btcusdt", "ethusdt", "solusdt", "xrpusdt")
URL = "ws://h:9"


@pytest.fixture(autouse=True)
def no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BINANCE_API_KEY", raising=False)


class Arrived:
    """What the commands start, and with what; nothing is started."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.calls: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = []
        self.code = 0
        monkeypatch.setattr(watch, "show", self._noting("watch"))
        monkeypatch.setattr(book, "show", self._noting("book"))
        monkeypatch.setattr(view, "show", self._noting("web"))
        monkeypatch.setattr(plot, "show", self._noting("plot"))
        monkeypatch.setattr(serving, "serve", self._noting("serve"))
        monkeypatch.setattr(record, "record", self._noting("record"))
        monkeypatch.setattr(relaying, "live", self._noting("live"))
        monkeypatch.setattr(relaying, "tape", self._noting("tape"))
        monkeypatch.setattr(serving, "exchange_process", self._exchange)
        monkeypatch.setattr(doctor, "examine", self._examined)

    def _noting(self, name: str) -> Any:
        async def note(*given: Any, **named: Any) -> int:
            self.calls.append((name, given, named))
            return self.code

        return note

    @contextlib.asynccontextmanager
    async def _exchange(self, *given: Any, **named: Any) -> AsyncIterator[str]:
        self.calls.append(("exchange", given, named))
        yield URL
        self.calls.append(("exchange ends", (), {}))

    async def _examined(self, patient: doctor.Patient) -> AsyncIterator[doctor.Finding]:
        self.calls.append(("doctor", (patient,), {}))
        yield doctor.Finding("build", "is well")
        yield doctor.Finding("clock", "is off", self.code or None)

    def of(self, *command: str) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """What a command gave to that which does its work."""
        self.calls.clear()
        assert main(command) == self.code
        (call,) = (call for call in self.calls if not call[0].startswith("exchange"))
        return call[1], call[2]

    @property
    def exchanges(self) -> list[tuple[tuple[Any, ...], dict[str, Any]]]:
        return [call[1:] for call in self.calls if call[0] == "exchange"]


@pytest.fixture
def arrived(monkeypatch: pytest.MonkeyPatch) -> Arrived:
    return Arrived(monkeypatch)


FEED: dict[str, Any] = {
    "seconds": None, "metrics_port": None, "metrics_host": "127.0.0.1", "lines": 1,
    "renew_at": None, "give_up_after": 60.0,
}  # fmt: skip
SERVICE = FEED | {"give_up_after": 900.0}  # what runs while nobody looks
PROD = {"url": None, "environment": "prod", "proxy": True}
LOCAL = {"url": URL, "api_key": "any", "proxy": None}
WATCH = {"once": False, "form": None} | FEED
BOOK = {"levels": 10, "limit": 1000, "once": False, "as_json": False} | FEED
# One option, and what it changes.
OF_FEED: list[tuple[list[str], dict[str, Any]]] = [
    (["--seconds", "2.5"], {"seconds": 2.5}),
    (["--lines", "3"], {"lines": 3}),
    (["--renew-at", "04:30"], {"renew_at": time_of_day(4, 30)}),
    (["--renew-at", "04:30:10+01:00"], {"renew_at": time_of_day.fromisoformat("04:30:10+01:00")}),
    (["--give-up", "7"], {"give_up_after": 7.0}),
    (["--metrics-port", "9100"], {"metrics_port": 9100}),
    (["--metrics-port", "0"], {"metrics_port": 0}),
    (["--host", "::1"], {"metrics_host": "::1"}),
]
WHERE: list[tuple[list[str], dict[str, Any]]] = [
    (["--environment", "testnet"], {"environment": "testnet"}),
    (["--url", "wss://h:9"], {"url": "wss://h:9"}),
    (["--proxy", "socks5h://h:9"], {"proxy": "socks5h://h:9"}),
    (["--proxy", "none"], {"proxy": None}),
]
FORMS: list[tuple[list[str], dict[str, Any]]] = [
    (["--once"], {"once": True}),
    (["--json"], {"as_json": True}),
    (["--once", "--json"], {"once": True, "as_json": True}),
]


@pytest.mark.parametrize(("given", "changed"), [([], {}), *OF_FEED, *WHERE, *FORMS])
def test_options_of_watch_and_book_arrive(
    given: list[str], changed: dict[str, Any], arrived: Arrived
) -> None:
    (streams, title), named = arrived.of("watch", "btcusdt", *given)
    of_watch = {k: v for k, v in changed.items() if k != "as_json"}
    form = {"form": "own"} if "as_json" in changed else {}
    assert named == WATCH | PROD | of_watch | form
    assert streams == [f"btcusdt@{kind}" for kind in KINDS]
    assert title == (changed.get("url") or changed.get("environment") or "prod")
    (symbols,), named = arrived.of("book", "btcusdt", *given)
    assert named == BOOK | PROD | changed
    assert symbols == ["btcusdt"]
    assert arrived.exchanges == []


@pytest.mark.parametrize(("given", "changed"), [([], {}), *OF_FEED])
def test_options_of_a_demo_arrive(
    given: list[str], changed: dict[str, Any], arrived: Arrived, capsys: Any
) -> None:
    (streams, title), named = arrived.of("demo", "btcusdt", "ETHUSDT", *given)
    assert named == FEED | {"seconds": 10.0, "is_demo": True} | LOCAL | changed
    assert (len(streams), title) == (2 * len(KINDS), "local exchange")
    assert arrived.exchanges == [((["btcusdt", "ethusdt"],), {"rate": 1000.0, "seed": 0})]
    assert arrived.calls[-1][0] == "exchange ends"
    assert capsys.readouterr().out == f"local exchange on {URL}, 8 streams\n"


def test_a_demo_is_of_the_market_that_is_asked_for(arrived: Arrived) -> None:
    arrived.of("demo", "--rate", "5", "--seed", "7", "--simulate")
    assert arrived.exchanges == [((DEMO,), {"rate": 5.0, "seed": 7})]


@pytest.mark.parametrize(
    ("given", "streams"),
    [
        ([], [f"{symbol}@{kind}" for symbol in DEMO for kind in KINDS]),
        (["btcusdt", "--streams", "depth"], ["btcusdt@depth"]),
        (["btcusdt", "--streams", "depth,trade"], ["btcusdt@depth", "btcusdt@trade"]),
        (["btcusdt", "--streams", "depth", "--streams", "trade,depth"],
         ["btcusdt@depth", "btcusdt@trade"]),
        (["BTCUSDT", "ethusdt", "--streams", "trade"], ["btcusdt@trade", "ethusdt@trade"]),
    ],
)  # fmt: skip
def test_the_streams_of_a_watch(given: list[str], streams: list[str], arrived: Arrived) -> None:
    (found, _), _ = arrived.of("watch", *given)
    assert found == streams


@pytest.mark.parametrize(
    ("given", "changed"),
    [([], {}), *OF_FEED, *WHERE, (["--port", "0"], {"port": 0}), (["--port", "80"], {"port": 80})],
)
def test_options_of_a_page_arrive(
    given: list[str], changed: dict[str, Any], arrived: Arrived
) -> None:
    (streams, title), named = arrived.of("watch", "btcusdt", "--web", *given)
    wanted = FEED | {"port": WEB_PORT} | PROD | changed
    wanted["host"] = wanted.pop("metrics_host")  # one address for all that is served
    assert named == wanted
    assert streams == [f"btcusdt@{kind}" for kind in KINDS]
    assert title == (changed.get("url") or changed.get("environment") or "prod")


def test_a_page_may_be_of_a_local_exchange(arrived: Arrived) -> None:
    (_, title), named = arrived.of("watch", "btcusdt", "--web", "--simulate")
    assert title == "local exchange"
    assert {name: named[name] for name in LOCAL} == LOCAL


def test_levels_and_limit_of_a_book_arrive(arrived: Arrived) -> None:
    (symbols,), named = arrived.of("book", "--levels", "3", "--limit", "5000")
    assert (symbols, named) == (("btcusdt",), BOOK | PROD | {"levels": 3, "limit": 5000})


@pytest.mark.parametrize(
    ("given", "changed"),
    [
        ([], {}),
        *WHERE,
        (["--for", "500ms"], {"seconds": 0.5}),
        (["--for", "2m"], {"seconds": 120.0}),
        (["--out", "b.SVG"], {"out": Path("b.SVG")}),
    ],
)
def test_options_of_a_plot_arrive(
    given: list[str], changed: dict[str, Any], arrived: Arrived
) -> None:
    (symbol, title), named = arrived.of("plot", "BTCUSDT", "--out", "a.png", *given)
    assert symbol == "btcusdt"
    assert title == (changed.get("url") or changed.get("environment") or "prod")
    assert named == {"seconds": 30.0, "out": Path("a.png")} | PROD | changed
    (_, title), named = arrived.of("plot", "btcusdt", "--out", "a.png", "--simulate")
    assert title == "local exchange"
    assert {name: named[name] for name in LOCAL} == LOCAL
    assert arrived.exchanges == [((["btcusdt"],), {})]


RECORDING: dict[str, Any] = {"path": Path("out"), "durability": 1.0}
RECORD = {"with_books": False, **SERVICE}


@pytest.mark.parametrize(
    ("given", "changed"),
    [
        ([], {}),
        (["--rotate", "10m"], {"rotate_seconds": 600.0}),
        (["--rotate", "1h", "--rotate", "2GB"],
         {"rotate_seconds": 3600.0, "rotate_bytes": 2 * 10**9}),
        (["--durability", "batch"], {"durability": "batch"}),
        (["--durability", "os"], {"durability": "os"}),
        (["--durability", "500ms"], {"durability": 0.5}),
        (["--compression", "lz4"], {"compression": "lz4"}),
        (["--compression", "none"], {"compression": None}),
        (["--min-free", "1GiB"], {"min_free": 1 << 30}),
        (["--on-failure", "raise"], {"on_failure": "raise"}),
    ],
)  # fmt: skip
def test_how_to_record_arrives(given: list[str], changed: dict[str, Any], arrived: Arrived) -> None:
    (symbols, kinds, settings, title), named = arrived.of(
        "record", "BTCUSDT", "--out", "out", *given
    )
    assert (symbols, kinds, title) == (["btcusdt"], list(KINDS), "prod")
    assert settings == Recording(**(RECORDING | changed))
    assert named == RECORD | PROD


@pytest.mark.parametrize(
    ("given", "changed"),
    [
        (["--for", "1h"], {"seconds": 3600.0}), (["--for", "2d"], {"seconds": 172800.0}),
        (["--books"], {"with_books": True}), *OF_FEED[1:], *WHERE,
    ],
)  # fmt: skip
def test_what_to_record_arrives(
    given: list[str], changed: dict[str, Any], arrived: Arrived
) -> None:
    _, named = arrived.of("record", "btcusdt", "--out", "out", *given)
    assert named == RECORD | PROD | changed


def test_the_kinds_that_are_recorded_arrive(arrived: Arrived) -> None:
    for option in ("--kinds", "--streams"):
        (_, kinds, _, _), _ = arrived.of(
            "record", "a", "b", "--out", "out", option, "trade,depth", option, "trade"
        )
        assert kinds == ["trade", "depth"]
    (_, _, _, title), named = arrived.of("record", "btcusdt", "--out", "out", "--simulate")
    assert title == "local exchange"
    assert {name: named[name] for name in LOCAL} == LOCAL


RELAY = {"host": "127.0.0.1", "port": 9443, "api_keys": None}


@pytest.mark.parametrize(("given", "changed"), [([], {}), *OF_FEED, *WHERE])
def test_what_a_relay_is_of_arrives(
    given: list[str], changed: dict[str, Any], arrived: Arrived
) -> None:
    (streams, _, serving), named = arrived.of("relay", *given)
    assert (streams, named) == ([], SERVICE | PROD | changed)
    assert serving == RELAY | ({"host": "::1"} if "--host" in given else {})
    (streams, _, _), _ = arrived.of("relay", "btcusdt", "--kinds", "trade,depth", *given)
    assert streams == ["btcusdt@trade", "btcusdt@depth"]


def test_how_a_relay_serves_arrives(arrived: Arrived) -> None:
    (_, _, serving), _ = arrived.of("relay", "--port", "0", "--key", "a", "--key", "b")
    assert serving == RELAY | {"port": 0, "api_keys": ["a", "b"]}
    (streams, title, _), named = arrived.of("relay", "--simulate")
    assert (len(streams), title) == (len(DEMO) * len(KINDS), "local exchange")
    assert {name: named[name] for name in LOCAL} == LOCAL


@pytest.mark.parametrize(
    ("given", "changed"),
    [
        ([], {}), (["--speed", "10"], {"speed": 10.0}), (["--speed", "max"], {"speed": None}),
        (["--start", "1970-01-02"], {"start": 86400 * 10**9}),
        (["--end", "1795886161000000000"], {"end": 1795886161000000000}),
        (["--seconds", "2"], {"seconds": 2.0}), (["--metrics-port", "0"], {"metrics_port": 0}),
        (["--wait-for", "0"], {"wait_for": 0}), (["--wait-for", "3"], {"wait_for": 3}),
    ],
)  # fmt: skip
def test_a_tape_to_relay_arrives(
    given: list[str], changed: dict[str, Any], arrived: Arrived
) -> None:
    (paths,), named = arrived.of("relay", "--tape", "a", "--tape", "b", *given)
    assert paths == [Path("a"), Path("b")]
    serving = RELAY | {"wait_for": changed.pop("wait_for", 1)}
    assert named == {
        "speed": 1.0, "start": None, "end": None, "serving": serving, "seconds": None,
        "metrics_port": None, "metrics_host": "127.0.0.1",
    } | changed  # fmt: skip


@pytest.mark.parametrize("command", ["watch", "book", "doctor"])
def test_a_local_exchange_serves_the_symbols_and_ends_with_the_command(
    command: str, arrived: Arrived
) -> None:
    given, named = arrived.of(command, "btcusdt", "ethusdt", "--simulate")
    assert arrived.exchanges == [((["btcusdt", "ethusdt"],), {})]
    assert [call[0] for call in arrived.calls][1:] == [
        command, "exchange ends",
    ]  # fmt: skip
    if command == "doctor":
        assert given == (doctor.Patient(**LOCAL, symbols=("btcusdt", "ethusdt")),)
    else:
        assert {name: named[name] for name in LOCAL} == LOCAL
        assert "environment" not in named
    if command == "watch":
        assert given[1] == "local exchange"


@pytest.mark.parametrize(
    ("given", "patient"),
    [
        ([], {}),
        (["ethusdt", "btcusdt"], {"symbols": ("ethusdt", "btcusdt")}),
        (["--symbol", "ethusdt", "--symbol", "xrpusdt"], {"symbols": ("ethusdt", "xrpusdt")}),
        (["--environment", "demo"], {"environment": "demo"}),
        (["--url", URL], {"url": URL}),
        (["--lifecycle", "some/file"], {"lifecycle": "some/file"}),
        (["--proxy", "http://h:9"], {"proxy": "http://h:9"}),
        (["--proxy", "none"], {"proxy": None}),
    ],
)
def test_options_of_doctor_arrive(
    given: list[str], patient: dict[str, Any], arrived: Arrived, capsys: Any
) -> None:
    (found,), _ = arrived.of("doctor", *given)
    assert found == doctor.Patient(**({"environment": "prod", "symbols": ("btcusdt",)} | patient))
    assert capsys.readouterr().out == "ok    build   is well\nok    clock   is off\n"
    arrived.code = 5
    arrived.of("doctor")
    assert capsys.readouterr().out.splitlines()[1] == "FAIL  clock   is off"


SERVE: dict[str, Any] = {
    "with_parent": False, "rate": 1000.0, "seed": 0, "api_keys": None, "host": "127.0.0.1",
    "port": 9443, "faults": [], "fault_seconds": 10.0, "lifetime": None, "signed": None,
}  # fmt: skip


@pytest.mark.parametrize(
    ("given", "changed"),
    [
        ([], {}),
        (["--with-parent"], {"with_parent": True}),
        (["--rate", "0.5"], {"rate": 0.5}),
        (["--seed", "-3"], {"seed": -3}),
        (["--key", "one", "--key", "two"], {"api_keys": ["one", "two"]}),
        (["--host", "0.0.0.0"], {"host": "0.0.0.0"}),
        (["--port", "0"], {"port": 0}),
        (["--port", "65535"], {"port": 65535}),
        (["--faults", "cut,,close@2.5"], {"faults": ["cut", "close@2.5"]}),
        (["--faults", "all"], {"faults": list(faults.KINDS)}),
        (["--faults", "cut", "--every", "2"], {"faults": ["cut"], "fault_seconds": 2.0}),
        (["--lifetime", "30"], {"lifetime": 30.0}),
        (["--fix", "0", "--keys", "k"], {"signed": Signed(0, None, Path("k"))}),
        (["--ws-api", "9", "--keys", "k"], {"signed": Signed(None, 9, Path("k"))}),
    ],
)
def test_options_of_simulate_arrive(
    given: list[str], changed: dict[str, Any], arrived: Arrived
) -> None:
    assert arrived.of("simulate", *given) == ((DEMO,), SERVE | changed)
    assert arrived.of("simulate", "ETHUSDT", *given) == ((["ethusdt"],), SERVE | changed)


def test_the_exit_code_of_what_was_started_is_that_of_the_command(arrived: Arrived) -> None:
    arrived.code = 7
    for command in ("demo", "watch", "book", "simulate", "doctor"):
        arrived.of(command)


GIVEN = [part for given, _ in OF_FEED[:3] + OF_FEED[4:6] + OF_FEED[7:] for part in given]
ARRIVES: dict[str, Any] = {
    "seconds": 2.5, "metrics_port": 9100, "metrics_host": "::1", "lines": 3,
    "renew_at": time_of_day(4, 30), "give_up_after": 7.0,
}  # fmt: skip


def test_several_options_arrive_together(arrived: Arrived) -> None:
    (streams, title), named = arrived.of(
        "watch", "BTCUSDT", "--streams", "trade,depth", "--streams", "trade", *GIVEN,
        "--once", "--json", "--environment", "demo",
    )  # fmt: skip
    assert (streams, title) == (["btcusdt@trade", "btcusdt@depth"], "demo")
    where = PROD | {"environment": "demo"}
    assert named == {"once": True, "form": "own", **ARRIVES, **where}
    _, named = arrived.of("watch", "btcusdt", "--json", "--as", "exchange")
    assert named["form"] == "exchange"
    (symbols,), named = arrived.of(
        "book", "ETHUSDT", "btcusdt", "--levels", "3", "--limit", "5000", "--once", "--json",
        *GIVEN, "--environment", "testnet",
    )  # fmt: skip
    assert symbols == ["ethusdt", "btcusdt"]
    form = {"levels": 3, "limit": 5000, "once": True, "as_json": True}
    assert named == {**form, **ARRIVES, **PROD, "environment": "testnet"}
    _, named = arrived.of("demo", "btcusdt", "--rate", "5", "--seed", "9", "--simulate", *GIVEN)
    assert arrived.exchanges == [((["btcusdt"],), {"rate": 5.0, "seed": 9})]
    assert named == {"is_demo": True, **ARRIVES, **LOCAL}
    (symbols,), named = arrived.of(
        "simulate", "btcusdt", "--host", "::1", "--port", "0", "--rate", "5", "--seed", "9",
        "--key", "a", "--key", "b", "--faults", "cut,cut@2.5", "--every", "3", "--lifetime",
        "60", "--with-parent",
    )  # fmt: skip
    assert symbols == ["btcusdt"]
    assert named == {
        "with_parent": True, "rate": 5.0, "seed": 9, "api_keys": ["a", "b"], "host": "::1",
        "port": 0, "faults": ["cut", "cut@2.5"], "fault_seconds": 3.0, "lifetime": 60.0,
        "signed": None,
    }  # fmt: skip


def test_doctor_ends_with_the_code_of_the_first_trouble(
    arrived: Arrived, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    async def examine(_: doctor.Patient) -> AsyncIterator[doctor.Finding]:
        for code in (None, 0, 4, 5):
            yield doctor.Finding("clock", f"code {code}", code)

    monkeypatch.setattr(doctor, "examine", examine)
    assert main(["doctor"]) == 4
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["ok", "?", "FAIL", "FAIL"]


# further inside: what a view gives to the feed


class Stop(Exception):
    pass


@pytest.mark.parametrize("view", [watch, book])
def test_a_view_gives_its_connections_all_it_is_told(
    view: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[Any] = []

    def stop(*streams: str, **given: Any) -> Any:
        taken.extend((streams, given))
        raise Stop

    monkeypatch.setattr(view, "connect" if view is watch else "books", stop)
    where = LOCAL | {"lines": 2, "renew_at": None, "give_up_after": 5.0}
    given: Any = (["a@trade"], "title") if view is watch else (["a"],)
    with pytest.raises(Stop):
        asyncio.run(view.show(*given, seconds=1.0, metrics_port=0, **where))
    limit = {} if view is watch else {"limit": 1000}
    assert taken == [(given[0][0],), where | limit]


def test_edges_of_what_may_be_given() -> None:
    assert parsed(["watch", "--metrics-port", "65535"]).metrics_port == 65535
    assert parsed(["book", "--limit", "5000", "--levels", "1"]).limit == 5000
    assert parsed(["inspect", "-", "--schema", "fix_sbe"]).schema == "fix_sbe"
    assert parsed(["inspect", "x"]).schema is None


def test_arguments_of_the_process_may_ask_for_the_version(
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


def test_help_explains_every_option(capsys: pytest.CaptureFixture[str]) -> None:
    tapes = [f"tape {action}" for action in ("info", "verify", "recover", "cut", "cat")]
    for command in (
        "demo", "watch", "book", "plot", "doctor", "record", *tapes, "replay", "relay", "simulate",
        "inspect",
    ):  # fmt: skip
        with pytest.raises(SystemExit):
            parsed([*command.split(), "--help"])
        text = capsys.readouterr().out
        assert text.startswith(f"usage: binance-sbe {command} ")
        for option in re.findall(r"^  (--[\w-]+.*)$", text, re.MULTILINE):
            assert re.search(r"\S\s{2,}\S", option) or len(option) > 20, option


# What several commands take: the options, and who takes all of them.
TOGETHER = (
    (
        {"--environment", "--url", "--simulate", "--proxy"},
        {"watch", "book", "plot", "doctor", "record", "relay"},
    ),
    (
        {"--lines", "--renew-at", "--give-up", "--metrics-port", "--host"},
        {"demo", "watch", "book", "record", "relay"},
    ),
    ({"--seconds"}, {"demo", "watch", "book", "plot", "record", "replay", "relay"}),
    ({"--once", "--json"}, {"watch", "book"}),
    ({"--rate", "--seed"}, {"demo", "simulate"}),
)


# A picture is a file, and has an end; a duration may be "2m" as well as seconds.
OF_THEIR_OWN = {
    ("plot", "--seconds"), ("plot", "--for"), ("plot", "--out"),
    ("replay", "--streams"), ("tape cut", "--streams"), ("tape cat", "--streams"),  # one by one too
    ("convert", "--out"), ("convert", "--kinds"), ("convert", "--streams"),  # a URL; kinds of rows
    ("fix watch", "--kinds"), ("fix watch", "--streams"),  # kinds of FIX
    ("fix watch", "--url"), ("fix doctor", "--url"),  # tcp+tls:
}  # fmt: skip


def actions() -> dict[str, dict[str, argparse.Action]]:
    """Of each command, and of each action of those that have some, what it takes, by option."""
    return {
        name: {option: action for action in command._actions for option in action.option_strings}
        for name, command in parsers().items()
    }


def parsers() -> dict[str, argparse.ArgumentParser]:
    """Of each command that can be run, such as "watch" and "tape info"."""
    found: dict[str, argparse.ArgumentParser] = {}
    waiting: list[tuple[str, argparse.ArgumentParser]] = [("", _parser())]
    while waiting:
        before, parser = waiting.pop()
        inner = [each.choices for each in parser._actions if isinstance(each.choices, dict)]
        for name, each in (inner[0] if inner else {}).items():
            waiting.append((f"{before} {name}".strip(), each))
        if not inner:
            found[before] = parser
    return found


def test_the_help_of_each_command_has_examples_that_parse_and_exit_codes() -> None:
    found = parsers()
    assert len(found) > 17
    for name, parser in found.items():
        text = parser.format_help()
        examples = re.findall(rf"^  binance-sbe ({name}\b.*)$", text, re.MULTILINE)
        assert examples, name
        for example in examples:
            options = parsed(shlex.split(example))
            assert name == f"{options.command} {getattr(options, 'action', '')}".strip()
        assert "exit codes: 0 " in text, name


def test_no_command_lacks_an_option_that_others_of_its_kind_have() -> None:
    found = actions()
    for options, commands in TOGETHER:
        for command in commands:
            assert options <= set(found[command]), (command, options - set(found[command]))


def test_an_option_means_the_same_in_every_command_that_has_it() -> None:
    seen: dict[str, tuple[str, Any]] = {}
    for command, options in actions().items():
        for option, action in options.items():
            if (command, option) in OF_THEIR_OWN:
                continue
            kind = (
                type(action), action.type, action.choices and tuple(action.choices),
                action.metavar or action.dest.upper(), action.dest,
            )  # fmt: skip
            other, wanted = seen.setdefault(option, (command, kind))
            assert kind == wanted, f"{option} of {command} is not that of {other}"
    assert len(seen) > 25
