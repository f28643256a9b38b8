"""What SBE leaves to applications: values that a schema does not allow, in frames that are whole.

Decoding gives such values as they are (SBE 1.0, "Null values", "Minimum and maximum values").
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

_LIMITS = {
    f"{sign}int{bits}": ((0, 2**bits - 2) if sign else (1 - 2 ** (bits - 1), 2 ** (bits - 1) - 1))
    for sign in ("", "u")
    for bits in (8, 16, 32, 64)
}


class Violation(NamedTuple):
    """One value that the schema does not allow: where it is, what it is, and what is wrong."""

    path: str
    value: Any
    sentence: str


def violations(message: Any) -> list[Violation]:
    """All of a message or entry, in the order of the schema."""
    elements = type(message)._ELEMENTS
    return list(_level(elements, _values(message, elements), message.version, ""))


def _values(view: Any, elements: Sequence[Any]) -> dict[str, Any]:
    """As `to_dict`, with the error in the place of text that is none."""
    result = {}
    for element in elements:
        try:
            result[element.name] = element.raw(view)
        except ValueError as error:
            result[element.name] = error
    return result


def _level(
    elements: Sequence[Any], values: Mapping[str, Any], version: int, path: str
) -> Iterator[Violation]:
    for element in elements:
        facts, value = element.facts, values[element.name]
        if facts["since"] > version or "constant" in facts:
            continue
        place = f"{path}{element.name}"
        if isinstance(value, ValueError):
            yield Violation(place, None, str(value))
        elif "count_at" in facts:
            for i, entry in enumerate(value):
                yield from _level(facts["elements"], entry, version, f"{place}[{i}].")
        elif facts.get("kind") == "composite":
            if value is not None:
                yield from _level(facts["elements"], value, version, f"{place}.")
        elif "kind" in facts:
            sentence = _wrong(facts, value)
            if sentence:
                yield Violation(place, value, sentence)


def first_outside(items: Sequence[Any], facts: Mapping[str, Any]) -> tuple[int, str] | None:
    """The first item of an array that its minValue or maxValue does not allow, and why.

    An item may be null, whatever they are.
    """
    low, high, null = facts.get("min"), facts.get("max"), facts.get("null", math.nan)
    if low is None and high is None:
        return None
    for i, item in enumerate(items):
        if item == null or item != item:
            continue
        if low is not None and item < low:
            return i, f"below {low}, the minValue"
        if high is not None and item > high:
            return i, f"above {high}, the maxValue"
    return None


def _wrong(facts: Mapping[str, Any], value: Any) -> str:
    kind, optional = facts["kind"], facts.get("optional")
    if value is None:
        return "" if optional or kind == "mantissa" else "null in a required field"
    if kind == "enum" and isinstance(value, int) and not isinstance(value, bool):
        return f"{value} is no value of the enum"
    if kind == "set":
        unknown = [bit for bit in value if isinstance(bit, int)]
        return f"bits {unknown} are no choices of the set" if unknown else ""
    if kind in ("char", "text"):
        if "encoding" not in facts and not value.isascii():
            return "not ASCII"
        return "null in a required field" if value == "\0" and not optional else ""
    if kind == "array":
        bad = first_outside(list(value), facts)
        return f"[{bad[0]}] is {bad[1]}" if bad else ""
    if kind != "number":
        return ""
    if facts["type"] in ("float", "double"):
        if math.isnan(value) and not optional:
            return "null in a required field"
        low, high = facts.get("min", -math.inf), facts.get("max", math.inf)
    else:
        if value == facts["null"] and not facts.get("null_is_value"):
            return "null in a required field"
        least, most = _LIMITS[facts["type"]]
        low, high = facts.get("min", least), facts.get("max", most)
    return "" if low <= value <= high else f"outside {low} to {high}"
