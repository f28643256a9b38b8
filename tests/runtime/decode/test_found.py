"""What is found while `astuple` makes a tuple, by whatever means, is whole and never changes."""

from __future__ import annotations

import gc
import re
import struct
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import binance_sbe
from sbe_codegen import builder, renderer
from sbe_codegen.runtime.decode.values import reuses

SCHEMAS = Path(__file__).parent.parent.parent.parent / "schemas"
# Values of every kind: sets are made by Python code, and so is text in encodings like this one.
SCHEMA = """<messageSchema package="found" id="7" version="0"><types>
<composite name="messageHeader"><type name="blockLength" primitiveType="uint16"/>
<type name="templateId" primitiveType="uint16"/><type name="schemaId" primitiveType="uint16"/>
<type name="version" primitiveType="uint16"/></composite>
<composite name="text"><type name="length" primitiveType="uint8"/><type name="varData"
primitiveType="uint8" length="0" characterEncoding="UTF-8"/></composite>
<composite name="cyrillic"><type name="length" primitiveType="uint8"/><type name="varData"
primitiveType="uint8" length="0" characterEncoding="KOI8-R"/></composite>
<set name="marks" encodingType="uint8"><choice name="a">0</choice><choice name="b">1</choice></set>
<enum name="side" encodingType="uint8"><validValue name="Buy">1</validValue></enum>
<composite name="pair"><type name="one" primitiveType="int64"/></composite>
<type name="maybe" primitiveType="int64" presence="optional"/>
</types>
<message name="Flags" id="1"><field name="x" id="1" type="int64"/><field name="marks" id="2"
type="marks"/><field name="y" id="3" type="int64"/><field name="z" id="4" type="double"/></message>
<message name="Coded" id="2"><field name="x" id="1" type="int64"/><field name="y" id="2"
type="maybe"/><field name="side" id="3" type="side"/><field name="z" id="4" type="double"/>
<data name="word" id="5" type="cyrillic"/><data name="name" id="6" type="text"/></message>
<message name="Pairs" id="3"><field name="x" id="1" type="int64"/>
<field name="pair" id="2" type="pair"/><field name="z" id="4" type="double"/></message>
<message name="Scaled" id="4" xmlns:e="urn:e"><field name="x" id="1" type="int64"/>
<field name="price" id="2" type="int64" e:exponent="power"/><field name="power" id="3" type="int8"/>
<field name="marks" id="4" type="marks"/></message>
</messageSchema>"""


@pytest.fixture(scope="module")
def module(compiled: Any) -> ModuleType:
    made: ModuleType = compiled("found", SCHEMA)
    return made


def frames(template: int) -> list[bytes]:
    """Numbers that are no small ints, and differ from frame to frame."""
    result = []
    for i in range(1, 40):
        x, y, z = 10**6 * i, 10**12 * i, i / 7
        body = {
            1: struct.pack("<qBqd", x, i % 256, y, z),
            2: struct.pack("<qqBd", x, y, i % 3, z) + b"\3\xc1" + bytes([192 + i, 65]) + b"\1A",
            3: struct.pack("<qqd", x, y, z),
            4: struct.pack("<qqbB", x, y, -40 if i % 2 else -2, i % 256),
        }[template]
        length = {1: 25, 2: 25, 3: 24, 4: 18}[template]
        result.append(struct.pack("<HHHH", length, template, 7, 0) + body)
    return result


class Finder:
    """Holds what it finds of the tuples of a message, with what they said at that time."""

    def __init__(self) -> None:
        self.held: list[tuple[Any, str]] = []
        self.looks = 0
        self.looking = False

    def look(self, *_: object) -> None:
        if self.looking or len(self.held) > 5000:
            return
        self.looking = True
        self.looks += 1
        for each in gc.get_objects():
            # The first value of all frames here is a million or a multiple of it.
            if type(each) is tuple and 3 <= len(each) <= 6 and self.is_ours(each):
                self.held.append((each, shown(each)))
        self.looking = False

    @staticmethod
    def is_ours(each: tuple[Any, ...]) -> bool:
        try:
            first, *_ = list(each)
        except SystemError:
            return True
        return type(first) is int and first % 10**6 == 0 and first > 0

    def check(self) -> None:
        changed = [(was, shown(each)) for each, was in self.held if shown(each) != was]
        assert changed == []
        assert [was for _, was in self.held if "NULL" in was] == []


def shown(values: tuple[Any, ...]) -> str:
    """What a tuple says, though its own repr runs, and though it is not filled."""
    result = []
    for i in range(len(values)):
        try:
            result.append(repr(values[i]))
        except SystemError:
            result.append("NULL")
    return ", ".join(result)


@contextmanager
def profiled(finder: Finder) -> Iterator[None]:
    sys.setprofile(finder.look)
    try:
        yield
    finally:
        sys.setprofile(None)


