"""Values of a frame as text: times as dates, names of enums, scaled numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from .decode.scaling import to_decimal
from .decode.times import EPOCH, PER_SECOND
from .tables.columns import time_unit
from .tables.forms import text_of


def date(value: int, unit: str) -> str:
    """A time since 1970 as a date, with all digits of its unit."""
    seconds, fraction = _seconds(value, unit)
    try:
        date = datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return "no date that there is"
    return f"{date:%Y-%m-%d %H:%M:%S}{fraction} UTC"


def _seconds(value: int, unit: str) -> tuple[int, str]:
    """Whole seconds, and the digits of what is left, with their point."""
    per_second = PER_SECOND[unit]
    seconds, rest = divmod(value, per_second)
    places = len(str(per_second)) - 1
    return seconds, f".{rest:0{places}d}" if places else ""


def _day(value: int, unit: str) -> str:
    """Days since 1970 as a date."""
    try:
        return f"{EPOCH + timedelta(days=value):%Y-%m-%d}"
    except OverflowError:
        return "no date that there is"


def _time_of_day(value: int, unit: str) -> str:
    seconds, fraction = _seconds(value, unit)
    if not 0 <= seconds < 86_400:
        return "no time of a day"
    return f"{EPOCH + timedelta(seconds=seconds):%H:%M:%S}{fraction}"


_TIMES = {"date": _day, "time": _time_of_day}


def is_null(facts: Mapping[str, Any], value: Any) -> bool:
    """Whether a value means nothing: as messages have None for it."""
    optional, kind = bool(facts.get("optional")), facts["kind"]
    if not optional and kind not in ("enum", "mantissa"):
        return False
    if kind == "enum" and not optional and value in facts["labels"]:
        return False
    if facts["type"] == "char" and value == 0:  # of characters NUL means nothing, too
        return True
    null = facts.get("null")
    if isinstance(value, float) and null is None:
        return math.isnan(value)
    return bool(value == null)


def text_of_value(
    facts: Mapping[str, Any], value: Any, scopes: tuple[Mapping[str, Any], ...]
) -> str:
    """What ``facts`` make of ``value``; ``scopes`` are the values around it, innermost first."""
    kind = facts["kind"]
    if is_null(facts, value):
        return f"{value} (null)"
    if kind == "enum":
        return f"{value} {facts['labels'].get(value, '(not in the schema)')}"
    if kind == "set":
        names = [name for bit, name in facts["labels"].items() if value >> bit & 1]
        return f"0x{value:X} {'|'.join(names)}".rstrip()
    if kind == "char":
        return repr(chr(value))
    if kind == "text":
        return repr(text_of(value, facts.get("encoding") or "latin-1"))
    unit = time_unit(facts)
    if unit is not None:
        return f"{value} ({date(value, unit)})"
    time = facts.get("time", {"kind": None})
    if time["kind"] in _TIMES and isinstance(value, int):
        return f"{value} ({_TIMES[time['kind']](value, time['unit'])})"
    if "exponent" in facts:
        exponent = scopes[facts["exponent"]["levels"]].get(facts["exponent"]["field"])
        if exponent is not None and abs(exponent) < 128:
            power = -exponent if facts["exponent"].get("negated") else exponent
            return f"{value} ({to_decimal(value, power):f})"
    return str(value)
