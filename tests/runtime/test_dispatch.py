"""Several schemas on one wire: each frame is decoded by the module of its own."""

from __future__ import annotations

import struct
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from small import plain, schema

from sbe_codegen import Dispatcher
from sbe_codegen.runtime.errors import (
    SchemaMismatch,
    TruncatedMessage,
    UnknownName,
    UnknownTemplate,
)
from sbe_codegen.runtime.framing import CME_MDP3, PacketError, Packets
from sbe_codegen.runtime.tables.symbols import Symbols

Made = dict[str, Any]


@pytest.fixture(scope="module")
def made(compiled: Callable[[str, str], ModuleType]) -> Made:
    message = f'<message name="M" id="1">{plain("a", 1)}</message>'
    symbol = '<data name="symbol" id="2" type="text"/>'
    named = f'<message name="T" id="5">{plain("x", 1)}{symbol}</message>'
    wide = f'<message name="M" id="1">{plain("a", 1)}{plain("b", 2, "uint16")}</message>'
    other = f'<message name="T" id="5">{plain("x", 1)}</message>'
    return {
        "one": compiled("wire_one", schema(message, root='id="1" version="1"')),
        "newer": compiled("wire_newer", schema(wide, root='id="1" version="3"')),
        "two": compiled("wire_two", schema(other, root='id="2" version="1"')),
        "named": compiled("wire_named", schema(named, root='id="3" version="0"')),
        "called": compiled("wire_called", schema(named, root='id="4" version="0"')),
        "big": compiled("wire_big", schema(other, root='id="9" byteOrder="bigEndian"')),
    }


def frame(schema_id: int, version: int, value: int, template: int = 1) -> bytes:
    return struct.pack("<HHHHBxx", 3, template, schema_id, version, value)


def test_a_frame_goes_to_its_schema_and_to_the_version_that_knows_it(made: Made) -> None:
    one, newer, two = made["one"], made["newer"], made["two"]
    wire = Dispatcher([newer, two, one])
    assert type(wire.decode(frame(1, 0, 7))) is one.M
    assert type(wire.decode(frame(1, 1, 7))) is one.M
    assert type(wire.decode(frame(1, 2, 7))) is newer.M
    assert type(wire.decode(frame(1, 9, 7))) is newer.M
    assert type(wire.decode(b"??" + frame(2, 5, 7, 5), 2)) is two.T
    with pytest.raises(SchemaMismatch, match="no module for schema 3, version 1"):
        wire.decode(frame(3, 1, 7))
    with pytest.raises(TruncatedMessage):
        wire.decode(b"\0\0\0")


def test_ranges_of_versions_are_kept_to(made: Made) -> None:
    wire = Dispatcher([(made["one"], range(0, 2)), (made["newer"], range(2, 5))])
    assert wire.module_of(frame(1, 1, 7)) is made["one"]
    assert wire.module_of(frame(1, 4, 7)) is made["newer"]
    with pytest.raises(SchemaMismatch, match=r"version 5 \(there are 1:0-1, 1:2-4\)"):
        wire.module_of(frame(1, 5, 7))


@pytest.mark.parametrize(
    ("member", "roots"),
    [
        ("schemaId", ['id="1" version="1"', 'id="2" version="1"']),
        ("version", ['id="1" version="1"', 'id="1" version="2"']),
    ],
)
def test_headers_that_do_not_say_it_need_a_function(
    member: str, roots: list[str], compiled: Callable[[str, str], ModuleType]
) -> None:
    lacks = f'<type name="{member}" primitiveType="uint16"/>'
    texts = [schema(f'<message name="M" id="1">{plain("a", 1)}</message>', root=r) for r in roots]
    assert all(lacks in text for text in texts)
    modules = [
        compiled(f"wire_no_{member.lower()}_{i}", text.replace(lacks, ""))
        for i, text in enumerate(texts)
    ]
    with pytest.raises(ValueError, match=r"headers have no (schema_id|version) here"):
        Dispatcher(modules)
    wire = Dispatcher(modules, lambda data, at: modules[data[at] != 1])
    for i, module in enumerate(modules):
        assert type(wire.decode(struct.pack("<HHHB", 1 + i, 1, 1, 7) + b"?")) is module.M
    assert Dispatcher(modules[:1]).module_of(struct.pack("<HHHB", 1, 1, 1, 7)) is modules[0]


def test_a_function_may_choose(made: Made) -> None:
    def choose(data: bytes, offset: int) -> ModuleType | None:
        kind = data[offset : offset + 1]
        chosen: ModuleType | None = {b"\3": made["one"], b"\0": made["big"]}.get(kind)
        return chosen

    wire = Dispatcher([made["one"], made["big"]], choose)
    assert wire.decode(frame(1, 1, 7)).a == 7
    assert wire.decode(struct.pack(">HHHHB", 1, 5, 9, 0, 8)).x == 8
    with pytest.raises(SchemaMismatch, match="choose has no module"):
        wire.decode(b"\7" + frame(1, 1, 7))
    wrong = Dispatcher([made["one"]], lambda *_: made["two"])
    with pytest.raises(ValueError, match="none of the modules"):
        wrong.decode(frame(1, 1, 7))