@contextmanager
def traced(finder: Finder) -> Iterator[None]:
    before = sys.gettrace()
    sys.settrace(finder.look)
    try:
        yield
    finally:
        sys.settrace(before)


@contextmanager
def collected(finder: Finder) -> Iterator[None]:
    """The collector runs as often as it can, and says so."""
    before = gc.get_threshold()
    gc.callbacks.append(finder.look)
    gc.set_threshold(1, 1, 1)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.callbacks.remove(finder.look)


@contextmanager
def watched_by_a_thread(finder: Finder) -> Iterator[None]:
    ended = threading.Event()

    def watch() -> None:
        while not ended.is_set():
            finder.look()

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        sys.setswitchinterval(interval)


WAYS = [profiled, traced, collected, watched_by_a_thread]


@pytest.mark.parametrize("template", [1, 2, 3, 4])
@pytest.mark.parametrize("way", WAYS)
def test_what_is_found_while_it_is_filled_never_changes(
    module: ModuleType, way: Callable[[Finder], Any], template: int
) -> None:
    finder = Finder()
    given = frames(template)
    expected = [repr(module.decode(frame).astuple()) for frame in given]
    with way(finder):
        for _ in range(200):  # a thread may have to wait for a processor
            made = [repr(module.decode(frame).astuple()) for frame in given for _ in range(2)][::2]
            for frame in given:
                if template == 4:
                    module.decode(frame).astuple_float()
                module.decode(frame).astuple()
            if finder.looks:
                break
    assert finder.looks > 0
    finder.check()
    assert made == expected


def test_a_flag_that_dies_finds_no_tuple_half_filled(module: ModuleType) -> None:
    """Sets can have attributes, whose ends run Python code."""
    finder = Finder()

    class Note:
        def __del__(self) -> None:
            finder.look()

    for frame in frames(1) * 8:
        frame = frame[:16] + bytes([len(finder.held) % 256 | 4]) + frame[17:]
        module.decode(frame).astuple()[1].note = Note()
    gc.collect()
    finder.check()


def test_a_wrap_meanwhile_mixes_no_frames(module: ModuleType) -> None:
    """Python code that runs while a tuple is made may point its message elsewhere."""
    given = frames(2)
    whole = {module.decode(frame).astuple() for frame in given}
    message = module.decode(given[0])
    turn = 0

    def wrap(*_: object) -> None:
        nonlocal turn
        turn += 1
        message.wrap(given[turn % len(given)])

    sys.setprofile(wrap)
    try:
        found = [message.astuple() for _ in range(200)]
    finally:
        sys.setprofile(None)
    before = gc.get_threshold()
    gc.callbacks.append(wrap)
    gc.set_threshold(1, 1, 1)
    try:
        found += [message.astuple() for _ in range(200)]
    finally:
        gc.set_threshold(*before)
        gc.callbacks.remove(wrap)
    assert turn > 100
    assert set(found) <= whole


def test_the_collector_knows_only_tuples_that_are_never_taken_again(module: ModuleType) -> None:
    known = {t: gc.is_tracked(module.decode(frames(t)[0]).astuple()) for t in (1, 2, 3, 4)}
    assert known == {1: True, 2: False, 3: True, 4: True}
    for t, is_known in known.items():
        count = sys.getrefcount(module.decode(frames(t)[0]).astuple())
        assert count == (1 if is_known else 1 + reuses())
    mine = binance_sbe.BestBidAskStreamEvent
    frame = struct.pack("<HHHHqqbbqqqqB", 50, 10001, 1, 0, 1, 2, 3, 4, 5, 6, 7, 8, 0)
    assert not gc.is_tracked(mine.decode(frame).astuple())
    assert not gc.is_tracked(mine.decode(frame).astuple_float())
    assert not gc.is_tracked(mine.unpack(frame))


def generated() -> Iterator[str]:
    for path in SCHEMAS.glob("*.xml"):
        yield renderer.render(builder.read(path), path.name, "m")["m.pyx"]


def test_nothing_but_putting_comes_between_taking_a_tuple_and_handing_it_out() -> None:
    """The rule of `reuse`, in every module that is generated."""
    put = re.compile(
        r"    (    )?sbe_put(_int|_uint|_float)?\(values, \d+, ([vf]\d+|byte_int\(v\d+\))\)"
        r"|    if floats:|    else:|        return keep_tuple\(kept, values\)"
        r"|    sbe_let_go\(values\)"
    )
    count = 0
    for text in generated():
        for piece in text.split("sbe_reused_tuple(kept")[1:]:
            lines = piece[: piece.index("\n    return ")].splitlines()[1:]
            assert [line for line in lines if not put.fullmatch(line)] == []
            count += 1
        returned = re.findall(
            r"\n    (?:sbe_let_go\(values\)\n    )?return (?:keep_tuple\(kept, values\)|values)\n",
            text,
        )
        assert len(returned) == text.count("sbe_reused_tuple(kept")
    assert count > 120
