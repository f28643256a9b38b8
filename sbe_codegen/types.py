"""The types of a schema -> `ir.Encoding`: simple types, constants, composites and references.

Nothing here knows of messages; `framing` and `resolver` build on it.
"""

from __future__ import annotations

import codecs
import encodings
import re
from contextlib import suppress
from dataclasses import replace

from . import ir, limits, names, schema, times
from .conventions import Conventions
from .enumerations import Enumerations
from .errors import Place
from .faults import Faults, Stop
from .primitives import PRIMITIVES, Primitive

# Codecs of text that are not for whole texts of any characters, and have errors of their own.
_NO_CHARSETS = frozenset({"idna", "punycode", "raw-unicode-escape", "undefined", "unicode-escape"})
PAYLOADS = ("varData", "data")  # the last member of var data; SBE's text and its XSD differ
_INDENT = re.compile(r"^[ \t\r]*\n\s*|\s*\n[ \t\r]*$")


class Types:
    """Resolves each named type once."""

    def __init__(
        self, faults: Faults, enumerations: Enumerations, conventions: Conventions
    ) -> None:
        self.faults = faults
        self.conventions = conventions
        self.enumerations = enumerations
        self.encodings: dict[str, ir.Encoding | None] = {}
        self.open: list[str] = []  # the named types that are being resolved, outermost first

    def resolve_types(self) -> None:
        for each in self.faults.source.types:
            before = self.enumerations.declared.get(each.name)
            if before is not None and schema.alike(before, each):
                sentence = f"type '{each.name}' is defined twice, both times alike"
                self.faults.warn(each.name, each.place, sentence)
            elif before is not None:
                self.faults.add(each.name, each.place, f"type '{each.name}' is defined twice")
            elif each.name in PRIMITIVES and not (
                isinstance(each, schema.Type) and each.primitive == each.name
            ):
                sentence = f"'{each.name}' is the name of a primitive type: rename it"
                self.faults.add(each.name, each.place, sentence)
            self.enumerations.declared.setdefault(each.name, each)
            self.faults.check(each, each.name)
        # Enums and sets first: their Python names are their own, before any inline one's.
        for kinds in ((schema.Enum, schema.Set), (schema.Type, schema.Composite)):
            for name, each in self.enumerations.declared.items():
                if isinstance(each, kinds):
                    with suppress(Stop):
                        self.named_encoding(name, name, each.place)

    # by name

    def encoding(self, name: str, path: str, place: Place) -> ir.Encoding:
        """The type ``name``, of the schema or primitive."""
        if not name:
            raise Stop  # the parser has said so
        if name in PRIMITIVES and name not in self.enumerations.declared:
            return self.simple(schema.Type(name=name, place=place, primitive=name), path)
        return self.named_encoding(name, path, place)

    def named_encoding(self, name: str, path: str, place: Place) -> ir.Encoding:
        if name not in self.enumerations.declared:
            guess = self.faults.unknown(name, [*self.enumerations.declared, *PRIMITIVES])
            raise self.faults.add(path, place, f"no type '{name}' in this schema{guess}")
        if name in self.open:
            cycle = " > ".join([*self.open[self.open.index(name) :], name])
            raise self.faults.add(path, place, f"composites contain each other: {cycle}")
        if name not in self.encodings:
            self.encodings[name] = None
            self.open.append(name)
            with suppress(Stop):
                self.encodings[name] = self.inline(self.enumerations.declared[name], name)
            self.open.pop()
        encoding = self.encodings[name]
        if encoding is None:
            raise Stop
        return encoding

    def inline(self, source: schema.AnyType, path: str, owner: str = "") -> ir.Encoding:
        """A type where it is defined, at the top level or as a member of composite ``owner``."""
        if isinstance(source, schema.Type):
            return self.simple(source, path)
        if isinstance(source, schema.Enum):
            enum = self.enumerations.enum(source, path, owner)
            size = enum.primitive.size
            presence = "optional" if enum.optional else None
            made = ir.Encoding("enum", enum.primitive, 1, size, presence, enum.null, enum=enum)
        elif isinstance(source, schema.Set):
            choices = self.enumerations.set(source, path, owner)
            size = choices.primitive.size
            null = choices.null.value if choices.null else None
            made = ir.Encoding("set", choices.primitive, 1, size, None, null, set=choices)
        else:
            composite = self.composite(source, path)
            char = PRIMITIVES["char"]
            first = composite.wire_fields[:1]
            presence = "optional" if first and first[0].optional else None
            made = ir.Encoding(
                "composite", char, 1, composite.size, presence, None, composite=composite,
                since=min((each.since for each in composite.wire_fields), default=0),
            )  # fmt: skip
        return replace(
            made,
            since=max(source.since_version, made.since),
            semantic_type=source.semantic_type,
            time_unit=source.time_unit,
            epoch=source.epoch,
            description=source.description,
        )

    # simple types

    def simple(self, source: schema.Type, path: str, is_payload: bool = False) -> ir.Encoding:
        if not source.primitive:
            raise Stop  # the parser has said so
        primitive = self.faults.primitive(source.primitive, path, source.place)
        length = source.length
        if length == 0 and not is_payload:
            sentence = "length 0 is for the varData of var data only: give the number of items"
            raise self.faults.add(path, source.place, sentence)
        null: float | None = primitive.null
        low: float | None = None
        high: float | None = None
        if source.null_value is not None:
            if source.presence in ("required", "constant"):
                sentence = f"nullValue is for optional fields, and the type is {source.presence}"
                self.faults.warn(path, source.place, sentence)
            with suppress(Stop):  # it is noted; what else is wrong is to be found as well
                null = self.null(source, primitive, path)
        with suppress(Stop):
            low = self.bound(source.min_value, primitive, path, source.place)
        with suppress(Stop):
            high = self.bound(source.max_value, primitive, path, source.place)
        if low is not None and high is not None and low > high:
            sentence = f"minValue {source.min_value} is above maxValue {source.max_value}"
            self.faults.add(path, source.place, sentence)
        constant: ir.Constant | None = None
        if source.presence == "constant":
            constant = self.constant(source, primitive, path)
            if length is None and isinstance(constant, str):
                length = len(constant)
        elif source.value_ref is not None:
            sentence = 'valueRef is for constants: add presence="constant"'
            raise self.faults.add(path, source.place, sentence)
        elif source.text.strip():
            sentence = 'its text is ignored, as it has no presence="constant"'
            self.faults.warn(path, source.place, sentence)
        length = 1 if length is None else length
        is_text = primitive.name == "char" and (length != 1 or is_payload)
        kind: ir.Kind = "number"
        if is_text:
            kind = "text"
        elif length != 1 or is_payload:
            kind = "array"
        elif primitive.name == "char":
            kind = "char"
        charset = None
        if source.character_encoding is not None:
            charset = self.codec(source.character_encoding, path, source.place)
        return ir.Encoding(
            kind,
            primitive,
            length,
            0 if constant is not None else length * primitive.size,
            source.presence,
            null,
            low,
            high,
            charset,
            constant=constant,
            since=source.since_version,
            semantic_type=source.semantic_type,
            time_unit=source.time_unit,
            epoch=source.epoch,
            description=source.description,
        )

    def null(self, source: schema.Type, primitive: Primitive, path: str) -> float | None:
        assert source.null_value is not None
        value = self.faults.number(source.null_value, primitive, path, source.place)
        return None if value != value else value

    def bound(
        self, text: str | None, primitive: Primitive, path: str, place: Place
    ) -> float | None:
        return None if text is None else self.faults.number(text, primitive, path, place)

    def constant(self, source: schema.Type, primitive: Primitive, path: str) -> ir.Constant:
        if source.value_ref is not None:
            return self.value_ref(source.value_ref, primitive, path, source.place)
        text = _INDENT.sub("", source.text)
        if primitive.name != "char":
            if not text.strip():
                raise self.faults.add(path, source.place, "a constant needs a value as its text")
            if source.length not in (None, 1):
                sentence = f"{source.length} items of {primitive.name} can't be a constant"
                raise self.faults.add(path, source.place, sentence)
            return self.faults.number(text.strip(), primitive, path, source.place)
        if not text:
            raise self.faults.add(path, source.place, "a constant needs a value as its text")
        if source.length is not None and len(text.encode()) > source.length:
            sentence = f"'{text}' is longer than the {source.length} of the type"
            raise self.faults.add(path, source.place, sentence)
        return text

    def value_ref(self, ref: str, primitive: Primitive, path: str, place: Place) -> ir.Constant:
        """The value that ``Enum.Value`` names, for a type or field of ``primitive``."""
        enum, value = self.enum_value(ref, path, place)
        if enum.primitive != primitive:
            sentence = (
                f"valueRef '{ref}' is {enum.primitive.name}, and the type is {primitive.name}"
            )
            raise self.faults.add(path, place, sentence)
        return chr(value.value) if primitive.name == "char" else value.value

    def enum_value(self, ref: str, path: str, place: Place) -> tuple[ir.Enum, ir.Value]:
        owner, dot, member = ref.strip().partition(".")
        if not dot:
            raise self.faults.add(path, place, f"valueRef '{ref}' is not of the form 'Enum.Value'")
        found = self.enumerations.declared.get(owner)
        if found is None:
            raise self.faults.add(
                path, place, f"valueRef '{ref}': no enum '{owner}' in this schema"
            )
        if not isinstance(found, schema.Enum):
            raise self.faults.add(path, place, f"valueRef '{ref}': '{owner}' is not an enum")
        enum = self.named_encoding(owner, path, place).enum
        assert enum is not None
        for value in enum.values:
            if value.schema_name == member:
                return enum, value
        raise self.faults.add(path, place, f"enum '{owner}' has no value '{member}'")

    def codec(self, encoding: str, path: str, place: Place) -> str:
        """Python's name for a characterEncoding.

        Only character sets that Python itself has: modules are loaded where nobody has registered
        other codecs, and codecs that are no sets of characters may do anything with bytes.
        """
        name = encoding.strip().lower()
        found = None
        with suppress(LookupError, ValueError, ImportError):
            found = encodings.search_function(name) and codecs.lookup(name)
        if found is None or not found._is_text_encoding:
            raise self.faults.add(path, place, f"characterEncoding '{encoding}' is not known")
        if found.name.replace("_", "-") in _NO_CHARSETS:
            sentence = "is a way to write text in ASCII, and no character set: leave it out"
            raise self.faults.add(path, place, f"characterEncoding '{encoding}' {sentence}")
        return found.name

    # composites

    def composite(self, source: schema.Composite, path: str) -> ir.Composite:
        members: list[ir.Field] = []
        taken: set[str] = set()
        position = 0
        stopped = False
        for each in source.members:
            place = f"{path}.{each.name}"
            self.faults.check(each, place)
            try:
                encoding = self.member(each, source, place)
                offset = self.offset(each.offset, position, encoding, place, each.place)
            except Stop:
                stopped = True
                continue
            name = self.faults.claim_name(names.member(each.name), taken, place, each.place)
            made = ir.Field(
                name=name,
                c_name=names.c_member(name),
                schema_name=each.name,
                id=0,
                type_name=each.type if isinstance(each, schema.Ref) else each.name,
                encoding=encoding,
                offset=offset,
                # A constant takes no bytes: who sends the composite means it, whatever the version.
                since=max(each.since_version, encoding.since) if encoding.constant is None else 0,
                optional=encoding.presence == "optional",
                exponent=None,
                time=None,
                metadata=each.metadata,
                deprecated=each.deprecated,
                description=each.description or encoding.description,
                place=each.place,
            )
            members.append(made)
            if encoding.constant is None:
                position = offset + encoding.size
        self.faults.unique(
            [(f"name '{m.name}'", f"{path}.{m.name}", m.place) for m in source.members]
        )
        if not source.members:
            stopped = True
            self.faults.add(path, source.place, "a composite needs at least one member")
        if stopped:
            raise Stop
        members = [
            self.timed(made, each, members, f"{path}.{each.name}")
            for made, each in zip(members, source.members, strict=True)
        ]
        name = names.type_name(source.name)
        count = sum(map(values_in, members))
        if count > limits.VALUES:
            sentence = f"has more than {limits.VALUES} values, with all that it refers to"
            raise self.faults.add(path, source.place, sentence)
        whole = ir.Composite(name, source.name, position, count, tuple(members), source.place)
        self.note_decimal(whole, path)
        return whole

    def timed(
        self,
        member: ir.Field,
        source: schema.AnyType | schema.Ref,
        members: list[ir.Field],
        path: str,
    ) -> ir.Field:
        """A member with the time that it is: a ``unit`` beside it says in what a ``time`` is."""
        is_time = member.schema_name == "time"
        unit = next((each for each in members if is_time and each.schema_name == "unit"), None)
        time = times.of_field(member, source, self.conventions, self.faults, path, unit)
        return replace(member, time=time)

    def note_decimal(self, made: ir.Composite, path: str) -> None:
        """Says so where a composite looks like a decimal number, and has no float."""
        exponent = made.member("exponent")
        if made.decimal is not None or exponent is None or made.member("mantissa") is None:
            return
        is_number = exponent.encoding.kind == "number" and not exponent.encoding.primitive.is_float
        sentence = "its mantissa and exponent are taken as they are, without a float or a Decimal: "
        if len(made.members) != 2:
            sentence += "there are other members"
        elif not is_number:
            sentence += "the exponent is no whole number"
        elif exponent.encoding.constant is None and exponent.size != 1:
            sentence += f"an exponent that is sent is one byte, not {exponent.size}"
        else:
            sentence += "the mantissa is one whole number that is sent, the exponent within 255"
        self.faults.note(path, made.place, sentence)

    def member(
        self, source: schema.AnyType | schema.Ref, owner: schema.Composite, path: str
    ) -> ir.Encoding:
        if isinstance(source, schema.Ref):
            return self.encoding(source.type, path, source.place)
        if isinstance(source, schema.Type):
            is_payload = source.name in PAYLOADS and source.length == 0
            return self.simple(source, path, is_payload and source is owner.members[-1])
        return self.inline(source, path, owner.name)

    def offset(
        self, given: int | None, position: int, encoding: ir.Encoding, path: str, place: Place
    ) -> int:
        """Where something goes; a constant goes nowhere, whatever its offset."""
        if given is None or encoding.constant is not None:
            return position
        if given < position:
            sentence = f"offset {given} overlaps what ends at {position}: leave it out, or raise it"
            raise self.faults.add(path, place, sentence)
        return given


def values_in(field: ir.Field) -> int:
    composite = field.encoding.composite
    return 1 if composite is None else composite.count
