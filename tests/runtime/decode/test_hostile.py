"""What a hostile sender, a frame that changes, and careless Python code may not bring about."""

from __future__ import annotations

import struct
import time
import tracemalloc
from types import ModuleType
from typing import Any

import pytest
from test_binance_schemas import SPOT

import binance_sbe
from binance_sbe import spot_sbe
from sbe_codegen.runtime.errors import DecodeError, MalformedMessage

SCHEMA = """<messageSchema package="hostile" id="7" version="1"><types>
<composite name="messageHeader"><type name="blockLength" primitiveType="uint16"/>
<type name="templateId" primitiveType="uint16"/><type name="schemaId" primitiveType="uint16"/>
<type name="version" primitiveType="uint16"/><type name="numGroups" primitiveType="uint64"/></composite>
<composite name="counted"><type name="blockLength" primitiveType="uint16"/>
<type name="numInGroup" primitiveType="uint16"/><type name="numGroups" primitiveType="uint16"/>
<type name="numVarDataFields" primitiveType="uint16"/></composite>
<composite name="wide"><type name="length" primitiveType="uint8"/><type name="varData"
primitiveType="uint8" length="0" characterEncoding="UTF-16LE"/></composite>
<composite name="bytes8"><type name="length" primitiveType="uint8"/><type name="varData"
primitiveType="uint8" length="0"/></composite>
<type name="utf" primitiveType="char" length="4" characterEncoding="UTF-8"/>
<composite name="named"><type name="name" primitiveType="char" length="4" presence="optional"
characterEncoding="UTF-8"/></composite>
</types>
<message name="Flat" id="1"><field name="a" id="1" type="uint8"/>
<group name="g" id="2" dimensionType="counted"><field name="x" id="1" type="uint64"/></group></message>
<message name="Bare" id="2"><field name="a" id="1" type="uint8"/></message>
<message name="Deep" id="3"><field name="a" id="1" type="uint8"/>
<group name="outer" id="2" dimensionType="counted"><group name="inner" id="3" dimensionType="counted">
<field name="y" id="1" type="uint64" sinceVersion="1"/></group></group></message>
<message name="Wide" id="4"><data name="text" id="1" type="wide"/></message>
<message name="Texts" id="5"><field name="n" id="1" type="named"/>
<group name="g" id="2" dimensionType="counted"><field name="t" id="1" type="utf"/></group></message>
<message name="Parts" id="6">
<group name="small" id="1" dimensionType="counted"><field name="x" id="1" type="uint8"/>
<data name="d" id="2" type="bytes8"/></group>
<group name="big" id="2" dimensionType="counted"><field name="x" id="1" type="uint8"/>
<data name="d" id="2" type="bytes8"/><data name="e" id="3" type="bytes8"/>
<data name="f" id="4" type="bytes8"/></group></message>
</messageSchema>"""
NO_GROUPS = """<messageSchema package="none" id="7" version="1"><types>
<composite name="messageHeader"><type name="blockLength" primitiveType="uint16"/>
<type name="templateId" primitiveType="uint16"/><type name="schemaId" primitiveType="uint16"/>
<type name="version" primitiveType="uint16"/><type name="numGroups" primitiveType="uint64"/></composite>
</types><message name="M" id="1"><field name="a" id="1" type="uint8"/></message></messageSchema>"""


@pytest.fixture(scope="module")
def module(compiled: Any) -> ModuleType:
    return compiled("hostile", SCHEMA)


def head(length: int, template: int, version: int = 1, groups: int = 0) -> bytes:
    return struct.pack("<HHHHQ", length, template, 7, version, groups)


def test_counts_that_change_after_decoding_do_not_move_the_entries(module: ModuleType) -> None:
    frame = bytearray(head(1, 1, 2) + struct.pack("<B4H", 5, 8, 3, 0, 0) + b"\1" * 24 + b"\0")
    message = module.decode(frame)
    frame[21:23] = b"\1\0"  # now each entry would have a group
    assert message.g["x"].tolist() == [0x0101010101010101] * 3
    assert len(message.to_dict()["g"]) == 3
    repr(message)


def test_entries_that_shrink_after_decoding_stay_inside(module: ModuleType) -> None:
    entry = b"\1" * 8 + b"\4abcd"
    frame = bytearray(head(1, 1, 2) + struct.pack("<B4H", 5, 8, 3, 0, 1) + entry * 3)
    message = module.decode(frame)
    assert message.g["x"].tolist() == [0x0101010101010101] * 3
    frame[33] = 0xFF
    frame[23:25] = b"\0\0"
    message.to_dict()
    assert len(message.g) == 3


