"""Columns of what is seldom: wide texts, single characters, arrays and bytes that are missing."""

from __future__ import annotations

import struct
from types import ModuleType
from typing import Any

import pytest
from small import schema

from sbe_codegen.conventions import Conventions
from sbe_codegen.errors import UnknownName
from sbe_codegen.runtime.framing import CME_MDP3, Packets

TYPES = """<type name="wide" primitiveType="char" length="8" characterEncoding="UTF-16LE"/>
<type name="koi" primitiveType="char" characterEncoding="KOI8-R"/>
<type name="single" primitiveType="char" characterEncoding="UTF-16LE"/>
<type name="utf" primitiveType="char" characterEncoding="UTF-8"/>
<type name="ascii" primitiveType="char" length="4" characterEncoding="US-ASCII"/>
<type name="three" primitiveType="int16" length="3"/>
<type name="floats" primitiveType="double" length="2"/>
<composite name="bytes"><type name="length" primitiveType="uint8"/>
<type name="varData" primitiveType="uint8" length="0"/></composite>
<composite name="maybeBytes"><type name="length" primitiveType="uint8"/>
<type name="varData" primitiveType="uint8" length="0"/></composite>
<composite name="late"><type name="mantissa" primitiveType="int32"/>
<type name="exponent" primitiveType="int8" presence="constant" sinceVersion="1">-2</type>
</composite>"""
MESSAGES = """<message name="Wide" id="1"><field name="x" id="1" type="uint8"/>
<group name="g" id="2"><field name="w" id="1" type="wide"/></group></message>
<message name="Chars" id="2"><field name="k" id="1" type="koi"/><field name="s" id="2"
type="single"/><field name="u" id="3" type="utf"/><field name="a" id="4" type="ascii"/></message>
<message name="Arrays" id="3"><field name="x" id="1" type="uint8"/>
<field name="a" id="2" type="three" sinceVersion="1"/>
<field name="f" id="3" type="floats" sinceVersion="1"/></message>
<message name="Bytes" id="4"><field name="x" id="1" type="uint8"/>
<group name="g" id="9"><field name="y" id="1" type="uint8"/>
<data name="n" id="2" type="maybeBytes"/></group>
<data name="always" id="5" type="bytes"/><data name="n" id="3" type="maybeBytes"/>
<data name="late" id="4" type="bytes" sinceVersion="1"/></message>
<message name="Taken" id="5"><field name="packetSequence" id="1" type="uint8"/>
<field name="packetTime" id="2" type="uint8"/></message>
<message name="Joined" id="6"><group name="g" id="1"><field name="q" id="1" type="uint8"/>
<data name="note" id="2" type="text"/></group><data name="symbol" id="3" type="text"/>
<data name="note" id="4" type="text"/></message>
<message name="Priced" id="7"><field name="f" id="1" type="late"/>
<group name="g" id="2"><field name="f" id="1" type="late"/></group></message>
<message name="End" id="8"><field name="x" id="1" type="uint8"/>
<data name="b" id="2" type="bytes"/></message>"""


@pytest.fixture(scope="module")
def odd(compiled: Any) -> ModuleType:
    said = Conventions(empty_is_null=("maybeBytes",), appended_is_absent=("End.b",))
    made: ModuleType = compiled("odd_columns", schema(MESSAGES, TYPES), said)
    return made


def header(block: int, template: int, version: int = 1) -> bytes:
    return struct.pack("<HHHH", block, template, 1, version)


def all_forms(table: Any) -> list[list[dict[str, Any]]]:
    pytest.importorskip("polars")
    pandas = table.to_pandas().astype(object)
    return [
        table.to_arrow().to_pylist(),
        table.to_polars().to_dicts(),
        pandas.where(pandas.notna(), None).to_dict("records"),
    ]


def test_wide_texts_of_no_rows_are_none(odd: ModuleType) -> None:
    empty = header(1, 1) + b"\1" + struct.pack("<HB", 8, 0)
    for texts in ("bytes", "string"):
        assert odd.decode_many([empty])[odd.Wide].to_arrow(texts=texts)["g"].to_pylist() == [[]]
        assert odd.decode_many([])[odd.Wide].to_arrow(texts=texts).num_rows == 0
    group = odd.decode_many([empty])[odd.Wide].groups["g"]
    assert (group.to_pandas().shape[0], group.to_polars().height) == (0, 0)


