"""The language of SBE, feature by feature: what each is as attributes, arrays and dicts."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Sequence
from enum import IntEnum, IntFlag
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from small import schema

import sbe_codegen
from sbe_codegen import builder, parser, resolver
from sbe_codegen.runtime.errors import MalformedMessage, TruncatedMessage

LEGS = """<messageSchema package="legs" id="77" version="2"><types>
<composite name="messageHeader"><type name="blockLength" primitiveType="uint16"/>
<type name="templateId" primitiveType="uint16"/><type name="schemaId" primitiveType="uint16"/>
<type name="version" primitiveType="uint16"/></composite>
<composite name="groupSizeEncoding"><type name="blockLength" primitiveType="uint16"/>
<type name="numInGroup" primitiveType="uint8"/></composite>
<composite name="vs8"><type name="length" primitiveType="uint8"/>
<type name="varData" primitiveType="uint8" length="0" characterEncoding="UTF-8"/></composite>
<composite name="px"><type name="m" primitiveType="int32" presence="optional"/>
<type name="e" primitiveType="int8" presence="constant">-2</type></composite>
<type name="tag" primitiveType="char" length="4"/>
<enum name="side" encodingType="char"><validValue name="Buy">B</validValue>
<validValue name="Sell">S</validValue></enum>
<set name="flags" encodingType="uint16"><choice name="a">0</choice><choice name="p">15</choice></set>
</types><message name="Demo" id="5" blockLength="20">
<field name="tag" id="1" type="tag"/><field name="side" id="2" type="side"/>
<field name="flags" id="3" type="flags" offset="6"/><field name="price" id="4" type="px"/>
<field name="extra" id="5" type="uint16" presence="optional" sinceVersion="2"/>
<group name="legs" id="6"><field name="qty" id="1" type="uint8"/><group name="fills" id="7">
<field name="n" id="1" type="int16"/></group><data name="note" id="9" type="vs8"/></group>
<data name="text" id="8" type="vs8"/></message></messageSchema>"""
VECTOR_A = bytes.fromhex(
    "140005004d000200414200005300018 01efbffff0700000000000000 010002 09 020001fdff 026869"
    "0a 020000 00 03656e64".replace(" ", "")
)
NESTED = """<messageSchema package="nested" id="9" version="1" byteOrder="bigEndian" headerType="hdr"><types>
<composite name="hdr"><type name="version" primitiveType="uint8"/>
<type name="schemaId" primitiveType="uint8"/><type name="templateId" primitiveType="uint16"/>
<type name="blockLength" primitiveType="uint32" maxValue="100"/>
<type name="seq" primitiveType="uint16"/></composite>
<composite name="groupSizeEncoding"><type name="blockLength" primitiveType="uint8"/>
<type name="numInGroup" primitiveType="uint16" offset="2"/></composite>
<composite name="inner"><type name="x" primitiveType="int16"/>
<type name="y" primitiveType="int16" offset="4"/></composite>
<composite name="outer"><type name="k" primitiveType="uint8"/>
<ref name="in" type="inner" offset="2"/><type name="z" primitiveType="uint8"/></composite>
</types><message name="Nested" id="300"><field name="o" id="1" type="outer"/>
<field name="d" id="2" type="double"/>
<group name="g" id="3"><field name="q" id="1" type="uint32"/></group></message></messageSchema>"""
VECTOR_B = bytes.fromhex(
    "0109012c000000111234 0500fffe0000000309 3ff8000000000000 04000002 00000001 fffffffe".replace(
        " ", ""
    )
)


@pytest.fixture(scope="module")
def legs(compiled: Any) -> ModuleType:
    return compiled("legs", LEGS)


@pytest.fixture(scope="module")
def nested(compiled: Any) -> ModuleType:
    return compiled("nested", NESTED)


# the vectors of the reference decoder


def test_vector_a(legs: ModuleType) -> None:
    message = legs.decode(VECTOR_A)
    assert message.to_dict() == {
        "tag": "AB", "side": "Sell", "flags": ["a", "p"], "price": {"m": -1250, "e": -2}, "extra": 7,
        "legs": [{"qty": 9, "fills": [{"n": -3}], "note": "hi"},
                 {"qty": 10, "fills": [], "note": ""}],
        "text": "end",
    }  # fmt: skip
    assert (message.side, message.flags) == (legs.Side.SELL, legs.Flags.A | legs.Flags.P)
    assert (message.price.m, message.price.e) == (-1250, -2)
    assert [leg.note for leg in message.legs] == ["hi", ""]
    assert message.legs[0].fills["n"].tolist() == [-3]
    assert message.encoded_length == len(VECTOR_A)
    older = legs.decode(VECTOR_A[:6] + b"\1\0" + VECTOR_A[8:])
    assert older.extra is None
    assert older.to_dict()["extra"] is None


def test_vector_b(nested: ModuleType) -> None:
    message = nested.decode(VECTOR_B)
    assert (message.o.k, message.o.in_.x, message.o.in_.y, message.o.z) == (5, -2, 3, 9)
    assert message.d == 1.5
    assert message.g["q"].tolist() == [1, 4294967294]
    assert nested.decode_header(VECTOR_B) == (1, 9, 300, 17, 0x1234)
    assert nested.decode_header(VECTOR_B).seq == 0x1234
    assert message.block["o"]["in_"]["x"].tolist() == [-2]
    table = nested.decode_many([VECTOR_B])[nested.Nested]
    assert table.records["o"]["in_"]["y"].tolist() == [3]
    assert table.records.dtype["o"].isalignedstruct


def test_what_is_derived_from_vector_a_is_refused(legs: ModuleType) -> None:
    for size in range(len(VECTOR_A)):
        with pytest.raises(TruncatedMessage):
            legs.decode(VECTOR_A[:size])
    count = VECTOR_A.replace(b"\x01\x00\x02\x09", b"\x01\x00\xff\x09")
    with pytest.raises(TruncatedMessage, match="legs"):
        legs.decode(count)
    with pytest.raises(TruncatedMessage, match=r"legs\.note"):
        legs.decode(VECTOR_A.replace(b"\x02hi", b"\xffhi"))
    with pytest.raises(TruncatedMessage, match="root block"):
        legs.decode(b"\xff\xff" + VECTOR_A[2:])
    unknown = legs.decode(VECTOR_A.replace(b"S\0\1\x80", b"Z\0\1\x80"))
    assert unknown.side == ord("Z")
    assert unknown.to_dict()["side"] == ord("Z")
    newer = legs.decode(VECTOR_A[:6] + b"\x09\0" + VECTOR_A[8:] + b"new")
    assert newer.encoded_length == len(VECTOR_A)


# entries


def test_entries_are_a_sequence(legs: ModuleType) -> None:
    entries = legs.decode(VECTOR_A).legs
    assert isinstance(entries, Sequence)
    assert (len(entries), repr(entries)) == (2, "<2 Leg entries>")
    assert repr(entries[0]) == "Leg(qty=9, fills=<1 entries>, note='hi')"
    assert entries[-1].qty == 10
    assert [leg.qty for leg in entries[::-1]] == [10, 9]
    assert [leg.qty for leg in reversed(entries)] == [10, 9]
    assert entries == legs.decode(VECTOR_A).legs
    assert entries[0] == entries[0]
    assert entries[0] != entries[1]
    assert entries[0].astuple() == (9, "hi")
    assert entries[0].block["qty"].tolist() == [9]
    assert bytes(entries[0]) == VECTOR_A[31:40]
    assert (entries[0].version, entries[0].encoded_length) == (2, 9)
    for bad in (2, -3):
        with pytest.raises(IndexError, match="of 2"):
            entries[bad]
    with pytest.raises(TypeError):
        entries["x"]
    with pytest.raises(AttributeError, match="read-only"):
        entries[0].qty = 1


def test_parts_outlive_the_message(legs: ModuleType) -> None:
    frame = bytearray(VECTOR_A)
    entry, price = legs.decode(frame).legs[0], legs.decode(frame).price
    fills = entry.fills
    with pytest.raises(BufferError):
        frame.extend(b"more")
    assert (entry.note, price.m, fills["n"].tolist()) == ("hi", -1250, [-3])
    fills["n"] = 5
    assert entry.fills["n"].tolist() == [5]
    del entry, price, fills
    frame.extend(b"more")


def test_entries_of_a_frame_that_changes_are_read_safely(legs: ModuleType) -> None:
    frame = bytearray(VECTOR_A)
    entries = legs.decode(frame).legs
    frame[32:34] = b"\xff\xff"  # the block length of the inner group
    with pytest.raises((TruncatedMessage, MalformedMessage)):
        entries[0].to_dict()


def test_parts_are_not_made_by_hand(legs: ModuleType) -> None:
    entry = legs.decode(VECTOR_A).legs[0]
    for kind in (type(entry), type(legs.decode(VECTOR_A).price), type(legs.decode(VECTOR_A).legs)):
        with pytest.raises(TypeError, match="not made by"):
            kind()
    empty = type(entry).__new__(type(entry))
    for look in (lambda: empty.qty, empty.to_dict, empty.astuple, lambda: bytes(empty),
                 lambda: empty.version, lambda: repr(empty)):  # fmt: skip
        with pytest.raises(TypeError, match="was not made by decode"):
            look()
    for each in (entry, entry.fills.base):
        with pytest.raises(TypeError):
            pickle.dumps(each) if each is entry else copy.copy(entry)


def test_tables_nest_as_arrow_lists_do(legs: ModuleType) -> None:
    table = legs.decode_many([VECTOR_A, VECTOR_A])[legs.Demo]
    group = table.groups["legs"]
    assert group.offsets.tolist() == [0, 2, 4]
    assert [group.dictionary("note")[code] for code in group.records["note"]] == ["hi", ""] * 2
    fills = group.groups["fills"]
    assert fills.offsets.tolist() == [0, 1, 1, 2, 2]
    assert fills[0]["n"].tolist() == [-3]
    assert table.records["tag"].tolist() == [b"AB", b"AB"]
    with pytest.raises(KeyError, match=r"Demo\.legs has no text 'x' \(it has: note\)"):
        group.dictionary("x")


# kinds of fields, in one schema

TYPES = """<enum name="yesNo" encodingType="uint8"><validValue name="False">0</validValue>
<validValue name="True">1</validValue></enum>
<enum name="big" encodingType="uint64"><validValue name="top">18446744073709551614</validValue></enum>
<set name="bits" encodingType="uint64"><choice name="low">0</choice><choice name="high">63</choice></set>
<type name="gb" primitiveType="char" length="8" characterEncoding="GB18030"/>
<type name="wide" primitiveType="char" length="8" characterEncoding="UTF-16LE"/>
<type name="utf" primitiveType="char" length="4" characterEncoding="UTF-8"/>
<type name="name" primitiveType="char" length="3" presence="optional"/>
<type name="uuid" primitiveType="int64" length="2"/>
<type name="percent" primitiveType="uint8" minValue="0" maxValue="100"/>
<type name="null0" primitiveType="int32" presence="optional" nullValue="0"/>
<type name="null254" primitiveType="uint8" presence="optional" nullValue="254"/>
<composite name="time"><type name="at" primitiveType="uint64"/><type name="unit" primitiveType="uint8"
presence="constant" valueRef="unit.micro"/></composite>
<enum name="unit" encodingType="uint8"><validValue name="micro">6</validValue></enum>
<composite name="blob"><type name="length" primitiveType="uint16"/>
<type name="varData" primitiveType="uint8" length="0"/></composite>
"""
FIELDS = """<message name="Kinds" id="1">
<field name="yes" id="1" type="yesNo"/><field name="big" id="2" type="big"/>
<field name="bits" id="3" type="bits"/><field name="gb" id="4" type="gb"/>
<field name="wide" id="5" type="wide"/><field name="utf" id="6" type="utf"/>
<field name="name" id="7" type="name"/><field name="uuid" id="8" type="uuid"/>
<field name="percent" id="9" type="percent"/><field name="zero" id="10" type="null0"/>
<field name="most" id="11" type="null254"/><field name="maybe" id="12" type="time" presence="optional"/>
<field name="head" id="13" type="messageHeader"/><field name="letter" id="14" type="char"/>
<field name="ratio" id="15" type="float" presence="optional"/>
<field name="must" id="16" type="double"/><field name="asField" id="17" type="blob"/>
<field name="overridden" id="18" type="null0" presence="required"/>
</message>
<message name="None" id="2"><field name="True" id="1" type="uint8"/>
<field name="class" id="2" type="uint8"/><field name="validate" id="3" type="uint8"/>
<group name="block" id="4"><field name="def" id="1" type="uint8"/></group>
<data name="from" id="5" type="text"/></message>
<message name="struct" id="3"/>
<message name="Hollow" id="4"><group name="nothing" id="1"/><group name="texts" id="2">
<data name="line" id="1" type="text"/></group></message>
"""


@pytest.fixture(scope="module")
def kinds(compiled: Any) -> ModuleType:
    return compiled("kinds", schema(FIELDS, TYPES))


def kinds_frame(**changes: bytes) -> bytes:
    parts = {
        "yes": b"\1", "big": (2**64 - 2).to_bytes(8, "little"),
        "bits": (2**63 + 2**5 + 1).to_bytes(8, "little"), "gb": "中文".encode("gb18030"),
        "wide": "ab".encode("utf-16-le"), "utf": "é".encode(), "name": b"",
        "uuid": (1).to_bytes(8, "little") + b"\xff" * 8, "percent": b"\x65", "zero": bytes(4),
        "most": b"\xfe", "maybe": b"\xff" * 8, "head": b"\1\0\2\0\3\0\4\0", "letter": b"x",
        "ratio": b"\1\0\xf0\x7f", "must": b"\1\0\0\0\0\0\xf0\xff", "as_field": b"\7\0",
        "overridden": bytes(4),
    }  # fmt: skip
    sizes = {"gb": 8, "wide": 8, "utf": 4, "name": 3}
    parts |= changes
    body = b"".join(value.ljust(sizes.get(key, 0), b"\0") for key, value in parts.items())
    return len(body).to_bytes(2, "little") + b"\1\0\1\0\1\0" + body


def test_every_kind_of_field(kinds: ModuleType) -> None:
    message = kinds.decode(kinds_frame())
    assert message.yes is True
    assert message.to_dict()["yes"] is True
    assert kinds.decode(kinds_frame(yes=b"\0")).to_dict()["yes"] is False
    assert kinds.decode(kinds_frame(yes=b"\xff")).to_dict()["yes"] is None
    assert kinds.decode(kinds_frame(yes=b"\7")).to_dict()["yes"] == 7
    assert kinds.Kinds.yes.facts["labels"] == {0: "False", 1: "True"}
    assert message.big is kinds.Big.TOP
    assert isinstance(message.big, IntEnum)
    assert isinstance(message.bits, IntFlag)
    assert message.bits == 2**63 + 2**5 + 1
    assert message.bits & kinds.Bits.HIGH
    assert message.to_dict()["bits"] == ["low", "high", 5]
    assert (message.gb, message.wide, message.utf) == ("中文", "ab", "é")
    assert message.name is None
    assert message.uuid.tolist() == [1, -1]
    assert message.uuid.base is not None
    assert message.to_dict()["uuid"] == [1, -1]
    assert (message.percent, message.zero, message.most) == (101, None, None)
    assert message.maybe is None
    assert message.head.to_dict() == {
        "block_length": 1, "template_id": 2, "schema_id": 3, "version": 4}  # fmt: skip
    assert message.letter == "x"
    assert message.ratio is None  # NaN, with any payload
    assert np.isnan(message.must)
    assert message.as_field.length == 7
    assert len(message.as_field.var_data) == 0
    assert message.overridden == 0  # the field's presence over the type's
    assert set(message.to_dict()) == set(kinds.Kinds.__match_args__)


def test_a_composite_is_none_by_its_first_member(kinds: ModuleType) -> None:
    message = kinds.decode(kinds_frame(maybe=(5).to_bytes(8, "little")))
    assert (message.maybe.at, message.maybe.unit) == (5, 6)
    assert message.to_dict()["maybe"] == {"at": 5, "unit": 6}
    assert message.maybe == message.maybe
    assert repr(message.maybe) == "Time(at=5, unit=6)"


def test_validation_finds_what_decoding_lets_through(kinds: ModuleType) -> None:
    found = {v.path: v.sentence for v in kinds.decode(kinds_frame(yes=b"\x07")).validate()}
    assert found == {
        "yes": "7 is no value of the enum",
        "bits": "bits [5] are no choices of the set",
        "percent": "outside 0 to 100",
        "must": "null in a required field",
        "overridden": "null in a required field",
    }
    clean = kinds_frame(bits=b"\1" + bytes(7), percent=b"\x64", must=bytes(8),
                        overridden=b"\1\0\0\0")  # fmt: skip
    assert kinds.decode(clean).validate() == []
    found = {v.path: v.sentence for v in kinds.decode(kinds_frame(letter=b"\xe9")).validate()}
    assert found["letter"] == "not ASCII"


def test_text_that_is_none_is_said_where_it_is_read(kinds: ModuleType) -> None:
    message = kinds.decode(kinds_frame(utf=b"ok\xff"))
    with pytest.raises(MalformedMessage, match=r"utf is not utf-8 text at offset .*block\['utf'\]"):
        _ = message.utf
    assert message.block["utf"].tolist() == [b"ok\xff"]
    assert "utf" in {violation.path for violation in message.validate()}
    assert repr(message).startswith("Kinds(")


def test_names_that_are_taken_get_an_underscore(kinds: ModuleType) -> None:
    frame = bytes([3, 0, 2, 0, 1, 0, 1, 0, 1, 2, 3, 1, 0, 1, 9]) + b"\x02hi"
    message = kinds.None_.decode(frame)
    assert (message.true, message.class_, message.validate_) == (1, 2, 3)
    assert message.block_["def_"].tolist() == [9]
    assert message.block["true"].tolist() == [1]
    assert message.from_ == "hi"
    assert message.to_dict() == {
        "true": 1, "class_": 2, "validate_": 3, "block_": [{"def_": 9}], "from_": "hi"}  # fmt: skip
    assert kinds.struct_.decode(bytes([0, 0, 3, 0, 1, 0, 1, 0])).to_dict() == {}


def test_groups_and_messages_without_fields(kinds: ModuleType) -> None:
    frame = bytes([0, 0, 4, 0, 1, 0, 1, 0, 0, 0, 3, 0, 0, 2]) + b"\x01a\x00"
    message = kinds.decode(frame)
    assert len(message.nothing) == 3
    assert [entry.line for entry in message.texts] == ["a", ""]
    assert message.to_dict() == {"nothing": [{}, {}, {}], "texts": [{"line": "a"}, {"line": ""}]}
    table = kinds.decode_many([frame, frame])[kinds.Hollow]
    assert table.groups["nothing"].offsets.tolist() == [0, 3, 6]
    assert table.groups["texts"].offsets.tolist() == [0, 2, 4]
    assert len(message.block) == 1


def test_entries_without_bytes_are_bounded(compiled: Any) -> None:
    text = schema(
        "<message name='M' id='1'><group name='g' id='1' dimensionType='D'>"
        "<data name='late' id='2' type='text' sinceVersion='1'/></group></message>",
        "<composite name='D'><type name='blockLength' primitiveType='uint16'/>"
        "<type name='numInGroup' primitiveType='uint32' maxValue='2147483647'/></composite>",
    )
    module = compiled("bounded", text)
    old = bytes([0, 0, 1, 0, 1, 0, 0, 0, 0, 0])  # of version 0: no data, so entries of no bytes
    assert len(module.decode(old + (1000).to_bytes(4, "little")).g) == 1000
    with pytest.raises(MalformedMessage, match="g at offset 14"):
        module.decode(old + b"\xff\xff\xff\xff")


# files


def test_files_are_included_from_where_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SBE_CODEGEN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("SBE_BUILD", "debug")
    (tmp_path / "sub" / "deeper").mkdir(parents=True)
    include = '<xi:include xmlns:xi="http://www.w3.org/2001/XInclude" href="{}"/>'
    main = schema(
        "<message name='M' id='1'><field name='a' id='1' type='outer'/>"
        "<field name='b' id='2' type='inner'/></message>"
    )
    main = main.replace("<types>", include.format("sub/outer.xml") + "<types>", 1)
    (tmp_path / "main.xml").write_text(main)
    (tmp_path / "sub" / "outer.xml").write_text(
        f"<types>{include.format('deeper/inner.xml')}"
        "<composite name='outer'><ref name='x' type='inner'/></composite></types>"
    )
    (tmp_path / "sub" / "deeper" / "inner.xml").write_text(
        "<types><type name='inner' primitiveType='uint16'/></types>"
    )
    module = sbe_codegen.load(tmp_path / "main.xml")
    frame = bytes([4, 0, 1, 0, 1, 0, 1, 0, 7, 0, 8, 0])
    assert module.decode(frame).to_dict() == {"a": {"x": 7}, "b": 8}


# names that meet, and exponents wherever they are

MEET = """<enum name="flank" encodingType="uint8"><validValue name="A">1</validValue>
<validValue name="a">2</validValue></enum>
<enum name="Flank" encodingType="uint8"><validValue name="B">1</validValue></enum>
<set name="flank2" encodingType="uint8"><choice name="S">0</choice></set>
<enum name="Type" encodingType="uint8"><validValue name="Limit">1</validValue></enum>
<enum name="LegType" encodingType="uint8"><validValue name="Future">1</validValue></enum>
<composite name="Leg"><enum name="Type" encodingType="uint8"><validValue name="Option">1</validValue>
</enum></composite>
<enum name="quote" encodingType="uint8"><validValue name="Q">1</validValue></enum>
<composite name="price"><type name="mantissa" primitiveType="int16"/>
<type name="exponent" primitiveType="int8"/></composite>
<type name="fixed" primitiveType="int8" presence="constant">-3</type>
<type name="zero" primitiveType="double" presence="optional" nullValue="0"/>
"""
MESSAGES = """<message name="Quote" id="1">
<field name="price" id="1" type="price"/><field name="priceExponent" id="2" type="int8"/>
<field name="aB" id="3" type="uint8"/><field name="a_b" id="4" type="uint8"/>
<field name="side" id="5" type="flank"/><field name="other" id="6" type="Flank"/>
<field name="set" id="7" type="flank2"/><field name="type" id="8" type="Type"/>
<field name="leg" id="9" type="Leg"/><field name="kind" id="10" type="quote"/>
<field name="dBytes" id="11" type="uint8"/><field name="legsX" id="12" type="uint8"/>
<field name="maybe" id="15" type="zero"/>
<group name="legs" id="13"><field name="x" id="1" type="uint8"/></group>
<data name="d" id="14" type="text"/></message>
<message name="QuoteFrame" id="2"/><message name="QuoteRow" id="3"/><message name="Quote_legs" id="4"/>
<message name="Scaled" id="5" xmlns:x="urn:x">
<field name="before" id="1" type="int32" x:exponent="e"/><field name="e" id="2" type="int8"/>
<field name="always" id="3" type="int32" x:exponent="k"/><field name="k" id="4" type="fixed"/>
<field name="odd" id="5" type="int32" x:exponent="-8"/>
<field name="beforeFloat" id="6" type="uint8"/>
<group name="inner" id="7"><field name="p" id="1" type="int32" x:exponent="e"/>
<field name="q" id="2" type="int32" x:exponent="k"/><field name="e" id="3" type="int8"/></group>
<group name="fixedGroup" id="8"><field name="p" id="1" type="int32" x:exponent="f"/>
<field name="f" id="2" type="fixed"/></group>
</message>"""


@pytest.fixture(scope="module")
def meet(compiled: Any) -> ModuleType:
    return compiled("meet", schema(MESSAGES, MEET))


def test_names_that_meet_get_an_underscore(meet: ModuleType) -> None:
    body = bytes([1, 0, 2, 3, 4, 5, 2, 1, 1, 1, 1, 1, 11, 12]) + bytes(8)
    frame = bytes([len(body), 0, 1, 0, 1, 0, 1, 0]) + body + bytes([1, 0, 1, 9]) + b"\x02hi"
    message = meet.Quote.decode(frame)
    assert message.to_dict() == {
        "price": {"mantissa": 1, "exponent": 2}, "price_exponent": 3, "a_b": 4, "a_b_": 5,
        "side": "a", "other": "B", "set": ["S"], "type": "Limit", "leg": {"type": "Option"},
        "kind": "Q", "d_bytes": 11, "legs_x": 12, "maybe": None, "legs": [{"x": 9}], "d": "hi",
    }  # fmt: skip
    assert (message.d_bytes, message.d_bytes_) == (11, b"hi")
    assert [member.name for member in meet.Flank] == ["A", "A_"]
    assert message.other is meet.Flank_.B
    assert type(message.leg.type).__name__ == "LegType_"
    assert message.kind is meet.Quote_.Q
    assert meet.decode(bytes([0, 0, 2, 0, 1, 0, 1, 0])).to_dict() == {}
    table = meet.decode_many([frame])[meet.Quote]
    assert table.records["a_b_"].tolist() == [5]
    assert np.isnan(meet.decode(frame).block["maybe"]).tolist() == [False]


def test_exponents_are_found_from_the_inside_out(meet: ModuleType) -> None:
    def number(value: int) -> bytes:
        return value.to_bytes(4, "little", signed=True)

    root = number(1234) + b"\x02" + number(5678) + number(1) + b"\x07"
    entry = number(1234) + number(5678) + b"\xfd"
    frame = bytes([len(root), 0, 5, 0, 1, 0, 1, 0]) + root
    frame += bytes([9, 0, 1]) + entry + bytes([4, 0, 1]) + number(42)
    message = meet.decode(frame)
    assert message.before_float_ == 123400.0  # beforeFloat has the name without it
    assert message.before_float == 7
    assert (message.always_float, str(message.always_decimal)) == (5.678, "5.678")
    assert not hasattr(message, "odd_float")
    assert message.inner_float["p"].tolist() == [1.234]
    assert message.inner_float["q"].tolist() == [5.678]
    assert message.fixed_group_float["p"].tolist() == [0.042]


def test_an_attribute_that_names_no_exponent_is_said_and_left_alone() -> None:
    module = resolver.resolve(parser.parse_bytes(schema(MESSAGES, MEET).encode(), "s.xml"))
    (warning,) = set(module.warnings) - set(module.notes)
    assert "Scaled.odd: exponent '-8' is ignored: no int8 field has that name" in warning


NOTHING = """<enum name="E" encodingType="uint8"/><set name="S" encodingType="uint8"/>
<enum name="C" encodingType="char"/>"""
OF_NOTHING = """<message name="M" id="1"><field name="e" id="1" type="E"/>
<field name="s" id="2" type="S"/><field name="c" id="3" type="C" presence="optional"/></message>"""


def test_enums_and_sets_without_values_have_numbers(compiled: Any, tmp_path: Path) -> None:
    text = schema(OF_NOTHING, NOTHING)
    module = resolver.resolve(parser.parse_bytes(text.encode(), "s.xml"))
    told = "\n".join(module.warnings)
    assert "E: an enum without any validValue" in told
    assert "S: a set without any choice" in told
    made = compiled("nothing", text)
    frame = bytes([3, 0, 1, 0, 1, 0, 1, 0, 7, 5, 0])
    message = made.decode(frame)
    assert message.to_dict() == {"e": 7, "s": [0, 2], "c": None}
    assert made.M.encode(e=7, s=[0, 2], c=None) == frame
    assert (list(made.E), list(made.S)) == ([], [])
    (row,) = made.decode_many([frame])[made.M].to_arrow().to_pylist()
    assert row == {"frame": 0, "e": 7, "s": 5, "c": None}
    (tmp_path / "s.xml").write_text(text)
    builder.generate(tmp_path / "s.xml", tmp_path, "nothing")
    stub = (tmp_path / "nothing.pyi").read_text()
    assert "class E(IntEnum):\n    pass\n" in stub
    compile(stub, "nothing.pyi", "exec")
