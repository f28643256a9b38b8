"""`binance-sbe plot`: a recording within its bounds, and a file that is whole or not there."""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from feeds import Hand

from binance_sbe import spot_stream
from binance_sbe.commands import arguments, drawing, plot
from binance_sbe.commands.recording import LATENCY_EDGES, Recording, Series
from binance_sbe.errors import FeedError
from binance_sbe.simulator import Exchange
from binance_sbe.simulator.encoder import encode
from binance_sbe.simulator.events import BestBidAsk, Trade, Trades

COMMAND = (sys.executable, "-m", "binance_sbe", "plot")
PNG = b"\x89PNG\r\n\x1a\n"


def run(*options: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *options], capture_output=True, text=True, timeout=100, check=False,
        env=os.environ | environment,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("30s", 30.0), ("30", 30.0), ("500ms", 0.5), ("1.5m", 90.0), ("2 min", 120.0), ("10m", 600.0),
     ("0.1", 0.1), ("100ms", 0.1)],
)  # fmt: skip
def test_a_duration_has_a_unit_or_is_seconds(text: str, seconds: float) -> None:
    assert arguments.span(text) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "text",
    ["", "s", "0", "-1s", "1h", "99ms", "601s", "11m", "1e3", "nan", "inf", "٣s", "1s2", "9" * 30,
     "30 s\n", "1_0s"],
)  # fmt: skip
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="is not a duration from 100ms to 10m"):
        arguments.span(text)


def test_a_picture_ends_in_what_can_be_drawn_and_has_a_folder(tmp_path: Path) -> None:
    assert arguments.picture(str(tmp_path / "a.PNG")) == tmp_path / "a.PNG"
    assert arguments.picture("a.svg") == Path("a.svg")
    (tmp_path / "folder.png").mkdir()
    for given, said in (
        ("a.pdf", "'a.pdf' does not end in .png or .svg"),
        ("a", "does not end in"),
        ("", "does not end in"),
        (".png", "does not end in"),
        (str(tmp_path / "folder.png"), "is a folder"),
        (str(tmp_path / "no" / "a.png"), "there is no folder"),
    ):
        with pytest.raises(argparse.ArgumentTypeError, match=said):
            arguments.picture(given)


def test_of_too_many_points_every_other_one_goes() -> None:
    series = Series(10)
    for number in range(1000):
        series.add(number, -number, 0)
        assert len(series) <= 10
    at, below, _ = series.columns()
    assert series.every == 128
    assert at.tolist() == [number for number in range(1000) if number % 128 == 0]
    assert (at == -below).all()
    assert Series().columns().shape == (3, 0)


class Book(SimpleNamespace):
    state = "syncing"
    mid = None


def recording() -> Recording:
    made = Recording("A$B_C", Hand().feed, Book())  # type: ignore[arg-type]
    made.began = 1000.0
    return made


def test_the_events_of_a_symbol_are_kept_in_floats() -> None:
    made = recording()
    at = 1_001_500_000
    made.take(spot_stream.decode(encode(BestBidAsk("X", -2, -8, at, 7, (99, 1), (101, 2)))))
    trades = (Trade(1, 100, 3 * 10**8, True), Trade(2, 101, 10**8, False))
    made.take(spot_stream.decode(encode(Trades("X", -2, -8, at, at, trades))))
    assert made.tops.columns().T.tolist() == [[1.5, 0.99, 1.01]]
    assert made.trades.columns().T.tolist() == [[1.5, 1.0, 3.0, 0.0], [1.5, 1.01, 1.0, 1.0]]
    assert made.messages == 2


def test_breaks_are_where_the_book_was_not_live_any_more() -> None:
    made = recording()
    nan = float("nan")
    for at, bid in enumerate((nan, nan, 1.0, nan, nan, 2.0, nan)):
        made.depths.add(at, bid, bid)
    made.seconds = 9.0
    assert made.breaks() == [(3.0, 5.0), (6.0, 9.0)]


@pytest.mark.parametrize("ending", ["png", "svg"])
def test_a_recording_of_nothing_is_drawn_too(ending: str) -> None:
    made = recording()
    made.sample()
    made.end()
    assert made.latencies == [0] * (len(LATENCY_EDGES) + 1)
    content = drawing.drawn(made, "a $title$ & <b>", ending)
    assert content.startswith(PNG if ending == "png" else b"<?xml")
    if ending == "svg":
        assert b"<b>" not in content


