"""Columns of groups in groups: scaled at each level, joined, and as libraries get them."""

from __future__ import annotations

import datetime
import math
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from oracle import Schema
from small import schema

from sbe_codegen.runtime.tables.columns import time_unit

TYPES = """<type name="utcTimestampUs" primitiveType="int64" presence="optional"/>
<type name="UTCTimestampNs" primitiveType="int64"/>
<type name="wide" primitiveType="uint8" length="16"/>
<type name="minus" primitiveType="int8" presence="constant">-2</type>
<type name="maybe" primitiveType="int8" presence="optional"/>
<type name="tag" primitiveType="char" length="3"/>
<type name="shorts" primitiveType="int16" length="2"/>
<type name="null7" primitiveType="double" presence="optional" nullValue="7"/>
<enum name="kind" encodingType="uint8"><validValue name="A">1</validValue></enum>
<set name="flags" encodingType="uint16"><choice name="x">0</choice></set>
<composite name="pair"><type name="low" primitiveType="uint16"/><type name="k"
primitiveType="uint8" presence="constant">3</type><composite name="inner"><type name="x"
primitiveType="int32" presence="optional"/></composite></composite>
<composite name="bytes"><type name="length" primitiveType="uint16"/>
<type name="varData" primitiveType="uint8" length="0"/></composite>
"""
MESSAGE = """<message name="Deep" id="1" xmlns:x="urn:x">
<field name="power" id="1" type="maybe"/><field name="at" id="2" type="utcTimestampUs"/>
<field name="sent" id="3" type="UTCTimestampNs"/><field name="kind" id="4" type="kind"/>
<field name="big" id="5" type="uint64" x:exponent="power"/>
<field name="wide" id="6" type="wide" x:exponent="power"/>
<field name="fixed" id="7" type="int32" x:exponent="k"/><field name="k" id="8" type="minus"/>
<field name="pair" id="9" type="pair"/><field name="seven" id="10" type="null7"/>
<field name="flags" id="11" type="flags"/><field name="tag" id="12" type="tag"/>
<field name="shorts" id="13" type="shorts"/>
<field name="late" id="14" type="int16" sinceVersion="2"/>
<group name="outer" id="20"><field name="id" id="1" type="uint8"/>
<field name="e" id="2" type="maybe"/><field name="p" id="3" type="int32" x:exponent="e"/>
<field name="q" id="4" type="int32" x:exponent="power"/>
<group name="inner" id="5"><field name="id" id="1" type="uint16"/>
<field name="a" id="2" type="int16" x:exponent="e"/>
<field name="b" id="3" type="int16" x:exponent="power"/>
<field name="w" id="4" type="wide" x:exponent="e"/>
<group name="last" id="6"><field name="y" id="1" type="int16" x:exponent="e"/>
<field name="z" id="2" type="int16" x:exponent="power"/></group>
<data name="label" id="7" type="text"/></group>
<data name="raw" id="8" type="bytes"/></group>
<group name="flat" id="21"><field name="v" id="1" type="int32" x:exponent="power"/>
<field name="s" id="3" type="shorts"/>
<field name="late" id="2" type="uint16" sinceVersion="2"/></group>
<data name="note" id="30" type="text"/><data name="blob" id="31" type="bytes"/></message>"""
TEXT = schema(MESSAGE, TYPES, 'id="1" version="2"')
ORACLE = Schema(TEXT)


@pytest.fixture(scope="module")
def module(compiled: Any) -> ModuleType:
    built: ModuleType = compiled("nested_columns", TEXT)
    return built


def inner(
    number: int, a: int, b: int, w: int | None, last: list[tuple[int, int]], label: str
) -> Any:
    return {"id": number, "a": a, "b": b, "w": w, "label": label,
            "last": [{"y": y, "z": z} for y, z in last]}  # fmt: skip


