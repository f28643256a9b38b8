"""An SBE encoder written from the specification, in plain Python: the judge of the decoders.

It reads schemas with the standard library's XML parser and shares no code with the compiler, so
that one mistake can't hide in both. It covers the language but XInclude. Values are what `to_dict`
shows, but for sets (their bits, an int) and enums (their number); None encodes as the null value.
"""

from __future__ import annotations

import math
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
    """The attribute for a name; what no identifier can have becomes an underscore."""
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
        name = re.sub(r"[^A-Za-z0-9_]+", "_", name).strip("_")
        name = f"n{name}" if not name or name[0] in "0123456789" else name
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()


def local(node: ET.Element) -> str:
    return node.tag.rpartition("}")[2]


def number_of(text: str, primitive: str) -> Any:
    if primitive in ("float", "double"):
        return float(text)
    return ord(text) if primitive == "char" and len(text) == 1 else int(text)


class Kind:
    """A type: ``tag`` says of which sort, ``size`` how many bytes it takes."""

    def __init__(self, schema: Schema, node: ET.Element) -> None:
        self.schema, self.node = schema, node
        self.tag = local(node)
        self.since = int(node.get("sinceVersion", 0))
        self.presence = node.get("presence")
        self.constant: Any = None
        self.length, self.charset = 1, node.get("characterEncoding")
        self.members: list[Member] = []
        self.labels: dict[int, str] = {}
        self.null_label: str | None = None
        if self.tag == "composite":
            position = 0
            for child in node:
                member = Member(schema, child, position)
                self.members.append(member)
                if member.kind.constant is None:
                    position = member.offset + member.kind.size
            self.size = position
            sent = [member for member in self.members if member.kind.size]
            if sent:  # it is there, and may be null, as its members are
                self.since = max(self.since, min(member.since for member in sent))
                self.presence = "optional" if sent[0].optional else None
            return
        named = node.get("primitiveType") or node.get("encodingType") or ""
        if named in schema.types:
            backing = schema.types[named]
            self.primitive = backing.get("primitiveType", "")
            null = node.get("nullValue") or backing.get("nullValue")
        else:
            self.primitive, null = named, node.get("nullValue")
        self.code, self.size, default = PRIMITIVES[self.primitive]
        self.null = default if null is None else number_of(null, self.primitive)
        # Of characters NUL is null, and so is the null value that is declared.
        self.nulls = {self.null, 0} if self.primitive == "char" else {self.null}
        if self.tag == "enum" and named in schema.types:
            self.presence = schema.types[named].get("presence")
        if self.tag == "set":
            self.code = self.code.upper()
        if self.tag in ("enum", "set"):
            for value in node:
                text = (value.text or "").strip()
                number = number_of(text, self.primitive if self.tag == "enum" else "int8")
                self.labels.setdefault(number, value.get("name", ""))
            if self.tag == "set":  # the only null of a set is one that has a name
                self.null_label = self.labels.pop(self.null, None)
            return
        self.tag = "char" if self.primitive == "char" else "number"
        if self.presence == "constant":
            self.constant, self.size = self.constant_of(node, node.text or ""), 0
            return
        if node.get("length") is not None and node.get("length") != "1":
            self.length = int(node.get("length", 1))
            self.size *= self.length
            self.tag = "text" if self.primitive == "char" else "array"

    def constant_of(self, node: ET.Element, text: str) -> Any:
        ref = node.get("valueRef")
        if ref is None:
            return text if self.primitive == "char" else number_of(text.strip(), self.primitive)
        owner, _, wanted = ref.partition(".")
        if self.tag == "enum":
            return self.plain(wanted)
        values = {value.get("name"): value.text or "" for value in self.schema.types[owner]}
        text = values[wanted].strip()
        return text if self.primitive == "char" else int(text)

    def plain(self, label: str) -> str | bool:
        """A name of an enum's; those of exactly False and True are bool."""
        return label == "True" if set(self.labels.values()) == {"False", "True"} else label

    # bytes

    def encode(self, value: Any) -> bytes:
        order = self.schema.order
        if self.tag == "composite":
            out = bytearray(self.size)
            for member in self.members:
                if member.kind.size:
                    inner = None if value is None else value[member.name]
                    end = member.offset + member.kind.size
                    out[member.offset : end] = member.kind.encode(inner)
            return bytes(out)
        if self.tag == "text":
            text = b"" if value is None else value.encode(self.charset or "latin-1")
            assert len(text) <= self.length
            return text.ljust(self.length, b"\0")
        if self.tag == "array":
            value = [self.null] * self.length if value is None else value
            return struct.pack(f"{order}{self.length}{self.code}", *value)
        if self.tag == "set" and value is None:
            value = 0 if self.null_label is None else self.null
        if self.tag == "mantissa":
            value = -(2 ** (8 * self.size - 1)) if value is None else value
            return value.to_bytes(self.size, "little" if order == "<" else "big", signed=True)
        if self.tag == "char":
            value = value if value is None else ord(value)
        return struct.pack(order + self.code, self.null if value is None else value)

    def parts(self, value: Any, offset: int, since: int) -> list[tuple[int, int, bytes]]:
        """What is sent of a field: (since, offset, bytes), for each member of composites."""
        if self.tag != "composite":
            return [(since, offset, self.encode(value))]
        return [
            part
            for member in self.members
            if member.kind.size
            for part in member.kind.parts(
                None if value is None else value[member.name],
                offset + member.offset,
                max(since, member.since),
            )
        ]

    def shown(self, value: Any, since: int, version: int) -> bytes:
        """The bytes that a view or a copy has of a field whose sender is of ``version``."""
        if self.tag != "composite":
            return self.encode(value) if since <= version else self.absent()
        out = bytearray(self.size)
        for member in self.members:
            if member.kind.size:
                inner = None if value is None else value[member.name]
                made = member.kind.shown(inner, max(since, member.since), version)
                out[member.offset : member.offset + member.kind.size] = made
        return bytes(out)

    def absent(self) -> bytes:
        """The bytes that a copy shows for a field that an older sender does not have."""
        return bytes(self.size) if self.tag == "text" else self.encode(None)

    # what is to come out

    def expected(self, value: Any, optional: bool, version: int) -> Any:
        if self.constant is not None:
            return self.constant
        if self.tag == "composite":
            return self.expected_composite(value, optional, version)
        if self.tag == "text":
            return None if optional and not value else value or ""
        if self.tag == "set":
            if value is None:
                value = 0 if self.null_label is None else self.null
            if self.null_label is not None and value == self.null:
                return None if optional else [self.null_label]
            names = [name for bit, name in self.labels.items() if value >> bit & 1]
            return names + [b for b in range(64) if value >> b & 1 and b not in self.labels]
        if self.tag == "array":
            return [single(item, self.code) for item in value or []]
        if self.tag == "mantissa":
            return value
        if self.tag == "enum":
            value = self.null if value is None else value
            if value in self.nulls and (optional or value not in self.labels):
                return None
            return self.plain(self.labels[value]) if value in self.labels else value
        if self.tag == "char":
            value = chr(int(self.null)) if value is None else value
            return None if optional and ord(value) in self.nulls else value
        if value is None or (optional and (value != value or value == self.null)):
            return None if optional else (single(self.null, self.code) if value is None else value)
        return single(value, self.code)

    def expected_composite(self, value: Any, optional: bool, version: int) -> Any:
        present = [m for m in self.members if m.kind.size]
        if present and present[0].since <= version:
            first = present[0].kind
            inner = None if value is None else value[present[0].name]
            if first.may_be_null(optional) and first.expected(inner, True, version) is None:
                return None
        return {
            m.name: None
            if m.since > version
            else m.kind.expected(None if value is None else value[m.name], m.optional, version)
            if m.kind.size
            else m.kind.expected(None, False, version)
            for m in self.members
        }

    def may_be_null(self, optional: bool) -> bool:
        """Arrays of numbers and sets have no null, and what begins with one has none either."""
        if self.tag == "composite":
            present = [m.kind for m in self.members if m.kind.size]
            return bool(present) and present[0].may_be_null(optional)
        if self.tag == "set":
            return self.null_label is not None and optional
        return self.tag != "array" and (optional or self.presence == "optional")