def test_a_file_is_whole_or_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(b"before")

    def fail() -> None:
        with plot.whole_file(path) as file:
            file.write(b"half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert path.read_bytes() == b"before"
    with plot.whole_file(path) as file:
        file.write(b"all")
        assert path.read_bytes() == b"before"
    assert path.read_bytes() == b"all"
    assert [each.name for each in tmp_path.iterdir()] == ["a.png"]


@pytest.mark.parametrize(("name", "start"), [("a.png", PNG), ("b.svg", b"<?xml")])
def test_a_picture_is_drawn_of_a_local_exchange(name: str, start: bytes, tmp_path: Path) -> None:
    path = tmp_path / name
    done = run("btcusdt", "--for", "1.5s", "--out", str(path), "--simulate")
    assert done.returncode == 0, done.stderr
    assert path.read_bytes().startswith(start)
    assert len(path.read_bytes()) > 20_000
    said, ledger = done.stdout.splitlines()
    assert re.fullmatch(rf"{re.escape(str(path))}: [\d,]+ messages in 1\.\d s", said)
    assert ledger.startswith("ledger: ")
    assert "recording btcusdt for 1.5 s" in done.stderr
    assert [each.name for each in tmp_path.iterdir()] == [name]


def test_ctrl_c_draws_what_there_is(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    with subprocess.Popen(
        [*COMMAND, "btcusdt", "--for", "5m", "--out", str(path), "--simulate"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stderr is not None
        assert "recording" in process.stderr.readline()
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(2)
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "messages in" in out
    assert path.read_bytes().startswith(PNG)


def test_nothing_is_left_where_the_feed_fails(tmp_path: Path) -> None:
    async def work() -> None:
        async with Exchange(["btcusdt"], rate=1e-9) as quiet:
            await plot.show(
                "ethusdt", "x", seconds=0.3, out=tmp_path / "a.png", url=quiet.url, api_key="k",
                proxy=None,
            )  # fmt: skip

    with pytest.raises(FeedError):
        asyncio.run(work())
    assert list(tmp_path.iterdir()) == []


def test_a_break_is_drawn_and_the_account_told(tmp_path: Path, capsys: Any) -> None:
    async def work() -> None:
        async with Exchange(["btcusdt"], faults=["cut@1.2"]) as exchange:
            await plot.show(
                "btcusdt", "x", seconds=3.0, out=tmp_path / "a.svg", url=exchange.url,
                api_key="k", proxy=None,
            )  # fmt: skip

    asyncio.run(work())
    assert "connections ended 1" in capsys.readouterr().out
    assert (tmp_path / "a.svg").read_bytes().startswith(b"<?xml")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["btcusdt"], "the following arguments are required: --out"),
        (["--out", "a.png"], "the following arguments are required: SYMBOL"),
        (["btcusdt", "--out", "a.pdf"], "'a.pdf' does not end in .png or .svg"),
        (["btcusdt", "--out", "a.png", "--for", "1h"], "'1h' is not a duration from 100ms to 10m"),
        (["b t", "--out", "a.png"], "'b t' is not a symbol, such as btcusdt"),
    ],
)
def test_what_can_not_be_drawn_is_refused(options: list[str], said: str) -> None:
    done = run(*options)
    assert done.returncode == 2
    assert said in done.stderr.splitlines()[-1]


def test_where_nothing_can_be_written_nothing_is_recorded(tmp_path: Path) -> None:
    long = tmp_path / f"{'x' * 251}.png"
    done = run("btcusdt", "--out", str(long), "--url", "ws://127.0.0.1:9", BINANCE_API_KEY="k")
    assert done.returncode == 1
    assert "File name too long" in done.stderr
    assert "recording" not in done.stderr


def test_depth_is_of_proven_levels_near_the_mid() -> None:
    levels = np.array([(10_000, 1), (9_999, 2), (9_990, 4)], [("price", "<i8"), ("qty", "<i8")])

    class Levels(np.ndarray[Any, Any]):
        proven = 2

    made = recording()
    made._book = Book(
        state="live", mid=10_000.5, qty_exponent=-1,
        bids=lambda: levels.view(Levels),
        asks=lambda: np.array([(10_001, 7), (10_100, 9)], levels.dtype).view(Levels),
    )  # type: ignore[assignment]  # fmt: skip
    made.sample()
    assert made.depths.columns()[1:].T.tolist() == [[pytest.approx(0.3), pytest.approx(0.7)]]
