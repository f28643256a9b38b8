"""Headers that lack what SBE asks of them, and messages whose header is elsewhere."""

from __future__ import annotations

import copy
import pickle
import struct
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
from small import TYPES, module_of, schema

from sbe_codegen.runtime.errors import (
    EncodeError,
    MalformedMessage,
    TruncatedMessage,
    UnexpectedTemplate,
    UnknownTemplate,
)

MESSAGE = """<message name="M" id="1" blockLength="8"><field name="a" id="1" type="int32"/>
<field name="b" id="2" type="uint8" sinceVersion="1"/>
<group name="g" id="3" dimensionType="groupSizeEncoding">
<field name="c" id="4" type="uint8"/></group>
<data name="d" id="5" type="text"/></message>
<message name="Other" id="2"><field name="a" id="1" type="uint8"/></message>"""
BLOCK = struct.pack("<iB3x", -5, 9)
REST = b"\1\0\2\7\x08\2ok"


def text(*members: str) -> str:
    """The schema with only these members in its header."""
    lines = "".join(f'<type name="{each}" primitiveType="uint16"/>' for each in members)
    head = f'<composite name="messageHeader">{lines}</composite>'
    end = TYPES.index('<composite name="groupSizeEncoding"')
    whole = schema(MESSAGE)
    return whole.replace(TYPES[:end], head)


@pytest.fixture(scope="module")
def short(compiled: Callable[[str, str], ModuleType]) -> Any:
    return compiled("short", text("templateId", "version"))


@pytest.fixture(scope="module")
def shortest(compiled: Callable[[str, str], ModuleType]) -> Any:
    return compiled("shortest", text("templateId"))


@pytest.fixture(scope="module")
def whole(compiled: Callable[[str, str], ModuleType]) -> Any:
    return compiled("whole", schema(MESSAGE))


def test_what_a_header_lacks_is_said() -> None:
    warnings = "\n".join(module_of(text("templateId")).warnings)
    assert "the header lacks 'blockLength': blocks are taken to be as long as in this" in warnings
    assert "the header lacks 'schemaId': every frame is taken to be of this schema" in warnings
    assert "the header lacks 'version': every sender is taken to have this version" in warnings
    assert not module_of(schema()).warnings


def test_sizes_of_the_schema_are_taken(short: Any) -> None:
    message = short.decode(struct.pack("<HH", 1, 1) + BLOCK + REST)
    assert (message.a, message.b, message.d, message.version) == (-5, 9, "ok", 1)
    assert message.g["c"].tolist() == [7, 8]
    assert message.encoded_length == 4 + 8 + len(REST)


def test_an_older_sender_has_the_block_of_its_version(short: Any) -> None:
    message = short.decode(struct.pack("<HH", 1, 0) + BLOCK[:4] + REST)
    assert (message.a, message.b, message.d) == (-5, None, "ok")


def test_the_header_has_all_the_same(short: Any) -> None:
    header = short.decode_header(struct.pack("<HH", 1, 0))
    assert header == (1, 0, 4, 1)
    assert header._fields == ("template_id", "version", "block_length", "schema_id")
    assert short.decode_header(struct.pack("<HH", 77, 0)).block_length == 0
    with pytest.raises(UnknownTemplate):
        short.decode(struct.pack("<HH", 77, 0))


def test_many_frames_are_as_one(short: Any, shortest: Any) -> None:
    old = struct.pack("<HH", 1, 0) + BLOCK[:4] + REST
    new = struct.pack("<HH", 1, 1) + BLOCK + REST
    table = short.decode_many([old, new, new])[short.M]
    assert table.records["b"].tolist() == [255, 9, 9]
    frame = struct.pack("<H", 1) + BLOCK + REST
    assert shortest.decode_many(frame * 3)[shortest.M].records["a"].tolist() == [-5] * 3
    assert shortest.decode(frame).version == 1