def single(value: Any, code: str) -> Any:
    """What a float is after it went through its width."""
    return struct.unpack("f", struct.pack("f", value))[0] if code == "f" else value


class Member:
    """A member of a composite."""

    def __init__(self, schema: Schema, node: ET.Element, position: int) -> None:
        self.name = snake(node.get("name", ""))
        self.kind = (
            schema.kind(node.get("type", "")) if local(node) == "ref" else Kind(schema, node)
        )
        self.optional = self.kind.presence == "optional"
        self.since = max(int(node.get("sinceVersion", 0)), self.kind.since)
        self.offset = int(node.get("offset", position))


class Field:
    def __init__(self, schema: Schema, node: ET.Element, position: int) -> None:
        self.name = snake(node.get("name", ""))
        self.kind = schema.kind(node.get("type", ""))
        self.since = max(int(node.get("sinceVersion", 0)), self.kind.since)
        presence = node.get("presence") or self.kind.presence
        self.constant = self.kind.constant
        if presence == "constant" and self.constant is None:
            self.constant = self.kind.constant_of(node, "")
        self.optional = presence == "optional"
        if any(key.endswith("}exponent") for key in node.attrib) and self.kind.tag == "array":
            self.kind = Kind(schema, self.kind.node)
            self.kind.tag = "mantissa"
        self.size = 0 if self.constant is not None else self.kind.size
        self.offset = int(node.get("offset", position))

    def expected(self, value: Any, version: int) -> Any:
        """What to_dict shows for a value that was encoded (None: the null value was)."""
        if version < self.since:
            return None
        return (
            self.constant
            if self.constant is not None
            else self.kind.expected(value, self.optional, version)
        )

    def parts(self, value: Any) -> list[tuple[int, int, bytes]]:
        return self.kind.parts(value, self.offset, self.since)


