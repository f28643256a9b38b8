"""A change between two schemas, and the changes of enums and sets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from . import ir
from .layouts import type_of

Severity = Literal["breaking", "additive", "cosmetic"]
Named = ir.Enum | ir.Set


@dataclass(frozen=True)
class Change:
    severity: Severity
    path: str
    sentence: str

    def __str__(self) -> str:
        return f"{self.severity}: {self.path}: {self.sentence}"


def differs(
    severity: Severity, path: str, what: str, before: object, after: object
) -> Iterator[Change]:
    if before != after:
        yield Change(severity, path, f"{what} was {before}, is {after}")


def members(old: Named, new: Named, path: str) -> Iterator[Change]:
    """Of one enum or set that is the other now."""
    if old.primitive != new.primitive:
        sentence = f"was {old.primitive.name}, is {new.primitive.name}"
        yield Change("breaking", path, sentence)
    yield from differs("breaking", path, "null", _null(old), _null(new))
    before, after = _by_number(old), _by_number(new)
    names = {value.schema_name for value in after.values()}
    for number, value in before.items():
        place = f"{path}.{value.schema_name}"
        if number not in after:
            moved = next((n for n, v in after.items() if v.schema_name == value.schema_name), None)
            said = f"was {number}, is gone" if moved is None else f"was {number}, is {moved}"
            yield Change("breaking", place, said)
        elif after[number].schema_name != value.schema_name:
            other = after[number].schema_name
            if value.schema_name in names:
                yield Change("breaking", place, f"its number {number} now is {other}")
            else:
                yield Change("cosmetic", place, f"is called {other} now")
        elif dict(after[number].metadata) != dict(value.metadata):
            yield Change("cosmetic", place, metadata(value.metadata, after[number].metadata))
    known = {value.schema_name for value in before.values()}
    for number, value in after.items():
        if number not in before and value.schema_name not in known:
            yield Change("additive", f"{path}.{value.schema_name}", f"is new, {number}")


def _null(kind: Named) -> int | None:
    """The number that means nothing; a set has one only where it has a name."""
    if isinstance(kind, ir.Enum):
        return kind.null
    return None if kind.null is None else kind.null.value


def _by_number(kind: Named) -> dict[int, ir.Value]:
    return {v.value: v for v in (kind.values if isinstance(kind, ir.Enum) else kind.choices)}


def metadata(old: Mapping[str, str], new: Mapping[str, str]) -> str:
    keys = sorted(key for key in {*old, *new} if old.get(key) != new.get(key))
    return ", ".join(f"{key} was {old.get(key)!r}, is {new.get(key)!r}" for key in keys)


def named(old: ir.Encoding, new: ir.Encoding, path: str) -> Iterator[Change]:
    """An enum or set that is another one now, or a number. What is in it has changes of its own."""
    before, after = old.enum or old.set, new.enum or new.set
    if (before and before.schema_name) == (after and after.schema_name):
        return
    if before is None or after is None:  # a number takes null for a number, where it has another
        one_null, other_null = (
            each.null if kind is None else _null(kind)
            for kind, each in ((before, old), (after, new))
        )
        is_same = one_null == other_null or isinstance(before or after, ir.Set)
    else:
        one, other = (
            {number: value.schema_name for number, value in _by_number(each).items()}
            for each in (before, after)
        )
        is_same = one.items() <= other.items() and _null(before) == _null(after)
    sentence = f"was {type_of(old)}, is {type_of(new)}"
    yield Change("cosmetic" if is_same else "breaking", path, sentence)