def values(power: int | None, **given: Any) -> dict[str, Any]:
    return {
        "power": power, "at": 5, "sent": 9, "kind": 1, "big": 100, "wide": -100, "fixed": 123,
        "pair": {"low": 4, "inner": {"x": 6}}, "seven": 1.5, "flags": 1, "tag": "ab",
        "shorts": [1, 2], "late": 8, "outer": [], "flat": [], "note": "one", "blob": b"12",
    } | given  # fmt: skip


MESSAGES = [
    values(
        -1,
        outer=[
            {"id": 1, "e": 2, "p": 10, "q": 11, "raw": b"r1", "inner": []},
            {"id": 2, "e": None, "p": 20, "q": 21, "raw": b"", "inner": [
                inner(200, 7, 8, 9, [(1, 2)], "x")]},
        ],
        flat=[{"v": 31, "s": [1, 2], "late": 1}, {"v": 32, "s": [3, 4], "late": 65535}],
    ),
    values(None, at=None, kind=None, wide=None, pair={"low": 0, "inner": {"x": None}}, seven=7.0,
           note="two", blob=b"", late=None),
    values(
        1, big=2**64 - 1, wide=2**100, tag="", shorts=[-1, -2], note="one", blob=b"345",
        outer=[
            {"id": 3, "e": -2, "p": 30, "q": 31, "raw": b"r3", "inner": [
                inner(300, 17, 18, None, [], "y"),
                inner(301, 27, 28, -(2**80), [(3, 4), (5, 6)], "x")]},
        ],
        flat=[{"v": 33, "s": [5, 6], "late": 3}],
    ),
]  # fmt: skip
NAN = math.nan


@pytest.fixture(scope="module")
def table(module: ModuleType) -> Any:
    frames = [ORACLE.encode("Deep", each, 2) for each in MESSAGES]
    # A frame of another message in front: the numbers of frames are no numbers of rows.
    return module.decode_many([b"", *frames], on_error="collect")[module.Deep]


def lists(columns: Any) -> dict[str, list[Any]]:
    return {name: column.tolist() for name, column in columns.items()}


def rows(array: Any) -> list[tuple[Any, ...]]:
    """Of a structured array, arrays in it as lists."""
    return [tuple(getattr(each, "tolist", lambda e=each: e)() for each in row) for row in array]


def same(found: dict[str, list[Any]], wanted: dict[str, list[Any]]) -> None:
    """Equal, in this order, with NaN where NaN is wanted."""
    assert list(found) == list(wanted)
    assert {name: repr(each) for name, each in found.items()} == {
        name: repr(each) for name, each in wanted.items()
    }


INNER = {"id": [200, 300, 301], "a": [NAN, 0.17, 0.27], "b": [0.8, 180.0, 280.0],
         "w": [NAN, NAN, float(-(2**80)) / 100], "label": [0, 1, 0]}  # fmt: skip
OUTER = {"id": [1, 2, 3], "e": [2, -128, -2], "p": [1000.0, NAN, 0.3], "q": [1.1, 2.1, 310.0]}
LAST = {"y": [NAN, 0.03, 0.05], "z": [0.2, 40.0, 60.0]}
ROOT = {
    "frame": [1, 2, 3], "power": [-1, -128, 1], "at": [5, -(2**63), 5], "sent": [9, 9, 9],
    "kind": [1, 255, 1], "big": [10.0, NAN, float((2**64 - 1) * 10)],
    "wide": [-10.0, NAN, float(2**100 * 10)], "fixed": [1.23] * 3, "pair.low": [4, 0, 4],
    "pair.inner.x": [6, -(2**31), 6], "seven": [1.5, 7.0, 1.5], "flags": [1, 1, 1],
    "tag": [b"ab", b"ab", b""], "shorts": [[1, 2], [1, 2], [-1, -2]], "late": [8, -(2**15), 8],
    "note": [0, 1, 0],
}  # fmt: skip


