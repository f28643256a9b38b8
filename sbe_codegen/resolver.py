"""`schema` -> `ir`: follows every reference, computes every offset, and reports what can't be."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from . import ir, names, schema
from .errors import SchemaError
from .primitives import PRIMITIVES, Primitive

HEADER_MEMBERS = ("blockLength", "templateId", "schemaId", "version")
_MAX_COUNT = 2**31 - 1


def resolve(source: schema.Schema) -> ir.Module:
    """The module that ``source`` describes. Raises SchemaError with all faults found."""
    resolver = _Resolver(source)
    module = resolver.module()
    if resolver.errors or module is None:
        raise SchemaError.of(resolver.errors)
    return module


class _Stop(Exception):
    """This element can't be resolved; its fault is noted already."""


class _Resolver:
    def __init__(self, source: schema.Schema) -> None:
        self.source = source
        self.errors: list[SchemaError] = []
        self.types: dict[str, schema.AnyType] = {}
        self.enums: dict[str, ir.Enum | None] = {}
        self.dimensions: dict[str, ir.Dimension | None] = {}
        self.var_data: dict[str, ir.VarData | None] = {}

    def fault(self, element: str, line: int, sentence: str) -> _Stop:
        self.errors.append(SchemaError(self.source.file, line, element, sentence))
        return _Stop()

    def module(self) -> ir.Module | None:
        for each in self.source.types:
            if each.name in self.types:
                self.fault(each.name, each.line, f"type '{each.name}' is defined twice")
            self.types[each.name] = each
            self.check(each, each.name)
        for each in self.source.types:
            if isinstance(each, schema.Enum):
                with suppress(_Stop):
                    self.enum(each)
        header = self.header()
        messages = [self.attempt(message) for message in self.source.messages]
        self.unique(
            [(f"template id {message.id}", message.name, message.line) for message in
             self.source.messages]
        )  # fmt: skip
        self.unique([(f"name '{m.name}'", m.name, m.line) for m in self.source.messages])
        if self.errors or header is None:
            return None
        return ir.Module(
            package=self.source.package,
            schema_id=self.source.id,
            version=self.source.version,
            semantic_version=self.source.semantic_version,
            big_endian=self.source.byte_order == "bigEndian",
            header=header,
            enums=tuple(enum for enum in self.enums.values() if enum),
            dimensions=tuple(dimension for dimension in self.dimensions.values() if dimension),
            var_data=tuple(var_data for var_data in self.var_data.values() if var_data),
            messages=tuple(message for message in messages if message),
        )

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
        try:
            value = int(text)
        except ValueError:
            raise self.fault(path, line, f"'{text}' is not a whole number") from None
        if not primitive.lowest <= value <= primitive.highest:
            raise self.fault(path, line, f"{value} does not fit {primitive.name}")
        return value

    def enum(self, source: schema.Enum) -> ir.Enum:
        if source.name not in self.enums:
            try:
                self.enums[source.name] = self.new_enum(source)
            except _Stop:
                self.enums[source.name] = None
        enum = self.enums[source.name]
        if enum is None:
            raise _Stop
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
            number = self.enum_number(value, primitive, path)
            if number == null:
                self.fault(path, value.line, f"value {value.name} is {null}, which means null")
            values.append(ir.EnumValue(names.constant(value.name), value.name, number))
        self.unique([(f"name '{v.name}'", f"{path}.{v.name}", v.line) for v in source.values])
        self.unique([(f"value {v.text}", f"{path}.{v.name}", v.line) for v in source.values])
        if not values:
            self.fault(path, source.line, "an enum needs at least one validValue")
        return ir.Enum(names.type_name(path), path, primitive, null, tuple(values))

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
        except _Stop:
            return None
        present = {member.schema_name: member for member in members}
        line = self.types[name].line
        for needed in HEADER_MEMBERS:
            if needed not in present:
                self.fault(name, line, f"the message header lacks '{needed}'")
            else:
                with suppress(_Stop):
                    self.framing(present[needed], name, line)
        return None if self.errors else ir.Header(size, members)

    def dimension(self, name: str, path: str, line: int) -> ir.Dimension:
        if name not in self.dimensions:
            self.dimensions[name] = None
            self.dimensions[name] = self.new_dimension(name, path, line)
        dimension = self.dimensions[name]
        if dimension is None:
            raise _Stop
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
        return ir.VarData(name, length, payload.offset, encoding)

    def var_data_type(self, name: str, path: str, line: int) -> ir.VarData:
        if name not in self.var_data:
            self.var_data[name] = None
            self.var_data[name] = self.new_var_data(name, path, line)
        var_data = self.var_data[name]
        if var_data is None:
            raise _Stop
        return var_data

    # messages

    def attempt(self, source: schema.Message) -> ir.Message | None:
        before = len(self.errors)
        message = self.message(source)
        return message if len(self.errors) == before else None

    def message(self, source: schema.Message) -> ir.Message:
        path = source.name
        self.check(source, path)
        root = self.block(source, path, ())
        groups = [self.group(group, f"{path}.{group.name}", root.fields) for group in source.groups]
        data = [self.data(each, f"{path}.{each.name}") for each in source.data]
        self.attributes(source, path)
        return ir.Message(
            name=source.name,
            template_id=source.id,
            since=source.since_version,
            description=source.description,
            block=root,
            groups=tuple(group for group in groups if group),
            data=tuple(each for each in data if each),
            line=source.line,
        )

    def attributes(self, source: schema.Message | schema.Group, path: str) -> None:
        """One attribute for each element, and one element for each id, at this level."""
        elements: list[schema.Field | schema.Group | schema.Data] = [
            *source.fields, *source.groups, *source.data
        ]  # fmt: skip
        keyed = [
            (f"attribute '{names.attribute(e.name)}'", f"{path}.{e.name}", e.line) for e in elements
        ]
        self.unique(keyed)
        self.unique([(f"id {e.id}", f"{path}.{e.name}", e.line) for e in elements])

    def block(
        self, source: schema.Message | schema.Group, path: str, outer: tuple[ir.Field, ...]
    ) -> ir.Block:
        fields: list[ir.Field] = []
        position = 0
        for each in source.fields:
            place = f"{path}.{each.name}"
            self.check(each, place)
            try:
                found = self.field(each, place, position, fields, outer)
            except _Stop:
                continue
            fields.append(found)
            if found.constant is None:
                position = found.end
        if source.block_length and source.block_length < position:
            sentence = (
                f"blockLength {source.block_length} is less than the {position} of its fields"
            )
            self.fault(path, source.line, sentence)
        length = max(position, source.block_length or 0)
        return ir.Block(length, tuple(fields), _minimums(fields))

    def field(
        self,
        source: schema.Field,
        path: str,
        position: int,
        before: list[ir.Field],
        outer: tuple[ir.Field, ...],
    ) -> ir.Field:
        found = self.lookup(source.type, path, source.line)
        enum: ir.Enum | None = None
        constant: int | None = None
        presence = source.presence or "required"
        if isinstance(found, schema.Enum):
            enum = self.enum(found)
            primitive = enum.primitive
            null: int | None = enum.null
            if presence == "constant":
                constant = self.value_of(source, enum, path)
        elif isinstance(found, schema.Type):
            presence = source.presence or found.presence or "required"
            primitive = self.simple(found, presence, path, source.line)
            null = primitive.null
            if found.null_value is not None and null is not None:
                null = self.integer(found.null_value, primitive, found.name, found.line)
        else:
            kind = type(found).__name__.lower()
            raise self.fault(path, source.line, f"a {kind} as field is not supported yet")
        offset = position
        if source.offset is not None and constant is None:
            if source.offset < position:
                sentence = f"offset {source.offset} overlaps what ends at {position}"
                raise self.fault(path, source.line, sentence)
            offset = source.offset
        name = names.attribute(source.name)
        return ir.Field(
            name=name,
            c_name=names.c_member(name),
            schema_name=source.name,
            id=source.id,
            primitive=primitive,
            offset=offset,
            since=max(source.since_version, found.since_version),
            optional=presence == "optional",
            null=null,
            enum=enum,
            exponent=self.exponent(source, path, before, outer),
            constant=constant,
            description=source.description or found.description,
            line=source.line,
        )

    def simple(self, found: schema.Type, presence: str, path: str, line: int) -> Primitive:
        if presence == "constant":
            raise self.fault(path, line, "a constant simple type is not supported yet")
        if found.length not in (None, 1) or found.primitive == "char":
            raise self.fault(path, line, "characters and arrays are not supported yet")
        return self.primitive(found.primitive, path, line)

    def value_of(self, source: schema.Field, enum: ir.Enum, path: str) -> int:
        """The constant that ``valueRef="Enum.Value"`` names."""
        if source.value_ref is None:
            raise self.fault(path, source.line, "a constant enum field needs a valueRef")
        owner, _, member = source.value_ref.partition(".")
        if owner != enum.schema_name:
            sentence = f"valueRef '{source.value_ref}' does not name a value of '{source.type}'"
            raise self.fault(path, source.line, sentence)
        for value in enum.values:
            if value.schema_name == member:
                return value.value
        raise self.fault(path, source.line, f"enum '{owner}' has no value '{member}'")

    def exponent(
        self,
        source: schema.Field,
        path: str,
        before: list[ir.Field],
        outer: tuple[ir.Field, ...],
    ) -> ir.Exponent | None:
        """The field named by the ``exponent`` attribute, looked up from the innermost block out."""
        wanted = source.metadata.get("exponent")
        if wanted is None:
            return None
        for levels, scope in enumerate((before, outer)):
            for field in scope:
                if field.schema_name == wanted:
                    if field.primitive.is_float or field.enum is not None:
                        sentence = f"the exponent '{wanted}' is not a whole number"
                        raise self.fault(path, source.line, sentence)
                    return ir.Exponent(field.name, levels)
        sentence = f"no field '{wanted}' before it or above it to be its exponent"
        raise self.fault(path, source.line, sentence)

    def group(
        self, source: schema.Group, path: str, outer: tuple[ir.Field, ...]
    ) -> ir.Group | None:
        self.check(source, path)
        if source.groups or source.data:
            self.fault(path, source.line, "groups and data inside a group are not supported yet")
        block = self.block(source, path, outer)
        self.attributes(source, path)
        name = names.attribute(source.name)
        try:
            dimension = self.dimension(source.dimension_type, path, source.line)
        except _Stop:
            return None
        if not block.wire_fields:
            self.fault(path, source.line, "a group without fields is not supported yet")
        return ir.Group(
            name=name,
            c_name=names.c_member(name),
            schema_name=source.name,
            id=source.id,
            entry_name=names.singular(source.name),
            since=source.since_version,
            dimension=dimension,
            block=block,
            line=source.line,
        )

    def data(self, source: schema.Data, path: str) -> ir.Data | None:
        self.check(source, path)
        if source.presence == "optional":
            self.fault(path, source.line, "var data can't be optional")
        try:
            var_data = self.var_data_type(source.type, path, source.line)
        except _Stop:
            return None
        name = names.attribute(source.name)
        return ir.Data(
            name=name,
            c_name=names.c_member(name),
            schema_name=source.name,
            id=source.id,
            since=source.since_version,
            var_data=var_data,
            line=source.line,
        )


def _minimums(fields: Sequence[ir.Field]) -> tuple[ir.Minimum, ...]:
    """The least block length for each version that adds fields, oldest first."""
    result = [ir.Minimum(0, 0)]
    for since in sorted({field.since for field in fields if field.constant is None}):
        ends = [f.end for f in fields if f.constant is None and f.since <= since]
        minimum = ir.Minimum(since, max(ends))
        if since == 0:
            result = [minimum]
        else:
            result.append(minimum)
    return tuple(result)