class Block:
    def __init__(self, schema: Schema, node: ET.Element) -> None:
        self.schema, self.node = schema, node
        self.fields: list[Field] = []
        position = 0
        for child in node:
            if local(child) == "field":
                field = Field(schema, child, position)
                self.fields.append(field)
                if field.size:
                    position = field.offset + field.size
        self.length = max(position, int(node.get("blockLength", 0)))

    def length_at(self, version: int) -> int:
        """A sender of the latest version pads as the schema says; an older one only had less.

        Where a header does not say how long the root block is, an older one that had the same
        fields padded them too.
        """
        known = [part for f in self.fields if f.size for part in f.parts(None)]
        had_all = all(since <= version for since, _, _ in known)
        is_implied = not self.schema.has_lengths and local(self.node) == "message"
        if version >= self.schema.version or (is_implied and had_all):
            return self.length
        return max((at + len(part) for since, at, part in known if since <= version), default=0)

    def encode(self, values: dict[str, Any], version: int, surplus: bytes = b"") -> bytes:
        out = bytearray(self.length_at(version))
        for field in self.fields:
            if field.size:
                for since, at, part in field.parts(values[field.name]):
                    if since <= version:
                        out[at : at + len(part)] = part
        return bytes(out) + surplus

    def expected(self, values: dict[str, Any], version: int) -> dict[str, Any]:
        return {f.name: f.expected(values.get(f.name), version) for f in self.fields}


