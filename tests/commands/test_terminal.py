"""What commands print: nothing of others is obeyed, in every encoding, and without an output."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import os
import pty
import re
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from small import body, plain
from test_book import snapshot

import binance_sbe
from binance_sbe import spot_stream
from binance_sbe.books.keeper import UP, LiveBook
from binance_sbe.commands import health, ladder, summary, watchlist
from binance_sbe.commands.quotes import Market
from binance_sbe.feed.intake.stats import Stats
from binance_sbe.feed.ledger import ConnectionRecord, Hole
from binance_sbe.metrics import label_of, serve
from binance_sbe.simulator import Exchange
from binance_sbe.simulator.encoder import encode
from binance_sbe.simulator.events import BestBidAsk, Trade, Trades

ROOT = Path(__file__).parent.parent.parent
COMMAND = [sys.executable, "-m", "binance_sbe"]
KEY = "MARKERkey0123456789"
NASTY = "\x1b[2J\x9b5m\r\n\u202e\u2028[red]X[/red][/][link=http://x]\0"


def printable(text: str) -> bool:
    return all(line.isprintable() for line in text.split("\n"))


def test_there_is_one_way_to_print() -> None:
    allowed = {"output.py", "printing.py", "__main__.py"}
    for path in [*ROOT.glob("binance_sbe/**/*.py*"), *ROOT.glob("sbe_codegen/**/*.py*")]:
        if path.suffix in (".py", ".pyx") and path.name not in allowed:
            text = path.read_text(encoding="utf-8")
            assert not re.search(r"(?<![\w.])print\(|std(out|err)\.write", text), path


def test_there_is_one_way_to_show_text_with_rich() -> None:
    """Any str that rich is given is markup; Text is made in one place."""
    for path in ROOT.glob("binance_sbe/**/*.py"):
        text = path.read_text(encoding="utf-8")
        count = text.count("import Text\n"), len(re.findall(r"(?<!\w)Text\(", text))
        assert count == ((1, 1) if path.name == "screen.py" else (0, 0)), path
        for call in re.findall(r"add_row\(([^)]*)", text):
            assert re.match(r"\s*\*(map\(cell|\(\s*cell|row)", call), (path, call)
        assert not re.search(r"title=(?!title|cell|argparse)", text.replace("title_justify", "")), (
            path
        )


# rich


def frames_of(symbol: str) -> list[bytes]:
    trades = Trades(symbol, -2, -8, 1, 1, (Trade(1, 100, 100, True),))
    return [encode(BestBidAsk(symbol, -2, -8, 1, 1, (100, 1), (101, 1))), encode(trades)]


def drawn(renderable: Any, encoding: str = "utf-8") -> str:
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding, errors="replace", newline="")
    console = Console(file=stream, width=200, color_system=None, legacy_windows=False)
    console.print(renderable)
    stream.flush()
    assert isinstance(stream.buffer, io.BytesIO)
    return stream.buffer.getvalue().decode(encoding)


def market_of(symbol: str) -> Market:
    market = Market()
    market.update(spot_stream.decode_many(frames_of(symbol)))
    return market


def test_nothing_of_others_is_markup_or_a_command_of_the_terminal() -> None:
    market = market_of(NASTY)
    table = drawn(watchlist.rich_panel(market, f"status {NASTY}", f"title {NASTY}", 1000))
    assert printable(table)
    assert table.count("[red]X[/red]") == 3
    lines = watchlist.plain_lines(market, NASTY) + summary.came(market, Stats())
    said = io.StringIO()
    binance_sbe.output.say(*lines, stream=said)
    assert printable(said.getvalue())
    assert len(said.getvalue().split("\n")) == len(lines) + 1
    book = LiveBook(NASTY, lambda _: UP)
    book.apply_snapshot(snapshot(100, [(99, 50)], [(101, 25)]))
    assert printable(drawn(ladder.rich_panel(book, 3)))
    assert "[RED]X[/RED][/]" in drawn(ladder.rich_panel(book, 3))


def test_causes_and_holes_are_shown_as_text() -> None:
    async def work() -> None:
        async with (
            Exchange(["btcusdt"]) as exchange,
            binance_sbe.connect("btcusdt@trade", url=exchange.url, api_key=KEY) as feed,
        ):
            feed.ledger._add(Hole(f"{NASTY}@trade", 5, 8, 0, 1, f"{NASTY} {KEY}"))
            shown = drawn(health.rich_panel(feed, 100))
            assert printable(shown)
            assert "[red]X[/red]" in shown
            assert KEY not in shown
            for each in feed.ledger.connections:
                each.closed_ns, each.cause = 1, f"{NASTY} {KEY}"
            shown = drawn(health.rich_panel(feed, 100))
            assert printable(shown)
            assert "[red]X[/red]" in shown
            assert KEY not in shown
            assert isinstance(feed.ledger.connections[0], ConnectionRecord)

    asyncio.run(work())


@pytest.mark.parametrize("encoding", ["utf-8", "ascii", "latin-1", "cp1252"])
def test_tables_and_ladders_fit_every_encoding(
    encoding: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding, errors="replace")
    monkeypatch.setattr(sys, "stdout", stream)
    table = drawn(watchlist.rich_panel(market_of("币安"), "x", "t", 100), encoding)
    assert ("币安" if encoding == "utf-8" else "\\u5e01\\u5b89") in table
    book = LiveBook("btcusdt", lambda _: UP)
    book.apply_snapshot(snapshot(100, [(99, 50)], [(101, 25)]))
    text = drawn(ladder.rich_panel(book, 3), encoding)
    assert ("█" if encoding == "utf-8" else "####") in text
    widths = {len(line) for line in text.split("\n") if line.startswith(("│", "|", "┃"))}
    assert len(widths) == 1


# commands


@pytest.fixture(scope="module")
def exchange() -> Iterator[str]:
    command = [*COMMAND, "simulate", "币安", "--port", "0"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, env=os.environ | {"PYTHONIOENCODING": "ascii"}
    ) as server:
        assert server.stdout is not None
        line = server.stdout.readline()
        assert line.startswith(rb"serving \u5e01\u5b89 on ws://")
        yield line.decode().split()[-1]
        server.terminate()


ENCODINGS = [
    {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    {"PYTHONIOENCODING": "ascii"},
    {"PYTHONIOENCODING": "latin-1"},
]


@pytest.mark.parametrize("encoding", ENCODINGS, ids=str)
@pytest.mark.parametrize(
    "arguments",
    [
        ["watch", "币安", "--once"],
        ["watch", "币安", "--once", "--json"],
        ["watch", "币安", "--seconds", "3"],
        ["book", "币安", "--once"],
        ["book", "币安", "--once", "--json"],
        ["doctor", "--symbol", "币安"],
    ],
    ids=" ".join,
)
def test_a_symbol_that_the_encoding_lacks_is_escaped(
    exchange: str, arguments: list[str], encoding: dict[str, str]
) -> None:
    # as JSON, since the arguments of a process are bytes
    code = (
        "import json, sys, binance_sbe.commands.cli as c; sys.exit(c.main(json.loads(sys.argv[1])))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, json.dumps([*arguments, "--url", exchange])],
        capture_output=True, check=False, timeout=60,
        env=os.environ | encoding | {"BINANCE_API_KEY": KEY},
    )  # fmt: skip
    assert (done.returncode, b"Traceback" in done.stderr) == (0, False), done.stderr
    assert b"\\u5e01\\u5b89" in done.stdout
    if "--json" in arguments:
        values = [json.loads(line) for line in done.stdout.splitlines()]
        assert {value["symbol"] for value in values} == {"币安"}


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_a_live_ladder_on_a_terminal_has_bars_in_every_encoding(encoding: str) -> None:
    command = [*COMMAND, "book", "btcusdt", "--simulate", "--seconds", "1.5", "--levels", "2"]
    given = {"PYTHONIOENCODING": encoding, "TERM": "xterm", "COLUMNS": "90", "LINES": "30"}
    terminal, its_end = pty.openpty()
    with subprocess.Popen(command, stdout=its_end, stderr=its_end, env=os.environ | given):
        os.close(its_end)
        shown = b""
        with contextlib.suppress(OSError):  # which says that the other end is closed
            while part := os.read(terminal, 65536):
                shown += part
    os.close(terminal)
    assert b"Traceback" not in shown
    assert ("█" * 24).encode() in shown if encoding == "utf-8" else b"#" * 24 in shown
    assert b"?" not in re.sub(rb"\x1b\[\?25", b"", shown)


@pytest.mark.parametrize("closing", [">&-", "2>&-", "<&-", ">&- 2>&- <&-", ">/dev/full"])
@pytest.mark.parametrize(
    "arguments",
    ["watch 币安 --once", "watch 币安 --json --seconds 0.5", "book 币安 --once", "--version"],
)
def test_a_standard_stream_that_is_closed_is_no_traceback(
    exchange: str, arguments: str, closing: str
) -> None:
    where = "" if arguments == "--version" else f"--url {exchange}"
    command = f"{' '.join(COMMAND)} {arguments} {where} {closing}"
    done = subprocess.run(
        ["bash", "-c", command], capture_output=True, text=True, check=False, timeout=60,
        env=os.environ | {"BINANCE_API_KEY": KEY},
    )  # fmt: skip
    assert "Traceback" not in done.stderr
    assert "Exception" not in done.stderr
    if closing == ">/dev/full":
        assert "No space left" in done.stderr or arguments == "--version"
    else:
        assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("closing", [">&-", "2>&-", ">/dev/full"])
def test_the_compiler_without_an_output_gives_no_traceback(tmp_path: Path, closing: str) -> None:
    path = tmp_path / "x.xml"
    path.write_text(body(plain("a", 1)))
    for arguments in ("check", "layout"):
        command = f"{sys.executable} -m sbe_codegen {arguments} {path} {closing}"
        done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
        assert "Traceback" not in done.stderr
        assert "Exception" not in done.stderr


def test_what_the_compiler_quotes_is_escaped(tmp_path: Path) -> None:
    path = tmp_path / "x.xml"
    path.write_text(body("<field name='a' id='1' type='\x9b5m\u202ex'/>"), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "sbe_codegen", "check", str(path)],
        capture_output=True, check=False, env=os.environ | {"PYTHONIOENCODING": "ascii"},
    )  # fmt: skip
    assert done.returncode == 1
    assert rb"no type '\x9b5m\u202ex' in this schema" in done.stdout


def test_what_is_asked_for_is_escaped_in_the_answer() -> None:
    done = subprocess.run(
        [*COMMAND, "watch", "x\x1b[2J\u202e"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert printable(done.stderr)


def test_a_url_with_a_secret_is_refused_without_it() -> None:
    for url in (f"wss://{KEY}@host:1", f"wss://a:{KEY}@host", f"wss://host/x?key={KEY}"):
        done = subprocess.run(
            [*COMMAND, "watch", "btcusdt", "--url", url], capture_output=True, text=True,
            check=False,
        )  # fmt: skip
        assert done.returncode == 2
        assert "host" in done.stderr
        assert KEY not in done.stderr


# metrics


def test_a_symbol_that_is_no_text_does_not_end_the_metrics() -> None:
    """The names of streams may have bytes that are not UTF-8, as halves of surrogate pairs."""

    async def work() -> str:
        async with (
            Exchange(["btcusdt"]) as exchange,
            binance_sbe.connect(
                "btcusdt@bestBidAsk", url=exchange.url, api_key=KEY, on_error="collect"
            ) as feed,
        ):
            frame = frames_of("ABCDEF")[0]
            for symbol in (b"A\xff\xfeB", b"A\x1b[2J", b'A"\n\\', "\u202eA".encode()):
                name = symbol.decode("utf-8", "surrogateescape").lower() + "@bestBidAsk"
                feed._backlog.arbiter.enter(feed.ledger.connections[0].source, [name])
                wrong = frame.replace(b"\x06ABCDEF", bytes([len(symbol)]) + symbol)
                exchange.send("btcusdt@bestBidAsk", wrong)
            for name in ("a\udcff@depth", "a\\udcff@depth"):
                feed._backlog.arbiter.enter(feed.ledger.connections[0].source, [name])
            await anext(feed)
            await asyncio.sleep(0.3)
            with serve(feed, 0) as port:
                url = f"http://127.0.0.1:{port}/metrics"
                return await asyncio.to_thread(scraped, url)

    text = asyncio.run(work())
    assert printable(text)
    assert "btcusdt@bestBidAsk" in text
    names = re.findall(r'binance_sbe_stream_frames_total\{stream="([^\n]*)"\} ', text)
    assert len(names) == len(set(names)) >= 5


def scraped(url: str) -> str:
    with urllib.request.urlopen(url, timeout=10) as answer:
        assert answer.status == 200
        return str(answer.read().decode())


def test_labels_stay_different() -> None:
    names = ["a\udcff", "a\\udcff", "a\\\\udcff", "a\x85", "a\\x85", "币@trade"]
    labels = [label_of(name) for name in names]
    assert len(set(labels)) == len(labels)
    assert labels[-1] == "币@trade"


@pytest.mark.parametrize("host", ["", None, 5])
def test_metrics_are_served_at_an_address(host: Any) -> None:
    with pytest.raises(ValueError, match="host is the address to serve on, not"):
        serve(None, 0, host).__enter__()  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="host is the address to serve on, not"):
        Exchange(host=host)


@pytest.mark.parametrize(
    ("host", "said"),
    [
        ("127.0.0.1", r"metrics at http://127\.0\.0\.1:\d+/metrics\n"),
        ("0.0.0.0", r"metrics at http://0\.0\.0\.0:\d+/metrics, open to other machines\n"),
    ],
)
def test_metrics_say_where_they_are(exchange: str, host: str, said: str) -> None:
    command = [*COMMAND, "watch", "币安", "--url", exchange, "--seconds", "0.3"]
    done = subprocess.run(
        [*command, "--metrics-port", "0", "--host", host], capture_output=True, text=True,
        check=False, env=os.environ | {"BINANCE_API_KEY": KEY},
    )  # fmt: skip
    assert done.returncode == 0
    assert re.fullmatch(said, done.stderr)


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
    assert "left out by the exchange (no loss)" in str(health.counts.__code__.co_consts)
