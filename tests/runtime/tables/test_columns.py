"""Tables by column, and as tables of pyarrow, polars and pandas."""

from __future__ import annotations

import datetime
import os
import subprocess
import sys
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import vectors
from small import schema
from test_tables import named

import binance_sbe
from binance_sbe import BestBidAskStreamEvent, DepthSnapshotStreamEvent, TradesStreamEvent
from binance_sbe.simulator import Market
from binance_sbe.simulator.encoder import encode
from sbe_codegen.extras import install_command
from sbe_codegen.runtime.decode.gather import move

TYPES = """<type name="utcTimestampMs" primitiveType="int64"/>
<type name="mini" primitiveType="int16"/>
<composite name="pair"><type name="low" primitiveType="uint16"/>
<type name="high" primitiveType="uint8" length="3"/></composite>
"""
MESSAGE = """<message name="M" id="1" xmlns:x="urn:x">
<field name="power" id="1" type="int8" presence="optional"/>
<field name="big" id="2" type="uint64" x:exponent="power"/>
<field name="small" id="3" type="mini" x:exponent="power" presence="optional"/>
<field name="at" id="4" type="utcTimestampMs" presence="optional"/>
<field name="count" id="5" type="uint32" presence="optional"/>
<field name="side" id="6" type="side"/>
<field name="pair" id="7" type="pair"/>
<group name="legs" id="8"><field name="price" id="1" type="int32" x:exponent="power"/>
<field name="size" id="2" type="int32" presence="optional"/></group>
<data name="note" id="9" type="text"/>
</message>"""


@pytest.fixture(scope="module")
def module(compiled: Any) -> ModuleType:
    built: ModuleType = compiled("columnar", schema(MESSAGE, TYPES))
    return built


def frame(
    power: int, big: int, small: int, at: int, count: int, legs: tuple[tuple[int, int], ...] = (),
    note: bytes = b"",
) -> bytes:  # fmt: skip
    block = power.to_bytes(1, "little", signed=True) + big.to_bytes(8, "little")
    block += small.to_bytes(2, "little", signed=True) + at.to_bytes(8, "little", signed=True)
    block += count.to_bytes(4, "little") + b"B" + (513).to_bytes(2, "little") + b"abc"
    head = b"".join(n.to_bytes(2, "little") for n in (len(block), 1, 1, 1))
    entries = b"".join(n.to_bytes(4, "little", signed=True) for leg in legs for n in leg)
    group = (8).to_bytes(2, "little") + bytes([len(legs)]) + entries
    return head + block + group + bytes([len(note)]) + note


NULL16, NULL64, NULL_COUNT, NULL32 = -(2**15), -(2**63), 2**32 - 1, -(2**31)
ROWS = [
    frame(-2, 2**64 - 1, 5, 1_735_689_600_000, 7, ((150, 3), (NULL32, NULL32)), b"one"),
    frame(2, 12345, NULL16, NULL64, NULL_COUNT, (), b"two"),
    frame(-127, 3, -1, 0, 0, ((1, 2),), b"one"),
]


def test_columns_are_contiguous_aligned_and_correctly_rounded(module: Any) -> None:
    batch = module.decode_many(ROWS)
    columns = batch.columns(module.M, decimals="float64")
    assert list(columns) == [
        "frame", "power", "big", "small", "at", "count", "side", "pair.low", "pair.high", "note"
    ]  # fmt: skip
    for column in (*columns.values(), *columns.groups["legs"].values()):
        assert column.flags.c_contiguous
        assert column.flags.aligned
        assert column.base is None
    floats = [184467440737095516.15, 1234500.0, 3e-127]
    assert columns["big"].tolist() == floats
    small = columns["small"].tolist()
    assert small[0] == 0.05
    assert np.isnan(small[1])
    assert small[2] == -1e-127
    assert columns["pair.high"].tolist() == [[97, 98, 99]] * 3
    legs = columns.groups["legs"]
    assert legs["price"].tolist() == [1.5, -21474836.48, 1e-127]
    assert legs["size"].tolist() == [3, NULL32, 2]
    assert legs.offsets is not None
    assert legs.offsets.tolist() == [0, 2, 2, 3]
    assert columns.dictionary("note") == ["one", "two"]


def test_a_null_exponent_makes_nan(module: Any) -> None:
    rows = [frame(-128, 3, 4, 0, 0, ((9, 9),))]
    assert module.M.decode(rows[0]).big_float is None
    columns = module.decode_many(rows).columns(module.M)
    assert np.isnan(columns["big"]).all()
    assert np.isnan(columns.groups["legs"]["price"]).all()
    assert columns.to_arrow()["big"].to_pylist() == [None]


