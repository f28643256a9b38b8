"""The types of a schema -> ir: enums, and the composites that frame messages.

Nothing here knows of messages; `resolver` builds on it.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Sequence
from contextlib import suppress

from . import ir, names, schema
from .errors import SchemaError
from .primitives import PRIMITIVES, Primitive

HEADER_MEMBERS = ("blockLength", "templateId", "schemaId", "version")
_MAX_COUNT = 2**31 - 1
_INTEGER = re.compile(r"[+-]?[0-9]+")


class Stop(Exception):
    """This element can't be resolved; its fault is noted already."""


class TypeResolver:
    """Resolves each type once, and notes every fault in ``errors``."""

    def __init__(self, source: schema.Schema) -> None:
        self.source = source
        self.errors: list[SchemaError] = []
        self.types: dict[str, schema.AnyType] = {}
        self.enums: dict[str, ir.Enum | None] = {}
        self.dimensions: dict[str, ir.Dimension | None] = {}
        self.var_data: dict[str, ir.VarData | None] = {}

    def fault(self, element: str, line: int, sentence: str) -> Stop:
        self.errors.append(SchemaError(self.source.file, line, element, sentence))
        return Stop()

    # checks that every element gets

    def check(self, element: schema.Element, path: str) -> None:
        if element.name and not names.is_identifier(element.name):
            sentence = f"'{element.name}' is no SBE name: letters, digits and _, 64 at most"
            self.fault(path, element.line, sentence)
        if element.since_version > self.source.version:
            sentence = (
                f"sinceVersion {element.since_version} is above the schema's version "
                f"{self.source.version}"
            )
            self.fault(path, element.line, sentence)

    def unique(self, keyed: Sequence[tuple[str, str, int]]) -> None:
        seen: dict[str, str] = {}
        for key, name, line in keyed:
            if key in seen:
                self.fault(name, line, f"{key} is used by '{seen[key]}' already")
            seen.setdefault(key, name)

    # types

    def lookup(self, name: str, path: str, line: int) -> schema.AnyType:
        found = self.types.get(name)
        if found is not None:
            return found
        if name in PRIMITIVES:
            return schema.Type(name=name, line=line, primitive=name)
        raise self.fault(path, line, f"no type '{name}' in this schema")

    def primitive(self, name: str, path: str, line: int) -> Primitive:
        if name in PRIMITIVES:
            return PRIMITIVES[name]
        known = ", ".join(PRIMITIVES)
        raise self.fault(path, line, f"'{name}' is no primitive type ({known})")

    def integer(self, text: str, primitive: Primitive, path: str, line: int) -> int:
        if not _INTEGER.fullmatch(text.strip()):
            raise self.fault(path, line, f"'{text}' is not a whole number")
        value = int(text)
        if not primitive.lowest <= value <= primitive.highest:
            raise self.fault(path, line, f"{value} does not fit {primitive.name}")
        return value

    def enum(self, source: schema.Enum) -> ir.Enum:
        if source.name not in self.enums:
            try:
                self.enums[source.name] = self.new_enum(source)
            except Stop:
                self.enums[source.name] = None
        enum = self.enums[source.name]
        if enum is None:
            raise Stop
        return enum

    def new_enum(self, source: schema.Enum) -> ir.Enum:
        path = source.name
        null_text = source.null_value
        if source.encoding_type in PRIMITIVES:
            primitive = PRIMITIVES[source.encoding_type]
        else:
            encoding = self.lookup(source.encoding_type, path, source.line)
            if not isinstance(encoding, schema.Type) or encoding.length not in (None, 1):
                sentence = f"encodingType '{source.encoding_type}' is not one integer"
                raise self.fault(path, source.line, sentence)
            primitive = self.primitive(encoding.primitive, path, encoding.line)
            null_text = null_text or encoding.null_value
        if primitive.null is None:
            raise self.fault(path, source.line, f"an enum can't be encoded as {primitive.name}")
        null = primitive.null
        if null_text is not None:
            null = self.integer(null_text, primitive, path, source.line)
        values = []
        for value in source.values:
            self.check_value(value, path)
            if value.name.startswith("_"):
                self.fault(path, value.line, f"member '{value.name}' begins with an underscore")
            number = self.enum_number(value, primitive, path)
            if number == null:
                self.fault(path, value.line, f"value {value.name} is {null}, which means null")
            values.append(ir.EnumValue(names.constant(value.name), value.name, number))
        self.unique([(f"name '{v.name}'", f"{path}.{v.name}", v.line) for v in source.values])
        made = list(zip(values, source.values, strict=True))
        self.unique([(f"value {v.value}", f"{path}.{s.name}", s.line) for v, s in made])
        self.unique([(f"member {v.name}", f"{path}.{s.name}", s.line) for v, s in made])
        if not values:
            self.fault(path, source.line, "an enum needs at least one validValue")
        return ir.Enum(names.type_name(path), path, primitive, null, tuple(values), source.line)

    def check_value(self, value: schema.Value, path: str) -> None:
        self.check(
            schema.Element(value.name, value.line, value.since_version), f"{path}.{value.name}"
        )

    def enum_number(self, value: schema.Value, primitive: Primitive, path: str) -> int:
        if primitive.name == "char":
            if len(value.text) != 1 or not value.text.isascii():
                sentence = f"value '{value.text}' of {value.name} is not one ASCII character"
                raise self.fault(path, value.line, sentence)
            return ord(value.text)
        return self.integer(value.text, primitive, path, value.line)

    def scalars(self, name: str, path: str, line: int) -> tuple[tuple[ir.Scalar, ...], int]:
        """The numeric members of a composite that is part of the framing, and its size."""
        found = self.types.get(name)
        if found is None:
            raise self.fault(path, line, f"no composite '{name}' in this schema")
        if not isinstance(found, schema.Composite):
            raise self.fault(path, line, f"'{name}' is not a composite")
        result = []
        position = 0
        for member in found.members:
            place = f"{name}.{member.name}"
            self.check(member, place)
            target: object = member
            if isinstance(member, schema.Ref):
                target = self.lookup(member.type, place, member.line)
            if not isinstance(target, schema.Type) or target.presence == "constant":
                raise self.fault(place, member.line, "this kind of member is not supported yet")
            primitive = self.primitive(target.primitive, place, target.line)
            if member.offset is not None:
                if member.offset < position:
                    sentence = f"offset {member.offset} overlaps what ends at {position}"
                    raise self.fault(place, member.line, sentence)
                position = member.offset
            result.append(ir.Scalar(names.attribute(member.name), member.name, primitive, position))
            position += primitive.size * (1 if target.length is None else target.length)
        return tuple(result), position

    def framing(self, member: ir.Scalar, name: str, line: int) -> None:
        if not member.primitive.is_unsigned:
            sentence = f"{member.schema_name} must be unsigned, not {member.primitive.name}"
            raise self.fault(name, line, sentence)

    def header(self) -> ir.Header | None:
        name = self.source.header_type
        try:
            members, size = self.scalars(name, "messageSchema", self.source.line)
        except Stop:
            return None
        present = {member.schema_name: member for member in members}
        line = self.types[name].line
        for needed in HEADER_MEMBERS:
            if needed not in present:
                self.fault(name, line, f"the message header lacks '{needed}'")
            else:
                with suppress(Stop):
                    self.framing(present[needed], name, line)
        return None if self.errors else ir.Header(size, members)

    def dimension(self, name: str, path: str, line: int) -> ir.Dimension:
        if name not in self.dimensions:
            self.dimensions[name] = None
            self.dimensions[name] = self.new_dimension(name, path, line)
        dimension = self.dimensions[name]
        if dimension is None:
            raise Stop
        return dimension

    def new_dimension(self, name: str, path: str, line: int) -> ir.Dimension:
        members, size = self.scalars(name, path, line)
        present = {member.schema_name: member for member in members}
        where = self.types[name].line
        for needed in ("blockLength", "numInGroup"):
            if needed not in present:
                raise self.fault(name, where, f"the group dimensions lack '{needed}'")
            self.framing(present[needed], name, where)
        self.limit(name, "numInGroup", present["numInGroup"].primitive)
        return ir.Dimension(name, size, present["blockLength"], present["numInGroup"])

    def limit(self, composite: str, member_name: str, primitive: Primitive) -> None:
        """A count or length of 32 bits needs a maxValue that a signed 32-bit number can hold."""
        found = self.types[composite]
        assert isinstance(found, schema.Composite)
        member = next(each for each in found.members if each.name == member_name)
        if not isinstance(member, schema.Type) or primitive.size < 4:
            return
        path = f"{composite}.{member_name}"
        if member.max_value is None:
            raise self.fault(path, member.line, f"{primitive.name} needs a maxValue")
        if self.integer(member.max_value, primitive, path, member.line) > _MAX_COUNT:
            raise self.fault(path, member.line, f"maxValue is above {_MAX_COUNT}")

    def new_var_data(self, name: str, path: str, line: int) -> ir.VarData:
        members, _ = self.scalars(name, path, line)
        where = self.types[name].line
        composite = self.types[name]
        assert isinstance(composite, schema.Composite)
        if len(members) != 2 or members[0].schema_name != "length":
            raise self.fault(name, where, "var data is 'length', then 'varData'")
        length, payload = members
        self.framing(length, name, where)
        if payload.schema_name not in ("varData", "data"):
            raise self.fault(name, where, f"var data has no member 'varData' ('{payload.name}')")
        if payload.primitive.size != 1:
            raise self.fault(name, where, "varData must be char or uint8")
        self.limit(name, "length", length.primitive)
        member = composite.members[1]
        encoding = member.character_encoding if isinstance(member, schema.Type) else None
        if encoding is not None:
            encoding = self.codec(encoding, name, member.line)
        return ir.VarData(name, length, payload.offset, encoding)

    def codec(self, encoding: str, path: str, line: int) -> str:
        """Python's name for a characterEncoding."""
        try:
            found = codecs.lookup(encoding.strip())
            with suppress(UnicodeDecodeError):
                b"a".decode(found.name)  # some codecs are not of text
        except LookupError:
            raise self.fault(path, line, f"characterEncoding '{encoding}' is not known") from None
        return found.name

    def var_data_type(self, name: str, path: str, line: int) -> ir.VarData:
        if name not in self.var_data:
            self.var_data[name] = None
            self.var_data[name] = self.new_var_data(name, path, line)
        var_data = self.var_data[name]
        if var_data is None:
            raise Stop
        return var_data