def test_each_level_is_scaled_by_the_exponent_of_its_own_row(table: Any) -> None:
    columns = table.columns()
    same(lists(columns), ROOT)
    outer = columns.groups["outer"]
    same(lists(outer), OUTER)
    same(lists(outer.groups["inner"]), INNER)
    same(lists(outer.groups["inner"].groups["last"]), LAST)
    flat = {"v": [3.1, 3.2, 330.0], "s": [[1, 2], [3, 4], [5, 6]], "late": [1, 65535, 3]}
    same(lists(columns.groups["flat"]), flat)
    assert outer.offsets.tolist() == [0, 2, 2, 3]
    assert outer.groups["inner"].offsets.tolist() == [0, 0, 1, 3]
    assert outer.groups["inner"].groups["last"].offsets.tolist() == [0, 1, 1, 3]
    assert list(columns.groups) == ["outer", "flat"]
    assert [outer.data["raw"][i] for i in range(3)] == [b"r1", b"", b"r3"]
    assert [columns.data["blob"][i] for i in range(3)] == [b"12", b"", b"345"]
    assert repr(columns) == f"<Columns {', '.join([*ROOT, 'outer', 'flat'])}>"


def test_a_group_alone_has_the_same_columns(table: Any) -> None:
    outer = table.groups["outer"]
    same(lists(outer.columns()), OUTER)
    same(lists(outer.groups["inner"].columns()), INNER)
    same(lists(outer.groups["inner"].groups["last"].columns()), LAST)


def test_raw_columns_are_mantissas_at_every_level(table: Any) -> None:
    columns = table.columns("raw")
    assert columns["big"].tolist() == [100, 100, 2**64 - 1]
    assert columns["fixed"].tolist() == [123] * 3
    assert columns["wide"].shape == (3, 16)
    inner = columns.groups["outer"].groups["inner"]
    assert (inner["a"].tolist(), inner["w"].dtype) == ([7, 17, 27], np.uint8)
    assert inner.groups["last"]["z"].tolist() == [2, 4, 6]


def test_joined_repeats_what_is_around_for_each_entry(table: Any) -> None:
    """Every level has rows of its own numbers: none is taken for another's."""
    last = table.groups["outer"].groups["inner"].groups["last"]
    root = {name: [column[i] for i in (0, 2, 2)] for name, column in ROOT.items()}
    outer = {name: [column[i] for i in (1, 2, 2)] for name, column in OUTER.items()}
    inner = {name: [column[i] for i in (0, 2, 2)] for name, column in INNER.items()}
    outer = {"Deep.outer.id": outer.pop("id")} | outer  # the nearer one has the plain name
    same(lists(last.columns(joined=True)), root | outer | inner | LAST)
    joined = table.groups["outer"].groups["inner"].columns(joined=True)
    assert joined["Deep.outer.id"].tolist() == [2, 3, 3]
    assert joined["power"].tolist() == [-1, 1, 1]
    assert joined["p"][1:].tolist() == [0.3, 0.3]
    assert joined.offsets.tolist() == [0, 0, 1, 3]
    assert list(joined.groups) == ["last"]
    assert joined.to_arrow()["note"].to_pylist() == ["one"] * 3
    assert joined.to_arrow()["at"].null_count == 0
    raw = last.columns("raw", joined=True)
    assert (raw["big"].tolist(), raw["p"].tolist()) == ([100, 2**64 - 1, 2**64 - 1], [20, 30, 30])