@pytest.mark.parametrize("byte", [0x41, 0x7F, 0x80, 0xC7, 0xFF])
def test_characters_are_the_same_in_tables_and_in_messages(odd: ModuleType, byte: int) -> None:
    """One character is Latin-1, and what is above ASCII in ASCII too."""
    one, char = bytes([byte]), chr(byte)
    frame = header(7, 2) + one * 3 + one + b"B\0\0"
    expected = {"k": char, "s": char, "u": char, "a": f"{char}B"}
    assert odd.decode(frame).to_dict() == expected
    table = odd.decode_many([frame])[odd.Chars]
    (row,) = table.to_arrow(texts="string").to_pylist()
    assert {name: row[name] for name in expected} == expected
    (row,) = table.to_arrow().to_pylist()
    raw = {name: text.encode("latin-1") for name, text in expected.items()}
    assert {name: row[name] for name in expected} == raw


def test_arrays_that_a_sender_lacks_are_null(odd: ModuleType) -> None:
    """And so are, as elsewhere, those of which all that is sent stands for null."""
    null, nan = -(2**15), float("nan")
    frames = [
        header(1, 3, 0) + b"\1",
        header(23, 3) + struct.pack("<B3h2d", 1, 1, null, 3, nan, 0.5),
        header(23, 3) + struct.pack("<B3h2d", 1, null, null, null, nan, nan),
    ]
    table = odd.decode_many(frames)[odd.Arrays]
    for rows in all_forms(table):
        found = [(row["a"] is None, row["f"] is None) for row in rows]
        assert found == [(True, True), (False, False), (True, True)]
        assert list(rows[1]["a"]) == [1, null, 3]
        assert rows[1]["f"][1] == 0.5
    assert table.records["a"].tolist()[0] == [null] * 3  # as numbers they are what they were


def test_bytes_that_a_message_may_be_without_are_null_where_they_are_empty(
    odd: ModuleType,
) -> None:
    old = header(1, 4, 0) + b"\1" + struct.pack("<HB", 1, 0) + b"\0\0"
    new = odd.Bytes.encode(
        x=2, g=[{"y": 1, "n": None}, {"y": 2, "n": b"q"}], always=b"", n=b"ab", late=b"c"
    )
    for rows in all_forms(odd.decode_many([old, new])[odd.Bytes]):
        assert [(row["always"], row["n"], row["late"]) for row in rows] == [
            (b"", None, None),
            (b"", b"ab", b"c"),
        ]
    (_, row) = odd.decode_many([old, new])[odd.Bytes].to_arrow()["g"].to_pylist()
    assert row == [{"y": 1, "n": None}, {"y": 2, "n": b"q"}]
    ends = [odd.End.encode(x=1, b=None), odd.End.encode(x=1, b=b"q")]
    assert [row["b"] for row in all_forms(odd.decode_many(ends)[odd.End])[0]] == [None, b"q"]


def test_columns_of_packets_that_have_another_name_are_what_they_were(odd: ModuleType) -> None:
    frame = header(2, 5) + b"\1\2"
    bare = odd.decode_many(Packets([frame]))[odd.Taken].to_arrow().to_pylist()
    assert [(row["packet_sequence_"], row["packet_time_"]) for row in bare] == [(None, None)]
    packet = struct.pack("<IQH", 5, 10**18, len(frame) + 2) + frame
    table = odd.decode_many(Packets([packet], CME_MDP3))[odd.Taken].to_arrow()
    assert str(table.schema.field("packet_time_").type) == "timestamp[ns, tz=UTC]"
    (row,) = table.to_pylist()
    assert (row["packet_sequence_"], row["packet_sequence"], row["packet_time"]) == (5, 1, 2)


def test_joined_columns_have_the_texts_of_the_tables_around(odd: ModuleType) -> None:
    frame = odd.Joined.encode(g=[{"q": 1, "note": "in"}], symbol="BTC", note="out")
    joined = odd.decode_many([frame])[odd.Joined].groups["g"].columns(joined=True)
    assert joined.symbols == ["BTC"]
    assert (joined.dictionary("note"), joined.dictionary("Joined.note")) == (["in"], ["out"])
    for name in ("q", "nothing"):
        with pytest.raises(UnknownName, match=rf"Joined.g has no text '{name}'"):
            joined.dictionary(name)


def test_a_constant_of_a_composite_is_there_in_all_versions(odd: ModuleType) -> None:
    """It takes no bytes, and tables do not know which version a row is of."""
    frame = header(4, 7, 0) + struct.pack("<iHBi", 150, 4, 1, 150)
    message = odd.decode(frame)
    assert (message.f.exponent, message.f_float, str(message.f_decimal)) == (-2, 1.5, "1.50")
    assert message.g_float["f"].tolist() == [1.5]
    (row,) = odd.decode_many([frame])[odd.Priced].to_arrow().to_pylist()
    assert (row["f"], row["g"]) == (1.5, [{"f": 1.5}])
