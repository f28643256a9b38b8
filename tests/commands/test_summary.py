"""What is said in the end."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from markets import Clock, everything, market_of
from test_screen import COMMAND, on_terminal, text_of

from binance_sbe import spot_stream
from binance_sbe.commands import (
    options,
    summary,
)
from binance_sbe.commands.quotes import Market
from binance_sbe.feed.intake.stats import Stats
from binance_sbe.spot_stream import MESSAGES


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def test_the_demo_ends_with_what_came(clock: Clock) -> None:
    market = market_of(*everything())
    clock.now = 110.0
    lines = summary.came(market, Stats(), 60)
    assert lines[0] == "4 messages in 1 batch, 10.0 s, as record arrays (feed.batches):"
    assert [line for line in lines if line.split(":")[0].endswith("Event")] == [
        "TradesStreamEvent: 1 row of 32 bytes, 2 trades",
        "BestBidAskStreamEvent: 1 row of 72 bytes",
        "DepthSnapshotStreamEvent: 1 row of 32 bytes, 2 bids, 1 asks",
        "DepthDiffStreamEvent: 1 row of 40 bytes, 1 bids, 0 asks",
    ]
    assert lines[-1] == "rejected frames: 1; left-over bytes: 0; decoding one: none yet"
    stats = Stats()
    stats.decoding.add(2000)
    assert summary.came(market, stats)[-1].endswith("; decoding one: median 2.00 us")
    for width in (20, *range(41, 100)):  # narrower than 40 nothing is made
        columns = [each for each in summary.came(market, Stats(), width) if each[:2] == "  "]
        assert max(map(len, columns)) <= max(width - 1, 40)
    columns = summary.came(market, Stats(), 20)[2:4]
    assert columns == [
        "  frame, event_time, transact_time,",
        "  price_exponent, qty_exponent, symbol",
    ]


def test_a_class_of_which_none_came_is_named() -> None:
    lines = summary.came(Market(), Stats())
    assert [line for line in lines if "none arrived" in line] == [
        f"{message.__name__}: none arrived" for message in spot_stream.MESSAGES.values()
    ]


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
    lines = summary.came(market, stats, width)
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


# what to try next


def test_what_to_try_next_is_named_as_the_command_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["/x/__main__.py"])
    lines = summary.next_steps()
    assert lines[0] == "try next:"
    assert [line.split("binance_sbe ")[1].split("  ")[0] for line in lines if "-m" in line] == [
        "watch --simulate btcusdt", "book --simulate btcusdt", "doctor", "watch btcusdt",
    ]  # fmt: skip
    assert lines[3] == (
        "and with an API key in BINANCE_API_KEY (docs/howto/feed.md of binance-sbe):"
    )
    assert not any("make build" in line for line in lines)
    monkeypatch.setattr(summary, "find_spec", lambda name: None)
    lines = summary.next_steps()
    (at,) = [i for i, line in enumerate(lines) if "'make build' in the checkout" in line]
    shown = [line.split("binance_sbe ")[1].split("  ")[0] for line in lines if "-m" in line]
    assert [line for line in lines[:at] if "book" in line or "doctor" in line] == []
    assert shown == [
        "watch --simulate btcusdt", "watch btcusdt", "book --simulate btcusdt", "doctor",
    ]  # fmt: skip
    monkeypatch.setattr(sys, "argv", ["/opt/bin/thing"])
    monkeypatch.setattr(summary.shutil, "which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr(summary.Path, "cwd", lambda: Path("/nowhere"))
    assert summary.command_name() == "/opt/bin/thing"


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
