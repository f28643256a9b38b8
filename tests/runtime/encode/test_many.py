"""Tables become the frames that they were made of."""

from __future__ import annotations

from itertools import pairwise
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import vectors
from canonical import canonical
from hypothesis import given
from hypothesis import strategies as st
from oracle import Schema
from strategies import messages, versions

from binance_sbe import EncodeError, UnknownName, decode_many, spot_stream

Best: Any = spot_stream.BestBidAskStreamEvent
Diff: Any = spot_stream.DepthDiffStreamEvent
ROWS = 300  # more than are checked together, so that each way of writing is gone


@given(st.data())
def test_tables_of_random_schemas(
    random_module: tuple[ModuleType, Schema], data: st.DataObject
) -> None:
    module, schema = random_module
    name = data.draw(st.sampled_from(sorted(schema.messages)))
    version = data.draw(versions(schema))
    drawn = data.draw(st.lists(messages(schema, name), min_size=1, max_size=3))
    frames = [schema.encode(name, canonical(schema, name, each), version) for each in drawn]
    frames *= data.draw(st.sampled_from((1, 130)))
    table = module.decode_many(frames)[module.MESSAGES[module.decode_header(frames[0]).template_id]]
    wrong = [v for f in frames[:3] for v in module.decode(f).validate() if v.sentence.startswith(
        ("null in", "outside"))]  # fmt: skip
    if wrong:
        try:
            buffer, _ = module.encode_many(table.message, table, version=version)
        except EncodeError as error:
            assert error.field
            return
        # What a table does not tell from null: an enum's null number, and members of null wholes.
        assert buffer.tobytes() == b"".join(frames)
        return
    buffer, offsets = module.encode_many(table.message, table, version=version)
    assert [buffer[a:b].tobytes() for a, b in pairwise(offsets.tolist())] == frames
    assert buffer.dtype == np.uint8
    assert offsets.dtype == np.int64


def best(i: int, symbol: str) -> bytes:
    made: bytes = Best.encode(**Best.decode(vectors.BEST_BID_ASK).to_dict() | {
        "book_update_id": i, "symbol": symbol, "bid_price": 2**63 - 1 - i})  # fmt: skip
    return made


@pytest.mark.parametrize(
    "symbols", [["BTCUSDT"], ["A", "", "B" * 16], ["C" * 17, "D"], ["E" * 254]]
)
def test_many_rows_of_best_prices(symbols: list[str]) -> None:
    frames = [best(i, symbols[i % len(symbols)]) for i in range(ROWS)]
    buffer, offsets = spot_stream.encode_many(Best, decode_many(frames)[Best])
    assert buffer.tobytes() == b"".join(frames)
    again = decode_many((buffer, offsets))
    assert len(again[Best]) == ROWS
    assert spot_stream.encode_many(10001, again[Best])[0].tobytes() == b"".join(frames)


def test_many_diffs() -> None:
    frames = [vectors.DEPTH_DIFF, Diff.decode(vectors.DEPTH_DIFF).replace(asks=[
        {"price": i, "qty": -i} for i in range(50)])] * 100  # fmt: skip
    buffer, _ = spot_stream.encode_many(Diff, decode_many(frames)[Diff])
    assert buffer.tobytes() == b"".join(frames)


def test_no_rows() -> None:
    buffer, offsets = spot_stream.encode_many(Best, decode_many([])[Best])
    assert (len(buffer), offsets.tolist()) == (0, [0])


@pytest.mark.parametrize("row", [0, 1, 127, 128, ROWS - 1])
def test_a_number_that_stands_for_null_is_found(row: int) -> None:
    table = decode_many([vectors.BEST_BID_ASK] * ROWS)[Best]
    table.records["ask_qty"][row] = -(2**63)
    with pytest.raises(EncodeError) as raised:
        spot_stream.encode_many(Best, table)
    assert raised.value.field == f"BestBidAskStreamEvent[{row}].ask_qty"
    assert raised.value.value == -(2**63)


@pytest.mark.parametrize("row", [0, 1, 127, 128, ROWS - 1])
@pytest.mark.parametrize("code", [1, 7, 2**32 - 1])
def test_a_code_without_a_text_is_found(row: int, code: int) -> None:
    table = decode_many([vectors.BEST_BID_ASK] * ROWS)[Best]
    table.records["symbol"][row] = code
    with pytest.raises(EncodeError, match=rf"\[{row}\].symbol"):
        spot_stream.encode_many(Best, table)


def test_an_entry_that_is_not_allowed_is_found() -> None:
    table = decode_many([vectors.DEPTH_DIFF] * 3)[Diff]
    table.groups["bids"].records["price"][2] = -(2**63)
    with pytest.raises(EncodeError, match=r"bids\[2\].price"):
        spot_stream.encode_many(Diff, table)


@pytest.mark.parametrize("change", [(1, 9), (0, -1), (1, -5)])
def test_offsets_that_lead_elsewhere_are_refused(change: tuple[int, int]) -> None:
    table = decode_many([vectors.DEPTH_DIFF] * 3)[Diff]
    table.groups["bids"].offsets[change[0]] = change[1]
    with pytest.raises(EncodeError, match="offsets"):
        spot_stream.encode_many(Diff, table)


def test_rows_that_are_put_in_the_place_of_others() -> None:
    table = decode_many([best(i, "A") for i in range(9)])[Best]
    table.records = table.records[::2]
    buffer, _ = spot_stream.encode_many(Best, table)
    assert buffer.tobytes() == b"".join(best(i, "A") for i in range(0, 9, 2))
    for wrong in (table.records[["bid_price"]], table.records["bid_price"], [], None,
                  table.records.reshape(1, 5)):  # fmt: skip
        table.records = wrong
        with pytest.raises(EncodeError, match=r"no such column|structured array"):
            spot_stream.encode_many(Best, table)
    table = decode_many([vectors.DEPTH_DIFF] * 3)[Diff]
    table.records = table.records[:2]
    with pytest.raises(EncodeError, match="offsets"):
        spot_stream.encode_many(Diff, table)


def test_what_is_no_table_of_the_class() -> None:
    batch = decode_many([vectors.DEPTH_DIFF])
    for wrong in (batch[Best], batch, None, batch[Diff].records):
        with pytest.raises(TypeError, match="takes its Table"):
            spot_stream.encode_many(Diff, wrong)
    for unknown in (7, "Diff", None, int):
        with pytest.raises(UnknownName, match="DepthDiffStreamEvent"):
            spot_stream.encode_many(unknown, batch[Diff])
    with pytest.raises(EncodeError, match="version"):
        spot_stream.encode_many(Diff, batch[Diff], version=1)
