"""What changed between two schemas: each rule exactly, with its severity, and nothing else."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from small import TYPES, module_of

from sbe_codegen import differences

ROOT = Path(__file__).parent.parent.parent

EXTRA = """<composite name="dims"><type name="blockLength" primitiveType="uint16"/>
<type name="numInGroup" primitiveType="uint8"/></composite>
<composite name="decimal"><type name="e" primitiveType="int8" presence="constant">-2</type>
<type name="m" primitiveType="int32"/></composite>
<type name="four" primitiveType="int8" presence="constant">4</type>
<type name="tag" primitiveType="char" length="4"/>
<type name="maybe" primitiveType="uint16" presence="optional" nullValue="7"/>
<composite name="bytes"><type name="length" primitiveType="uint16"/>
<type name="varData" primitiveType="uint8" length="0"/></composite>
<enum name="kind" encodingType="uint8"><validValue name="Low">1</validValue>
<validValue name="High">2</validValue></enum>
<set name="flags" encodingType="uint16"><choice name="a">0</choice><choice name="b">1</choice></set>
"""
MESSAGE = """<message name="M" id="1">
<field name="a" id="1" type="uint16"/>
<field name="kind" id="2" type="kind"/>
<field name="set" id="3" type="flags"/>
<field name="price" id="4" type="decimal"/>
<field name="always" id="5" type="four"/>
<field name="tag" id="6" type="tag"/>
<field name="perhaps" id="7" type="maybe"/>
<field name="power" id="8" type="int8"/>
<field name="scaled" id="9" type="int64" x:exponent="power"/>
<group name="g" id="20"><field name="x" id="1" type="uint8"/></group>
<group name="h" id="21" dimensionType="dims"><field name="y" id="1" type="uint8"/>
<data name="inner" id="2" type="text"/></group>
<data name="d" id="30" type="text"/>
<data name="raw" id="31" type="bytes"/>
</message>
<message name="Other" id="2"><field name="z" id="1" type="uint8"/></message>
"""


def text(version: int, *changes: tuple[str, str]) -> str:
    made = (
        f'<messageSchema package="p" id="1" version="{version}" xmlns:x="urn:x">'
        f"<types>{TYPES}{EXTRA}</types>{MESSAGE}</messageSchema>"
    )
    for before, after in changes:
        assert made.count(before) >= 1, before
        made = made.replace(before, after, 1)
    return made


def changes(*edits: tuple[str, str], version: int = 2, old: str = "") -> list[str]:
    one, other = module_of(old or text(1)), module_of(text(version, *edits))
    return [str(change) for change in differences.find(one, other)]


NEW = '<field name="n" id="50" type="uint32" sinceVersion="2"/>'
SCALED = '<field name="scaled" id="9" type="int64" x:exponent="power"/>'
G = '<group name="g" id="20">'
X = '<field name="x" id="1" type="uint8"/>'
RAW = '<data name="raw" id="31" type="bytes"/>'
LATE = '<data name="late" id="32" type="text" sinceVersion="{}"/>'

ROWS: dict[str, tuple[list[tuple[str, str]], list[str]]] = {
    "nothing but the version": ([], []),
    # the schema
    "package": ([('package="p"', 'package="q"')], ["cosmetic: schema: package was p, is q"]),
    "id of the schema": ([('id="1" version', 'id="3" version')],
                         ["breaking: schema: schema_id was 1, is 3"]),
    "byte order": ([("<messageSchema", '<messageSchema byteOrder="bigEndian"')],
                   ["breaking: schema: big_endian was False, is True"]),
    "header": ([('"schemaId" primitiveType="uint16"', '"schemaId" primitiveType="uint32"')],
               ["breaking: messageHeader: the message header changed"]),
    "header with a member more": (
        [('<type name="version" primitiveType="uint16"/></composite>',
          '<type name="version" primitiveType="uint16"/><type name="more" primitiveType="uint8"/>'
          "</composite>")],
        ["breaking: messageHeader: the message header changed"]),
    # enums and sets
    "encoding of an enum": (
        [('"kind" encodingType="uint8"', '"kind" encodingType="uint16"')],
        ["breaking: kind: was uint8, is uint16", "breaking: kind: null was 255, is 65535",
         "breaking: M.kind: was kind: uint8, is kind: uint16",
         *(f"breaking: M.{name}: was at byte {at}, is at {at + 1}" for name, at in (
            ("set", 3), ("price", 5), ("tag", 9), ("perhaps", 13), ("power", 15), ("scaled", 16))),
         "additive: M: the block was 24 bytes, is 25"]),
    "sign of a set": ([('"flags" encodingType="uint16"', '"flags" encodingType="int16"')], []),
    "null of an enum": ([('name="kind" encodingType="uint8"',
                          'name="kind" nullValue="9" encodingType="uint8"')],
                        ["breaking: kind: null was 255, is 9"]),
    "value gone": ([('<validValue name="High">2</validValue>', "")],
                   ["breaking: kind.High: was 2, is gone"]),
    "value moved": ([('"High">2<', '"High">3<')], ["breaking: kind.High: was 2, is 3"]),
    "value renamed": ([('"High">2<', '"Top">2<')], ["cosmetic: kind.High: is called Top now"]),
    "values swapped": ([('"Low">1<', '"Low">9<'), ('"High">2<', '"High">1<'), (">9<", ">2<")],
                       ["breaking: kind.Low: its number 1 now is High",
                        "breaking: kind.High: its number 2 now is Low"]),
    "value added": ([('"High">2<', '"High">2</validValue><validValue name="New">3<')],
                    ["additive: kind.New: is new, 3"]),
    "metadata of a value": ([('<validValue name="High">', '<validValue name="High" x:k="v">')],
                            ["cosmetic: kind.High: k was None, is 'v'"]),
    "choice gone": ([('<choice name="b">1</choice>', "")], ["breaking: flags.b: was 1, is gone"]),
    "choice added": ([('name="b">1<', 'name="b">1</choice><choice name="c">2<')],
                     ["additive: flags.c: is new, 2"]),
    "enum that is a number now": (
        [('name="kind" id="2" type="kind"', 'name="kind" id="2" type="uint8"'),
         ('<enum name="kind" encodingType="uint8"><validValue name="Low">1</validValue>\n'
          '<validValue name="High">2</validValue></enum>', "")],
        ["cosmetic: M.kind: was kind: uint8, is uint8"]),
    "enum that is another now": (
        [('name="kind" id="2" type="kind"', 'name="kind" id="2" type="other"'),
         ("<set name", '<enum name="other" encodingType="uint8"><validValue name="Small">1'
          '</validValue><validValue name="High">2</validValue></enum><set name')],
        ["breaking: M.kind: was kind: uint8, is other: uint8"]),
    "enum that is another with the same values": (
        [('name="kind" id="2" type="kind"', 'name="kind" id="2" type="other"'),
         ("<set name", '<enum name="other" encodingType="uint8"><validValue name="Low">1'
          '</validValue><validValue name="High">2</validValue></enum><set name')],
        ["cosmetic: M.kind: was kind: uint8, is other: uint8"]),
    "set that is another now": (
        [('name="set" id="3" type="flags"', 'name="set" id="3" type="marks"'),
         ("<set name", '<set name="marks" encodingType="uint16"><choice name="a">0</choice>'
          '<choice name="c">1</choice></set><set name')],
        ["breaking: M.set: was flags: uint16, is marks: uint16"]),
    "null of a set": (
        [('name="b">1<', 'name="b">1</choice><choice name="NullValue">65535<')],
        ["breaking: flags: null was None, is 65535"]),
    # messages
    "message gone": ([('<message name="Other" id="2"><field name="z" id="1" type="uint8"/></message>',
                       "")], ["breaking: Other: template 2 is gone"]),
    "message new": ([('<message name="Other"', '<message name="New" id="9"/><message name="Other"')],
                    ["additive: New: template 9 is new"]),
    "message renamed": ([('name="Other"', 'name="Another"')],
                        ["cosmetic: Other: is called Another now"]),
    "message renamed, and more": (
        [('name="Other"', 'name="Another"'), ('name="z" id="1" type="uint8"',
                                              'name="z" id="1" type="int8"')],
        ["cosmetic: Other: is called Another now", "breaking: Another.z: was uint8, is int8"]),
    "metadata of a message": ([('"Other" id="2"', '"Other" id="2" x:b="2" x:a="1"')],
                              ["cosmetic: Other: a was None, is '1', b was None, is '2'"]),
    "deprecated message": ([('"Other" id="2"', '"Other" id="2" deprecated="2"')],
                           ["cosmetic: Other: deprecated was None, is 2"]),
    # fields
    "field new at the end": ([(SCALED, SCALED + NEW)],
                             ["additive: M.n: a new uint32 at byte 24, since 2",
                              "additive: M: the block was 24 bytes, is 28"]),
    "field new since the version before": (
        [(SCALED, SCALED + NEW.replace('sinceVersion="2"', 'sinceVersion="1"'))],
        ["breaking: M.n: a new uint32 at byte 24 without a sinceVersion above 1: older frames lack it",
         "additive: M: the block was 24 bytes, is 28"]),
    "field new in the middle": (
        [(SCALED, NEW.replace(' sinceVersion="2"', "") + SCALED)],
        ["breaking: M.scaled: was at byte 16, is at 20",
         "breaking: M.n: is new at byte 16, before the end of what was there (24)",
         "additive: M: the block was 24 bytes, is 28"]),
    "field new, a constant": (
        [(SCALED, SCALED + '<field name="c" id="51" type="four"/>')],
        ["additive: M.c: a new constant, 4"]),
    "field gone at the end": ([(SCALED, "")],
                              ["breaking: M.scaled: is gone",
                               "breaking: M: the block was 24 bytes, is 16"]),
    "constant in the place of a field": (
        [(SCALED, '<field name="c" id="51" type="four"/>')],
        ["breaking: M.scaled: is gone", "additive: M.c: a new constant, 4",
         "breaking: M: the block was 24 bytes, is 16"]),
    "constant gone": ([('<field name="always" id="5" type="four"/>', "")],
                      ["breaking: M.always: is gone"]),
    "field renamed": ([('name="a" id="1"', 'name="b" id="1"')], ["cosmetic: M.a: is called b now"]),
    "field renamed and of another type": (
        [('name="a" id="1" type="uint16"', 'name="b" id="1" type="int16"')],
        ["breaking: M.a: is gone",
         "breaking: M.b: is new at byte 0, before the end of what was there (24)"]),
    "fields swapped": (
        [('name="a" id="1" type="uint16"', 'name="?" id="1" type="uint16"'),
         ('name="set" id="3" type="flags"', 'name="a" id="3" type="flags"'), ('"?"', '"set"')],
        ["breaking: M.a: was at byte 0, is at 3", "breaking: M.a: was uint16, is flags: uint16",
         "cosmetic: M.a: id was 1, is 3", "breaking: M.set: was at byte 3, is at 0",
         "breaking: M.set: was flags: uint16, is uint16", "cosmetic: M.set: id was 3, is 1"]),
    "field moved": ([('id="9" type="int64"', 'id="9" offset="18" type="int64"')],
                    ["breaking: M.scaled: was at byte 16, is at 18",
                     "additive: M: the block was 24 bytes, is 26"]),
    "sign of a field": ([('"a" id="1" type="uint16"', '"a" id="1" type="int16"')],
                        ["breaking: M.a: was uint16, is int16"]),
    "text to numbers": ([('"tag" primitiveType="char"', '"tag" primitiveType="uint8"')],
                        ["breaking: M.tag: was char[4], is uint8[4]"]),
    "charset of a text": ([('"tag" primitiveType', '"tag" characterEncoding="UTF-8" primitiveType')],
                          ["breaking: M.tag: char[4] is read in another way"]),
    "charset of a text, in which a byte is a character as before": (
        [('"tag" primitiveType', '"tag" characterEncoding="US-ASCII" primitiveType')], []),
    "member of a composite": ([('name="m" primitiveType="int32"', 'name="m" primitiveType="uint32"')],
                              ["breaking: M.price: the members of decimal changed"]),
    "constant in a composite": (
        [('presence="constant">-2<', 'presence="constant">-3<')],
        ["breaking: M.price.e: the constant was -2, is -3"]),
    "constant new in a composite": (
        [('presence="constant">-2</type>',
          'presence="constant">-2</type><type name="c" primitiveType="int8" presence="constant">1'
          '</type>')],
        ["additive: M.price.c: a new constant, 1"]),
    "constant gone from a composite": (
        [('<type name="e" primitiveType="int8" presence="constant">-2</type>', "")],
        ["breaking: M.price.e: is gone"]),
    "sinceVersion of a member": (
        [('name="m" primitiveType="int32"', 'name="m" sinceVersion="2" primitiveType="int32"')],
        ["breaking: M.price: sinceVersion was 0, is 2",
         "breaking: M.price.m: sinceVersion was 0, is 2"]),
    "optional member": (
        [('name="m" primitiveType="int32"', 'name="m" presence="optional" primitiveType="int32"')],
        [f"breaking: M.price{each}: is optional now: new senders' null is a number to others"
         for each in ("", ".m")]),
    "time": ([('"a" id="1"', '"a" semanticType="UTCTimestamp" timeUnit="second" id="1"')],
             ["cosmetic: M.a: was no time, is a timestamp in s"]),
    "constant": ([('presence="constant">4<', 'presence="constant">5<')],
                 ["breaking: M.always: the constant was 4, is 5"]),
    "constant that is sent now": (
        [('<type name="four" primitiveType="int8" presence="constant">4</type>',
          '<type name="four" primitiveType="int8"/>')],
        ["breaking: M.always: the constant was 4, is None",
         "breaking: M.tag: was at byte 9, is at 10", "breaking: M.perhaps: was at byte 13, is at 14",
         "breaking: M.power: was at byte 15, is at 16", "breaking: M.scaled: was at byte 16, is at 17",
         "additive: M: the block was 24 bytes, is 25"]),
    "id of a field": ([('name="a" id="1"', 'name="a" id="60"')], ["cosmetic: M.a: id was 1, is 60"]),
    "sinceVersion of a field": (
        [(SCALED, SCALED.replace("<field", '<field sinceVersion="2"'))],
        ["breaking: M.scaled: sinceVersion was 0, is 2"]),
    "exponent gone": ([(' x:exponent="power"', "")],
                      ["breaking: M.scaled: is scaled by another exponent",
                       "cosmetic: M.scaled: exponent was 'power', is None"]),
    "optional": ([('"a" id="1"', '"a" presence="optional" id="1"')],
                 ["breaking: M.a: is optional now: new senders' null is a number to others"]),
    "required": ([('"perhaps" id="7"', '"perhaps" presence="required" id="7"')],
                 ["breaking: M.perhaps: is required now: old senders' null is a number to others"]),
    "null": ([('nullValue="7"', 'nullValue="8"')], ["breaking: M.perhaps: null was 7, is 8"]),
    "null of what is never null": ([('"m" primitiveType="int32"',
                                     '"m" description="x" primitiveType="int32"')], []),
    "metadata of a field": ([('name="a" id="1"', 'name="a" x:unit="ms" id="1"')],
                            ["cosmetic: M.a: unit was None, is 'ms'"]),
    "description": ([('name="a" id="1"', 'name="a" description="new" id="1"')], []),
    "longer block": ([('name="M" id="1"', 'name="M" id="1" blockLength="30"')],
                     ["additive: M: the block was 24 bytes, is 30"]),
    # groups
    "group renamed": ([('name="g" id="20"', 'name="gg" id="20"')],
                      ["cosmetic: M.gg: stands where g was"]),
    "group that is another": (
        [(G + X, '<group name="gg" id="20"><field name="x" id="1" type="int8"/>')],
        ["breaking: M.gg: stands where g was"]),
    "group gone": (
        [('<group name="h" id="21" dimensionType="dims"><field name="y" id="1" type="uint8"/>\n'
          '<data name="inner" id="2" type="text"/></group>', "")], ["breaking: M.h: the group is gone"]),
    "group new": (
        [('<data name="d"', '<group name="k" id="22" sinceVersion="2"/><data name="d"')],
        ["breaking: M.k: a new group that older decoders can't step over"]),
    "dimensions": ([(G, G.replace(">", ' dimensionType="dims">'))], []),
    "dimensions of another type": (
        [('"dims"><type name="blockLength" primitiveType="uint16"',
          '"dims"><type name="blockLength" primitiveType="uint8"')],
        ["breaking: M.h: the dimensions changed"]),
    "dimensions with a gap": (
        [('<type name="numInGroup" primitiveType="uint8"/></composite>\n<composite name="decimal"',
          '<type name="numInGroup" primitiveType="uint8"/><type name="z" primitiveType="uint8"/>'
          '</composite>\n<composite name="decimal"')],
        ["breaking: M.h: the dimensions changed"]),
    "sinceVersion of a group": ([(G, G.replace(">", ' sinceVersion="2">'))],
                                ["breaking: M.g: sinceVersion was 0, is 2"]),
    "field of a group": ([(X, X.replace("uint8", "int8"))], ["breaking: M.g.x: was uint8, is int8"]),
    "field new in a group": ([(X, X + NEW)],
                             ["additive: M.g.n: a new uint32 at byte 1, since 2",
                              "additive: M.g: the block was 1 bytes, is 5"]),
    "group deprecated": ([(G, G.replace(">", ' deprecated="2">'))],
                         ["cosmetic: M.g: deprecated was None, is 2"]),
    # var data
    "data renamed": ([('<data name="d"', '<data name="e"')], ["cosmetic: M.d: is called e now"]),
    "data gone": ([(RAW, "")], ["breaking: M.raw: the data is gone"]),
    "data new": ([(RAW, RAW + LATE.format(2))], ["additive: M.late: a new data, since 2"]),
    "data new since the version before": (
        [(RAW, RAW + LATE.format(1))],
        ["breaking: M.late: a new data without a sinceVersion above 1: older frames lack it"]),
    "data new in a group": (
        [('<data name="inner" id="2" type="text"/>',
          '<data name="inner" id="2" type="text"/>' + LATE.format(2))],
        ["breaking: M.h.late: a new data that older decoders can't step over"]),
    "length of data": ([('"bytes"><type name="length" primitiveType="uint16"',
                         '"bytes"><type name="length" primitiveType="uint8"')],
                       ["breaking: M.raw: the length is encoded in another way"]),
    "place of data": ([('name="varData" primitiveType="uint8" length="0"/>',
                        'name="varData" offset="4" primitiveType="uint8" length="0"/>')],
                      ["breaking: M.raw: the length is encoded in another way"]),
    "text of data": ([(' characterEncoding="UTF-8"', ' characterEncoding="ascii"')],
                     ["breaking: M.h.inner: was utf-8, is ascii", "breaking: M.d: was utf-8, is ascii"]),
    "text to bytes": ([(' characterEncoding="UTF-8"', "")],
                      ["breaking: M.h.inner: was utf-8, is bytes", "breaking: M.d: was utf-8, is bytes"]),
    "bytes to text": ([('name="raw" id="31" type="bytes"', 'name="raw" id="31" type="text"')],
                      ["breaking: M.raw: the length is encoded in another way",
                       "breaking: M.raw: was bytes, is utf-8"]),
    "sinceVersion of data": ([('name="raw" id="31"', 'name="raw" sinceVersion="2" id="31"')],
                             ["breaking: M.raw: sinceVersion was 0, is 2"]),
    "metadata of data": ([('name="raw" id="31"', 'name="raw" x:of="z" id="31"')],
                         ["cosmetic: M.raw: of was None, is 'z'"]),
}  # fmt: skip


@pytest.mark.parametrize("row", ROWS)
def test_a_change_is_exactly_what_its_rule_says(row: str) -> None:
    edits, said = ROWS[row]
    assert changes(*edits) == said


def test_what_was_null_or_a_time_already_may_not_mean_another_thing() -> None:
    marked = ('name="m" primitiveType="int32"',
              'name="m" presence="optional" nullValue="-1" primitiveType="int32"')  # fmt: skip
    time = ('"a" id="1"', '"a" semanticType="UTCTimestamp" timeUnit="second" id="1"')
    old = text(1, marked, time)
    edits = [
        (marked[0], marked[1].replace("-1", "-2")),
        (time[0], time[1].replace("second", "millisecond")),
    ]
    assert changes(*edits, old=old) == [
        "breaking: M.a: was a timestamp in s, is a timestamp in ms",
        "breaking: M.price.m: null was -1, is -2",
    ]


def test_a_version_that_goes_back_is_breaking_and_one_that_stays_is_not() -> None:
    assert changes(version=0) == ["breaking: schema: version goes back from 1 to 0"]
    assert changes(version=1) == []


GROUPS = '<type name="numGroups" primitiveType="uint8"/>'
DATA = '<type name="numVarDataFields" primitiveType="uint8"/>'


@pytest.mark.parametrize(
    ("counts", "groups", "data"),
    [(GROUPS + DATA, "additive", "additive"), (GROUPS, "additive", "breaking"),
     (DATA, "breaking", "additive"), ("", "breaking", "breaking")],
)  # fmt: skip
def test_what_is_new_can_be_stepped_over_where_its_number_is_sent(
    counts: str, groups: str, data: str
) -> None:
    """In entries by the counts of the dimensions, in messages by those of the header."""
    dims = '<composite name="dims"><type name="blockLength" primitiveType="uint16"/>'
    inside = [(dims, dims + counts)]
    old = text(1, *inside)
    inner = '<data name="inner" id="2" type="text"/>'
    new_group = '<group name="k" id="22" sinceVersion="2" dimensionType="dims"/>'
    late = LATE.format(2).replace('"text"', '"bytes"')
    assert changes(*inside, (inner, new_group + inner), old=old) == [
        f"{groups}: M.h.k: a new group"
        + (", since 2" if groups == "additive" else " that older decoders can't step over")
    ]
    assert changes(*inside, (inner, inner + LATE.format(2)), old=old) == [
        f"{data}: M.h.late: a new data"
        + (", since 2" if data == "additive" else " that older decoders can't step over")
    ]
    head = '<composite name="messageHeader">'
    outside = [(head, head + counts)]
    old = text(1, *outside)
    assert changes(*outside, ('<data name="d"', f'{new_group}<data name="d"'), old=old) == [
        f"{groups}: M.k: a new group"
        + (", since 2" if groups == "additive" else " that older decoders can't step over")
    ]
    assert changes(*outside, (RAW, RAW + late), old=old) == [
        "additive: M.late: a new data, since 2"  # it is at the end, whoever counts
    ]
    # Where it is counted its length is read as that of the data before it is.
    assert changes(*outside, (RAW, RAW + LATE.format(2)), old=old) == [
        "breaking: M.late: a new data that older decoders can't step over"
        if DATA in counts
        else "additive: M.late: a new data, since 2"
    ]


def test_the_first_field_of_a_message_can_be_new() -> None:
    z = '<field name="z" id="1" type="uint8"/>'
    assert changes((z, z.replace("/>", ' sinceVersion="2"/>')), old=text(1, (z, ""))) == [
        "additive: Other.z: a new uint8 at byte 0, since 2",
        "additive: Other: the block was 0 bytes, is 1",
    ]


def test_a_new_group_at_the_end_of_a_message_without_data_is_additive() -> None:
    z = '<field name="z" id="1" type="uint8"/>'
    edit = (z, z + '<group name="k" id="22" sinceVersion="2"/>')
    assert changes(edit) == ["additive: Other.k: a new group, since 2"]


@pytest.mark.parametrize(
    ("edits", "code", "end"),
    [
        ([], 0, "0 changes, 0 breaking\n"),
        ([('"High">2<', '"Top">2<')], 0, "1 change, 0 breaking\n"),
        ([(RAW, ""), ('"High">2<', '"Top">2<')], 1, "2 changes, 1 breaking\n"),
    ],
)
def test_the_command_prints_changes_and_exits_1_where_one_breaks(
    tmp_path: Path, edits: list[tuple[str, str]], code: int, end: str
) -> None:
    (tmp_path / "old.xml").write_text(text(1))
    (tmp_path / "new.xml").write_text(text(2, *edits))
    command = [sys.executable, "-m", "sbe_codegen", "diff", "old.xml", "new.xml"]
    done = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, check=False,
        env={"PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (code, end)
    assert done.stdout == "".join(f"{line}\n" for line in changes(*edits))


def of(*messages: str, types: str = "", version: int = 1) -> str:
    return (
        f'<messageSchema package="p" id="1" version="{version}"><types>{TYPES}{EXTRA}{types}'
        f"</types>{''.join(messages)}</messageSchema>"
    )


def found(old: str, new: str) -> list[str]:
    return [str(each) for each in differences.find(module_of(old), module_of(new))]


A = '<message name="M" id="1"><field name="a" id="1" {}/></message>'


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ('type="uint8"', 'type="uint8"', []),
        ('type="decimal"', 'type="finer"', ["breaking: M.b.e: the constant was -2, is -8"]),
        ('type="kind"', 'type="other"', ["breaking: M.b: was kind: uint8, is other: uint8"]),
        ('type="maybe"', 'type="maybeNot"', ["breaking: M.b: null was 7, is 8"]),
        ('type="uint64" semanticType="UTCTimestamp" timeUnit="second"',
         'type="uint64" semanticType="UTCTimestamp" timeUnit="nanosecond"',
         ["breaking: M.b: was a timestamp in s, is a timestamp in ns"]),
        ('type="uint8"', 'type="uint8" sinceVersion="1"',
         ["breaking: M.b: sinceVersion was 0, is 1"]),
    ],
)  # fmt: skip
def test_what_is_renamed_has_to_mean_the_same(before: str, after: str, said: list[str]) -> None:
    types = """<composite name="finer"><type name="e" primitiveType="int8" presence="constant">-8
