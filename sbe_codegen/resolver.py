"""`schema` -> `ir`: follows every reference, computes every offset, and reports what can't be."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

from . import ir, limits, names, schema, times, unknown
from .conventions import Conventions
from .enumerations import Enumerations
from .errors import SchemaError
from .faults import Faults, Stop
from .framing import Framing
from .types import Types, values_in

_Scopes = tuple[Sequence[ir.Field], ...]  # the fields of the blocks around, innermost first


def resolve(source: schema.Schema, conventions: Conventions | None = None) -> ir.Module:
    """The module that ``source`` describes. Raises SchemaError with all faults found."""
    resolver = _Resolver(source, conventions or Conventions())
    with suppress(Stop):
        return resolver.module()
    raise SchemaError.of(resolver.faults.errors)


class _Resolver:
    """Messages, groups and fields, of the types and framing that the other parts resolve."""

    def __init__(self, source: schema.Schema, conventions: Conventions) -> None:
        self.faults = Faults(source)
        self.enumerations = Enumerations(self.faults, source)
        self.types = Types(self.faults, self.enumerations, conventions)
        self.framing = Framing(self.faults, self.types, conventions)
        self.conventions = conventions
        self.current = ""  # the message
        self.tied: Counter[str] = Counter()  # fields with an exponent, by what says so
        self.head: ir.Header | None = None
        self.message_names: dict[str, str] = {}  # of the schema -> of the module

    def module(self) -> ir.Module:
        source = self.faults.source
        if source.package and not all(map(names.is_identifier, source.package.split("."))):
            sentence = f"package '{source.package}' is not names with dots between them: the module"
            sentence = f"{sentence} is '{names.module(source.package)}', unless --package says so"
            self.faults.warn("messageSchema", source.place, sentence)
        taken: set[str] = set()
        for one in source.messages:
            if one.name not in self.message_names:
                claimed = self.faults.claim_name(
                    names.message(one.name), taken, one.name, one.place
                )
                self.message_names[one.name] = claimed
        self.enumerations.message_names = taken
        self.types.resolve_types()
        with suppress(Stop):
            self.head = self.framing.header()
        messages = [self.message(message) for message in source.messages]
        self.faults.unique([(f"template id {m.id}", m.name, m.place) for m in source.messages])
        self.faults.unique(
            [(f"name '{m.name}'", m.name, m.place) for m in source.messages if m.name]
        )
        if self.head is None or self.faults.errors:
            raise Stop
        if self.tied and self.conventions.exponent is None:
            count = self.tied.total()
            sentence = (
                f"{count} field{'s have' if count > 1 else ' has'} {' or '.join(self.tied)}, "
                "taken as a power of ten: mantissa x 10^exponent. If it counts decimals, say "
                'exponent = "decimals" in conventions (else "power")'
            )
            self.faults.note("messageSchema", source.place, sentence)
        made = self.enumerations.named.values()
        dimensions = tuple(each for each in self.framing.dimensions.values() if each)
        return ir.Module(
            package=source.package,
            schema_id=source.id,
            version=source.version,
            semantic_version=source.semantic_version,
            big_endian=source.byte_order == "bigEndian",
            header=self.head,
            enums=tuple(each for each in made if isinstance(each, ir.Enum)),
            sets=tuple(each for each in made if isinstance(each, ir.Set)),
            dimensions=dimensions,
            var_data=tuple(each for each in self.framing.var_data.values() if each),
            messages=tuple(messages),
            removed=dict(self.framing.conventions.removed),
            warnings=(
                *(str(warning) for warning in self.faults.warnings),
                *(ir.Note(note) for note in self.faults.notes),
            ),
            packet=self.framing.conventions.packet,
            usual_dimension=self.framing.usual_dimension(),
            usual_data=unknown.first_data(messages),
        )

    def message(self, source: schema.Message) -> ir.Message:
        path = self.current = source.name
        self.faults.check(source, path)
        root = self.block(source, path, (), source.since_version)
        if self.head is not None:
            self.framing.fits(source.id, self.head.template_id, path, source.place, "id")
            length = self.head.block_length
            if length is not None:
                self.framing.fits(root.length, length, path, source.place, "a block of")
        self.identities(source, path)
        taken = {field.name for field in root.fields}
        groups = self.groups(source, path, (root.fields,), source.since_version, taken)
        return ir.Message(
            name=self.message_names[source.name],
            schema_name=source.name,
            template_id=source.id,
            since=source.since_version,
            block=root,
            groups=groups,
            data=self.datas(source, path, taken),
            layout_since=self.framing.conventions.layout_since.get(source.id, 0),
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
        named = [each for each in elements if each.name]
        self.faults.unique([(f"name '{e.name}'", f"{path}.{e.name}", e.place) for e in named])
        self.faults.unique([(f"id {e.id}", f"{path}.{e.name}", e.place) for e in elements])

    # blocks and fields

    def block(
        self, source: schema.Message | schema.Group, path: str, outer: _Scopes, born: int
    ) -> ir.Block:
        """``born`` is the version in which all of it appeared."""
        fields: list[ir.Field] = []
        taken: set[str] = set()
        position = 0
        newest = born
        for each in source.fields:
            place = f"{path}.{each.name}"
            self.faults.check(each, place)
            try:
                found = self.field(each, place, position, taken)
            except Stop:
                continue
            fields.append(found)
            self.faults.budget.spend(each.place, values_in(found), found.description)
            if not found.is_constant:
                position = found.end
                if max(found.since, born) < newest:
                    sentence = (
                        f"is in the schema since version {found.since}, after a field that is "
                        f"there since {newest}: new fields go to the end of a block"
                    )
                    self.faults.warn(place, each.place, sentence)
                newest = max(newest, *(since for since, _ in found.sent()), found.since)
        if source.block_length and source.block_length < position:
            sentence = (
                f"blockLength {source.block_length} is less than the {position} of its fields"
            )
            self.faults.add(path, source.place, sentence)
        length = max(position, source.block_length or 0)
        scaled = self.scaled(source, path, fields, outer)
        minimums = _minimums(fields)
        if len(minimums) > limits.VERSIONS:
            sentence = f"got fields in more than {limits.VERSIONS} versions"
            self.faults.add(path, source.place, sentence)
        return ir.Block(length, tuple(scaled), minimums)

    def field(self, source: schema.Field, path: str, position: int, taken: set[str]) -> ir.Field:
        encoding = self.types.encoding(source.type, path, source.place)
        clash = {source.semantic_type, encoding.semantic_type} - {None}
        if len(clash) > 1:
            sentence = (
                f"semanticType '{source.semantic_type}' where its type has "
                f"'{encoding.semantic_type}'"
            )
            self.faults.add(path, source.place, sentence)
        presence = source.presence or encoding.presence or "required"
        if source.presence and encoding.presence not in (None, source.presence):
            sentence = f"presence '{source.presence}' is taken; its type has '{encoding.presence}'"
            self.faults.warn(path, source.place, sentence)
        if encoding.constant is None and presence == "constant":
            encoding = self.made_constant(source, encoding, path)
        elif source.value_ref is not None and encoding.constant is not None:
            value = self.types.value_ref(source.value_ref, encoding.primitive, path, source.place)
            if value != encoding.constant:
                sentence = f"valueRef is {value!r}, and its type is always {encoding.constant!r}"
                raise self.faults.add(path, source.place, sentence)
        elif source.value_ref is not None:
            sentence = (
                f"valueRef '{source.value_ref}' is ignored: it is for constants, and this is sent "
                '(presence="constant" would make it one)'
            )
            self.faults.warn(path, source.place, sentence)
        if encoding.kind == "number" and "optional" not in (presence, encoding.presence):
            encoding = replace(encoding, null=encoding.primitive.null)
        offset = self.types.offset(source.offset, position, encoding, path, source.place)
        name = self.faults.claim_name(names.attribute(source.name), taken, path, source.place)
        made = ir.Field(
            name=name,
            c_name=names.c_member(name),
            schema_name=source.name,
            id=source.id,
            type_name=source.type,
            encoding=encoding,
            offset=offset,
            since=max(source.since_version, encoding.since),
            optional=presence == "optional" and encoding.constant is None,
            exponent=None,
            time=None,
            metadata=source.metadata,
            deprecated=source.deprecated,
            description=source.description or encoding.description,
            place=source.place,
        )
        time = times.of_field(made, source, self.conventions, self.faults, path)
        return replace(made, time=time)

    def made_constant(self, source: schema.Field, encoding: ir.Encoding, path: str) -> ir.Encoding:
        """A field of a type that is not constant itself: its valueRef gives the value."""
        if source.value_ref is None:
            what = "enum field" if encoding.enum else "field"
            sentence = f"a constant {what} needs a valueRef, or a type that is constant"
            raise self.faults.add(path, source.place, sentence)
        value: ir.Constant
        if encoding.enum is not None:
            owner, found = self.types.enum_value(source.value_ref, path, source.place)
            if owner != encoding.enum:
                sentence = f"valueRef '{source.value_ref}' does not name a value of '{source.type}'"
                raise self.faults.add(path, source.place, sentence)
            value = found.value
        elif encoding.kind in ("number", "char"):
            value = self.types.value_ref(source.value_ref, encoding.primitive, path, source.place)
        else:
            raise self.faults.add(path, source.place, f"a {encoding.kind} can't have a valueRef")
        return replace(encoding, constant=value, size=0)

    def scaled(
        self,
        source: schema.Message | schema.Group,
        path: str,
        fields: Sequence[ir.Field],
        outer: _Scopes,
    ) -> list[ir.Field]:
        """The fields, mantissas with the place of the exponent that their attribute names.

        Or that conventions do. It is looked up from the innermost block out. An attribute of a
        foreign namespace may mean anything: one that names no exponent is left alone, with a
        warning.
        """
        attributes = {each.name: each.exponent for each in source.fields if each.exponent}
        result = []
        for field in fields:
            self.faults.budget.check(field.place)
            wanted = attributes.get(field.schema_name)
            encoding = _mantissa(field.encoding)
            asked = [wanted] if wanted else self.conventions.exponent_names(field.schema_name)
            for each in asked if encoding is not None else ():
                exponent = _exponent(field, each, (fields, *outer), wanted is not None)
                if encoding is not None and exponent is not None:
                    negated = self.conventions.exponent == "decimals"
                    exponent = replace(exponent, negated=negated)
                    field = replace(field, exponent=exponent, encoding=encoding, time=None)
                    how = "an attribute exponent" if wanted else "an exponent by [exponents]"
                    self.tied[how] += 1
                    break
            if wanted and field.exponent is None:
                reason = (
                    "only a whole number can have one"
                    if encoding is None
                    else "no int8 field has that name, in its block or around it"
                )
                sentence = f"exponent '{wanted}' is ignored: {reason}"
                self.faults.warn(f"{path}.{field.schema_name}", field.place, sentence)
            result.append(field)
        return result

    # groups and data

    def groups(
        self,
        source: schema.Message | schema.Group,
        path: str,
        outer: _Scopes,
        born: int,
        taken: set[str],
    ) -> tuple[ir.Group, ...]:
        """``taken`` are the names that this level has already; those of the groups are added."""
        result = []
        for each in source.groups:
            with suppress(Stop):
                result.append(self.group(each, f"{path}.{each.name}", outer, born, taken))
        return tuple(result)

    def group(
        self, source: schema.Group, path: str, outer: _Scopes, born: int, taken: set[str]
    ) -> ir.Group:
        self.faults.check(source, path)
        born = max(born, source.since_version)
        block = self.block(source, path, outer, born)
        self.identities(source, path)
        inner = {field.name for field in block.fields}
        groups = self.groups(source, path, (block.fields, *outer), born, inner)
        data = self.datas(source, path, inner)
        dimension = self.framing.dimension(source.dimension_type, path, source.place)
        self.framing.fits(block.length, dimension.block_length, path, source.place, "a block of")
        name = self.faults.claim_name(names.attribute(source.name), taken, path, source.place)
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
            may_end=self.may_end(path, source.name),
        )

    def may_end(self, path: str, name: str) -> bool:
        """Whether frames may end before a group or data: those of a message, not of entries."""
        return path == f"{self.current}.{name}" and self.conventions.may_end_before(path)

    def datas(
        self, source: schema.Message | schema.Group, path: str, taken: set[str]
    ) -> tuple[ir.Data, ...]:
        result = []
        for each in source.data:
            with suppress(Stop):
                result.append(self.data(each, f"{path}.{each.name}", taken))
        return tuple(result)

    def data(self, source: schema.Data, path: str, taken: set[str]) -> ir.Data:
        self.faults.check(source, path)
        if source.presence in ("optional", "constant"):
            sentence = f"var data can't be {source.presence}: its length says whether it is there"
            self.faults.add(path, source.place, sentence)
        var_data = self.framing.var_data_type(source.type, path, source.place)
        name = self.faults.claim_name(names.attribute(source.name), taken, path, source.place)
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
            may_end=self.may_end(path, source.name),
        )


def _exponent(
    mantissa: ir.Field, wanted: str, scopes: _Scopes, is_exact: bool
) -> ir.Exponent | None:
    """``is_exact``: an attribute says the name; conventions take no notice of capitals."""
    for levels, scope in enumerate(scopes):
        for field in scope:
            name = field.schema_name
            is_it = name == wanted if is_exact else name.lower() == wanted.lower()
            if is_it and field is not mantissa:
                encoding = field.encoding
                is_small = encoding.primitive.name in ("int8", "uint8")
                is_number = encoding.kind == "number" and is_small
                is_null = field.optional or field.since > 0
                return ir.Exponent(field.name, levels, is_null) if is_number else None
    return None


def _mantissa(encoding: ir.Encoding) -> ir.Encoding | None:
    """What has an exponent is a whole number; an array of bytes with one is a wide number."""
    primitive = encoding.primitive
    if encoding.kind == "array" and primitive.name in ("uint8", "int8"):
        return replace(encoding, kind="mantissa", null=-(1 << (8 * encoding.length - 1)))
    is_whole = encoding.kind == "number" and not primitive.is_float
    return encoding if is_whole and encoding.constant is None else None


def _minimums(fields: Sequence[ir.Field]) -> tuple[ir.Minimum, ...]:
    """The least block length for each version that adds fields, oldest first."""
    ends = {0: 0}  # since version -> the end of the last value that is there by then
    end = 0
    for since, reached in sorted(each for field in fields for each in field.sent()):
        ends[since] = end = max(end, reached)
    return tuple(ir.Minimum(since, end) for since, end in ends.items())
