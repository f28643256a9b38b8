"""Groups of tables by column, alone and joined with the tables around; names that there are not."""

from __future__ import annotations

import copy
import gc
import pickle
import weakref
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import vectors
from small import schema

import binance_sbe
from binance_sbe import DepthSnapshotStreamEvent, TradesStreamEvent, UnknownName, decode_many

NESTED = """<message name="Order" id="1" xmlns:x="urn:x">
<field name="id" id="1" type="uint16"/><field name="power" id="2" type="int8"/>
<group name="legs" id="3"><field name="id" id="1" type="uint8"/>
<field name="at" id="2" type="int16" x:exponent="power"/>
<group name="fills" id="4"><field name="qty" id="1" type="int16" x:exponent="power"/>
<field name="id" id="2" type="uint8"/></group>
<data name="name" id="5" type="text"/></group>
<data name="symbol" id="6" type="text"/></message>"""


@pytest.fixture(scope="module")
def module(compiled: Any) -> ModuleType:
    built: ModuleType = compiled("nested_groups", schema(NESTED))
    return built


def order(number: int, legs: list[tuple[int, int, list[tuple[int, int]], bytes]]) -> bytes:
    out = b"".join(n.to_bytes(2, "little") for n in (3, 1, 1, 1))
    out += number.to_bytes(2, "little") + (-1).to_bytes(1, "little", signed=True)
    out += b"\3\0" + bytes([len(legs)])
    for leg, at, fills, name in legs:
        out += bytes([leg]) + at.to_bytes(2, "little") + b"\3\0" + bytes([len(fills)])
        for qty, fill in fills:
            out += qty.to_bytes(2, "little") + bytes([fill])
        out += bytes([len(name)]) + name
    return out + b"\3ABC"


@pytest.fixture(scope="module")
def table(module: ModuleType) -> Any:
    return module.decode_many(
        [
            order(7, [(1, 10, [(5, 50), (6, 60)], b"x"), (2, 20, [], b"y")]),
            order(8, []),
            order(9, [(3, 30, [(7, 70)], b"x")]),
        ]
    )[module.Order]


def test_a_group_has_columns_of_its_entries(table: Any) -> None:
    columns = table.groups["legs"].columns()
    assert {name: column.tolist() for name, column in columns.items()} == {
        "id": [1, 2, 3], "at": [1.0, 2.0, 3.0], "name": [0, 1, 0],
    }  # fmt: skip
    assert columns.offsets.tolist() == [0, 2, 2, 3]
    raw = table.groups["legs"].columns("raw")
    assert raw["at"].tolist() == [10, 20, 30]
    inner = table.groups["legs"].groups["fills"].columns()
    assert inner["qty"].tolist() == [0.5, 0.6, 0.7]  # the exponent is that of the message


def test_groups_say_what_the_columns_of_the_table_say(table: Any) -> None:
    whole = table.columns().groups["legs"]
    alone = table.groups["legs"].columns()
    assert list(alone) == list(whole)
    for name, column in alone.items():
        assert column.tolist() == whole[name].tolist()


def test_joined_has_the_columns_around_first(table: Any) -> None:
    columns = table.groups["legs"].columns(joined=True)
    assert {name: column.tolist() for name, column in columns.items()} == {
        "frame": [0, 0, 2], "Order.id": [7, 7, 9], "power": [-1, -1, -1], "symbol": [0, 0, 0],
        "id": [1, 2, 3], "at": [1.0, 2.0, 3.0], "name": [0, 1, 0],
    }  # fmt: skip
    assert list(columns) == ["frame", "Order.id", "power", "symbol", "id", "at", "name"]
    inner = table.groups["legs"].groups["fills"].columns(joined=True)
    assert {name: column.tolist() for name, column in inner.items()} == {
        "frame": [0, 0, 2], "Order.id": [7, 7, 9], "power": [-1, -1, -1], "symbol": [0, 0, 0],
        "Order.legs.id": [1, 1, 3], "at": [1.0, 1.0, 3.0], "name": [0, 0, 0],
        "qty": [0.5, 0.6, 0.7], "id": [50, 60, 70],
    }  # fmt: skip