def test_arrow_has_nulls_for_what_is_null_and_for_nothing_else(table: Any) -> None:
    arrow = table.to_arrow()
    arrow.validate(full=True)
    kinds = {field.name: str(field.type) for field in arrow.schema}
    assert kinds["at"] == "timestamp[us, tz=UTC]"
    assert kinds["sent"] == "timestamp[ns, tz=UTC]"
    assert kinds["tag"] == "binary"
    assert kinds["shorts"] == "fixed_size_list<item: int16>[2]"
    assert kinds["blob"] == "large_binary"
    assert kinds["note"] == "dictionary<values=string, indices=uint32, ordered=0>"
    assert kinds["frame"] == "int64"
    rows = arrow.to_pydict()
    assert rows["at"] == [datetime.datetime(1970, 1, 1, 0, 0, 0, 5, datetime.UTC), None,
                          datetime.datetime(1970, 1, 1, 0, 0, 0, 5, datetime.UTC)]  # fmt: skip
    assert rows["power"] == [-1, None, 1]
    assert rows["kind"] == [1, None, 1]
    assert rows["big"] == [10.0, None, float((2**64 - 1) * 10)]
    assert rows["wide"] == [-10.0, None, float(2**100 * 10)]
    assert rows["seven"] == [1.5, None, 1.5]
    assert rows["pair.inner.x"] == [6, None, 6]
    assert rows["late"] == [8, None, 8]
    assert rows["flags"] == [1, 1, 1]
    assert rows["tag"] == [b"ab", b"ab", b""]
    assert rows["shorts"] == [[1, 2], [1, 2], [-1, -2]]
    assert rows["note"] == ["one", "two", "one"]
    assert rows["blob"] == [b"12", b"", b"345"]
    assert [arrow[name].null_count for name in ("frame", "at", "sent", "fixed", "note")] == [
        0, 1, 0, 0, 0
    ]  # fmt: skip
    assert rows["flat"] == [
        [{"v": 3.1, "s": [1, 2], "late": 1}, {"v": 3.2, "s": [3, 4], "late": None}], [],
        [{"v": 330.0, "s": [5, 6], "late": 3}],
    ]  # fmt: skip
    first, second = rows["outer"][0]
    assert (first["e"], first["p"], first["raw"], first["inner"]) == (2, 1000.0, b"r1", [])
    assert (second["e"], second["p"], second["raw"]) == (None, None, b"")
    assert second["inner"] == [
        {"id": 200, "a": None, "b": 0.8, "w": None, "last": [{"y": None, "z": 0.2}], "label": "x"}
    ]
    assert [len(each["last"]) for each in rows["outer"][2][0]["inner"]] == [0, 2]


def test_raw_arrow_columns_have_the_nulls_of_mantissas(table: Any) -> None:
    arrow = table.to_arrow("raw")
    assert arrow["big"].to_pylist() == [100, 100, 2**64 - 1]
    assert arrow["big"].null_count == 0
    assert str(arrow["wide"].type) == "fixed_size_list<item: uint8>[16]"


def test_pandas_has_nullable_integers_times_and_rows_of_groups(table: Any) -> None:
    columns = table.columns()
    frame = columns.to_pandas()
    assert list(frame) == [*ROOT, "outer", "flat", "blob"]
    kinds = {name: str(kind) for name, kind in frame.dtypes.items()}
    assert [kinds[name] for name in ("at", "sent", "power", "kind", "frame", "flags", "late")] == [
        "datetime64[us]", "datetime64[ns]", "Int8", "UInt8", "int64", "uint16", "Int16"
    ]  # fmt: skip
    assert frame["at"].isna().tolist() == [False, True, False]
    assert frame["power"].isna().tolist() == [False, True, False]
    assert frame["power"].tolist()[::2] == [-1, 1]
    assert frame["sent"].astype("int64").tolist() == [9, 9, 9]
    assert columns["at"].tolist() == ROOT["at"]  # the columns themselves stay as they are
    assert frame["note"].tolist() == ["one", "two", "one"]
    assert [each.tolist() for each in frame["shorts"]] == [[1, 2], [1, 2], [-1, -2]]
    assert frame["blob"].tolist() == [b"12", b"", b"345"]
    assert frame.index.tolist() == [0, 1, 2]
    assert [rows(each) for each in frame["flat"]] == [
        [(3.1, [1, 2], 1), (3.2, [3, 4], 65535)], [], [(330.0, [5, 6], 3)]
    ]  # fmt: skip
    assert [len(each) for each in frame["outer"]] == [2, 0, 1]
    assert frame["outer"][0]["id"].tolist() == [1, 2]
    last = columns.groups["outer"].groups["inner"].groups["last"].to_pandas()
    assert last.index.tolist() == [0, 2, 2]
    assert last["z"].tolist() == [0.2, 40.0, 60.0]


