"""`schema` -> `ir`: follows every reference, computes every offset, and reports what can't be."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

from . import collisions, ir, names, schema
from .conventions import Conventions
from .errors import SchemaError
from .faults import Stop
from .framing import FramingResolver

_Scopes = tuple[Sequence[ir.Field], ...]  # the fields of the blocks around, innermost first


def resolve(source: schema.Schema, conventions: Conventions | None = None) -> ir.Module:
    """The module that ``source`` describes. Raises SchemaError with all faults found."""
    resolver = _Resolver(source, conventions or Conventions())
    with suppress(Stop):
        module = resolver.module()
        if not resolver.errors:
            resolver.errors += collisions.find(module)
        if not resolver.errors:
            return module
    raise SchemaError.of(resolver.errors)


class _Resolver(FramingResolver):
    def __init__(self, source: schema.Schema, conventions: Conventions) -> None:
        super().__init__(source, conventions)
        self.head: ir.Header | None = None

    def module(self) -> ir.Module:
        source = self.source
        if not all(map(names.is_identifier, source.package.split("."))):
            sentence = f"package '{source.package}' is not names with dots between them"
            self.fault("messageSchema", source.place, sentence)
        self.resolve_types()
        with suppress(Stop):
            self.head = self.header()
        messages = [self.message(message) for message in source.messages]
        self.unique([(f"template id {m.id}", m.name, m.place) for m in source.messages])
        self.unique([(f"name '{m.name}'", m.name, m.place) for m in source.messages])
        if self.head is None or self.errors:
            raise Stop
        made = [each for each in self.encodings.values() if each]
        composites = {each.composite.schema_name: each.composite for each in made if each.composite}
        named = self.named.values()
        return ir.Module(
            package=source.package,
            schema_id=source.id,
            version=source.version,
            semantic_version=source.semantic_version,
            big_endian=source.byte_order == "bigEndian",
            header=self.head,
            enums=tuple(each for each in named if isinstance(each, ir.Enum)),
            sets=tuple(each for each in named if isinstance(each, ir.Set)),
            composites=tuple(composites.values()),
            dimensions=tuple(each for each in self.dimensions.values() if each),
            var_data=tuple(each for each in self.var_data.values() if each),
            messages=tuple(messages),
            removed=dict(self.conventions.removed),
            warnings=tuple(str(warning) for warning in self.warnings),
        )

    def message(self, source: schema.Message) -> ir.Message:
        path = source.name
        self.check(source, path)
        root = self.block(source, path, (), source.since_version)
        if self.head is not None:
            self.fits(source.id, self.head.template_id, path, source.place, "id")
            self.fits(root.length, self.head.block_length, path, source.place, "a block of")
        self.identities(source, path)
        return ir.Message(
            name=names.class_name(source.name),
            schema_name=source.name,
            template_id=source.id,
            since=source.since_version,
            block=root,
            groups=self.groups(source, path, (root.fields,), source.since_version),
            data=self.datas(source, path),
            layout_since=self.conventions.layout_since.get(source.id, 0),
            metadata=source.metadata,
            deprecated=source.deprecated,
            semantic_type=source.semantic_type,
            description=source.description,
            place=source.place,
        )

    def identities(self, source: schema.Message | schema.Group, path: str) -> None:
        """One element for each name and id at this level."""
        elements: list[schema.Field | schema.Group | schema.Data] = [
            *source.fields, *source.groups, *source.data
        ]  # fmt: skip
        self.unique([(f"name '{e.name}'", f"{path}.{e.name}", e.place) for e in elements])
        self.unique([(f"id {e.id}", f"{path}.{e.name}", e.place) for e in elements])

    # blocks and fields

    def block(
        self, source: schema.Message | schema.Group, path: str, outer: _Scopes, born: int
    ) -> ir.Block:
        """``born`` is the version in which all of it appeared."""
        fields: list[ir.Field] = []
        position = 0
        newest = born
        for each in source.fields:
            place = f"{path}.{each.name}"
            self.check(each, place)
            try:
                found = self.field(each, place, position, (fields, *outer))
            except Stop:
                continue
            fields.append(found)
            if not found.is_constant:
                position = found.end
                if max(found.since, born) < newest:
                    sentence = (
                        f"is in the schema since version {found.since}, after a field that is "
                        f"there since {newest}: new fields go to the end of a block"
                    )
                    self.warn(place, each.place, sentence)
                newest = max(newest, found.since)
        if source.block_length and source.block_length < position:
            sentence = (
                f"blockLength {source.block_length} is less than the {position} of its fields"
            )
            self.fault(path, source.place, sentence)
        length = max(position, source.block_length or 0)
        return ir.Block(length, tuple(fields), _minimums(fields))

    def field(self, source: schema.Field, path: str, position: int, scopes: _Scopes) -> ir.Field:
        encoding = self.encoding(source.type, path, source.place)
        clash = {source.semantic_type, encoding.semantic_type} - {None}
        if len(clash) > 1:
            sentence = (
                f"semanticType '{source.semantic_type}' where its type has "
                f"'{encoding.semantic_type}'"
            )
            self.fault(path, source.place, sentence)
        presence = source.presence or encoding.presence or "required"
        if encoding.constant is None and presence == "constant":
            encoding = self.made_constant(source, encoding, path)
        elif source.value_ref is not None and encoding.constant is None:
            sentence = 'valueRef is for constants: add presence="constant"'
            raise self.fault(path, source.place, sentence)
        exponent = self.exponent(source, path, scopes)
        if exponent:
            encoding = self.mantissa(encoding, path, source)
        offset = self.offset(source.offset, position, encoding, path, source.place)
        name = names.attribute(source.name)
        return ir.Field(
            name=name,
            c_name=names.c_member(name),
            schema_name=source.name,
            id=source.id,
            type_name=source.type,
            encoding=encoding,
            offset=offset,
            since=max(source.since_version, encoding.since),
            optional=presence == "optional" and encoding.constant is None,
            exponent=exponent,
            metadata=source.metadata,
            deprecated=source.deprecated,
            description=source.description or encoding.description,
            place=source.place,
        )

    def made_constant(self, source: schema.Field, encoding: ir.Encoding, path: str) -> ir.Encoding:
        """A field of a type that is not constant itself: its valueRef gives the value."""
        if source.value_ref is None:
            what = "enum field" if encoding.enum else "field"
            sentence = f"a constant {what} needs a valueRef, or a type that is constant"
            raise self.fault(path, source.place, sentence)
        value: ir.Constant
        if encoding.enum is not None:
            owner, found = self.enum_value(source.value_ref, path, source.place)
            if owner != encoding.enum:
                sentence = f"valueRef '{source.value_ref}' does not name a value of '{source.type}'"
                raise self.fault(path, source.place, sentence)
            value = found.value
        elif encoding.kind in ("number", "char"):
            value = self.value_ref(source.value_ref, encoding.primitive, path, source.place)
        else:
            raise self.fault(path, source.place, f"a {encoding.kind} can't have a valueRef")
        return replace(encoding, constant=value, size=0)

    def exponent(self, source: schema.Field, path: str, scopes: _Scopes) -> ir.Exponent | None:
        """The field named by the ``exponent`` attribute, looked up from the innermost block out."""
        if source.exponent is None:
            return None
        for levels, scope in enumerate(scopes):
            for field in scope:
                if field.schema_name == source.exponent:
                    encoding = field.encoding
                    if encoding.kind != "number" or encoding.primitive.name not in (
                        "int8",
                        "uint8",
                    ):
                        sentence = f"the exponent '{source.exponent}' is not an int8"
                        raise self.fault(path, source.place, sentence)
                    return ir.Exponent(field.name, levels)
        sentence = f"no field '{source.exponent}' before it or above it to be its exponent"
        raise self.fault(path, source.place, sentence)

    def mantissa(self, encoding: ir.Encoding, path: str, source: schema.Field) -> ir.Encoding:
        """What has an exponent is a whole number; an array of bytes with one is a wide number."""
        primitive = encoding.primitive
        if encoding.kind == "array" and primitive.name in ("uint8", "int8"):
            return replace(encoding, kind="mantissa", null=-(1 << (8 * encoding.length - 1)))
        if encoding.kind != "number" or primitive.is_float:
            raise self.fault(path, source.place, "only a whole number has an exponent")
        return encoding

    # groups and data

    def groups(
        self, source: schema.Message | schema.Group, path: str, outer: _Scopes, born: int
    ) -> tuple[ir.Group, ...]:
        result = []
        for each in source.groups:
            with suppress(Stop):
                result.append(self.group(each, f"{path}.{each.name}", outer, born))
        return tuple(result)

    def group(self, source: schema.Group, path: str, outer: _Scopes, born: int) -> ir.Group:
        self.check(source, path)
        born = max(born, source.since_version)
        block = self.block(source, path, outer, born)
        self.identities(source, path)
        groups = self.groups(source, path, (block.fields, *outer), born)
        data = self.datas(source, path)
        dimension = self.dimension(source.dimension_type, path, source.place)
        self.fits(block.length, dimension.block_length, path, source.place, "a block of")
        name = names.attribute(source.name)
        return ir.Group(
            name=name,
            c_name=names.c_member(name),
            schema_name=source.name,
            id=source.id,
            since=source.since_version,
            dimension=dimension,
            block=block,
            groups=groups,
            data=data,
            metadata=source.metadata,
            deprecated=source.deprecated,
            description=source.description,
            place=source.place,
        )

    def datas(self, source: schema.Message | schema.Group, path: str) -> tuple[ir.Data, ...]:
        result = []
        for each in source.data:
            with suppress(Stop):
                result.append(self.data(each, f"{path}.{each.name}"))
        return tuple(result)

    def data(self, source: schema.Data, path: str) -> ir.Data:
        self.check(source, path)
        if source.presence in ("optional", "constant"):
            sentence = f"var data can't be {source.presence}: its length says whether it is there"
            self.fault(path, source.place, sentence)
        var_data = self.var_data_type(source.type, path, source.place)
        name = names.attribute(source.name)
        return ir.Data(
            name=name,
            c_name=names.c_member(name),
            schema_name=source.name,
            id=source.id,
            since=source.since_version,
            var_data=var_data,
            metadata=source.metadata,
            deprecated=source.deprecated,
            description=source.description,
            place=source.place,
        )


def _minimums(fields: Sequence[ir.Field]) -> tuple[ir.Minimum, ...]:
    """The least block length for each version that adds fields, oldest first."""
    result = [ir.Minimum(0, 0)]
    for since in sorted({field.since for field in fields if field.size}):
        minimum = ir.Minimum(since, max(f.end for f in fields if f.size and f.since <= since))
        if since == 0:
            result = [minimum]
        else:
            result.append(minimum)
    return tuple(result)