class Schema:
    """``null_data`` begins the names of var data types in which no bytes mean null."""

    def __init__(self, text: str | Path, null_data: str = "\0") -> None:
        root = ET.fromstring(text.read_text("utf-8") if isinstance(text, Path) else text)
        self.id, self.version = int(root.get("id", 0)), int(root.get("version", 0))
        self.order = ">" if root.get("byteOrder") == "bigEndian" else "<"
        self.types = {
            node.get("name", ""): node for part in root if local(part) == "types" for node in part
        }
        self.header = root.get("headerType", "messageHeader")
        self.messages = {n.get("name", ""): n for n in root if local(n) == "message"}
        header = {each.get("name") for each in self.types[self.header]}
        self.has_lengths, self.has_versions = "blockLength" in header, "version" in header
        self.null_data = null_data

    def kind(self, name: str) -> Kind:
        found = self.types.get(name)
        return Kind(self, ET.Element("type", primitiveType=name) if found is None else found)

    def framing(self, name: str, values: dict[str, int]) -> bytes:
        """A header, dimensions or a length; of var data the part before the bytes."""
        kind = self.kind(name)
        numbers = {m.name: values.get(m.name, 0) for m in kind.members}
        size = kind.size
        last = kind.members[-1]
        if last.name in ("var_data", "data"):
            size = last.offset
        out = bytearray(kind.size)
        for member in kind.members:
            if member.kind.size and member.offset < size:
                end = member.offset + member.kind.size
                if member.kind.tag == "number":
                    out[member.offset : end] = member.kind.encode(numbers[member.name])
        return bytes(out[:size])

    def encode(
        self, message: str, values: dict[str, Any], version: int | None = None,
        surplus: bytes = b"", entry_surplus: bytes = b"", extra: Extra | None = None,
    ) -> bytes:  # fmt: skip
        """A frame. ``surplus`` lengthens the root block and each entry, as newer senders do;
        ``extra`` adds whole groups and data that the schema does not know."""
        version = self.version if version is None else version
        node = self.messages[message]
        body = Block(self, node).encode(values, version, surplus)
        header = {
            "block_length": len(body), "template_id": int(node.get("id", 0)),
            "schema_id": self.id, "version": version,
        }  # fmt: skip
        header |= self.counts(node, version, extra, extra is not None)
        out = self.framing(self.header, header) + body
        return out + self.elements(node, values, version, entry_surplus, extra, True)

    def counts(
        self, node: ET.Element, version: int, extra: Extra | None, more: bool
    ) -> dict[str, int]:
        known = [c for c in node if int(c.get("sinceVersion", 0)) <= version]
        groups = sum(local(c) == "group" for c in known)
        data = sum(local(c) == "data" for c in known)
        if more and extra is not None:
            groups, data = groups + extra.groups, data + extra.data
        return {"num_groups": groups, "num_var_data_fields": data}

    def elements(
        self, node: ET.Element, values: dict[str, Any], version: int, surplus: bytes,
        extra: Extra | None, more: bool,
    ) -> bytes:  # fmt: skip
        """Groups, then data, each followed by what newer senders have."""
        out = b""
        for child in node:
            name = snake(child.get("name", ""))
            if local(child) == "group" and int(child.get("sinceVersion", 0)) <= version:
                block = Block(self, child)
                dims = child.get("dimensionType", "groupSizeEncoding")
                inner = extra is not None and extra.inside
                numbers = {
                    "block_length": block.length_at(version) + len(surplus),
                    "num_in_group": len(values[name]),
                }
                numbers |= self.counts(child, version, extra, inner)
                out += self.framing(dims, numbers)
                for entry in values[name]:
                    out += block.encode(entry, version, surplus)
                    out += self.elements(child, entry, version, surplus, extra, inner)
        if more and extra is not None:
            dims, datum = self.unknown(node)
            numbers = {"block_length": 2, "num_in_group": 2}
            out += (self.framing(dims, numbers) + b"wxyz") * extra.groups
        for child in node:
            name = snake(child.get("name", ""))
            if local(child) == "data" and int(child.get("sinceVersion", 0)) <= version:
                content = values[name] or b""
                if isinstance(content, str):
                    content = content.encode(self.charset(child) or "")
                out += self.framing(child.get("type", ""), {"length": len(content)}) + content
        if more and extra is not None:
            out += (self.framing(datum, {"length": 3}) + b"abc") * extra.data
        return out

    def first_data(self, node: ET.Element) -> list[ET.Element]:
        """The first data of the message that ``node`` is part of, else of the schema."""
        own = [m for m in self.messages.values() if any(each is node for each in m.iter())]
        found = [c for m in [*own, *self.messages.values()] for level in outer_first(m)
                 for c in level if local(c) == "data"]  # fmt: skip
        return found[:1]

    def unknown(self, node: ET.Element) -> tuple[str, str]:
        """The kinds that what is unknown in a message or entry is taken to have: of dimensions
        those of the last group in it (else of the group itself), of data the last one's."""
        groups = [c for c in node if local(c) == "group"]
        like = groups[-1] if groups else node
        data = [c for c in node if local(c) == "data"] or self.first_data(node)
        return like.get("dimensionType", "groupSizeEncoding"), data[-1].get("type", "")

    def charset(self, data: ET.Element) -> str | None:
        return self.types[data.get("type", "")][-1].get("characterEncoding")

    def expected(
        self, message: str, values: dict[str, Any], version: int | None = None
    ) -> dict[str, Any]:
        """What to_dict is to give for the frame that `encode` makes."""
        return self.level(
            self.messages[message], values, self.version if version is None else version
        )

    def level(self, node: ET.Element, values: dict[str, Any], version: int) -> dict[str, Any]:
        result = Block(self, node).expected(values, version)
        for child in node:
            name, since = snake(child.get("name", "")), int(child.get("sinceVersion", 0))
            if local(child) == "group":
                entries = values[name] if since <= version else []
                result[name] = [self.level(child, entry, version) for entry in entries]
            elif local(child) == "data":
                value = values[name] if since <= version else None
                empty = child.get("type", "").startswith(self.null_data) and not value
                result[name] = None if empty else value
        return result


def outer_first(node: ET.Element) -> list[ET.Element]:
    """A message and its groups, each before those in it."""
    return [node, *(deep for c in node if local(c) == "group" for deep in outer_first(c))]


class Extra:
    """How many groups and var data a newer sender adds; ``inside``: to entries too."""

    def __init__(self, groups: int, data: int, inside: bool) -> None:
        self.groups, self.data, self.inside = groups, data, inside


def same(one: Any, other: Any) -> bool:
    """Equal, NaN to NaN, and arrays by their items."""
    one, other = (each.tolist() if hasattr(each, "tolist") else each for each in (one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[k], other[k]) for k in one)
    if isinstance(one, (list, tuple)) and type(one) is type(other):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, float) and isinstance(other, float) and math.isnan(one):
        return math.isnan(other)
    return type(one) is type(other) and one == other