@pytest.mark.parametrize("joined", [False, True])
def test_groups_become_tables_of_the_libraries(table: Any, joined: bool) -> None:
    group = table.groups["legs"]
    expected = {"id": [1, 2, 3], "at": [1.0, 2.0, 3.0], "name": ["x", "y", "x"]}
    if joined:
        expected |= {"Order.id": [7, 7, 9], "symbol": ["ABC"] * 3, "frame": [0, 0, 2]}
    frame = group.to_pandas(joined=joined)
    assert isinstance(frame, pd.DataFrame)
    assert frame.index.tolist() == [0, 0, 2]
    polars, arrow = group.to_polars(joined=joined), group.to_arrow(joined=joined)
    assert isinstance(polars, pl.DataFrame)
    assert isinstance(arrow, pa.Table)
    for name, values in expected.items():
        assert frame[name].tolist() == values
        assert polars[name].to_list() == values
        assert arrow[name].to_pylist() == values
    assert len(arrow) == len(polars) == len(frame) == 3
    assert ("frame" in arrow.column_names) == joined


def test_no_entries_are_no_rows() -> None:
    group = decode_many([])[DepthSnapshotStreamEvent].groups["bids"]
    for joined in (False, True):
        assert len(group.to_pandas(joined=joined)) == 0
        assert len(group.to_arrow(joined=joined)) == 0
    assert group.to_arrow(joined=True).column_names[-2:] == ["price", "qty"]


def test_joined_levels_of_the_stream_are_whole() -> None:
    batch = decode_many([vectors.DEPTH_SNAPSHOT, vectors.DEPTH_SNAPSHOT])
    table = batch[DepthSnapshotStreamEvent]
    frame = table.groups["bids"].to_pandas("raw", joined=True)
    count = len(table.groups["bids"].records)
    assert len(frame) == count > 0
    assert set(frame["symbol"]) == {"BTCUSDT"}
    assert (
        frame["book_update_id"].tolist()
        == np.repeat(
            table.records["book_update_id"], np.diff(table.groups["bids"].offsets)
        ).tolist()
    )


def test_decimals_that_are_neither_are_refused(table: Any) -> None:
    with pytest.raises(ValueError, match="'float64' or 'raw', not 'exact'"):
        table.groups["legs"].columns("exact")


WRONG = {
    "group": (lambda table: table.groups["leg"], "Order has no group 'leg' (it has: legs)"),
    "inner group": (
        lambda table: table.groups["legs"].groups["x"],
        "Order.legs has no group 'x' (it has: fills)",
    ),
    "column": (
        lambda table: table.columns()["price"],
        "Order has no column 'price' (it has: frame, id, power, symbol)",
    ),
    "column of a group": (
        lambda table: table.columns().groups["legs"]["price"],
        "Order.legs has no column 'price' (it has: id, at, name)",
    ),
    "group as a column": (
        lambda table: table.columns()["legs"],
        "Order.legs is a group: .groups['legs']",
    ),
    "group of columns": (
        lambda table: table.columns().groups["leg"],
        "Order has no group 'leg' (it has: legs)",
    ),
    "text": (lambda table: table.dictionary("x"), "Order has no text 'x' (it has: symbol)"),
    "data": (lambda table: table.data["x"], "Order has no data 'x' (it has: none)"),
}


@pytest.mark.parametrize("what", WRONG)
def test_a_wrong_name_names_those_that_there_are(table: Any, what: str) -> None:
    act, said = WRONG[what]
    with pytest.raises(UnknownName) as caught:
        act(table)
    assert str(caught.value) == said
    assert isinstance(caught.value, KeyError)
    assert isinstance(caught.value, binance_sbe.SbeError)


def test_a_class_that_is_no_message_is_an_unknown_name() -> None:
    with pytest.raises(UnknownName, match="is no message class of spot_stream"):
        decode_many([])[int]  # type: ignore[index]


def test_the_mappings_are_mappings(table: Any) -> None:
    assert "leg" not in table.groups
    assert table.groups.get("leg") is None
    assert list(table.groups) == ["legs"]
    for again in (copy.copy(table.groups), pickle.loads(pickle.dumps(dict(table.groups)))):
        assert list(again) == ["legs"]


def test_a_batch_and_its_groups_are_freed_without_the_collector() -> None:
    """A group refers to the table around it, and no table to its groups."""
    gc.disable()
    try:
        batch = decode_many([vectors.TRADES] * 10)
        group = batch[TradesStreamEvent].groups["trades"]
        records = weakref.ref(batch[TradesStreamEvent].records)
        group.columns(joined=True)
        del batch
        assert records() is not None
        assert group.columns(joined=True)["frame"].tolist() == list(range(10))
        del group
        assert records() is None
    finally:
        gc.enable()
