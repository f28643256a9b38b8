"""What is shown of frames, word for word."""

from __future__ import annotations

import struct
from types import ModuleType
from typing import Any

import pytest
import vectors
from small import schema
from test_binance_schemas import FIX, SPOT, values_of

from binance_sbe import fix, spot_sbe
from binance_sbe.commands import inspector
from binance_sbe.simulator.encoder import encode
from binance_sbe.simulator.events import BestBidAsk
from sbe_codegen.runtime import inspected_values

TYPES = """<type name="letters" primitiveType="char" length="6"/>
<type name="triple" primitiveType="int16" length="3"/>
<type name="maybe" primitiveType="uint16" presence="optional"/>
<type name="fixed" primitiveType="uint8" presence="constant">7</type>
<type name="utcTimestampUs" primitiveType="int64"/>
<type name="ratio" primitiveType="float" presence="optional"/>
<type name="letter" primitiveType="char"/>
<composite name="decimal"><type name="mantissa" primitiveType="int64"/>
<type name="exponent" primitiveType="int8"/></composite>
<composite name="release"><type name="major" primitiveType="uint8"/>
<type name="kind" primitiveType="uint8" presence="constant">3</type>
<type name="minor" primitiveType="uint16" offset="2"/></composite>
<enum name="yes" encodingType="uint8"><validValue name="False">0</validValue>
<validValue name="True">1</validValue></enum>
<set name="flags" encodingType="uint8"><choice name="Fast">0</choice>
<choice name="Loud">3</choice></set>
<composite name="blob"><type name="length" primitiveType="uint16"/>
<type name="varData" primitiveType="uint8" length="0"/></composite>"""
MESSAGE = """<message name="M" id="1" xmlns:x="urn:x"><field name="power" id="1" type="int8"/>
<field name="at" id="2" type="int16" x:exponent="power"/>
<field name="word" id="3" type="letters"/>
<field name="three" id="4" type="triple" offset="10"/>
<field name="maybe" id="5" type="maybe"/><field name="fixed" id="6" type="fixed"/>
<field name="ratio" id="7" type="ratio"/><field name="letter" id="8" type="letter"/>
<field name="price" id="9" type="decimal"/><field name="release" id="10" type="release"/>
<field name="yes" id="11" type="yes"/><field name="side" id="12" type="side"/>
<field name="flags" id="13" type="flags"/><field name="when" id="14" type="utcTimestampUs"/>
<field name="late" id="15" type="uint8" sinceVersion="2"/>
<group name="legs" id="20"><field name="qty" id="1" type="int16" x:exponent="power"/>
<data name="name" id="2" type="text"/></group>
<group name="later" id="22" sinceVersion="2"><field name="n" id="1" type="uint8"/></group>
<data name="raw" id="21" type="blob"/></message>"""


@pytest.fixture(scope="module")
def module(compiled: Any) -> ModuleType:
    root = 'id="9" version="2" byteOrder="bigEndian"'
    built: ModuleType = compiled("kinds_of_elements", schema(MESSAGE, TYPES, root))
    return built


def header(length: int = 48, template: int = 1, schema_id: int = 9, version: int = 2) -> bytes:
    return struct.pack(">HHHH", length, template, schema_id, version)


def block(
    power: int = -2, maybe: int = 65535, ratio: float = 0.5, yes: int = 1, side: bytes = b"B",
    flags: int = 9, when: int = 1_800_000_000_123_456, late: int = 9, letter: bytes = b"Q",
) -> bytes:  # fmt: skip
    return (
        struct.pack(">bh6sx3hHfc", power, -1234, b"ab\0xyz", 1, -2, 300, maybe, ratio, letter)
        + struct.pack(">qbBxH", 12345, -2, 1, 258)
        + struct.pack(">BcBqB", yes, side, flags, when, late)
    )


def legs(*entries: tuple[int, bytes], stride: int = 2) -> bytes:
    packed = [struct.pack(">hB", qty, len(name)) + name for qty, name in entries]
    return struct.pack(">HB", stride, len(entries)) + b"".join(packed)