def test_raw_columns_are_the_numbers_of_the_table(module: Any) -> None:
    table = module.decode_many(ROWS)[module.M]
    columns = table.columns("raw")
    for name in ("big", "small", "at", "count", "side"):
        assert columns[name].tolist() == table.records[name].tolist()
    assert columns.groups["legs"]["price"].tolist() == [150, NULL32, 1]
    with pytest.raises(ValueError, match="decimals is 'float64' or 'raw', not 'decimal'"):
        table.columns("decimal")


def test_columns_of_the_streams_are_the_floats_of_messages() -> None:
    market = Market("btcusdt")
    frames = [encode(event) for i in range(700) for event in market.step(1_000_000 + i)]
    frames.append(encode(market.depth(2_000_000)))
    diff = market.diff(2_000_000)
    assert diff is not None
    frames.append(encode(diff))
    batch = binance_sbe.decode_many(frames)
    for message, table in batch.tables.items():
        rows = [binance_sbe.decode(frames[i]) for i in table.records["frame"]]
        columns = batch.columns(message)
        for name in columns:
            if f"{name}_float" in dir(message):
                assert columns[name].tolist() == [getattr(row, f"{name}_float") for row in rows]
        for name, group in columns.groups.items():
            wanted = np.concatenate([getattr(row, f"{name}_float") for row in rows])
            for each in group:
                assert group[each].tolist() == wanted[each].tolist()
        assert columns.symbols == ["BTCUSDT"]


# Arrow


def test_arrow_tables_have_nulls_times_texts_and_lists(module: Any) -> None:
    table = module.decode_many(ROWS)[module.M].to_arrow()
    table.validate(full=True)
    kinds = {field.name: str(field.type) for field in table.schema}
    assert kinds["at"] == "timestamp[ms, tz=UTC]"
    assert kinds["note"] == "dictionary<values=string, indices=uint32, ordered=0>"
    assert kinds["legs"] == "large_list<item: struct<price: double, size: int32>>"
    rows = table.to_pylist()
    assert [row["at"] for row in rows] == [
        datetime.datetime(2025, 1, 1, tzinfo=datetime.UTC),
        None,
        datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC),
    ]  # fmt: skip
    assert [row["count"] for row in rows] == [7, None, 0]
    assert [row["small"] for row in rows] == [0.05, None, -1e-127]
    assert [row["note"] for row in rows] == ["one", "two", "one"]
    assert rows[0]["legs"] == [{"price": 1.5, "size": 3}, {"price": -21474836.48, "size": None}]
    assert rows[1]["legs"] == []


def test_arrow_copies_no_column(module: Any) -> None:
    columns = module.decode_many(ROWS).columns(module.M)
    table = columns.to_arrow()
    for name in ("big", "at", "count", "power"):
        assert table[name].chunk(0).buffers()[1].address == columns[name].ctypes.data
    legs = table["legs"].chunk(0)
    assert legs.values.field("price").buffers()[1].address == (
        columns.groups["legs"]["price"].ctypes.data
    )
    price = columns["big"]
    del columns
    price[0] = 5.0
    assert table["big"][0].as_py() == 5.0


def test_times_of_the_streams_are_microseconds() -> None:
    collector = binance_sbe.Collector()
    collector.append(vectors.TRADES, received_ns=1_735_689_600_000_000_123)
    table = collector.take()[TradesStreamEvent].to_arrow()
    assert table.schema.field("event_time").type == pa.timestamp("us", "UTC")
    assert table.schema.field("received_ns").type == pa.timestamp("ns", "UTC")
    assert table["received_ns"].cast(pa.int64()).to_pylist() == [1_735_689_600_000_000_123]
    assert table["trades"].to_pylist() == [
        [{"id": 12345, "price": 94123.45, "qty": 1.0, "is_buyer_maker": 1}]
    ]


def test_symbols_that_are_no_text_keep_their_bytes() -> None:
    batch = binance_sbe.decode_many([named(b"\xff\xfe"), named("币安人生USDT".encode())])
    table = batch[BestBidAskStreamEvent].to_arrow()
    assert table["symbol"].to_pylist() == ["\\xff\\xfe", "币安人生USDT"]
    assert batch[BestBidAskStreamEvent].to_pandas()["symbol"].tolist() == [
        "\\xff\\xfe", "币安人生USDT"
    ]  # fmt: skip


def test_empty_tables_have_all_columns() -> None:
    batch = binance_sbe.decode_many([])
    for message in batch.tables:
        full = binance_sbe.decode_many([vectors.ALL[message.__name__]])[message].to_arrow()
        empty = batch[message].to_arrow()
        assert empty.schema == full.schema
        assert empty.num_rows == 0
        assert len(batch[message].to_pandas()) == len(batch[message].to_polars()) == 0