</type><type name="m" primitiveType="int32"/></composite>
<type name="maybeNot" primitiveType="uint16" presence="optional" nullValue="8"/>
<enum name="other" encodingType="uint8"><validValue name="Q">1</validValue>
<validValue name="R">2</validValue></enum>"""
    old = of(A.format(before), types=types)
    new = of(A.format(after).replace('name="a"', 'name="b"'), types=types)
    assert found(old, new) == ["cosmetic: M.a: is called b now", *said]


def test_what_changes_places_breaks() -> None:
    """Both names are still there: who knows the old schema takes the one for the other."""
    group = '<group name="{0}" id="{1}"><field name="x" id="1" type="uint8"/></group>'
    data = '<data name="{0}" id="{1}" type="text"/>'
    for made, which in ((group, "group"), (data, "data")):
        old, new = (
            of(f'<message name="M" id="1">{"".join(map(made.format, names, "23"))}</message>')
            for names in ("bd", "db")
        )
        said = found(old, new)
        assert [each.partition(":")[0] for each in said] == ["breaking"] * 2, which
    message = '<message name="{}" id="{}"><field name="x" id="1" type="uint8"/></message>'
    old, new = (
        of(*(message.format(name, i) for i, name in enumerate(names, 1))) for names in ("MN", "NM")
    )
    assert found(old, new) == [
        "breaking: M: N is in its place now, and it is elsewhere",
        "breaking: N: M is in its place now, and it is elsewhere",
    ]


def test_a_constant_of_another_enum_means_another_thing() -> None:
    types = """<enum name="other" encodingType="uint8"><validValue name="Q">1</validValue></enum>"""
    old, new = (
        of(A.format(f'type="{name}" presence="constant" valueRef="{value}"'), types=types)
        for name, value in (("kind", "kind.Low"), ("other", "other.Q"))
    )
    assert found(old, new) == ["breaking: M.a: was kind: uint8, is other: uint8"]


def test_counts_that_change_places_in_dimensions_break() -> None:
    dims = """<composite name="counted"><type name="blockLength" primitiveType="uint16"/>
