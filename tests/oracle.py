"""An SBE encoder written from the specification, in plain Python: the judge of the decoders.

It reads schemas with the standard library's XML parser and shares no code with the compiler, so
that one mistake can't hide in both. It covers what its users, the tests, need of SBE 1.0: scalars,
enums, constants by valueRef, optional values, versions, padding, flat groups and var data.
"""

from __future__ import annotations

import re
import struct
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

# name -> struct code, size, null (SBE 1.0, "Primitive type encodings")
PRIMITIVES = {
    "int8": ("b", 1, -(2**7)), "int16": ("h", 2, -(2**15)),
    "int32": ("i", 4, -(2**31)), "int64": ("q", 8, -(2**63)),
    "uint8": ("B", 1, 2**8 - 1), "uint16": ("H", 2, 2**16 - 1),
    "uint32": ("I", 4, 2**32 - 1), "uint64": ("Q", 8, 2**64 - 1),
    "float": ("f", 4, float("nan")), "double": ("d", 8, float("nan")), "char": ("B", 1, 0),
}  # fmt: skip


def snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()


def local(node: ET.Element) -> str:
    return node.tag.rpartition("}")[2]


class Field:
    def __init__(self, schema: Schema, node: ET.Element, position: int) -> None:
        self.name = snake(node.get("name", ""))
        kind = schema.types.get(node.get("type", ""))
        self.labels: dict[int, str] = {}
        self.constant: str | None = None
        primitive = node.get("type", "")
        self.since = int(node.get("sinceVersion", 0))
        presence = node.get("presence")
        null = None
        if kind is not None:
            self.since = max(self.since, int(kind.get("sinceVersion", 0)))
            if local(kind) == "enum":
                primitive = kind.get("encodingType", "")
                for value in kind:
                    text = (value.text or "").strip()
                    self.labels[ord(text) if primitive == "char" else int(text)] = value.get(
                        "name", ""
                    )
            else:
                primitive = kind.get("primitiveType", "")
                presence = presence or kind.get("presence")
                null = kind.get("nullValue")
        self.code, self.size, default = PRIMITIVES[primitive]
        self.null = default if null is None else int(null)
        self.optional = presence == "optional"
        if presence == "constant":
            self.constant, self.size = node.get("valueRef", "").partition(".")[2], 0
        self.offset = int(node.get("offset", position))

    def expected(self, value: Any, version: int) -> Any:
        """What to_dict shows for a value that was encoded (None: the null value was)."""
        if version < self.since:
            return None
        if self.constant is not None:
            return self.constant
        if self.labels:
            return None if value is None or value == self.null else self.labels.get(value, value)
        if value is None or (self.optional and (value != value or value == self.null)):
            return None
        return struct.unpack("f", struct.pack("f", value))[0] if self.code == "f" else value


class Block:
    def __init__(self, schema: Schema, node: ET.Element) -> None:
        self.schema = schema
        self.fields: list[Field] = []
        position = 0
        for child in node:
            if local(child) == "field":
                field = Field(schema, child, position)
                self.fields.append(field)
                if field.constant is None:
                    position = field.offset + field.size
        self.length = max(position, int(node.get("blockLength", 0)))

    def length_at(self, version: int) -> int:
        """A sender of the latest version pads as the schema says; an older one only had less."""
        if version >= self.schema.version:
            return self.length
        known = [f for f in self.fields if f.since <= version and f.constant is None]
        return max((f.offset + f.size for f in known), default=0)

    def encode(self, values: dict[str, Any], version: int, surplus: bytes = b"") -> bytes:
        out = bytearray(self.length_at(version))
        for field in self.fields:
            if field.since <= version and field.constant is None:
                value = values[field.name]
                value = field.null if value is None else value
                struct.pack_into(self.schema.order + field.code, out, field.offset, value)
        return bytes(out) + surplus

    def expected(self, values: dict[str, Any], version: int) -> dict[str, Any]:
        return {f.name: f.expected(values.get(f.name), version) for f in self.fields}


class Schema:
    def __init__(self, text: str | Path) -> None:
        root = ET.fromstring(text.read_text("utf-8") if isinstance(text, Path) else text)
        self.id, self.version = int(root.get("id", 0)), int(root.get("version", 0))
        self.order = ">" if root.get("byteOrder") == "bigEndian" else "<"
        self.types = {
            node.get("name", ""): node for part in root if local(part) == "types" for node in part
        }
        self.header = root.get("headerType", "messageHeader")
        self.messages = {n.get("name", ""): n for n in root if local(n) == "message"}

    def composite(self, name: str, values: dict[str, int]) -> bytes:
        """The members of a framing composite, one after the other or where their offsets say."""
        out = bytearray()
        for member in self.types[name]:
            if member.get("length") == "0":
                continue
            code, _, _ = PRIMITIVES[member.get("primitiveType", "")]
            out += bytes(max(0, int(member.get("offset", len(out))) - len(out)))
            out += struct.pack(self.order + code, values.get(member.get("name", ""), 0))
        return bytes(out)

    def encode(
        self, message: str, values: dict[str, Any], version: int | None = None,
        surplus: bytes = b"", entry_surplus: bytes = b"",
    ) -> bytes:  # fmt: skip
        """A frame. ``surplus`` lengthens the root block and each entry, as newer senders do."""
        version = self.version if version is None else version
        node = self.messages[message]
        body = Block(self, node).encode(values, version, surplus)
        header = {
            "blockLength": len(body), "templateId": int(node.get("id", 0)),
            "schemaId": self.id, "version": version,
        }  # fmt: skip
        out = self.composite(self.header, header) + body
        for child in node:
            name, since = snake(child.get("name", "")), int(child.get("sinceVersion", 0))
            if since > version:
                continue
            if local(child) == "group":
                block = Block(self, child)
                dims = child.get("dimensionType", "groupSizeEncoding")
                length = block.length_at(version) + len(entry_surplus)
                counts = {"blockLength": length, "numInGroup": len(values[name])}
                out += self.composite(dims, counts)
                for entry in values[name]:
                    out += block.encode(entry, version, entry_surplus)
            elif local(child) == "data":
                content = values[name]
                content = content.encode() if isinstance(content, str) else content
                out += self.composite(child.get("type", ""), {"length": len(content)}) + content
        return out

    def expected(
        self, message: str, values: dict[str, Any], version: int | None = None
    ) -> dict[str, Any]:
        """What to_dict is to give for the frame that `encode` makes."""
        version = self.version if version is None else version
        node = self.messages[message]
        result = Block(self, node).expected(values, version)
        for child in node:
            name, since = snake(child.get("name", "")), int(child.get("sinceVersion", 0))
            if local(child) == "group":
                block = Block(self, child)
                entries = values[name] if since <= version else []
                result[name] = [block.expected(entry, version) for entry in entries]
            elif local(child) == "data":
                result[name] = values[name] if since <= version else None
        return result