def test_unknown_groups_that_can_not_be_read_are_refused_at_once(compiled: Any) -> None:
    module = compiled("none", NO_GROUPS)
    begin = time.monotonic()
    for count in (1, 10**9, 2**64 - 1):
        frame = struct.pack("<HHHHQB", 1, 1, 7, 2, count, 5)
        with pytest.raises(MalformedMessage, match="unknown groups"):
            module.decode(frame)
    assert time.monotonic() - begin < 5
    assert module.decode(struct.pack("<HHHHQB", 1, 1, 7, 2, 0, 5)).a == 5


def test_empty_entries_inside_entries_have_one_limit(module: ModuleType) -> None:
    def frame(outer: int, inner: int) -> bytes:
        dims = struct.pack("<4H", 0, inner, 0, 0)
        return head(1, 3, 0) + b"\5" + struct.pack("<4H", 0, outer, 1, 0) + dims * outer

    assert len(module.decode(frame(32, 32)).to_dict()["outer"]) == 32
    tracemalloc.start()
    for outer, inner in ((33, 32), (4000, 1024), (2, 65535)):
        with pytest.raises(MalformedMessage, match="too many entries that take no bytes"):
            module.decode(frame(outer, inner))
        batch = module.decode_many([frame(outer, inner)], on_error="collect")
        assert len(batch.rejected) == 1
    assert tracemalloc.get_traced_memory()[1] < 20_000_000
    tracemalloc.stop()


def test_one_bad_text_loses_no_batch(module: ModuleType) -> None:
    frames = [head(0, 4) + b"\2a\0", head(0, 4) + b"\1A", head(0, 4) + b"\2b\0"]
    batch = module.decode_many(frames, on_error="collect")
    table = batch[module.Wide]
    texts = [table.dictionary("text")[code] for code in table.records["text"]]
    assert texts == ["a", "\\x41", "b"]
    with pytest.raises(MalformedMessage, match="text is not utf-16-le text"):
        _ = module.decode(frames[1]).text


def test_bad_text_inside_groups_and_composites_is_a_decode_error(module: ModuleType) -> None:
    frame = head(4, 5) + b"\xff\xff\0\0" + struct.pack("<4H", 4, 1, 0, 0) + b"\xff\xfe\0\0"
    message = module.decode(frame)
    for look in (message.to_dict, lambda: message.n):
        with pytest.raises(MalformedMessage, match="is not utf-8 text"):
            look()
    assert [v.path for v in message.validate()] == ["n", "g"]
    repr(message)


def parts(module: ModuleType) -> Any:
    entry = struct.pack("<4H", 1, 1, 0, 1) + b"\1\0"
    big = struct.pack("<4H", 1, 1, 0, 3) + b"\1\0\0\0"
    return module.decode(head(0, 6) + entry + big)


def test_classes_of_parts_can_not_be_changed(module: ModuleType) -> None:
    message = parts(module)
    small, big = message.small[0], message.big[0]
    with pytest.raises(TypeError):
        small.__class__ = type(big)
    with pytest.raises(TypeError):
        type(small)._ELEMENTS = type(big)._ELEMENTS
    with pytest.raises(TypeError):
        type("Sub", (type(small),), {})
    with pytest.raises(TypeError, match="'f' is not an attribute of"):
        type(big).f.raw(small)
    with pytest.raises(TypeError, match="is not an attribute of"):
        module.Parts.big.raw(module.decode(head(0, 4) + b"\0"))
    with pytest.raises(TypeError, match="those that it was compiled with"):
        type(small)._SCHEMA.add(module.Parts)


def test_json_of_messages_in_messages_has_an_end() -> None:
    frame = b""
    for _ in range(300):
        values = {"sbe_schema_id_version_deprecated": 0, "status": 1, "id": "", "rate_limits": []}
        frame = SPOT.encode("WebSocketResponse", values | {"result": frame})
    with pytest.raises(MalformedMessage, match="8 deep at most"):
        binance_sbe.to_json(spot_sbe.decode(frame))


def test_a_frame_that_changes_while_it_is_written_to_tables_is_refused_not_fatal() -> None:
    """What is written is walked again: a fault there is the frame's, not one of memory."""
    values = {"event_time": 1, "update_time": 1, "subscription_id": None,
              "balances": [{"exponent": 0, "free": 1, "locked": 2, "asset": "BTC"}]}  # fmt: skip
    frame = SPOT.encode("OutboundAccountPositionEvent", values)
    for size in range(len(frame)):
        with pytest.raises(DecodeError):
            spot_sbe.decode_many([frame[:size]])
