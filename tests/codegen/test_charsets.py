"""Whatever a character set makes of bytes, it is text or a DecodeError, and loses no batch."""

from __future__ import annotations

import codecs
import encodings
import pkgutil
import random
import warnings
from types import ModuleType
from typing import Any

import pytest
from small import TYPES, faults, schema

from sbe_codegen.runtime.errors import DecodeError, MalformedMessage


def text_type(name: str, charset: str) -> str:
    return (
        f"<composite name='{name}'><type name='length' primitiveType='uint8'/><type name='varData' "
        f"primitiveType='uint8' length='0' characterEncoding='{charset}'/></composite>"
    )


def of(charset: str) -> str:
    data = "<field name='a' id='1' type='uint8'/><data name='d' id='9' type='t'/></message>"
    return schema(f"<message name='M' id='1'>{data}", text_type("t", charset))


def is_charset(name: str) -> bool:
    try:
        found = codecs.lookup(name)
    except LookupError:
        return False
    return found._is_text_encoding and found.name not in REFUSED


REFUSED = ("idna", "punycode", "undefined", "unicode-escape", "raw-unicode-escape")
NAMES = sorted(each.name for each in pkgutil.iter_modules(encodings.__path__))
CHARSETS = [name for name in NAMES if is_charset(name)]


@pytest.mark.parametrize(
    "name", [*REFUSED, "unicode_escape", "raw_unicode_escape", "UNICODE-ESCAPE", " Idna "]
)
def test_ways_to_write_text_in_ascii_are_refused(name: str) -> None:
    assert any("is a way to write text in ASCII, and no char" in each for each in faults(of(name)))


@pytest.mark.parametrize(
    "name",
    ["rot13", "rot_13", "base64", "hex", "zip", "bz2", "quopri", "uu", "zlib_codec", "aliases",
     "mbcs", "oem", "KLINGON", "utf-8; import os", "../utf_8", "encodings.utf_8", "__init__",
     "\u212a", "-", "x" * 5000],
)  # fmt: skip
def test_what_is_no_character_set_is_refused(name: str) -> None:
    assert any("is not known" in each for each in faults(of(name)))


def test_a_codec_that_somebody_registered_is_refused() -> None:
    def search(name: str) -> Any:
        return codecs.lookup("utf-8") if name == "klingon" else None

    codecs.register(search)
    try:
        assert any("'Klingon' is not known" in each for each in faults(of("Klingon")))
    finally:
        codecs.unregister(search)


@pytest.fixture(scope="module")
def module(compiled: Any) -> ModuleType:
    """A message with data in each character set that Python has, and one with fields."""
    types = "".join(
        text_type(f"d_{name}", name)
        + f"<type name='f_{name}' primitiveType='char' length='12' characterEncoding='{name}'/>"
        for name in CHARSETS
    )
    data = "".join(f"<data name='d_{n}' id='{i}' type='d_{n}'/>" for i, n in enumerate(CHARSETS, 1))
    fields = "".join(
        f"<field name='f_{n}' id='{i}' type='f_{n}'/>" for i, n in enumerate(CHARSETS, 1)
    )
    text = (
        f'<messageSchema package="charsets" id="1" version="1"><types>{TYPES}{types}</types>'
        f"<message name='Data' id='1'>{data}</message>"
        f"<message name='Fields' id='2'>{fields}</message></messageSchema>"
    )
    made: ModuleType = compiled("charsets", text)
    return made


def contents() -> list[bytes]:
    """Random bytes, ASCII, and the escapes that stateful and escaping codecs look for."""
    chance = random.Random(5)
    letters = b"abc-.xnuU+&~{}\\" + b"\x1b$BJNI(.A\x0e\x0f"
    result = [b"", b"\x1bN", b"+2AA-", b"\xff\xfe", b"\xef\xbb\xbf", b"\x1b.A\x1bN\x80"]
    for i in range(150):
        size = chance.randrange(13)
        pick = letters if i % 2 else bytes(range(256))
        result.append(bytes(chance.choice(pick) for _ in range(size)))
    return result


def test_bytes_are_text_or_a_decode_error(module: ModuleType) -> None:
    kinds = set()
    assert len(CHARSETS) > 90
    for content in contents():
        body = (bytes([len(content)]) + content) * len(CHARSETS)
        frame = bytes([0, 0, 1, 0, 1, 0, 1, 0]) + body
        message = module.decode(frame)
        batch = module.decode_many([frame])
        table = batch[module.Data]
        for name in CHARSETS:
            attribute = f"d_{name}"
            (kept,) = table.dictionary(attribute)
            assert type(kept) is str
            try:
                found = getattr(message, attribute)
            except MalformedMessage as error:
                kinds.add(name)
                assert str(error).startswith(f"Data: {attribute} is not")
                assert error.offset is not None
                assert 8 <= error.offset < len(frame)
            else:
                assert type(found) is str
                assert found == kept
                assert found == content.decode(name)
        repr(message)
        message.validate()
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            for look in (message.astuple, message.to_dict):
                try:
                    look()
                except DecodeError:
                    continue
    assert {"utf_8", "iso2022_jp_2", "utf_16", "ascii", "cp1252"} <= kinds


def test_fields_are_text_or_a_decode_error(module: ModuleType) -> None:
    for content in contents():
        block = content.ljust(12, b"\0") * len(CHARSETS)
        head = len(block).to_bytes(2, "little") + bytes([2, 0, 1, 0, 1, 0])
        message = module.decode(head + block)
        assert len(module.decode_many([head + block])) == 1
        for name in CHARSETS:
            try:
                assert type(getattr(message, f"f_{name}")) is str
            except MalformedMessage as error:
                assert f"f_{name} is not" in str(error)
        message.validate()


def test_text_that_is_none_reaches_arrow(module: ModuleType) -> None:
    pytest.importorskip("pyarrow")
    frames = []
    for content in contents():
        body = (bytes([len(content)]) + content) * len(CHARSETS)
        frames.append(bytes([0, 0, 1, 0, 1, 0, 1, 0]) + body)
    table = module.decode_many(frames)[module.Data].to_arrow()
    assert table.num_rows == len(frames)