<type name="numInGroup" primitiveType="uint16"/><type name="numGroups" primitiveType="uint16"/>
<type name="numVarDataFields" primitiveType="uint16"/></composite>"""
    group = """<message name="M" id="1"><group name="g" id="2" dimensionType="counted">
<field name="x" id="1" type="uint8"/></group></message>"""
    swapped = dims.replace("numGroups", "_").replace("numVarDataFields", "numGroups")
    swapped = swapped.replace('"_"', '"numVarDataFields"')
    assert found(of(group, types=dims), of(group, types=swapped)) == [
        "breaking: M.g: the dimensions changed"
    ]


def test_padding_may_go_where_the_length_of_the_block_is_sent() -> None:
    padded = ('name="M" id="1"', 'name="M" id="1" blockLength="30"')
    length = '<type name="blockLength" primitiveType="uint16"/>\n'
    said = "M: the block was 30 bytes, is 24"
    assert changes(old=text(1, padded)) == [f"additive: {said}"]
    assert changes((length, ""), old=text(1, padded, (length, ""))) == [f"breaking: {said}"]


def test_texts_of_bytes_that_are_characters_are_read_alike() -> None:
    ascii_text = (' characterEncoding="UTF-8"', ' characterEncoding="ISO-8859-1"')
    edit = (ascii_text[0], ' characterEncoding="US-ASCII"')
    assert changes(edit, old=text(1, ascii_text)) == []


SIDES = """<composite name="CA"><enum name="Side" encodingType="uint8"><validValue name="Buy">{}
</validValue><validValue name="Sell">{}</validValue></enum></composite>
<composite name="CB"><enum name="Side" encodingType="uint8"><validValue name="Yes">1</validValue>
<validValue name="No">2</validValue></enum></composite>"""


def test_enums_of_one_name_inside_composites_are_told_apart() -> None:
    message = """<message name="M" id="1"><field name="a" id="1" type="CA"/>
