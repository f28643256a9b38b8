"""What the stages of resolving share: the schema, its faults, and checks of single elements."""

from __future__ import annotations

import re
from collections.abc import Iterable, MutableSet, Sequence
from difflib import get_close_matches

from . import limits, names, schema
from .errors import Place, SchemaError
from .primitives import PRIMITIVES, Primitive
from .runtime.decode.names import free

_INTEGER = re.compile(r"[+-]?[0-9]{1,40}")


class Stop(Exception):
    """This element can't be resolved; its fault is noted already."""


class Faults:
    """Notes every fault in ``errors``, what is probably not meant in ``warnings``, and what had to
    be assumed in ``notes``."""

    def __init__(self, source: schema.Schema) -> None:
        self.source = source
        self.errors: list[SchemaError] = list(source.faults)
        self.warnings: list[SchemaError] = list(source.warnings)
        self.notes: list[SchemaError] = []
        self.noted: set[str] = set()  # what was said once for the whole schema
        self.budget = limits.Budget()

    def add(self, element: str, place: Place, sentence: str) -> Stop:
        self.errors.append(SchemaError(*place, element, sentence))
        if len(self.errors) > limits.FAULTS:
            raise SchemaError.of(self.errors)
        return Stop()

    def warn(self, element: str, place: Place, sentence: str) -> None:
        if len(self.warnings) < limits.FAULTS:
            self.warnings.append(SchemaError(*place, element, sentence))

    def note(self, element: str, place: Place, sentence: str) -> None:
        if len(self.notes) < limits.FAULTS:
            self.notes.append(SchemaError(*place, element, sentence))

    def note_once(self, element: str, place: Place, sentence: str) -> None:
        """A note that holds for the whole schema, at the first element that it is about."""
        if sentence not in self.noted:
            self.noted.add(sentence)
            self.note(element, place, sentence)

    def unknown(self, name: str, known: Iterable[str]) -> str:
        """A question where ``name`` is nearly one of ``known``; not where that would take long."""
        few = len(self.errors) < limits.GUESSES
        close = get_close_matches(name, list(known)[:1000], 1) if few else []
        return f": did you mean '{close[0]}'?" if close else ""

    def check(self, element: schema.Element, path: str) -> None:
        """What holds for every element: its name, and the version it appeared in."""
        self.budget.check(element.place)
        if len(element.name) > limits.NAME:
            sentence = f"a name of {len(element.name)} characters; SBE allows 64, and this takes"
            self.add(path, element.place, f"{sentence} {limits.NAME}")
        elif element.name and not names.is_identifier(element.name):
            sentence = f"'{element.name}' is no SBE name (letters, digits and _, 64 at most)"
            self.warn(
                path, element.place, f"{sentence}: '{names.plain(element.name)}' is made of it"
            )
        if element.since_version > self.source.version:
            sentence = (
                f"sinceVersion {element.since_version} is above the schema's version "
                f"{self.source.version}"
            )
            self.add(path, element.place, sentence)

    def claim_name(self, name: str, taken: MutableSet[str], path: str, place: Place) -> str:
        """The Python name of an element: ``name``, or what is `free`; added to ``taken``."""
        made = free(name, taken)
        if len(made) > len(name) + limits.ALIKE:
            sentence = f"more than {limits.ALIKE} names here are '{name}' in Python: rename it"
            raise self.add(path, place, sentence)
        taken.add(made)
        return made

    def unique(self, keyed: Sequence[tuple[str, str, Place]]) -> None:
        """One element for each key: (key, element, place)."""
        seen: dict[str, str] = {}
        for key, name, place in keyed:
            if key in seen:
                self.add(name, place, f"{key} is used by '{seen[key]}' already")
            seen.setdefault(key, name)

    def primitive(self, name: str, path: str, place: Place) -> Primitive:
        if name in PRIMITIVES:
            return PRIMITIVES[name]
        known = ", ".join(PRIMITIVES)
        guess = self.unknown(name, PRIMITIVES)
        raise self.add(path, place, f"'{name}' is no primitive type ({known}){guess}")

    def integer(self, text: str, primitive: Primitive, path: str, place: Place) -> int:
        """A whole number that the primitive's bytes can hold."""
        if not _INTEGER.fullmatch(text.strip()):
            raise self.add(path, place, f"'{text.strip()}' is not a whole number")
        value = int(text)
        if not primitive.lowest <= value <= primitive.highest:
            sentence = (
                f"{value} does not fit {primitive.name}, "
                f"which goes from {primitive.lowest} to {primitive.highest}"
            )
            raise self.add(path, place, sentence)
        return value

    def number(self, text: str, primitive: Primitive, path: str, place: Place) -> int | float:
        """A number of any primitive; for char a character, or the number of one."""
        if primitive.is_float:
            try:
                return float(text)
            except ValueError:
                raise self.add(path, place, f"'{text.strip()}' is not a number") from None
        if primitive.name == "char" and len(text) == 1:
            return ord(text) if text.isascii() else self.integer(text, primitive, path, place)
        return self.integer(text, primitive, path, place)
