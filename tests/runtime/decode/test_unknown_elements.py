"""Groups and var data that only a newer sender knows, counted in headers and dimensions."""

from __future__ import annotations

import struct
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from inspected import check_whole, rows_of

from sbe_codegen import loading
from sbe_codegen.runtime.errors import DecodeError, MalformedMessage, TruncatedMessage

GOLDEN = Path(__file__).parent.parent.parent / "golden"


@pytest.fixture(scope="module")
def module(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SBE_CODEGEN_CACHE", str(tmp_path_factory.mktemp("cache")))
        if not loading.builder.switches():
            patch.setenv("SBE_BUILD", "debug")
        return loading.load(GOLDEN / "counted.xml")


def shorts(*numbers: int) -> bytes:
    return b"".join(number.to_bytes(2, "big") for number in numbers)


def blob(content: bytes) -> bytes:
    return shorts(len(content)) + content


def group(stride: int, entries: list[bytes], groups: int = 0, data: int = 0) -> bytes:
    """``entries`` are what follows the block of each."""
    blocks = b"".join(b"\xaa" * stride + each for each in entries)
    return shorts(stride, len(entries), groups, data) + blocks


def bare(
    groups: list[bytes], data: list[bytes], version: int = 3, known: bytes = b"known"
) -> bytes:
    head = shorts(8, 2, version, len(groups), 1 + len(data))
    return head + (77).to_bytes(8, "big") + b"".join([*groups, blob(known), *data])


FLAT = group(3, [b"", b""])
HOLLOW = group(0, [b""] * 5)
DATA_INSIDE = group(2, [blob(b"one") + blob(b""), blob(b"") + blob(b"two")], 0, 2)
GROUP_INSIDE = group(1, [FLAT + HOLLOW, HOLLOW + FLAT], 2, 0)
BOTH_INSIDE = group(0, [DATA_INSIDE + FLAT + blob(b"x"), FLAT + GROUP_INSIDE + blob(b"y")], 2, 1)
NOTHING = group(9, [], 3, 3)


@pytest.mark.parametrize(
    ("groups", "data"),
    [
        ([], []), ([FLAT], []), ([], [blob(b"more")]), ([HOLLOW, FLAT], [blob(b""), blob(b"z")]),
        ([DATA_INSIDE], []), ([GROUP_INSIDE], [blob(b"z")]), ([BOTH_INSIDE, NOTHING, FLAT], []),
        ([NOTHING], [blob(b"a" * 300)] * 3),
    ],
)  # fmt: skip
def test_what_is_counted_is_stepped_over_however_deep(
    module: ModuleType, groups: list[bytes], data: list[bytes]
) -> None:
    frame = bare(groups, data)
    message = module.decode(frame)
    assert (message.a, message.d) == (77, b"known")
    assert message.encoded_length == len(frame)
    batch = module.decode_many([frame + b"+", frame])
    assert batch[module.Bare].data["d"][1] == b"known"
    assert module.decode_many(frame * 3).frame_count == 3
    check_whole(module, frame)
    for size in range(len(frame)):
        with pytest.raises((TruncatedMessage, MalformedMessage)):
            module.decode(frame[:size])
        rows_of(module, frame[:size])


def chain(depth: int) -> bytes:
    """A group in a group, and so on."""
    made = FLAT
    for _ in range(depth - 1):
        made = group(1, [made], 1)
    return made


def test_unknown_groups_are_followed_thirty_three_deep_and_no_deeper(module: ModuleType) -> None:
    assert module.decode(bare([chain(33)], [])).d == b"known"
    check_whole(module, bare([chain(33)], []))
    assert "(cut)" in [row.path for row in rows_of(module, bare([chain(34)], []))]
    with pytest.raises(MalformedMessage) as caught:
        module.decode(bare([chain(34)], []))
    assert caught.value.element == "unknown groups"


def test_counts_of_a_sender_that_is_no_newer_say_nothing(module: ModuleType) -> None:
    for version in (0, 2):
        frame = bare([], [], version)
        for counts in (shorts(0, 0), shorts(5, 9)):
            assert module.decode(frame[:6] + counts + frame[10:]).d == b"known"
    newer = bare([], [], 3)
    assert module.decode(newer[:6] + shorts(0, 0) + newer[10:]).d == b"known"
    with pytest.raises(TruncatedMessage) as caught:
        module.decode(newer[:6] + shorts(0, 2) + newer[10:])
    assert (caught.value.element, caught.value.wanted, caught.value.available) == (
        "unknown data", 2, 0
    )  # fmt: skip
    with pytest.raises(TruncatedMessage) as caught:
        module.decode(newer[:6] + shorts(1, 1) + newer[10:])
    assert caught.value.element == "an unknown group"


@pytest.mark.parametrize("count", [1024, 1025])
def test_unknown_entries_without_bytes_have_the_limit_of_known_ones(
    module: ModuleType, count: int
) -> None:
    frame = bare([group(0, [b""] * 1000), group(0, [b""] * (count - 1000))], [])
    if count <= 1024:
        assert module.decode(frame).d == b"known"
    else:
        with pytest.raises(DecodeError, match="has too many entries that take no bytes"):
            module.decode(frame)


def counted(entries: list[tuple[int, bytes]], version: int, data: int) -> bytes:
    """A message whose group ``flat`` has ``entries``, and that many var data in each."""
    root = (
        bytes(15) + b"\x05" + b"\xfe" + b"".join(n.to_bytes(4, "big") for n in (1, 2, 3)) + b"abc"
    )
    flat = shorts(8) + bytes([len(entries), data])
    flat += b"".join(price.to_bytes(8, "big") + more for price, more in entries)
    deep = shorts(1) + b"\x01" + bytes([1 + data]) + b"\x09" + (2).to_bytes(4, "big") + b"hi"
    deep += (0).to_bytes(4, "big") * data
    rest = group(0, [b""] * 2) + group(0, []) + shorts(0, 0) + blob(b"first")
    return shorts(32, 1, version, 5, 2) + root + flat + deep + rest + (2).to_bytes(4, "big") + b"no"


@pytest.mark.parametrize("data", [0, 1, 2])
def test_entries_that_got_var_data_are_gathered(module: ModuleType, data: int) -> None:
    prices = [150, 250, 350]
    more = [b"", b"z", b"four"]
    entries = [
        (price, ((len(m)).to_bytes(2, "big") + m) * data)
        for price, m in zip(prices, more, strict=True)
    ]
    frame = counted(entries, 3, data)
    paths = [row.path for row in check_whole(module, frame)]
    assert paths.count("flat[1].(unknown data 1) length") == (data > 0)
    message = module.decode(frame)
    assert message.flat["price"].tolist() == prices
    assert message.flat_float["price"].tolist() == [1.5, 2.5, 3.5]
    assert [each["price"] for each in message.to_dict()["flat"]] == prices
    assert (message.flat.base is None) == (data > 0)  # a copy where blocks are not side by side
    assert [(entry.x, entry.t) for entry in message.deep] == [(9, "hi")]
    assert (len(message.hollow), message.first, message.last) == (2, b"first", "no")
    assert message.wide_float == 0.05
    assert message.words.tolist() == [1, 2, 3]
    assert message.encoded_length == len(frame)
    table = module.decode_many([frame, frame])[module.Counted]
    assert table.groups["flat"].records["price"].tolist() == prices * 2
    assert table.groups["flat"].offsets.tolist() == [0, 3, 6]
    assert table.records["words"].tolist() == [[1, 2, 3]] * 2
    assert table.records["octets"].tolist() == [[97, 98, 99]] * 2
    assert table.columns()["wide"].tolist() == [0.05] * 2


def test_the_entries_of_an_older_sender_have_no_var_data_that_are_unknown(
    module: ModuleType,
) -> None:
    frame = counted([(150, b""), (250, b"")], 2, 0)
    assert module.decode(frame).flat.base is not None
    assert module.decode(frame).flat["price"].tolist() == [150, 250]


NESTED = """<messageSchema package="nested" id="7" version="0"><types>
<composite name="messageHeader"><type name="blockLength" primitiveType="uint16"/>
<type name="templateId" primitiveType="uint16"/><type name="schemaId" primitiveType="uint16"/>
<type name="version" primitiveType="uint16"/></composite>
<composite name="outer"><type name="blockLength" primitiveType="uint16"/>
<type name="numInGroup" primitiveType="uint16"/><type name="numGroups" primitiveType="uint8"/>
<type name="numVarDataFields" primitiveType="uint8"/></composite>
<composite name="inner"><type name="blockLength" primitiveType="uint8"/>
<type name="numInGroup" primitiveType="uint8"/></composite>
</types><message name="M" id="1"><group name="g" id="1" dimensionType="outer">
<group name="h" id="2" dimensionType="inner"><field name="x" id="3" type="uint8"/></group></group>
</message></messageSchema>"""


def test_unknown_groups_in_entries_are_made_as_the_known_ones_there(compiled: Any) -> None:
    module = compiled("nested_unknown", NESTED)
    frame = struct.pack("<4H", 0, 1, 7, 1) + struct.pack("<HHBB", 0, 2, 2, 0)
    frame += b"\1\1A\1\1B" + b"\1\1C\1\2DE"
    message = module.decode(frame)
    assert message.to_dict() == {"g": [{"h": [{"x": 65}]}, {"h": [{"x": 67}]}]}
    assert message.encoded_length == len(frame)
    check_whole(module, frame)
    for size in range(len(frame)):
        with pytest.raises(TruncatedMessage):
            module.decode(frame[:size])