<field name="b" id="2" type="CB"/><group name="g" id="3"><field name="c" id="4" type="CA"/></group>
</message>"""
    old, new = (
        of(message, types=SIDES.format(*values), version=version)
        for version, values in enumerate(((1, 2), (2, 1)), 1)
    )
    assert found(old, old) == []
    assert found(old, new) == [
        "breaking: M.a.Side.Buy: its number 1 now is Sell",
        "breaking: M.a.Side.Sell: its number 2 now is Buy",
    ]
    moved = old.replace('name="a" id="1" type="CA"', 'name="a" id="1" type="CB"')
    assert "cosmetic: M.a.Side.Buy: is called Yes now" in found(old, moved)


VERSION = '<type name="version" primitiveType="uint16"/></composite>'


@pytest.mark.parametrize("how", ["implied", "constant"])
def test_what_is_new_breaks_where_headers_do_not_say_the_version(how: str) -> None:
    constant = VERSION.replace("/>", ' presence="constant">{}</type>', 1)
    headers = [
        (VERSION, "</composite>" if how == "implied" else constant.format(version))
        for version in (1, 2)
    ]
    edits = [(SCALED, SCALED + NEW), (RAW, RAW + LATE.format(2))]
    said = changes(headers[1], *edits, old=text(1, headers[0]))
    why = "headers do not say which frames are older and lack it"
    assert said == [
        f"breaking: M.n: a new uint32 at byte 24, and {why}",
        "additive: M: the block was 24 bytes, is 28",
        f"breaking: M.late: a new data, and {why}",
    ]


def test_a_number_that_becomes_an_enum_with_another_null_breaks() -> None:
    types = """<type name="B" primitiveType="uint8" nullValue="{}"/><enum name="E" encodingType="B">