LATER = b"\0\1\0"
TITLE = (
    "offset  bytes                                       field                               value"
)
WHOLE = """\
     0  00 30                                       blockLength                         48
     2  00 01                                       templateId                          1
     4  00 09                                       schemaId                            9
     6  00 02                                       version                             2
     8  fe                                          power                               -2
     9  fb 2e                                       at                                  -1234 (-12.34)
    11  61 62 00 78 79 7a                           word                                'ab'
    17  00                                          (padding)
    18  00 01 ff fe 01 2c                           three                               [1, -2, 300]
    24  ff ff                                       maybe                               65535 (null)
    26  3f 00 00 00                                 ratio                               0.5
    30  51                                          letter                              'Q'
    31  00 00 00 00 00 00 30 39                     price.mantissa                      12345 (123.45)
    39  fe                                          price.exponent                      -2
    40  01                                          release.major                       1
    41  00                                          release.(padding)
    42  01 02                                       release.minor                       258
    44  01                                          yes                                 1 True
    45  42                                          side                                66 Buy
    46  09                                          flags                               0x9 Fast|Loud
    47  00 06 65 17 28 9a 62 40                     when                                1800000000123456 (2027-01-15 08:00:00.123456 UTC)
    55  09                                          late                                9
    56  00 02 02                                    legs                                2 entries with blocks of 2
    59  00 96                                       legs[0].qty                         150 (1.50)
    61  03                                          legs[0].name length                 3
    62  6f 6e 65                                    legs[0].name                        'one'
    65  ff fb                                       legs[1].qty                         -5 (-0.05)
    67  00                                          legs[1].name length                 0
    68  00 01 00                                    later                               0 entries with blocks of 1
    71  00 0e                                       raw length                          14
    73  01 02 03 04 05 06 07 08 09 0a 0b 0c +2      raw                                 bytes"""  # noqa: E501
FRAME = (
    header() + block() + legs((150, b"one"), (-5, b"")) + LATER + b"\0\x0e" + bytes(range(1, 15))
)


def test_every_element_has_a_line(module: ModuleType) -> None:
    assert inspector.inspect(FRAME, module) == (
        [TITLE, *WHOLE.splitlines(), "M, version 2, 87 bytes"], True,
    )  # fmt: skip
    lines, is_whole = inspector.inspect(FRAME + b"more", module)
    assert is_whole
    left_over = "    87  6d 6f 72 65                                 (left over)"
    assert lines[-2:] == [f"{left_over}                         4 bytes", "M, version 2, 87 bytes"]


def shown(frame: bytes, module: ModuleType, field: str) -> str:
    """The value of the first line of a field."""
    lines, _ = inspector.inspect(frame, module)
    found = next(line for line in lines if line[52:].partition("  ")[0] == field)
    return found[88:]


@pytest.mark.parametrize(
    ("field", "given", "said"),
    [
        ("maybe", {"maybe": 7}, "7"),
        ("ratio", {"ratio": float("nan")}, "nan (null)"),
        ("letter", {"letter": b"\0"}, "'\\x00'"),
        ("yes", {"yes": 0}, "0 False"),
        ("yes", {"yes": 255}, "255 (null)"),
        ("yes", {"yes": 5}, "5 (not in the schema)"),
        ("side", {"side": b"\0"}, "0 (null)"),
        ("side", {"side": b"?"}, "63 (not in the schema)"),
        ("flags", {"flags": 0}, "0x0"),
        ("flags", {"flags": 0xF8}, "0xF8 Loud"),
        ("when", {"when": -(2**63)}, "-9223372036854775808 (no date that there is)"),
        ("late", {"late": 255}, "255"),  # its null, in a field that has none
        ("at", {"power": 3}, "-1234 (-1234000)"),
        ("at", {"power": 0}, "-1234 (-1234)"),
        ("at", {"power": 127}, f"-1234 (-1234{'0' * 127})"),
        ("at", {"power": -128}, "-1234"),  # the exponent's null: no number
        ("legs[0].qty", {"power": -3}, "150 (0.150)"),
    ],
)
def test_values_are_shown_as_they_mean(
    module: ModuleType, field: str, given: dict[str, Any], said: str
) -> None:
    frame = header() + block(**given) + legs((150, b"one")) + LATER + b"\0\0"
    assert shown(frame, module, field) == said


def test_an_older_sender_has_not_what_is_younger(module: ModuleType) -> None:
    frame = header(47, version=1) + block()[:47] + legs((150, b"one")) + b"\0\1x"
    lines, is_whole = inspector.inspect(frame, module)
    assert is_whole
    fields = [line[52:].split()[0] for line in lines[1:-1]]
    assert "late" not in fields
    assert "later" not in fields
    assert fields[-6:] == ["legs", "legs[0].qty", "legs[0].name", "legs[0].name", "raw", "raw"]


def test_what_a_newer_sender_adds_is_shown_as_more(module: ModuleType) -> None:
    entry = struct.pack(">h", 150) + b"\7\7\1x"
    frame = header(50, version=3) + block() + b"\1\2" + b"\0\4\1" + entry + LATER + b"\0\0"
    lines, is_whole = inspector.inspect(frame, module)
    assert is_whole
    more = "padding, or fields of a newer schema"
    assert [line.split(maxsplit=3) for line in lines if "more" in line] == [
        ["56", "01", "02", f"{'(more)':<34}  {more}"],
        ["63", "07", "07", f"{'legs[0].(more)':<34}  {more}"],
    ]


