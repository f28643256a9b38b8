"""Whatever the oracle makes, of any schema and in any version, is written again, byte for byte."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from canonical import canonical
from fuzzing import corpus
from hypothesis import given, settings
from hypothesis import strategies as st
from oracle import Schema, same
from strategies import messages, versions

from binance_sbe import EncodeError, fix_sbe, spot_sbe, spot_stream

SCHEMAS = Path(__file__).parent.parent.parent.parent / "schemas"
FILES = [
    (spot_stream, Schema(SCHEMAS / "stream_1_0.xml")),
    (spot_sbe, Schema(SCHEMAS / "spot_3_5.xml", "optional")),
    (fix_sbe, Schema(SCHEMAS / "spot-fixsbe-1_1.xml", "optional")),
]
ALL = [(module, schema, name) for module, schema in FILES for name in schema.messages]
CORPUS = list(corpus())


def check(module: ModuleType, name: str, frame: bytes) -> None:
    """Frames are equal, unless a value in it is none that the schema allows; then it is refused."""
    message = module.decode(frame)
    kind = type(message)
    assert kind.__name__ == name
    values = message.to_dict()
    wrong = [each for each in message.validate() if is_refused(each)]
    if wrong:
        with pytest.raises(EncodeError) as raised:
            kind.encode(version=message.version, **values)
        assert raised.value.field
        return
    assert kind.encode(version=message.version, **values) == frame
    assert module.encode(message.TEMPLATE_ID, values, version=message.version) == frame
    assert message.replace() == frame
    buffer = bytearray(b"\xaa" * (len(frame) + 7))
    assert kind.encode_into(buffer, 5, version=message.version, **values) == len(frame)
    assert bytes(buffer) == b"\xaa" * 5 + frame + b"\xaa" * 2
    assert same(module.decode(frame).to_dict(), values)


def is_refused(violation: Any) -> bool:
    """Numbers and bits that no name is known for are written; and ASCII is read as Latin-1 is."""
    return violation.sentence.startswith(("null in", "outside"))


@given(st.data())
def test_frames_of_random_schemas(
    random_module: tuple[ModuleType, Schema], data: st.DataObject
) -> None:
    module, schema = random_module
    name = data.draw(st.sampled_from(sorted(schema.messages)))
    version = data.draw(versions(schema))
    values = canonical(schema, name, data.draw(messages(schema, name)))
    check(module, name, schema.encode(name, values, version))


@pytest.mark.parametrize(("module", "schema", "name"), ALL, ids=[name for _, _, name in ALL])
@settings(max_examples=25)
@given(data=st.data())
def test_frames_of_every_message(
    module: ModuleType, schema: Schema, name: str, data: st.DataObject
) -> None:
    since = module.MESSAGES[int(schema.messages[name].get("id", 0))]._SINCE  # type: ignore[attr-defined]
    version = data.draw(st.integers(since, schema.version))
    values = canonical(schema, name, data.draw(messages(schema, name)))
    check(module, name, schema.encode(name, values, version))


@pytest.mark.parametrize("number", range(len(CORPUS)))
def test_frames_of_the_corpus(number: int) -> None:
    module, _, frame = CORPUS[number]
    try:
        message = module.decode(frame)
    except ValueError:
        return
    if message.version > module.SCHEMA_VERSION:
        with pytest.raises(EncodeError, match="version"):
            message.replace()
        return
    if len(frame) == message.encoded_length:
        check(module, type(message).__name__, frame)
