"""Enums and sets -> ir."""

from __future__ import annotations

from collections.abc import Container, MutableSet
from dataclasses import replace
from typing import TypeVar

from . import ir, names, schema
from .errors import Place
from .faults import Faults
from .primitives import PRIMITIVES, Primitive

_Named = TypeVar("_Named", ir.Enum, ir.Set)


class Enumerations:
    """Each enum and set once, under a Python name of its own."""

    def __init__(self, faults: Faults, source: schema.Schema) -> None:
        self.faults = faults
        self.declared: dict[str, schema.AnyType] = {}  # all types of the schema, by name
        self.named: dict[str, ir.Enum | ir.Set] = {}  # Python name -> what has it
        self.message_names: Container[str] = ()

    def claim(self, made: _Named, owner: str) -> _Named:
        """``made`` under its own name, or where another has that, with its composite's in front.

        Inline definitions that say the same are one. Messages keep their names.
        """
        if owner and self.is_taken(made):
            made = replace(made, name=names.class_name(names.type_name(owner) + made.name))
        while self.is_taken(made):
            made = replace(made, name=f"{made.name}_")
        self.named.setdefault(made.name, made)
        return made

    def is_taken(self, made: ir.Enum | ir.Set) -> bool:
        return made.name in self.message_names or self.named.get(made.name, made) != made

    def backing(
        self, source: schema.Enum | schema.Set, path: str
    ) -> tuple[Primitive, schema.Type | None]:
        """The primitive of an encodingType, and the named type that it is from."""
        kind = type(source).__name__.lower()
        if source.encoding_type in PRIMITIVES and source.encoding_type not in self.declared:
            primitive, named = PRIMITIVES[source.encoding_type], None
        else:
            found = self.declared.get(source.encoding_type)
            if found is None:
                sentence = f"no type '{source.encoding_type}' in this schema"
                raise self.faults.add(path, source.place, sentence)
            if not isinstance(found, schema.Type) or found.length not in (None, 1):
                sentence = f"encodingType '{source.encoding_type}' is not one integer"
                raise self.faults.add(path, source.place, sentence)
            primitive, named = self.faults.primitive(found.primitive, path, found.place), found
            if found.presence == "constant":
                sentence = f"encodingType '{source.encoding_type}' is a constant"
                raise self.faults.add(path, source.place, sentence)
        is_char_set = kind == "set" and primitive.name == "char"
        if primitive.is_float or is_char_set:
            article = "an" if kind == "enum" else "a"
            sentence = f"{article} {kind} can't be encoded as {primitive.name}"
            raise self.faults.add(path, source.place, sentence)
        return primitive, named

    def members(self, source: schema.Enum | schema.Set, path: str, what: str) -> list[schema.Value]:
        values = list(source.values if isinstance(source, schema.Enum) else source.choices)
        for value in values:
            self.faults.check(value, f"{path}.{value.name}")
        kept: dict[str, schema.Value] = {}
        for value in values:
            before = kept.setdefault(value.name, value)
            if value is not before and value.name:
                place = f"{path}.{value.name}"
                if value.text.strip() == before.text.strip():
                    self.faults.warn(place, value.place, f"{what} '{value.name}' is there twice")
                else:
                    self.faults.unique(
                        [(f"name '{v.name}'", place, v.place) for v in (before, value)]
                    )
        values = [value for value in values if kept[value.name] is value or not value.name]
        if not values:
            article = "an" if what == "validValue" else "a"
            kind = "enum" if what == "validValue" else "set"
            self.faults.warn(path, source.place, f"{article} {kind} without any {what}")
        return values

    def enum(self, source: schema.Enum, path: str, owner: str = "") -> ir.Enum:
        primitive, named = self.backing(source, path)
        null_text = source.null_value
        low, high = primitive.minimum, primitive.maximum
        if primitive.name == "char":
            low, high = 0, 127
        if named is not None:
            null_text = null_text if null_text is not None else named.null_value
            if named.min_value is not None:
                low = int(self.faults.number(named.min_value, primitive, path, named.place))
            if named.max_value is not None:
                high = int(self.faults.number(named.max_value, primitive, path, named.place))
        null = primitive.null
        assert null is not None
        if null_text is not None:
            null = int(self.faults.number(null_text, primitive, path, source.place))
        nulls = (null, 0) if primitive.name == "char" and null != 0 else (null,)
        values: list[ir.Value] = []
        taken: set[str] = set()
        seen: dict[int, ir.Value] = {}
        for value in self.members(source, path, "validValue"):
            if not value.text:
                continue
            place = f"{path}.{value.name}"
            number = self.enum_number(value, primitive, place)
            if number in nulls:
                sentence = (
                    f"value {value.name} is {number}, which means null: None in optional fields, "
                    "and the member in others"
                )
                self.faults.warn(place, value.place, sentence)
            elif low is not None and high is not None and not low <= number <= high:
                sentence = f"value {number} is outside the type's range, {low} to {high}"
                self.faults.add(place, value.place, sentence)
            values.append(self.value(value, number, place, taken))
            self.same_value(values[-1], seen, path, value.place, "value")
        name = names.class_name(names.type_name(source.name))
        optional = named is not None and named.presence == "optional"
        made = ir.Enum(name, source.name, primitive, nulls, optional, tuple(values), source.place)
        return self.claim(made, owner)

    def enum_number(self, value: schema.Value, primitive: Primitive, path: str) -> int:
        if primitive.name == "char":
            text = value.text if len(value.text) == 1 else value.text.strip()
            if len(text) != 1 or not text.isascii():
                raise self.faults.add(path, value.place, f"'{text}' is not one ASCII character")
            return ord(text)
        return self.faults.integer(value.text, primitive, path, value.place)

    def same_value(
        self, value: ir.Value, seen: dict[int, ir.Value], path: str, place: Place, what: str
    ) -> None:
        """Says so where ``value`` is another name of a number that is in ``seen`` already."""
        first = seen.setdefault(value.value, value)
        if first is not value:
            sentence = (
                f"{what} {value.value} is used by '{path}.{first.schema_name}' already, which is "
                "the name that is shown"
            )
            self.faults.warn(f"{path}.{value.schema_name}", place, sentence)

    def set(self, source: schema.Set, path: str, owner: str = "") -> ir.Set:
        primitive, named = self.backing(source, path)
        if not primitive.is_unsigned:
            primitive = PRIMITIVES[f"u{primitive.name}"]
        null = primitive.null
        assert null is not None
        if named is not None and named.null_value is not None:
            null = int(self.faults.number(named.null_value, primitive, path, named.place))
        choices: list[ir.Value] = []
        named_null: ir.Value | None = None
        taken: set[str] = set()
        seen: dict[int, ir.Value] = {}
        for choice in self.members(source, path, "choice"):
            if not choice.text:
                continue
            place = f"{path}.{choice.name}"
            widest = PRIMITIVES["int64" if choice.text.strip().startswith("-") else "uint64"]
            bit = self.faults.integer(choice.text, widest, place, choice.place)
            if bit == null and bit >= 8 * primitive.size and named_null is None:
                sentence = (
                    f"{bit} is no bit, but what means null: None in optional fields, and this name "
                    "in others"
                )
                self.faults.warn(place, choice.place, sentence)
                named_null = self.value(choice, bit, place, taken)
                continue
            if not 0 <= bit < 8 * primitive.size:
                sentence = f"bit {bit} is not one of the {8 * primitive.size} of {primitive.name}"
                self.faults.add(place, choice.place, sentence)
            choices.append(self.value(choice, bit, place, taken))
            self.same_value(choices[-1], seen, path, choice.place, "bit")
        name = names.class_name(names.type_name(source.name))
        made = ir.Set(name, source.name, primitive, tuple(choices), named_null, source.place)
        return self.claim(made, owner)

    def value(
        self, source: schema.Value, number: int, path: str, taken: MutableSet[str]
    ) -> ir.Value:
        name = self.faults.claim_name(names.constant(source.name), taken, path, source.place)
        return ir.Value(name, source.name, number, source.since_version, source.metadata)
