"""Random valid schemas, as XML text: many messages each, so that compiling them stays cheap."""

from __future__ import annotations

import random

_SCALARS = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64",
            "float", "double")  # fmt: skip
VERSION = 3


def random_schema(seed: int, byte_order: str, messages: int = 14) -> str:
    return _Writer(random.Random(seed), byte_order).schema(seed, messages)


class _Writer:
    def __init__(self, rng: random.Random, byte_order: str) -> None:
        self.rng = rng
        self.order = byte_order
        self.scalars = [*_SCALARS, "optionalInt", "nullAt7", "sinceTwo", "optionalFloat"]
        self.exponents = ["int8", "optionalExponent"]
        self.exponent: str | None = None  # the latest field that can be one, and the root's
        self.outer: str | None = None

    def schema(self, seed: int, messages: int) -> str:
        header = ["blockLength", "templateId", "schemaId", "version"]
        extra = []
        if self.order == "bigEndian":
            self.rng.shuffle(header)
            extra = ['<type name="sequence" primitiveType="uint32" offset="10"/>']
        members = [f'<type name="{name}" primitiveType="uint16"/>' for name in header] + extra
        body = "\n".join(self.message(number) for number in range(messages))
        return f"""<?xml version="1.0"?>
<s:messageSchema xmlns:s="http://fixprotocol.io/2016/sbe" xmlns:x="urn:x" package="random_{seed}"
    id="{100 + seed}" version="{VERSION}" byteOrder="{self.order}">
<types>
<composite name="messageHeader">{"".join(members)}</composite>
<composite name="groupSizeEncoding"><type name="blockLength" primitiveType="uint16"/>
  <type name="numInGroup" primitiveType="uint8"/></composite>
<composite name="wideDims"><type name="numInGroup" primitiveType="uint32" maxValue="1000"/>
  <type name="blockLength" primitiveType="uint32" offset="6"/></composite>
<composite name="text8"><type name="length" primitiveType="uint8"/>
  <type name="varData" primitiveType="uint8" length="0" characterEncoding="UTF-8"/></composite>
<composite name="bytes16"><type name="length" primitiveType="uint16"/>
  <type name="varData" primitiveType="uint8" length="0"/></composite>
<type name="optionalInt" primitiveType="int32" presence="optional"/>
<type name="nullAt7" primitiveType="uint16" presence="optional" nullValue="7"/>
<type name="sinceTwo" primitiveType="int16" sinceVersion="2"/>
<type name="optionalFloat" primitiveType="float" presence="optional"/>
<type name="optionalExponent" primitiveType="int8" presence="optional"/>
<enum name="yesNo" encodingType="uint8"><validValue name="False">0</validValue>
  <validValue name="True">1</validValue></enum>
<enum name="side" encodingType="char"><validValue name="Buy">B</validValue>
  <validValue name="SellShort">S</validValue></enum>
<enum name="wide" encodingType="int16"><validValue name="low">-5</validValue>
  <validValue name="high">500</validValue></enum>
</types>
{body}
</s:messageSchema>"""

    def message(self, number: int) -> str:
        rng = self.rng
        parts = [f'<s:message name="Message{number}" id="{number + 1}" {self.padding()}>']
        self.outer = None
        parts += self.fields("f", rng.randrange(0, 9))
        self.outer = self.exponent
        since = 0
        for i in range(rng.randrange(0, 3)):
            since = max(since, rng.choice((0, 0, 0, 2, 3)))
            dims = rng.choice(('dimensionType="wideDims"', ""))
            parts.append(f'<group name="group{i}" id="{200 + i}" {dims} sinceVersion="{since}">')
            parts += self.fields("g", rng.randrange(1, 6))
            parts.append("</group>")
        for i in range(rng.randrange(0, 3)):
            since = max(since, rng.choice((0, 0, 0, 3)))
            kind = rng.choice(("text8", "bytes16"))
            parts.append(
                f'<data name="data{i}" id="{300 + i}" type="{kind}" sinceVersion="{since}"/>'
            )
        return "\n".join([*parts, "</s:message>"])

    def padding(self) -> str:
        return 'blockLength="120"' if self.rng.random() < 0.3 else ""

    def fields(self, prefix: str, count: int) -> list[str]:
        """Fields whose versions do not fall, mantissas with the exponent they name, constants."""
        rng = self.rng
        since, out, self.exponent = 0, [], self.outer
        for i in range(count):
            if since == 0 or rng.random() < 0.3:
                since = max(since, rng.choice((0, 0, 0, 0, 1, 2, 3)))
            if i == 0:
                since = 0
            head = f'<field name="{prefix}{i}Value" id="{i + 1}" sinceVersion="{since}" '
            roll = rng.random()
            if roll < 0.1:
                out.append(head + 'type="side" presence="constant" valueRef="side.SellShort"/>')
            elif roll < 0.3:
                out.append(head + f'type="{rng.choice(("yesNo", "side", "wide"))}"/>')
            elif roll < 0.4:
                self.exponent = f"{prefix}{i}Value"
                out.append(head + f'type="{rng.choice(self.exponents)}"/>')
            elif roll < 0.6 and self.exponent:
                presence = rng.choice(('presence="optional"', ""))
                out.append(head + f'type="int64" {presence} x:exponent="{self.exponent}"/>')
            else:
                scalars = [s for s in self.scalars if i or s != "sinceTwo"]
                optional = 'presence="optional"' if rng.random() < 0.3 else ""
                out.append(head + f'type="{rng.choice(scalars)}" {optional}/>')
        if out and all("constant" in field for field in out):
            out.append(f'<field name="{prefix}Last" id="90" type="uint8" sinceVersion="{since}"/>')
        return out