<validValue name="x">1</validValue></enum>"""
    for null, severity in ((0, "breaking"), (255, "cosmetic")):
        old, new = (of(A.format(f'type="{t}"'), types=types.format(null)) for t in ("uint8", "E"))
        assert found(old, new) == [f"{severity}: M.a: was uint8, is E: uint8"]


def test_a_group_that_is_not_counted_stands_where_counted_data_are_looked_for() -> None:
    counts = ('<composite name="messageHeader">', f'<composite name="messageHeader">{DATA}')
    z = '<field name="z" id="1" type="uint8"/>'
    group = '<group name="k" id="22" sinceVersion="2"/>'
    alone = (z, z + group)
    both = (z, z + group + LATE.format(2))
    assert changes(counts, alone, old=text(1, counts)) == [
        "additive: Other.k: a new group, since 2"
    ]
    assert "breaking: Other.k: a new group that older decoders can't step over" in changes(
        counts, both, old=text(1, counts)
    )


def test_what_frames_may_end_before_can_be_new_without_a_version() -> None:
    from sbe_codegen.conventions import Conventions

    said = Conventions(appended_is_absent=("M.late",))
    old, new = (module_of(each, said) for each in (text(1), text(2, (RAW, RAW + LATE.format(0)))))
    assert [str(each) for each in differences.find(old, new)] == [
        "additive: M.late: a new data, which frames may end before"
    ]


def test_entries_of_constant_length_may_not_get_another() -> None:
    length = '<type name="blockLength" primitiveType="uint16"/>\n<type name="numInGroup"'
    constant = length.replace("/>", ' presence="constant">{}</type>', 1)
    sized = G.replace(">", ' blockLength="{}">')
    old = text(1, (length, constant.format(1)))
    assert changes((length, constant.format(2)), (G, sized.format(2)), old=old) == [
        "breaking: M.g: the dimensions changed",
        "breaking: M.g: the block was 1 bytes, is 2",
    ]
