"""Random valid schemas, as XML text: many messages each, so that compiling them stays cheap."""

from __future__ import annotations

import os
import random
from typing import Any

import pytest

# Other random schemas: SCHEMA_SEEDS=31,32 make test PYTEST_ARGS="-k random"
SEEDS = [
    pytest.param(int(seed), marks=[pytest.mark.long] * (i >= 2))
    for i, seed in enumerate(os.environ.get("SCHEMA_SEEDS", "1,4,2,3").split(","))
]
VERSION = 3
_INTEGERS = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
_BITS = {"uint8": 8, "uint16": 16, "uint32": 32, "uint64": 64}
_GROWN = ("grew", "grewInside")  # composites with members that came later
_COUNTS = (
    '<type name="numGroups" primitiveType="uint16"/>'
    '<type name="numVarDataFields" primitiveType="uint16"/>'
)


def has_counts(seed: int) -> bool:
    """Whether header and dimensions of this schema count groups and var data."""
    return seed % 4 in (0, 3)


def lacking(seed: int) -> tuple[str, ...]:
    """What the header of this schema does not have: the schema's own is taken then."""
    return {2: ("blockLength",), 3: ("schemaId", "version")}.get(seed % 4, ())


def conventions(seed: int) -> dict[str, Any]:
    """What the prose of the schema would say, as the arguments of `Conventions`."""
    return {
        "exponent": "decimals" if seed % 3 == 0 else "power",
        "exponents": {"*Tied": "tieValue", "*ByName": "*Power"},
        "times": {"*AtMs": "ms"},
        "appended_is_absent": ("Message*.appended*",),
    }


def random_schema(seed: int, byte_order: str, messages: int = 14, counted: bool = False) -> str:
    return _Writer(random.Random(seed), byte_order, counted).schema(seed, messages)


