"""What a notebook shows of batches and tables: people's numbers, few rows, and no markup."""

from __future__ import annotations

import pytest
import vectors
from hypothesis import given
from hypothesis import strategies as st
from nasty import NASTY
from parsed import Parsed

from binance_sbe import (
    BestBidAskStreamEvent,
    Collector,
    DepthDiffStreamEvent,
    TradesStreamEvent,
    decode_many,
    spot_sbe,
)
from sbe_codegen.runtime import markup

MARKUP = b"<script>alert(1)</script>&lt;"


def named(symbol: bytes) -> bytes:
    return vectors.BEST_BID_ASK[:-8] + bytes([len(symbol)]) + symbol


def shown(found: object) -> Parsed:
    return Parsed(found._repr_html_())  # type: ignore[attr-defined]


def test_a_table_shows_floats_times_in_utc_and_text() -> None:
    found = shown(decode_many([vectors.BEST_BID_ASK])[BestBidAskStreamEvent])
    assert found.notes == ["BestBidAskStreamEvent: 1 row"]
    assert found.column("event_time") == ["2025-01-01 00:00:00.000123Z"]
    assert found.column("bid_price") == ["94123.45"]
    assert found.column("symbol") == ["BTCUSDT"]


def test_a_table_shows_when_its_frames_came() -> None:
    collector = Collector()
    collector.append(vectors.TRADES, 1_735_689_600_000_000_001)
    found = shown(collector.take()[TradesStreamEvent])
    assert found.column("received_ns") == ["2025-01-01 00:00:00.000000001Z"]
    assert found.column("trades") == ["1 entry"]


def test_only_the_first_rows_of_a_long_table_are_shown_and_it_says_so() -> None:
    batch = decode_many([vectors.BEST_BID_ASK] * 1234)
    found = shown(batch[BestBidAskStreamEvent])
    assert found.column("frame") == [str(i) for i in range(10)]
    assert found.notes == ["BestBidAskStreamEvent: 1,234 rows", "The first 10 of 1,234 rows."]
    assert len(batch[BestBidAskStreamEvent]._repr_html_()) < 10_000


def test_entries_of_a_group_have_the_exponents_of_their_messages() -> None:
    batch = decode_many([vectors.TRADES] * 12)
    found = shown(batch[TradesStreamEvent].groups["trades"])
    assert found.column("price") == ["94123.45"] * 10
    assert found.notes == [
        "TradesStreamEvent.trades: 12 entries", "The first 10 of 12 entries.",
    ]  # fmt: skip
    nothing = shown(batch[DepthDiffStreamEvent].groups["asks"])
    assert nothing.rows == [["price", "qty"]]


def test_an_empty_table_has_its_columns() -> None:
    found = shown(decode_many([])[BestBidAskStreamEvent])
    assert found.notes == ["BestBidAskStreamEvent: 0 rows"]
    assert "bid_price" in found.rows[0]


def test_every_table_of_a_large_schema_can_be_shown() -> None:
    for table in spot_sbe.decode_many([]).tables.values():
        pending = [table]
        while pending:
            each = pending.pop()
            assert sum(map(len, shown(each).rows)) <= 20
            pending += each.groups.values()


def test_a_batch_shows_kinds_counts_texts_and_what_was_refused() -> None:
    frames = [named(b"A%d" % i) for i in range(7)]
    found = shown(decode_many([*frames, vectors.TRADES, b"?"], on_error="collect"))
    assert found.notes == ["Batch of 9 frames"]
    assert found.rows[1:3] == [
        ["TradesStreamEvent", "1", "symbol: BTCUSDT"],
        ["BestBidAskStreamEvent", "7", "symbol: A0, A1, A2, A3, A4 and 2 more"],
    ]
    assert found.rows[3][:2] == ["rejected", "1"]
    assert found.rows[3][2].startswith("the first: frame 8: ")


@pytest.mark.parametrize("symbol", [MARKUP, b"\xff\xfe<b>", NASTY.encode("utf-8", "replace")[:50]])
def test_what_others_wrote_never_becomes_markup(symbol: bytes) -> None:
    batch = decode_many([named(symbol)])
    for found in (shown(batch), shown(batch[BestBidAskStreamEvent])):
        assert any("<" in cell or "\\x" in cell for row in found.rows for cell in row)


@given(st.text(max_size=300))
def test_any_text_is_shown_as_it_is_but_for_what_is_not_printable(text: str) -> None:
    found = Parsed(markup.table(text, [text], [[text], [None]], text))
    assert found.rows[2] == [""]
    if text.isprintable() and len(text) <= markup.LONGEST_TEXT:
        assert found.rows[:2] == [[text], [text]]
        assert found.notes == ([text, text] if text else [""])


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize("value", [0, 1, -1, 2**63 - 1, -(2**63) + 1, -(2**63)])
def test_any_time_can_be_shown(unit: str, value: int) -> None:
    assert markup.utc(value, unit)
    assert markup.utc(0, unit).startswith("1970-01-01 00:00:00")
