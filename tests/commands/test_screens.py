"""What a new user sees: on terminals that can little, without rich, without a connection."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import os
import pty
import random
import re
import subprocess
import sys
import time
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from test_book import diff, snapshot
from test_supervisor import Shell
from test_watch import simulated

import binance_sbe
from binance_sbe import spot_stream
from binance_sbe.books.keeper import UP, LiveBook
from binance_sbe.commands import health, inspector, ladder, options, quotes, summary, watchlist
from binance_sbe.commands import lines as lines_of_text
from binance_sbe.commands.cli import main
from binance_sbe.commands.quotes import DIFFS, SNAPSHOTS, TOP, Market
from binance_sbe.commands.watch import streams_of
from binance_sbe.commands.watchlist import Watchlist
from binance_sbe.feed.intake.stats import Stats
from binance_sbe.feed.intake.streams import Source
from binance_sbe.feed.protocol.shards import Connection, Phase, Shards
from binance_sbe.feed.settings import Settings
from binance_sbe.simulator import Exchange
from binance_sbe.simulator.encoder import encode
from binance_sbe.simulator.events import BestBidAsk, Depth, Diff

COMMAND = [sys.executable, "-m", "binance_sbe"]
WITHOUT_RICH = [
    sys.executable, "-c",
    "import sys; sys.modules['rich'] = sys.modules['rich.live'] = None; "
    "from binance_sbe.commands.cli import main; sys.exit(main(sys.argv[1:]))",
]  # fmt: skip


def on_terminal(
    command: list[str], columns: int = 80, lines: int = 24, **environment: str
) -> tuple[list[tuple[float, str]], int]:
    """What a command shows on a terminal of this size, with the seconds until each part came."""
    given = {"TERM": "xterm-256color", "COLUMNS": str(columns), "LINES": str(lines)} | environment
    terminal, its_end = pty.openpty()
    started = time.monotonic()
    shown = []
    with subprocess.Popen(command, stdout=its_end, stderr=its_end, env=os.environ | given) as child:
        os.close(its_end)
        with contextlib.suppress(OSError):  # which says that the other end is closed
            while part := os.read(terminal, 65536):
                shown.append((time.monotonic() - started, part.decode(errors="replace")))
    os.close(terminal)
    return shown, child.returncode


def text_of(shown: list[tuple[float, str]]) -> str:
    return "".join(part for _, part in shown).replace("\r\n", "\n")


# terminals that can little


@pytest.mark.parametrize("how", ["dumb", "without rich"])
@pytest.mark.parametrize("command", ["demo", "watch", "book"])
def test_what_can_not_be_drawn_is_told_line_by_line(command: str, how: str) -> None:
    """Not blank until the end: prices come while it runs, whole, and no control sequence does."""
    start = COMMAND if how == "dumb" else WITHOUT_RICH
    arguments = ["btcusdt", "--simulate", "--seconds", "4"]
    shown, code = on_terminal(
        [*start, command, *arguments], **({"TERM": "dumb"} if how == "dumb" else {})
    )
    text = text_of(shown)
    assert code == 0, text
    assert "\x1b" not in text
    wanted = "ask " if command == "book" else "BTCUSDT "
    first = next(at for at, part in shown if wanted in part)
    assert first < shown[-1][0] - 1.0
    assert all(len(line) < 80 for line in text.splitlines()[1:] if "needs rich" not in line)
    assert ("needs rich: " in text) == (how == "without rich")


def test_a_pipe_is_not_told_of_rich() -> None:
    done = subprocess.run(
        [*WITHOUT_RICH, "watch", "btcusdt", "--simulate", "--seconds", "1.5"],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert "  BTCUSDT " in done.stdout


@pytest.mark.parametrize(
    "environment", [{"LC_ALL": "C", "PYTHONIOENCODING": "ascii"}, {"NO_COLOR": "1"}]
)
def test_the_live_view_does_with_ascii_and_without_colors(environment: dict[str, str]) -> None:
    shown, code = on_terminal(
        [*COMMAND, "watch", "btcusdt", "--simulate", "--seconds", "2"], **environment
    )
    text = text_of(shown)
    assert code == 0
    assert "BTCUSDT" in text
    assert "Traceback" not in text
    if "NO_COLOR" in environment:
        assert not re.search(r"\x1b\[[0-9;]*3[0-9]m", text)
    else:
        assert text.isascii()


def test_words_are_not_broken_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    lines = ["  BTCUSDT    bid 0.0827161 at 94066.08, ask 0.0358137 at 94075.82, last none", ""]
    assert lines_of_text.wrapped(lines) == lines  # a pipe
    monkeypatch.setattr(sys, "stdout", Terminal())
    monkeypatch.setenv("COLUMNS", "40")
    wrapped = lines_of_text.wrapped(lines)
    assert all(len(line) < 40 for line in wrapped)
    assert " ".join(" ".join(wrapped).split()) == " ".join(lines[0].split())
    assert {word for line in wrapped for word in line.split()} == set(lines[0].split())


# the end of the demo


@pytest.mark.parametrize("columns", [80, 120])
def test_the_end_of_the_demo_fits_a_screen_and_says_what_to_try_next(columns: int) -> None:
    shown, code = on_terminal([*COMMAND, "demo", "--seconds", "2"], columns)
    assert code == 0
    text = text_of(shown)
    lines = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|\r", "", text).splitlines()
    at = next(i for i, line in enumerate(lines) if ", as record arrays" in line)
    last = lines[at:]
    rows = sum(max(1, -(-len(line) // columns)) for line in last)
    assert rows <= 23, last
    assert all(len(line) <= columns for line in last)
    assert "try next:" in last
    commands = [line.partition("binance_sbe ")[2] for line in last[last.index("try next:") :]]
    named = [command.split()[0] for command in commands if command]
    assert named == ["watch", "book", "doctor", "watch"]
    for command in filter(None, commands):  # and each of them is one
        options.parsed(re.split(r"\s{2,}", command)[0].split())


@pytest.mark.parametrize(
    ("started", "found", "said"),
    [
        ("/usr/bin/x/binance_sbe/__main__.py", None, "python -m binance_sbe"),
        ("/opt/bin/binance-sbe", "/opt/bin/binance-sbe", "binance-sbe"),
        ("/opt/bin/binance-sbe", None, "/opt/bin/binance-sbe"),
        ("/here/.venv/bin/binance-sbe", "/opt/bin/binance-sbe", ".venv/bin/binance-sbe"),
    ],
)
def test_the_command_is_named_as_it_was_started(
    started: str, found: str | None, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", [started])
    monkeypatch.setattr(summary.shutil, "which", lambda _: found)
    monkeypatch.setattr(summary.Path, "cwd", lambda: Path("/here"))
    assert summary.command_name() == said


def test_a_class_of_which_none_came_is_named() -> None:
    lines = summary.came(Market(), Stats())
    assert [line for line in lines if "none arrived" in line] == [
        f"{message.__name__}: none arrived" for message in spot_stream.MESSAGES.values()
    ]


# prices that are old


def drawn(renderable: Any, width: int = 100, styles: bool = False) -> str:
    console = Console(width=width, record=True, file=StringIO(), force_terminal=True)
    console.print(renderable)
    return console.export_text(styles=styles)


def test_prices_are_dimmed_and_marked_while_no_connection_brings_them() -> None:
    async def work() -> tuple[str, list[str], str, list[str]]:
        exchange = Exchange(["btcusdt", "ethusdt"])
        await exchange.__aenter__()
        streams = streams_of(["btcusdt", "ethusdt"])
        async with binance_sbe.connect(*streams, url=exchange.url, api_key="k") as feed:
            view = Watchlist(feed, "title")
            market = view.market
            async for batch in feed.batches(max_delay=0.3):
                market.update(batch)
                if len(market.quotes) == 2:
                    break
            assert health.old_symbols(feed) == set()
            before = drawn(view.panel(100, 24), styles=True)
            lines_before = watchlist.plain_lines(market, "x", health.old_symbols(feed))
            await exchange.__aexit__(None, None, None)
            while health.open_connections(feed):
                await asyncio.sleep(0.01)
            assert health.old_symbols(feed) == {"BTCUSDT", "ETHUSDT"}
            after = drawn(view.panel(100, 24), styles=True)
            lines = watchlist.plain_lines(market, "x", health.old_symbols(feed))
            assert any("no connection is open" in line for line in health.plain_lines(feed))
            return before, lines_before, after, lines

    before, lines_before, after, lines = asyncio.run(work())
    assert "(old)" not in before
    assert "\x1b[2m" not in before
    assert not any("old" in line for line in lines_before)
    assert "BTCUSDT (old)" in after
    assert re.search(r"\x1b\[2mBTCUSDT \(old\)", after)
    assert re.search(r"no connection brings what is marked \(old\): it is of \d+ s ago", after)
    assert all(re.search(r"\(old, of \d+ s ago\) bid ", line) for line in lines[1:3])


def test_only_what_has_no_connection_is_old() -> None:
    shards = Shards(Settings(lines=2), random.Random(1))
    assert shards.cut_off() == set()
    names = [f"s{i}@trade" for i in range(1500)]
    shards.place(names, 0.0)
    assert (len(shards), shards.cut_off()) == (2, set(names))
    first, second = shards
    for shard in (first, second):
        for number, slot in enumerate(shard.slots):
            slot.current = Connection(number, slot, Source())
            slot.current.phase = Phase.LIVE
    assert shards.cut_off() == set()
    second.slots[0].current = None
    assert shards.cut_off() == set()  # the other line brings them
    second.slots[1].current.phase = Phase.SUBSCRIBING  # type: ignore[union-attr]
    assert shards.cut_off() == set(second.names)


def test_a_stale_book_is_dimmed_and_marked() -> None:
    book = LiveBook("btcusdt", lambda _: UP)
    book.apply_snapshot(snapshot(100, [(99, 50)], [(101, 25)]))
    assert "old" not in ladder.plain_lines(book, 2)[2]
    assert "\x1b[1;32m" in drawn(ladder.rich_panel(book, 2), styles=True)
    book.apply(diff(110, 111))
    text = drawn(ladder.rich_panel(book, 2), styles=True)
    assert "BTCUSDT  stale: these prices are old" in text
    assert "\x1b[1;32m" not in text
    assert all(line.endswith("(old)") for line in ladder.plain_lines(book, 2) if " ask " in line)


# the best prices that there are


def market_of(*events: Any) -> Market:
    market = Market()
    for event in events:
        market.update(spot_stream.decode_many([encode(event)]))
    return market


def change(first: int, bids: Any = (), asks: Any = (), exponent: int = -2) -> Diff:
    return Diff("BTCUSDT", exponent, -8, 1, first, first, bids=bids, asks=asks)


def test_diffs_alone_have_best_prices() -> None:
    market = market_of(
        change(1, bids=((100, 5), (99, 6)), asks=((103, 7), (102, 8))),
        change(2, bids=((100, 0),), asks=((102, 0), (104, 1))),
    )
    line = market.quotes["BTCUSDT"]
    assert (line.bid, line.ask, line.source) == ("0.99", "1.03", DIFFS)
    assert (line.bid_qty, line.ask_qty) == ("0.0000000", "0.0000000")
    assert watchlist.plain_lines(market, "x")[-1] == watchlist.OF_DIFFS
    assert watchlist.OF_DIFFS in " ".join(
        drawn(watchlist.rich_panel(market, "x", "t", 120)).split()
    )


def test_levels_of_before_a_gap_do_not_cross() -> None:
    market = market_of(
        change(1, bids=((100, 5),), asks=((103, 7),)),
        change(9, bids=((110, 5),)),
        change(10, asks=((112, 5),)),
    )
    line = market.quotes["BTCUSDT"]
    assert (line.bid, line.ask) == ("1.10", "1.12")


def test_levels_of_other_exponents_are_not_mixed() -> None:
    market = market_of(change(1, bids=((100, 5),)), change(2, bids=((900, 5),), exponent=-3))
    assert market.quotes["BTCUSDT"].bid == "0.900"


def test_levels_that_are_kept_are_bounded() -> None:
    touched = quotes.Touched()
    for i in range(10):
        levels = [(1000 * i + n, 1) for n in range(1000)]
        touched.apply((-2, -8), levels, [(10**6 - price, 1) for price, _ in levels])
    assert max(len(touched.bids), len(touched.asks)) <= 2000
    assert touched.best() == ((9999, 1), (10**6 - 9999, 1))


def test_the_better_source_is_shown() -> None:
    levels: Any = (((97, 1),), ((103, 1),))
    events = [
        change(1, bids=((90, 1),), asks=((110, 1),)),
        Depth("BTCUSDT", -2, -8, 1, 2, *levels),
        change(3, bids=((91, 1),)),
        BestBidAsk("BTCUSDT", -2, -8, 1, 3, (98, 1), (102, 1)),
        Depth("BTCUSDT", -2, -8, 1, 4, *levels),
    ]
    shown = [market_of(*events[:n]).quotes["BTCUSDT"] for n in range(1, 6)]
    assert [line.bid for line in shown] == ["0.90", "0.97", "0.97", "0.98", "0.98"]
    assert [line.source for line in shown] == [DIFFS, SNAPSHOTS, SNAPSHOTS, TOP, TOP]


def test_a_watch_of_depth_shows_prices() -> None:
    done = subprocess.run(
        [*COMMAND, "watch", "btcusdt", "--simulate", "--streams", "depth", "--seconds", "2.5"],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert re.search(r"  BTCUSDT +bid [\d.]+ at \d+\.\d\d, ask [\d.]+ at \d+\.\d\d", done.stdout)


# options that mean the same, wherever they are


def parsed(*arguments: str) -> Any:
    return options.parsed(list(arguments))


@pytest.mark.parametrize("command", ["demo", "watch", "book", "doctor"])
def test_symbols_and_simulate_mean_the_same(command: str) -> None:
    found = parsed(command, "btcusdt", "ETHUSDT", "--simulate")
    assert (found.symbols, found.simulate) == (["btcusdt", "ethusdt"], True)
    assert parsed(command).symbols in (options.DEMO_SYMBOLS, options.DEMO_SYMBOLS[:1])


@pytest.mark.parametrize("command", ["demo", "watch", "book"])
def test_connections_and_metrics_mean_the_same(command: str) -> None:
    found = parsed(
        command, "--lines", "2", "--metrics-port", "0", "--host", "::1", "--seconds", "3",
        "--renew-at", "04:30", "--give-up", "7",
    )  # fmt: skip
    assert (found.lines, found.metrics_port, found.host) == (2, 0, "::1")
    assert (found.seconds, found.renew_at.hour, found.give_up) == (3.0, 4, 7.0)


@pytest.mark.parametrize("command", ["demo", "watch", "book"])
def test_lines_and_metrics_arrive(command: str) -> None:
    done = subprocess.run(
        [*COMMAND, command, "btcusdt", "--simulate", "--lines", "2", "--metrics-port", "0",
         "--seconds", "2.5"],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert re.search(r"metrics at http://127\.0\.0\.1:\d+/metrics", done.stderr)
    if command != "book":
        assert "connection 2 (line 2)" in done.stdout


def test_several_books_are_shown() -> None:
    done = subprocess.run(
        [*COMMAND, "book", "btcusdt", "ethusdt", "--simulate", "--once", "--levels", "1"],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert re.findall(r"^(\w+) live for", done.stdout, re.MULTILINE) == ["BTCUSDT", "ETHUSDT"]


@pytest.mark.parametrize("height", [14, 24, 40])
def test_ladders_of_several_books_fit_the_terminal(height: int) -> None:
    books = [LiveBook(name, lambda _: UP) for name in ("btcusdt", "ethusdt", "xrpusdt")]
    for book in books:
        bids, asks = (tuple((n, 1) for n in side) for side in (range(97, 77, -1), range(103, 123)))
        event = encode(Depth(book.symbol, -2, -8, 7_000, 5, bids, asks))
        book.show(spot_stream.decode(event))
    lines = drawn(ladder.rich_panels(books, 10, 80, height), 80).splitlines()
    assert len(lines) <= height
    assert "BTCUSDT" in lines[0]
    assert (height < 40) == any("the terminal is not high enough" in line for line in lines)


def test_doctor_examines_a_local_exchange_and_every_symbol() -> None:
    done = subprocess.run(
        [*COMMAND, "doctor", "btcusdt", "ethusdt", "--simulate"],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"stream .* BTCUSDT bid .*; after \d+ ms: ETHUSDT bid ", done.stdout) or (
        re.search(r"stream .* ETHUSDT bid .*; after \d+ ms: BTCUSDT bid ", done.stdout)
    )
    assert parsed("doctor", "--symbol", "ethusdt").symbol == ["ethusdt"]  # as it was


def test_streams_that_are_given_twice_add_up() -> None:
    assert parsed("watch", "--streams", "trade", "--streams", "depth").streams == ["trade", "depth"]
    assert parsed("watch").streams is None
    done = subprocess.run(
        [*COMMAND, "watch", "btcusdt", "--simulate", "--once", "--json", "--streams", "depth",
         "--streams", "trade,depth"],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert {event["stream"] for event in events} == {"btcusdt@depth", "btcusdt@trade"}


@pytest.mark.parametrize(
    ("arguments", "usage", "said"),
    [
        ("wach", "binance-sbe", "'wach': did you mean 'watch'? (demo, watch, book,"),
        ("zzz", "binance-sbe", "invalid command: 'zzz' (demo, watch, book,"),
        ("", "binance-sbe", "a COMMAND is needed: one of demo, watch, book, doctor"),
        ("--verison", "binance-sbe", "--verison: did you mean '--version'?"),
        ("--lines watch --lines 2", "binance-sbe", "unrecognized arguments: --lines"),
        ("watch --lnes 2", "binance-sbe watch", "--lnes: did you mean '--lines'?"),
        ("book --lnes=2", "binance-sbe book", "--lnes=2: did you mean '--lines'?"),
        ("watch --environment tesnet", "binance-sbe watch", "did you mean 'testnet'?"),
        ("watch --streams trades", "binance-sbe watch", "did you mean 'trade'?"),
        ("inspect - --schema spot_stram", "binance-sbe inspect", "did you mean 'spot_stream'?"),
        ("simulate --every 5", "binance-sbe simulate", "there are no --faults"),
        ("doctor a/b", "binance-sbe doctor", "'a/b' is not a symbol"),
    ],
)
def test_a_typo_is_told_what_was_meant(
    arguments: str, usage: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments.split())
    assert caught.value.code == 2
    err = capsys.readouterr().err
    assert err.startswith(f"usage: {usage} [-h]")
    assert said in err


def test_help_explains_every_option(capsys: pytest.CaptureFixture[str]) -> None:
    for command in ("demo", "watch", "book", "doctor", "simulate", "inspect"):
        with pytest.raises(SystemExit):
            options.parsed([command, "--help"])
        text = capsys.readouterr().out
        assert text.startswith(f"usage: binance-sbe {command} ")
        for option in re.findall(r"^  (--[\w-]+.*)$", text, re.MULTILINE):
            assert re.search(r"\S\s{2,}\S", option) or len(option) > 20, option


# words


def test_a_lost_connection_is_told_in_plain_words() -> None:
    """On the screen of a watch; which of several it is, where there are several."""
    with simulated("btcusdt") as url:
        child = subprocess.Popen(
            [*COMMAND, "watch", "btcusdt", "--url", url, "--give-up", "1", "--json"],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env=os.environ | {"BINANCE_API_KEY": "any"},
        )  # fmt: skip
        assert child.stdout is not None
        child.stdout.readline()  # it is connected
    _, err = child.communicate(timeout=30)
    assert child.returncode == 1
    assert re.search(r"connection lost, trying again in \d+\.\d s \(attempt 1\): ", err), err
    assert "shard" not in err


def test_which_of_several_connections_was_lost_is_told() -> None:
    shell = Shell(lines=2)
    shell.started()
    shell.supervisor.closed(shell.numbers[1], None, "gone", shell.now)
    shell.run(0.01)
    assert re.search(r"connection lost \(line 2\), trying again in ", shell.logs[-1])


def test_no_word_of_the_inside_is_shown() -> None:
    """What users read on screens is explained there, or said in plain words."""
    inside = re.compile(r"\b(culled|proven|unproven|shard|up to here)\b")
    package = Path(binance_sbe.__file__).parent
    protocol = package / "feed" / "protocol"
    for path in (*(package / "commands").glob("*.py"), protocol / "succession.py"):
        for text in re.findall(r'f?"([^"\n]*)"', path.read_text(encoding="utf-8")):
            said = re.sub(r"\{[^}]*\}", "", text)
            if " " in said:
                assert not inside.search(said), (path.name, text)
    assert "left out by the exchange" in str(health.counts.__code__.co_consts)


@pytest.mark.parametrize("fault", [None, "cut@0.7"])
def test_a_json_run_ends_with_a_line_only_if_something_was_lost(fault: str | None) -> None:
    with simulated("btcusdt", *(["--faults", fault] if fault else [])) as url:
        done = subprocess.run(
            [*COMMAND, "watch", "btcusdt", "--url", url, "--json", "--seconds", "3"],
            capture_output=True, text=True, timeout=60,
            env=os.environ | {"BINANCE_API_KEY": "any"},
        )  # fmt: skip
    assert done.returncode == 0
    assert json.loads(done.stdout.splitlines()[-1])["symbol"] == "BTCUSDT"
    last = done.stderr.splitlines()[-1:]
    assert last == [] if fault is None else last[0].startswith("binance-sbe: ledger: ")


# inspect


def test_times_are_dates() -> None:
    frame = encode(BestBidAsk("BTCUSDT", -2, -8, 1_735_689_600_000_123, 7, (1, 1), (2, 1)))
    lines, is_whole = inspector.inspect(frame)
    assert is_whole
    (line,) = (line for line in lines if "eventTime" in line)
    assert line.endswith("1735689600000123 (2025-01-01 00:00:00.000123 UTC)")


@pytest.mark.parametrize(
    ("value", "unit", "said"),
    [
        (0, "s", "1970-01-01 00:00:00 UTC"),
        (1_735_689_600_001, "ms", "2025-01-01 00:00:00.001 UTC"),
        (1_735_689_600_000_000_009, "ns", "2025-01-01 00:00:00.000000009 UTC"),
        (-1, "us", "1969-12-31 23:59:59.999999 UTC"),
        (2**63 - 1, "us", "no date that there is"),
    ],
)
def test_dates_have_all_digits_of_their_unit(value: int, unit: str, said: str) -> None:
    assert inspector._date(value, unit) == said