@pytest.mark.parametrize("size", range(1, len(FRAME)))
def test_a_frame_that_is_cut_is_shown_as_far_as_it_goes(module: ModuleType, size: int) -> None:
    """Each byte once, and the fault where the bytes end that it is about."""
    lines, is_whole = inspector.inspect(FRAME[:size], module)
    assert not is_whole
    (mark,) = (i for i, line in enumerate(lines) if line.startswith(">>> TruncatedMessage: "))
    rows = [line for i, line in enumerate(lines[1:], 1) if i != mark]
    whole = [row for row in WHOLE.splitlines() if row in rows]
    cut = rows[len(whole) :]
    assert rows[: len(whole)] == whole == WHOLE.splitlines()[: len(whole)]
    end = int(WHOLE.splitlines()[len(whole)].split()[0])
    if size > end:
        assert len(cut) == 1
        assert cut[0].split()[0] == str(end)
        assert cut[0].endswith("  (cut)")
    else:
        assert cut == []
    if size >= 8:
        assert mark == 1 + len(whole)


def test_a_block_that_is_too_short_is_shown_as_far_as_it_goes(module: ModuleType) -> None:
    lines, is_whole = inspector.inspect(header(24) + block()[:24], module)
    assert not is_whole
    assert lines[5] == (
        ">>> MalformedMessage: M: root block at offset 8 has a block of 24 bytes; its version "
        "needs at least 48"
    )
    at = ["8", "9", "11", "17", "18", "24", "26", "30", "31"]
    assert [line.split()[0] for line in lines[6:]] == at
    assert lines[-1].split()[-1] == "(cut)"
    assert len(inspector.inspect(header(9) + block()[:9], module)[0]) == 9


@pytest.mark.parametrize(
    ("given", "fault"), [({"template": 5}, "UnknownTemplate"), ({"schema_id": 5}, "SchemaMismatch")]
)
def test_what_is_no_message_of_the_schema_has_a_header(
    module: ModuleType, given: dict[str, int], fault: str
) -> None:
    frame = header(**given) + block()
    lines, is_whole = inspector.inspect(frame, module)
    assert not is_whole
    assert lines[1].startswith(f">>> {fault}: ")
    assert [line[52:].split("  ")[0] for line in lines[2:]] == [
        "blockLength", "templateId", "schemaId", "version", "(not known here)",
    ]  # fmt: skip
    assert inspector.inspect(header(**given), module)[0][-1].split()[-2] == "version"


CONSTANTS = """<composite name="messageHeader"><type name="blockLength" primitiveType="uint16"/>
<type name="templateId" primitiveType="uint16"/>
<type name="schemaId" primitiveType="uint16" presence="constant">9</type>
<type name="version" primitiveType="uint16" presence="constant">1</type></composite>
<composite name="groupSizeEncoding">
<type name="blockLength" primitiveType="uint16" presence="constant">2</type>
<type name="numInGroup" primitiveType="uint8"/></composite>"""


def test_what_is_constant_of_the_framing_is_not_in_the_frame(compiled: Any) -> None:
    text = f"""<messageSchema package="p" id="9" version="1"><types>{CONSTANTS}</types>
    <message name="M" id="1"><field name="a" id="1" type="uint8"/>
    <group name="legs" id="2"><field name="n" id="1" type="uint16"/></group></message>
    </messageSchema>"""
    lines, is_whole = inspector.inspect(
        bytes.fromhex("0100 0100 07 02 0500 0600"), compiled("constant_framing", text)
    )
    assert [line.split(maxsplit=1)[0] for line in lines[1:-1]] == ["0", "2", "4", "5", "6", "8"]
    assert [line[52:].split("  ")[0] for line in lines[1:-1]] == [
        "blockLength", "templateId", "a", "legs", "legs[0].n", "legs[1].n",
    ]  # fmt: skip
    assert lines[4].endswith("2 entries with blocks of 2")
    assert is_whole


def test_entries_without_bytes_are_told_in_one_line() -> None:
    frame = bytearray(vectors.DEPTH_SNAPSHOT)
    frame[26:30] = struct.pack("<HH", 0, 1000)  # a thousand bids of no bytes
    lines, _ = inspector.inspect(bytes(frame))
    assert any("bids[0].  " in line and line.endswith("and 999 more without any bytes")
               for line in lines)  # fmt: skip
    assert len(lines) < 40


