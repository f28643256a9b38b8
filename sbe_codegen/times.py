"""Which fields are times, and in what unit: by semanticType, timeUnit, names, and conventions.

What conventions say of a name goes before all else. A type called ``utcTimestampUs`` or the like is
a time in that unit. Else the semanticType of the field or of its type says it, and timeUnit the
unit: nanoseconds where it says none (the standard's default), if the number has 64 bits. Where it
says a unit that is none of these, the number stays a number. A composite is a time if its
semanticType says so, and it has a ``time`` and a ``unit``, whose number is the power of ten that a
second is divided by: 0, 3, 6 or 9.
"""

from __future__ import annotations

from dataclasses import replace
from difflib import get_close_matches
from functools import lru_cache

from . import ir, schema
from .conventions import Conventions
from .faults import Faults
from .runtime.decode.times import unit_of

_NAMES: dict[str, ir.TimeKind] = {
    "UTCTimestamp": "timestamp",
    "UTCTimeOnly": "time",
    "LocalTimeOnly": "time",
    "UTCDateOnly": "date",
    "UTCDate": "date",
    "LocalMktDate": "date",
}
KINDS = {name.lower(): kind for name, kind in _NAMES.items()}
_LONGEST = 20
_NEARLY = 0.9  # of the letters of a semanticType that is one of these, misspelt
_UNITS = {"second": "s", "millisecond": "ms", "microsecond": "us", "nanosecond": "ns"}
POWERS = {0: "s", 3: "ms", 6: "us", 9: "ns"}


@lru_cache(1000)
def _meant(semantic: str) -> str | None:
    """The semanticType of times that one is nearly."""
    return next(iter(get_close_matches(semantic, _NAMES, 1, _NEARLY)), None)


def unit_named(text: str | None) -> str | None:
    """s, ms, us or ns, for what timeUnit says."""
    word = (text or "").strip().lower()
    return word if word in _UNITS.values() else _UNITS.get(word.removesuffix("s"))


def of_field(
    field: ir.Field,
    source: schema.Element,
    conventions: Conventions,
    faults: Faults,
    path: str,
    sibling: ir.Field | None = None,
) -> ir.Time | None:
    """The time that a field, or a member of a composite, is; None for anything else.

    ``sibling`` is the member of the same composite that has the unit of this one; conventions can
    say of the composite what it is.
    """
    encoding = field.encoding
    if encoding.composite is not None:
        return _of_composite(field, source, conventions)
    is_whole = encoding.kind == "number" and not encoding.primitive.is_float
    if not is_whole or encoding.constant is not None:
        return None
    said = conventions.time_of(field.schema_name, field.type_name) if sibling is None else None
    if said is not None:
        return ir.Time(*said) if said[0] else None
    unit = unit_of(field.type_name)
    semantic = source.semantic_type or encoding.semantic_type or ""
    kind = KINDS.get(semantic.lower())
    if kind is None:
        close = _meant(semantic[:_LONGEST])
        if close:
            sentence = f"semanticType '{semantic}' is no time: did you mean '{close}'?"
            faults.warn(path, field.place, sentence)
        return ir.Time("timestamp", unit) if unit else None
    if (source.epoch or encoding.epoch or "unix").lower() != "unix" and kind != "time":
        return None
    bits = 8 * encoding.primitive.size
    if kind == "date":
        return ir.Time("date", "D") if bits <= 32 else None
    named = source.time_unit or encoding.time_unit
    why = None
    if named:
        unit = unit_named(named)
        why = f"timeUnit={named!r} is none of {', '.join(_UNITS)}"
    elif unit is None and sibling is not None:
        if sibling.encoding.constant is None:
            return None  # each has its own: the composite is the time
        unit = _unit_of_power(sibling.encoding.constant)
        why = f"{sibling.schema_name} is {sibling.encoding.constant}, and none of 0, 3, 6 and 9"
    elif unit is None and bits >= 64:
        unit = "ns"
        faults.note_once(
            path, field.place,
            "is a time, and nothing says in what unit: nanoseconds are taken, as the standard has "
            "it, here and wherever else that is so (timeUnit says another, or conventions)",
        )  # fmt: skip
    if unit is None:
        why = why or "nothing says in what unit"
        sentence = f"is a time of {bits} bits, and {why}: it stays a number"
        faults.note(path, field.place, f"{sentence} (timeUnit does, or conventions)")
        return None
    return ir.Time(kind, unit)


def _unit_of_power(power: ir.Constant) -> str | None:
    try:
        return POWERS.get(int(power))
    except ValueError:
        return None


def _of_composite(
    field: ir.Field, source: schema.Element, conventions: Conventions
) -> ir.Time | None:
    composite = field.encoding.composite
    assert composite is not None
    time, unit = composite.member("time"), composite.member("unit")
    semantic = source.semantic_type or field.encoding.semantic_type
    if time is None or unit is None or len(composite.members) != 2:
        return None
    kind = KINDS.get((semantic or time.encoding.semantic_type or "").lower())
    said = conventions.time_of(field.schema_name, field.type_name)
    if said is not None:
        kind = said[0]
    whole = time.encoding.kind == "number" and not time.encoding.primitive.is_float
    if kind in (None, "date") or not whole or time.encoding.constant is not None:
        return None
    assert kind is not None
    parts = ir.Time(kind, None, time.name, unit.name)
    power = unit.encoding.constant
    if power is None:
        return parts if unit.encoding.kind in ("number", "enum") else None
    named = _unit_of_power(power)
    return replace(parts, unit=named) if named else None
