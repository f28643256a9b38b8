"""`schema` -> `ir`: follows every reference, computes every offset, and reports what can't be."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from . import collisions, ir, names, schema
from .errors import SchemaError
from .primitives import Primitive
from .types import Stop, TypeResolver


def resolve(source: schema.Schema) -> ir.Module:
    """The module that ``source`` describes. Raises SchemaError with all faults found."""
    resolver = _Resolver(source)
    module = resolver.module()
    if resolver.errors or module is None:
        raise SchemaError.of(resolver.errors)
    return module


class _Resolver(TypeResolver):
    def module(self) -> ir.Module | None:
        if not all(map(names.is_identifier, self.source.package.split("."))):
            sentence = f"package '{self.source.package}' is not names with dots between them"
            self.fault("messageSchema", self.source.line, sentence)
        for each in self.source.types:
            if each.name in self.types:
                self.fault(each.name, each.line, f"type '{each.name}' is defined twice")
            self.types[each.name] = each
            self.check(each, each.name)
        for each in self.source.types:
            if isinstance(each, schema.Enum):
                with suppress(Stop):
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
        module = ir.Module(
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
        self.errors += collisions.find(module, self.source.file)
        return module

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
        self.identities(source, path)
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

    def identities(self, source: schema.Message | schema.Group, path: str) -> None:
        """One element for each name and id at this level."""
        elements: list[schema.Field | schema.Group | schema.Data] = [
            *source.fields, *source.groups, *source.data
        ]  # fmt: skip
        self.unique([(f"name '{e.name}'", f"{path}.{e.name}", e.line) for e in elements])
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
            except Stop:
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
        exponent = self.exponent(source, path, before, outer)
        if exponent and (primitive.is_float or enum is not None):
            raise self.fault(path, source.line, "only a whole number has an exponent")
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
            exponent=exponent,
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
                    if field.primitive.size != 1 or field.enum is not None:
                        sentence = f"the exponent '{wanted}' is not an int8"
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
        self.identities(source, path)
        name = names.attribute(source.name)
        try:
            dimension = self.dimension(source.dimension_type, path, source.line)
        except Stop:
            return None
        if not block.wire_fields:
            self.fault(path, source.line, "a group without fields is not supported yet")
        return ir.Group(
            name=name,
            c_name=names.c_member(name),
            schema_name=source.name,
            id=source.id,
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
        except Stop:
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