class _Writer:
    def __init__(self, rng: random.Random, byte_order: str, counted: bool) -> None:
        self.rng = rng
        self.order = byte_order
        self.counted = counted
        self.kinds: list[str] = [*_INTEGERS, "float", "double", "char"]
        self.constants = ["aNumber", "aText", "aLetter", "aReference"]
        self.exponents = ["int8", "optionalExponent"]
        self.scopes: list[list[str]] = []  # the exponents that a mantissa can name, innermost last

    def schema(self, seed: int, messages: int) -> str:
        header = [
            f'<type name="{name}" primitiveType="uint16"/>'
            for name in ("blockLength", "templateId", "schemaId", "version")
            if name not in lacking(seed)
        ]
        if self.order == "bigEndian":
            self.rng.shuffle(header)
            header.append('<type name="sequence" primitiveType="uint32" offset="10"/>')
            header.append(
                '<type name="aConstant" primitiveType="uint8" presence="constant">9</type>'
            )
            header.append('<ref name="letter" type="side"/>')
        if self.counted:
            header.append(_COUNTS)
        counts = _COUNTS if self.counted else ""
        types = self.types()
        body = "\n".join(self.message(number) for number in range(messages))
        return f"""<?xml version="1.0"?>
<s:messageSchema xmlns:s="http://fixprotocol.io/2016/sbe" xmlns:x="urn:x" package="random_{seed}"
    id="{100 + seed}" version="{VERSION}" byteOrder="{self.order}">
<types>
<composite name="messageHeader">{"".join(header)}</composite>
<composite name="groupSizeEncoding"><type name="blockLength" primitiveType="uint16"/>
  <type name="numInGroup" primitiveType="uint8"/>{counts}</composite>
<composite name="wideDims"><type name="numInGroup" primitiveType="uint32" maxValue="1000"/>
  <type name="blockLength" primitiveType="uint32" offset="6"/>{counts}</composite>
<composite name="text8"><type name="length" primitiveType="uint8"/>
  <type name="varData" primitiveType="uint8" length="0" characterEncoding="UTF-8"/></composite>
<composite name="gbk16"><type name="length" primitiveType="uint16"/>
  <type name="varData" primitiveType="char" length="0" characterEncoding="GB18030"/></composite>
<composite name="bytes32"><type name="length" primitiveType="uint32" maxValue="100"/>
  <type name="data" primitiveType="uint8" offset="6" length="0"/></composite>
<composite name="plain8"><type name="length" primitiveType="uint8"/>
  <type name="varData" primitiveType="uint8" length="0"/></composite>
</types>
<types>
{types}
</types>
{body}
</s:messageSchema>"""

    def types(self) -> str:
        rng = self.rng
        out = [
            '<type name="optionalInt" primitiveType="int32" presence="optional"/>',
            '<type name="nullAt7" primitiveType="uint16" presence="optional" nullValue="7"/>',
            '<type name="sinceTwo" primitiveType="int16" sinceVersion="2"/>',
            '<type name="optionalFloat" primitiveType="float" presence="optional"/>',
            '<type name="optionalExponent" primitiveType="int8" presence="optional"/>',
            '<type name="optionalChar" primitiveType="char" presence="optional"/>',
            '<type name="tag" primitiveType="char" length="5"/>',
            '<type name="utf" primitiveType="char" length="7" characterEncoding="UTF-8"/>',
            '<type name="maybeTag" primitiveType="char" length="3" presence="optional"/>',
            '<type name="aNumber" primitiveType="uint16" presence="constant"> 9000\n</type>',
            '<type name="aText" primitiveType="char" length="6" presence="constant">MSFT</type>',
            '<type name="aLetter" primitiveType="char" presence="constant">E</type>',
            '<type name="aReference" primitiveType="char" presence="constant"'
            ' valueRef="side.Buy"/>',
            '<type name="wide" primitiveType="uint8" length="16"/>',
            '<enum name="yesNo" encodingType="uint8"><validValue name="False">0</validValue>'
            '<validValue name="True">1</validValue></enum>',
            '<enum name="side" encodingType="char"><validValue name="Buy">B</validValue>'
            '<validValue name="SellShort" sinceVersion="2">S</validValue></enum>',
            '<type name="backing" primitiveType="int16" maxValue="500"/>',
            '<enum name="named" encodingType="backing"><validValue name="low">-5</validValue>'
            '<validValue name="high">500</validValue></enum>',
            '<set name="namedSet" encodingType="setBacking"><choice name="top">15</choice></set>',
            '<type name="setBacking" primitiveType="uint16"/>',
            '<composite name="decimal"><type name="mantissa" primitiveType="int64" '
            'presence="optional"/><type name="exponent" primitiveType="int8" presence="constant">-4'
            "</type></composite>",
            '<composite name="allConstant"><ref name="n" type="aNumber"/></composite>',
            # What names its null, or has it from elsewhere.
            '<enum name="namesNull" encodingType="uint8"><validValue name="Pre-Open">1</validValue>'
            '<validValue name="Null Value">255</validValue><validValue name="again">1</validValue>'
            "</enum>",
            '<set name="setNamesNull" encodingType="uint8"><choice name="N/A">2</choice>'
            '<choice name="NullValue">255</choice></set>',
            '<type name="nullOfNone" primitiveType="int32" nullValue="-1"/>',
            '<type name="charNULL" primitiveType="char" presence="optional" nullValue="0"/>',
            '<enum name="onOptional" encodingType="nullAt7"><validValue name="a">1</validValue>'
            '<validValue name="seven">7</validValue></enum>',
            '<enum name="onChar" encodingType="charNULL"><validValue name="a">A</validValue>'
            "</enum>",
            # Decimals, and composites that grew.
            '<composite name="sentDecimal"><type name="mantissa" primitiveType="int64"/>'
            '<type name="exponent" primitiveType="int8"/></composite>',
            '<composite name="maybeDecimal"><type name="exponent" primitiveType="int8" '
            'presence="optional"/><type name="mantissa" primitiveType="int32" offset="2" '
            'presence="optional" nullValue="-9"/></composite>',
            '<composite name="hugeDecimal"><type name="mantissa" primitiveType="uint64"/><type '
            'name="exponent" primitiveType="int16" presence="constant">-30</type></composite>',
            '<composite name="price"><ref name="px" type="decimal"/><ref name="sz" '
            'type="sentDecimal"/></composite>',
            '<composite name="grew"><type name="time" primitiveType="uint32"/><type name="unit" '
            'primitiveType="uint8" presence="optional" sinceVersion="2"/><ref name="more" '
            'type="optionalInt" offset="8" sinceVersion="3"/></composite>',
            '<composite name="grewInside"><type name="a" primitiveType="char"/><ref name="inside" '
            'type="grew"/></composite>',
            # Times.
            '<type name="stamp" primitiveType="int64" semanticType="UTCTimestamp"/>',
            '<type name="utcTimestampMs" primitiveType="int64" presence="optional"/>',
            '<type name="atDay" primitiveType="uint16" semanticType="LocalMktDate" '
            'presence="optional"/>',
            '<type name="atClock" primitiveType="uint32" semanticType="UTCTimeOnly" '
            'timeUnit="millisecond"/>',
            '<composite name="stampUs" semanticType="UTCTimestamp"><type name="time" '
            'primitiveType="int64" presence="optional"/><type name="unit" primitiveType="uint8" '
            'presence="constant">6</type></composite>',
        ]
        names = ["optionalInt", "nullAt7", "sinceTwo", "optionalFloat", "optionalExponent",
                 "optionalChar", "tag", "utf", "maybeTag", "yesNo", "side", "named", "namedSet",
                 "decimal", "allConstant", "text8", "namesNull", "setNamesNull", "nullOfNone",
                 "charNULL", "onOptional", "onChar", "sentDecimal", "maybeDecimal", "hugeDecimal",
                 "decimal", "sentDecimal", "price", "stamp", "utcTimestampMs", "atDay", "atClock",
                 "stampUs", *_GROWN]  # fmt: skip
        for i, primitive in enumerate(_INTEGERS):
            length = rng.randrange(2, 5)
            out.append(f'<type name="many{i}" primitiveType="{primitive}" length="{length}"/>')
            values = (
                f'<validValue name="one">{i + 1}</validValue><validValue name="two">99</validValue>'
            )
            out.append(f'<enum name="enum{i}" encodingType="{primitive}">{values}</enum>')
            names += [f"many{i}", f"enum{i}"]
        out.append('<type name="manyDoubles" primitiveType="double" length="2"/>')
        names.append("manyDoubles")
        for primitive, bits in _BITS.items():
            chosen = rng.sample(range(bits), 3)
            if bits == 64 and 63 not in chosen:
                chosen.append(63)
            choices = "".join(f'<choice name="bit{bit}">{bit}</choice>' for bit in chosen)
            since = rng.choice((0, 0, 1))
            out.append(f'<set name="set{bits}" encodingType="{primitive}" sinceVersion="{since}">'
                       f"{choices}</set>")  # fmt: skip
            names.append(f"set{bits}")
        self.kinds += names
        members = [name for name in self.kinds if name not in ("text8", "sinceTwo", *_GROWN)]
        for i in range(5):
            out.append(f'<composite name="comp{i}">{self.members(i, members)}</composite>')
            members.append(f"comp{i}")
            self.kinds.append(f"comp{i}")
        rng.shuffle(out)  # references go forward and backward
        return "\n".join(out)

    def members(self, number: int, known: list[str]) -> str:
        rng, out = self.rng, []
        for i in range(rng.randrange(1, 5)):
            # far enough apart that whatever comes before ends before
            offset = (
                f'offset="{(40, 300)[number] * i}"' if number < 2 and rng.random() < 0.3 else ""
            )
            roll = rng.random()
            if roll < 0.5:
                out.append(f'<ref name="ref{i}" type="{rng.choice(known[11:])}" {offset}/>')
            elif roll < 0.75:
                presence = rng.choice(("", 'presence="optional"'))
                kind = rng.choice(known[:11])
                out.append(f'<type name="own{i}" primitiveType="{kind}" {presence} {offset}/>')
            elif roll < 0.9:
                out.append(
                    f'<enum name="inline{number}x{i}" encodingType="uint8" {offset}>'
                    '<validValue name="on">1</validValue></enum>'
                )
            else:
                out.append(
                    f'<composite name="inner{i}" {offset}><type name="x" primitiveType="int16"/>'
                    '<type name="y" primitiveType="uint8" offset="3"/></composite>'
                )
        return "".join(out)

    def message(self, number: int) -> str:
        head = f'<s:message name="Message{number}" id="{number + 1}" {self.padding()}>'
        if number == 1:
            return '<s:message name="Message1" id="2"/>'  # nothing but a header
        return "\n".join([head, *self.level("f", 0, self.rng.randrange(0, 9)), "</s:message>"])

    def level(self, prefix: str, depth: int, count: int) -> list[str]:
        """Fields, groups and data; later ones are never older than earlier ones."""
        rng = self.rng
        self.scopes.append([])
        parts = self.fields(prefix, count)
        since = 0
        for i in range(rng.randrange(0, 3) if depth < 2 else 0):
            # inside entries, versions may not change: nobody could step over what is new
            since = max(since, rng.choice((0, 0, 0, 2, 3))) if depth == 0 else 0
            dims = rng.choice(('dimensionType="wideDims"', ""))
            parts.append(
                f'<group name="group{i}" id="{200 + i}" {dims} sinceVersion="{since}" '
                f"{self.padding()}>"
            )
            parts += self.level("g", depth + 1, rng.choice((0, 1, 2, 3, 4)))
            parts.append("</group>")
        chance = 3 if depth == 0 else 2
        for i in range(rng.randrange(0, chance)):
            since = max(since, rng.choice((0, 0, 0, 3))) if depth == 0 else 0
            kind = rng.choice(("text8", "gbk16", "bytes32", "plain8"))
            parts.append(
                f'<data name="data{i}" id="{300 + i}" type="{kind}" sinceVersion="{since}"/>'
            )
        if depth == 0 and since == 0 and rng.random() < 0.4:
            parts.append('<data name="appendedNote" id="390" type="text8"/>')
        if depth == 0 and rng.random() < 0.5:
            parts.insert(0, '<field name="tieValue" id="99" type="int8"/>')
        self.scopes.pop()
        return parts

    def padding(self) -> str:
        return 'blockLength="4000"' if self.rng.random() < 0.2 else ""

    def fields(self, prefix: str, count: int) -> list[str]:
        """Fields whose versions do not fall, mantissas with the exponent they name, constants."""
        rng = self.rng
        since, out = 0, []
        for i in range(count):
            if since == 0 or rng.random() < 0.3:
                since = max(since, rng.choice((0, 0, 0, 0, 1, 2, 3)))
            if i == 0:
                since = 0
            name = f"{prefix}{i}Value"
            head = f'<field name="{name}" id="{i + 1}" sinceVersion="{since}" '
            exponents = [each for scope in self.scopes for each in scope]
            roll = rng.random()
            if roll < 0.08:
                out.append(head + 'type="side" presence="constant" valueRef="side.SellShort"/>')
            elif roll < 0.16:
                out.append(head + f'type="{rng.choice(self.constants)}"/>')
            elif roll < 0.26 and f"{prefix}{i}" not in self.scopes[-1]:
                # exponents have names of their own: mantissas inside find the innermost
                own = f"e{len(self.scopes)}x{i}Value"
                self.scopes[-1].append(own)
                out.append(head.replace(name, own) + f'type="{rng.choice(self.exponents)}"/>')
            elif roll < 0.45 and exponents:
                presence = rng.choice(('presence="optional"', ""))
                kind = rng.choice(("int64", "int64", "int32", "wide"))
                out.append(
                    head + f'type="{kind}" {presence} x:exponent="{rng.choice(exponents)}"/>'
                )
            else:
                kinds = [s for s in self.kinds if since or s not in ("sinceTwo", "set8", "set16",
                                                                     "set32", "set64")]  # fmt: skip
                # what grows moves all that comes after it: it is last, or there since it grew
                last = i == count - 1 or since == VERSION
                kinds = [s for s in kinds if last or s not in _GROWN]
                optional = 'presence="optional"' if rng.random() < 0.3 else ""
                kind = rng.choice(kinds)
                if kind in ("int64", "int32") and rng.random() < 0.7:
                    ending = rng.choice(("Tied", "ByName", "AtMs", " odd/Name"))
                    head = head.replace(name, name.replace("Value", ending))
                    if ending == "ByName" and "Power" not in "".join(out):
                        out.append(head.replace("ByName", "Power").replace(f'id="{i + 1}"',
                                   f'id="{i + 50}"') + 'type="int8"/>')  # fmt: skip
                out.append(head + f'type="{kind}" {optional}/>')
        return out
