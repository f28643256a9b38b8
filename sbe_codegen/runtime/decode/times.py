"""Times: which fields are some, and what they are as datetimes of Python.

A field is a time where its type says so: ``utcTimestampUs`` and the like, in s, ms, us or ns since
1970 UTC. The standard has a composite for it (UTCTimestamp with a unit), which few schemas use.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

from ..errors import MalformedMessage

_TIME = re.compile(r"utc_?timestamp_?(s|ms|us|ns)", re.IGNORECASE)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
PER_SECOND = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}


def unit_of(type_name: object) -> str | None:
    """s, ms, us or ns, for the type of a time; else None."""
    found = _TIME.fullmatch(str(type_name))
    return found[1].lower() if found else None


def datetime_name(name: str) -> str:
    """``event_datetime`` for ``event_time``, ``datetime`` for ``time``."""
    return f"{name[: -len('time')]}datetime" if name.endswith("time") else f"{name}_datetime"


def to_datetime(value: int, unit: str) -> datetime:
    """In UTC; nanoseconds are cut to microseconds. OverflowError beyond the years 1 to 9999."""
    return EPOCH + timedelta(microseconds=value * 1_000_000 // PER_SECOND[unit])


def datetime_property(name: str, schema_name: str, unit: str) -> property:
    """An attribute that is another as a datetime, or None where that is None."""

    def read(message: Any) -> datetime | None:
        value = getattr(message, name)
        if value is None:
            return None
        try:
            return to_datetime(value, unit)
        except OverflowError:
            raise MalformedMessage(
                f"{schema_name} is {value} {unit} since 1970, which no datetime is: read {name}",
                element=name,
            ) from None

    cut = ", cut to microseconds" if unit == "ns" else ""
    return property(read, doc=f"{schema_name} as a datetime in UTC{cut}.")