def test_a_part_of_a_batch_is_counted_by_its_own_frames(made: Made) -> None:
    wire = Dispatcher([made["one"], made["two"]])
    bad = frame(2, 1, 0, 5)[:9]
    mixed = [frame(1, 1, 0), frame(2, 1, 1, 5), frame(1, 1, 2), frame(2, 1, 3, 5), bad,
             frame(2, 1, 5, 5), frame(1, 1, 6)]  # fmt: skip
    found = wire.decode_many(mixed, on_error="collect")
    batch = found[made["two"]]
    assert batch[made["two"].T].records["frame"].tolist() == [1, 3, 5]
    assert (batch.frame_count, batch.rejected["frame"].tolist()) == (4, [4])
    whole = batch.part(0, batch.frame_count)
    assert whole[made["two"].T].records["x"].tolist() == [1, 3, 5]
    assert whole[made["two"].T].records["frame"].tolist() == [0, 1, 3]
    assert (whole.rejected["frame"].tolist(), len(whole)) == ([2], 3)
    for begin in range(5):
        for end in range(begin, 6):
            part = batch.part(begin, end)
            rows = part[made["two"].T].records if part.tables else np.zeros(0, [("x", "u1")])
            assert rows["x"].tolist() == [(1, 3, None, 5)[i] for i in range(4)[begin:end] if i != 2]
            assert len(part.rejected) == (2 in range(4)[begin:end])
            assert len(part) == len(rows)


FORMS: dict[str, Callable[[list[bytes]], Any]] = {
    "list": list,
    "offsets": lambda frames: (
        b"".join(frames),
        np.cumsum([0, *map(len, frames)], dtype=np.int64),
    ),
}


@pytest.mark.parametrize("form", FORMS)
def test_many_frames_keep_their_numbers(made: Made, form: str) -> None:
    frames = [frame(1, 1, 1), frame(2, 1, 2, 5), frame(7, 1, 3), frame(1, 1, 4, 9), frame(1, 3, 5)]
    wire = Dispatcher([made["one"], made["newer"], made["two"]])
    found = wire.decode_many(FORMS[form](frames), on_error="collect")
    assert found[made["one"]][made["one"].M].records["frame"].tolist() == [0]
    assert found[made["newer"]][made["newer"].M].records["frame"].tolist() == [4]
    assert found[made["two"]][made["two"].T].records["frame"].tolist() == [1]
    assert found[made["one"]].rejected["frame"].tolist() == [3]
    assert [error.frame for error in found.unknown] == [2]
    rows = sum(len(batch) + len(batch.rejected) for batch in found.values())
    assert rows + len(found.unknown) == found.frame_count == 5
    with pytest.raises(SchemaMismatch, match="frame 2: no module"):
        wire.decode_many(FORMS[form](frames))
    with pytest.raises(UnknownTemplate, match="frame 1: template 9"):
        wire.decode_many(FORMS[form]([frames[0], frames[3]]))


def test_packets_of_several_schemas(made: Made) -> None:
    messages = [frame(1, 1, 1), frame(2, 1, 2, 5)]
    body = b"".join(struct.pack("<H", len(each) + 2) + each for each in messages)
    packets = Packets([struct.pack("<IQ", 7, 99) + body, b"cut"], CME_MDP3)
    wire = Dispatcher([made["one"], made["two"]])
    found = wire.decode_many(packets, on_error="collect")
    rows = found[made["two"]][made["two"].T].records
    assert (rows["frame"].tolist(), rows["packet_sequence"].tolist()) == ([1], [7])
    assert len(found.losses) == 1
    with pytest.raises(PacketError):
        wire.decode_many(packets)
    end_to_end = Dispatcher([made["one"], made["two"]]).decode_many(Packets([b"".join(messages)]))
    assert end_to_end.frame_count == 2


def test_texts_of_all_modules_share_their_codes(made: Made) -> None:
    def named(module: str, text: str) -> bytes:
        return bytes(made[module].T.encode(x=1, symbol=text))

    wire = Dispatcher([made["named"], made["called"]])
    symbols = Symbols()
    first = wire.decode_many([named("named", "A"), named("called", "B")], symbols=symbols)
    second = wire.decode_many([named("called", "A"), named("named", "C")], symbols=symbols)
    found = [
        batch[made[module]][made[module].T].records["symbol"].tolist()
        for batch in (first, second)
        for module in ("named", "called")
    ]
    assert found == [[0], [1], [2], [0]]
    assert symbols.texts("symbol") == ["A", "B", "C"]
    assert second[made["named"]][made["named"].T].symbols == ["A", "B", "C"]
    alone = wire.decode_many([named("called", "A"), named("named", "C")])
    assert alone[made["named"]][made["named"].T].records["symbol"].tolist() == [0]
    with pytest.raises(TypeError, match="symbols is a Symbols or None"):
        wire.decode_many([], symbols={})  # type: ignore[arg-type]


def test_what_can_not_be_told_apart_is_refused(made: Made) -> None:
    one, newer = made["one"], made["newer"]
    for wrong, why in (
        ([], "at least one"),
        ([one, one], "both for schema 1"),
        ([(one, range(0, 3)), (newer, range(2, 5))], "both for schema 1"),
        ([one, made["big"]], "another message header"),
    ):
        with pytest.raises(ValueError, match=why):
            Dispatcher(wrong)
    for given in ([np], [(one, 3)]):
        with pytest.raises(TypeError):
            Dispatcher(given)  # type: ignore[arg-type]
    wire = Dispatcher([one])
    with pytest.raises(TypeError, match="without offsets"):
        wire.decode_many(frame(1, 1, 1))
    with pytest.raises(ValueError, match="on_error"):
        wire.decode_many([], on_error="no")  # type: ignore[arg-type]
    empty = wire.decode_many([])
    assert (len(empty), empty.frame_count) == (0, 0)
    with pytest.raises(UnknownName):
        empty[one]