def test_a_version_that_no_header_says_is_not_written(short: Any, shortest: Any) -> None:
    values = short.decode(struct.pack("<HH", 1, 1) + BLOCK + REST).to_dict()
    older = values | {"b": None}
    assert short.decode(short.M.encode(**older, version=0)).version == 0
    assert shortest.decode(shortest.M.encode(**values, version=1)).to_dict() == values
    sentence = "version = 0: headers of this schema can't say it: they are all of version 1"
    with pytest.raises(EncodeError, match=sentence):
        shortest.M.encode(**older, version=0)
    with pytest.raises(EncodeError, match=sentence):
        shortest.M.encode_into(bytearray(99), **older, version=0)


@pytest.mark.parametrize("size", range(4 + 8 + len(REST)))
def test_a_frame_that_is_cut_is_truncated(short: Any, size: int) -> None:
    with pytest.raises(TruncatedMessage):
        short.decode((struct.pack("<HH", 1, 1) + BLOCK + REST)[:size])


def test_a_body_is_the_message_without_its_header(whole: Any) -> None:
    frame = struct.pack("<HHHH", 8, 1, 1, 1) + BLOCK + REST
    body = whole.decode_body(BLOCK + REST, 1)
    assert body.to_dict() == whole.decode(frame).to_dict()
    assert (body.encoded_length, bytes(body)) == (8 + len(REST), BLOCK + REST)
    assert body != whole.decode(frame)
    assert body.wrap(frame) == whole.decode(frame)


def test_a_body_has_the_version_and_length_that_are_given(whole: Any) -> None:
    old = whole.decode_body(b"??" + BLOCK[:4] + REST, template_id=1, version=0, offset=2)
    assert (old.a, old.b, old.d, old.version) == (-5, None, "ok", 0)
    wide = whole.decode_body(BLOCK + bytes(2) + REST, 1, version=7, block_length=10)
    assert (wide.b, wide.d, wide.version) == (9, "ok", 7)
    assert old.block.dtype.names == ("a", "b")


@pytest.mark.parametrize("version", [0, 1])
def test_a_body_copies_and_pickles(whole: Any, version: int) -> None:
    body = whole.decode_body((BLOCK[:4] if version == 0 else BLOCK) + REST, 1, version)
    for other in (copy.copy(body), copy.deepcopy(body), pickle.loads(pickle.dumps(body))):
        assert other == body
        assert hash(other) == hash(body)
        assert (other.to_dict(), other.version) == (body.to_dict(), version)
    again = whole.decode_body(BLOCK + REST, 1, version=9)
    assert again != whole.decode_body(BLOCK + REST, 1)


@pytest.mark.parametrize("size", range(8 + len(REST)))
def test_a_body_that_is_cut_is_truncated_at_an_offset_in_it(whole: Any, size: int) -> None:
    with pytest.raises(TruncatedMessage) as caught:
        whole.decode_body((BLOCK + REST)[:size], 1)
    assert 0 <= caught.value.offset <= size


def test_wrong_arguments_of_a_body_are_told(whole: Any) -> None:
    with pytest.raises(UnknownTemplate, match="template 9 is not in schema"):
        whole.decode_body(BLOCK, 9)
    with pytest.raises(UnknownTemplate):
        whole.decode_body(BLOCK, 2**64 - 1)
    with pytest.raises(MalformedMessage, match="at least 4"):
        whole.decode_body(BLOCK + REST, 1, version=0, block_length=3)
    with pytest.raises(ValueError, match="version is a number from 0"):
        whole.decode_body(BLOCK, 1, version=-1)
    with pytest.raises(ValueError, match="block_length is a number from 0"):
        whole.decode_body(BLOCK, 1, block_length=2**64)
    with pytest.raises(TypeError, match="template_id is a whole number, not str"):
        whole.decode_body(BLOCK, "1")
    with pytest.raises(TypeError):
        whole.decode_body("text", 1)
    with pytest.raises(UnexpectedTemplate):
        whole.M.decode(struct.pack("<HHHHB", 1, 2, 1, 1, 3))