def test_polars_has_what_arrow_has(table: Any) -> None:
    frame = table.to_polars()
    assert frame["note"].to_list() == ["one", "two", "one"]
    assert frame["power"].to_list() == [-1, None, 1]
    assert [len(each) for each in frame["outer"].to_list()] == [2, 0, 1]
    assert table.groups["flat"].to_polars("raw")["v"].to_list() == [31, 32, 33]


# older senders


def test_what_an_older_sender_lacks_is_null_in_tables_and_columns(module: ModuleType) -> None:
    frames = [ORACLE.encode("Deep", MESSAGES[0], version) for version in (1, 2)]
    table = module.decode_many(frames)[module.Deep]
    assert table.records["late"].tolist() == [-(2**15), 8]
    flat = table.groups["flat"]
    assert flat.records["late"].tolist() == [65535, 65535, 1, 65535]
    arrow = table.to_arrow()
    assert arrow["late"].to_pylist() == [None, 8]
    assert [row["late"] for row in arrow["flat"].to_pylist()[0]] == [None, None]
    message = module.decode(frames[0])
    assert rows(message.flat_float) == [(3.1, [1, 2], 65535), (3.2, [3, 4], 65535)]
    assert message.flat["late"].tolist() == [65535, 65535]


# parts of a batch


def test_a_part_of_a_batch_has_the_groups_of_its_rows_and_no_more(module: ModuleType) -> None:
    frames = [ORACLE.encode("Deep", each, 2) for each in (*MESSAGES, *MESSAGES)]
    batch = module.decode_many([*frames[:3], b"bad", *frames[3:], b"worse"], on_error="collect")
    for begin in range(9):
        for end in (*range(begin, 9), None):
            part = batch.part(begin, end if end is not None else 8)
            wanted = [*frames[:3], b"bad", *frames[3:], b"worse"][begin:end]
            alone = module.decode_many(wanted, on_error="collect")
            assert part.frame_count == alone.frame_count == len(wanted)
            assert len(part) == len(alone)
            assert part.rejected.tolist() == alone.rejected.tolist()
            assert [str(each) for each in part.errors] == [
                str(error).replace(f"frame {error.frame}:", f"frame {error.frame + begin}:")
                for error in alone.errors
            ]
            one, other = part[module.Deep], alone[module.Deep]
            assert repr(one.to_arrow("raw").to_pydict()) == repr(other.to_arrow("raw").to_pydict())
            assert one.groups["outer"].offsets.tolist() == other.groups["outer"].offsets.tolist()


# times


@pytest.mark.parametrize(
    ("name", "kind", "primitive", "unit"),
    [
        ("utcTimestampUs", "number", "int64", "us"), ("UTCTimestampNs", "number", "int64", "ns"),
        ("utc_timestamp_ms", "number", "int64", "ms"), ("utcTimestampS", "number", "int64", "s"),
        ("utcTimestamp", "number", "int64", None), ("myUtcTimestampUs", "number", "int64", None),
        ("utcTimestampUs", "number", "uint64", None), ("utcTimestampUs", "enum", "int64", None),
        ("utcTimestampUsX", "number", "int64", None),
    ],
)  # fmt: skip
def test_a_time_is_known_by_the_name_of_its_type(
    name: str, kind: str, primitive: str, unit: str | None
) -> None:
    assert time_unit({"kind": kind, "type": primitive, "type_name": name}) == unit