def test_all_rest_messages_become_arrow_tables() -> None:
    spot = binance_sbe.spot_sbe
    batch = spot.decode_many([])
    for message in spot.MESSAGES.values():
        batch[message].to_arrow().validate(full=True)


# polars and pandas


def test_polars_frames(module: Any) -> None:
    frame = module.decode_many(ROWS)[module.M].to_polars()
    assert frame.shape == (3, 11)
    assert frame["at"].dtype == pl.Datetime("ms", "UTC")
    assert frame["note"].to_list() == ["one", "two", "one"]
    assert frame["count"].to_list() == [7, None, 0]
    assert frame["legs"].to_list()[2] == [{"price": 1e-127, "size": 2}]


def test_pandas_frames(module: Any) -> None:
    columns = module.decode_many(ROWS)[module.M].columns()
    frame = columns.to_pandas()
    assert list(frame) == [*columns, "legs"]
    assert str(frame["at"].dtype) == "datetime64[ms]"
    assert frame["at"].isna().tolist() == [False, True, False]
    assert frame["count"].isna().tolist() == [False, True, False]
    assert frame["count"].sum() == 7
    assert frame["note"].dtype == "category"
    assert frame["note"].tolist() == ["one", "two", "one"]
    assert [len(each) for each in frame["legs"]] == [2, 0, 1]
    legs = columns.groups["legs"].to_pandas()
    assert legs.index.tolist() == [0, 0, 2]
    assert legs.index.name == "row"
    assert legs["price"].tolist() == [1.5, -21474836.48, 1e-127]
    assert isinstance(legs, pd.DataFrame)


def test_pandas_has_the_columns_themselves() -> None:
    columns = binance_sbe.decode_many([vectors.BEST_BID_ASK] * 5).columns(BestBidAskStreamEvent)
    frame = columns.to_pandas()
    assert np.shares_memory(frame["bid_price"].to_numpy(), columns["bid_price"])


@pytest.mark.skipif("SBE_BUILD" in os.environ, reason="starts a Python of its own")
@pytest.mark.parametrize("library", ["pyarrow", "polars", "pandas"])
def test_a_missing_library_is_named(library: str) -> None:
    form = library.replace("pyarrow", "arrow")
    code = f"""
import sys
sys.modules["{library}"] = None
import binance_sbe
try:
    binance_sbe.decode_many([])[binance_sbe.TradesStreamEvent].to_{form}()
except ImportError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == (f"to_{form} needs {library}: {install_command(library)}")


# moving


def test_columns_move_whatever_their_strides_and_byte_order() -> None:
    rng = np.random.default_rng(1)
    for code in ("i1", "u1", "<i2", ">i2", "<u4", ">i4", "<i8", ">i8", "<u8", ">u8"):
        for count in (0, 1, 511, 512, 513, 2000):
            source = rng.integers(0, 256, (count, 2, np.dtype(code).itemsize), np.uint8)
            column = source.view(code)[:, 1, 0]
            powers = rng.integers(-30, 30, count).astype(np.int8)
            target = np.empty((count, 3))[:, 1]
            copy = np.empty(count, code)
            move([(column, copy)], [(column, powers, target, None, None)])
            assert copy.tobytes() == column.tobytes()
            assert target.tolist() == [
                float(f"{m}e{p}") for m, p in zip(column.tolist(), powers.tolist(), strict=True)
            ]


@pytest.mark.parametrize(
    ("copies", "scales", "sentence"),
    [
        ([(np.zeros(2), np.zeros(3))], [], "different lengths"),
        ([(np.zeros(2, "i4"), np.zeros(2))], [], "items of 8 bytes are not 4"),
        ([], [(np.zeros(2, "i8"), 0, np.zeros(2, "f4"), None, None)], "floats are float64"),
        ([], [(np.zeros(2, "i8"), np.zeros(1, "i1"), np.zeros(2), None, None)], "lengths"),
        ([], [(np.zeros(2), 0, np.zeros(2), None, None)], "are integers, not float64"),
    ],
)
def test_columns_that_can_not_be_moved_are_refused(copies: Any, scales: Any, sentence: str) -> None:
    with pytest.raises((ValueError, TypeError), match=sentence):
        move(copies, scales)


def test_depth_tables_become_lists() -> None:
    table = binance_sbe.decode_many([vectors.DEPTH_SNAPSHOT] * 2)[DepthSnapshotStreamEvent]
    assert table.to_arrow()["bids"].to_pylist() == [[{"price": 94123.45, "qty": 0.3121}]] * 2
    assert table.to_polars()["asks"].to_list() == [[{"price": 94123.46, "qty": 0.4066}]] * 2