@pytest.mark.parametrize(
    ("content", "frame"),
    [
        (b"\x00\x01\x02", b"\x00\x01\x02"), (b"0001ff", b"\x00\x01\xff"),
        (b"00 01\tFF\r\n", b"\x00\x01\xff"), (b"0x00, 0X01", b"\0\1"), (b"'00:01',\n", b"\0\1"),
        (b'"0001"', b"\0\1"),
        (b"abc\x7f", b"abc\x7f"), (b"abc\x1f", b"abc\x1f"), (b"~\x80", b"~\x80"),
    ],
)  # fmt: skip
def test_a_file_holds_bytes_or_hex_digits(content: bytes, frame: bytes) -> None:
    assert inspector.from_text(content) == frame


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b"00\n01\n0g\ng", "is text, and 'g' in line 3 is no hex digit"),
        (b"00~", "is text, and '~' in line 1 is no hex digit"),
        (b"00 0", "has 3 hex digits, an odd number: one is missing"),
    ],
)
def test_a_file_that_holds_neither_says_why(content: bytes, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        inspector.from_text(content)


@pytest.mark.parametrize(
    ("schema_id", "template", "name"),
    [
        (3, 200, "spot_sbe"), (3, 10001, "spot_sbe"), (1, 10000, "spot_stream"),
        (1, 10099, "spot_stream"), (1, 9999, "fix_sbe"), (1, 10100, "fix_sbe"), (1, 97, "fix_sbe"),
        (2, 97, "spot_stream"), (0, 0, "spot_stream"),
    ],
)  # fmt: skip
def test_the_header_says_which_module_a_frame_is_for(
    schema_id: int, template: int, name: str
) -> None:
    frame = struct.pack("<HHHH", 0, template, schema_id, 0)
    assert inspector.module_of(frame).__name__ == f"binance_sbe.{name}"
    assert inspector.module_of(frame[:7]).__name__ == "binance_sbe.spot_stream"


def fix_frame() -> bytes:
    name = "Heartbeat" if "Heartbeat" in FIX.messages else next(iter(FIX.messages))
    content: bytes = FIX.encode(name, values_of(FIX, FIX.messages[name], False, 1))
    return fix.framed(content)


def test_the_framing_of_fix_is_shown() -> None:
    frame = fix_frame()
    lines, is_whole = inspector.inspect(frame)
    assert is_whole
    assert [line.split()[-1] for line in lines[1:3]] == [str(len(frame)), "0xEB50"]
    assert [line.split()[0] for line in lines[1:4]] == ["0", "4", "6"]
    cut, is_whole = inspector.inspect(frame[:-1])
    assert not is_whole
    assert sum(line.startswith(">>> ") for line in cut) == 1
    short, is_whole = inspector.inspect((len(frame) + 5).to_bytes(4, "little") + frame[4:])
    assert not is_whole
    (mark,) = (line for line in short if line.startswith(">>> "))
    assert (
        mark.partition(" at ")[0]
        == f">>> FramingError: {len(frame)} of {len(frame) + 5} bytes of a message"
    )
    wrong, is_whole = inspector.inspect((3).to_bytes(4, "little") + frame[4:])
    assert not is_whole
    assert any(line.startswith(">>> FramingError: ") for line in wrong)
    as_other = inspector.inspect(frame, spot_sbe)
    assert "SOFH" not in as_other[0][1]


def test_a_message_inside_is_shown_inside() -> None:
    values = values_of(SPOT, SPOT.messages["WebSocketResponse"], False, 1)
    inner: bytes = SPOT.encode("PingResponse", {})
    values["result"] = inner + b"tail"
    frame: bytes = SPOT.encode("WebSocketResponse", values)
    lines, is_whole = inspector.inspect(frame)
    at = next(i for i, line in enumerate(lines) if "result length" in line)
    assert [line[52:].rstrip().split("  ")[0] for line in lines[at : at + 6]] == [
        "result length", "result > blockLength", "result > templateId", "result > schemaId",
        "result > version", "result > (left over)",
    ]  # fmt: skip
    assert lines[at + 5][8:].startswith(b"tail".hex(" "))
    assert is_whole


# times


def test_times_are_dates() -> None:
    frame = encode(BestBidAsk("BTCUSDT", -2, -8, 1_735_689_600_000_123, 7, (1, 1), (2, 1)))
    lines, is_whole = inspector.inspect(frame)
    assert is_whole
    (line,) = (line for line in lines if "eventTime" in line)
    assert line.endswith("1735689600000123 (2025-01-01 00:00:00.000123 UTC)")


@pytest.mark.parametrize(
    ("value", "unit", "said"),
    [
        (0, "s", "1970-01-01 00:00:00 UTC"),
        (1_735_689_600_001, "ms", "2025-01-01 00:00:00.001 UTC"),
        (1_735_689_600_000_000_009, "ns", "2025-01-01 00:00:00.000000009 UTC"),
        (-1, "us", "1969-12-31 23:59:59.999999 UTC"),
        (2**63 - 1, "us", "no date that there is"),
    ],
)
def test_dates_have_all_digits_of_their_unit(value: int, unit: str, said: str) -> None:
    assert inspected_values.date(value, unit) == said
