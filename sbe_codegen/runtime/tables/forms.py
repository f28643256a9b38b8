"""What columns are beyond their numbers: nulls, times and texts, and the forms that show them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

from ..errors import MalformedMessage

Array = np.ndarray[Any, Any]
NO_TEXT = 2**32 - 1
_POWERS = {"s": 0, "ms": 3, "us": 6, "ns": 9}
_NAT = np.iinfo(np.int64).min


class Fact(NamedTuple):
    """What a column is beyond its dtype.

    ``time`` is as `ir.Time` in a declaration, or None; ``nulls`` are the values that stand for
    None, of bytes their first one; ``texts`` are what codes index. ``whole`` is the field of which
    the column says most, where that is a decimal or a time of several members. ``is_late`` is said
    of arrays that older senders lack: one is null where all its items are.
    """

    time: Mapping[str, Any] | None = None
    nulls: tuple[Any, ...] = ()
    texts: Sequence[str] | None = None
    whole: str = ""
    charset: str = "latin-1"
    is_late: bool = False


PLAIN = Fact()
NAN = Fact(nulls=(np.nan,))
_TIME = {"kind": "timestamp", "unit": "ns"}
# What the columns are that no field has, in the order of `numbered.PREFIX`: of the frame, and of
# the packet that it came in.
LEADING = (
    PLAIN,
    Fact(time=_TIME),
    PLAIN,
    Fact(nulls=(-1,)),
    Fact(time=_TIME, nulls=(-1,)),
)


def is_null(column: Array, fact: Fact) -> Array | None:
    """Where there are nulls; None if there are none."""
    found: Any
    if column.ndim > 1:
        flat = is_null(column.reshape(-1), fact) if fact.is_late else None
        if flat is None:
            return None
        found = flat.reshape(len(column), -1).all(axis=1)
    elif column.dtype.kind in "mM":
        found = np.isnat(column)
    elif fact.texts is not None:
        found = column == NO_TEXT
    elif not fact.nulls:
        return None
    elif column.dtype.kind == "U":
        found = column == ""
    elif column.dtype.kind == "S":
        rows = column.view(np.uint8).reshape(len(column), column.dtype.itemsize)
        width = width_of(fact.charset)
        found = np.isin(rows[:, 0], fact.nulls) if width == 1 else ~rows[:, :width].any(axis=1)
    elif fact.nulls[0] != fact.nulls[0]:
        found = np.isnan(column)
    else:
        found = np.isin(column, fact.nulls) if len(fact.nulls) > 1 else column == fact.nulls[0]
    return found if found.any() else None


def parts(columns: Mapping[str, Array], facts: Mapping[str, Fact], name: str) -> list[str]:
    """The columns that `times` makes one of: a time's number, and its unit where that is sent."""
    time = facts[name].time
    if time is None or time["unit"] is not None:
        return [name]
    return [name, f"{facts[name].whole}.{time['unit_member']}"]


def times(
    columns: Mapping[str, Array], facts: Mapping[str, Fact], name: str
) -> tuple[Array, Array | None, str]:
    """A column of times as int64, where it is null, and its unit: ns where each row has its own.

    MalformedMessage where a number is too large for that.
    """
    column, fact = columns[name], facts[name]
    assert fact.time is not None
    missing = is_null(column, fact)
    unit = fact.time["unit"]
    if unit is not None:
        return _whole(column, missing, name), missing, unit
    beside = parts(columns, facts, name)[1]
    powers = columns[beside]
    unknown = is_null(powers, facts[beside])
    missing = unknown if missing is None else missing if unknown is None else missing | unknown
    lengths = np.zeros(len(column), np.int64)
    for power in _POWERS.values():
        lengths[powers == power] = 10 ** (9 - power)
    rest = lengths == 0 if missing is None else (lengths == 0) & ~missing
    if rest.any():
        bad = powers[rest][0]
        raise MalformedMessage(
            f"{beside} is {bad}, and a unit of time is 0, 3, 6 or 9: times='numbers' gives numbers",
            element=beside,
        )
    return _multiplied(_whole(column, missing, name), lengths, missing, name), missing, "ns"


def _whole(column: Array, missing: Array | None, name: str) -> Array:
    if column.dtype.kind == "u" and column.dtype.itemsize == 8:
        _check(column > np.uint64(2**63 - 1), missing, column, name)
        return column.view(np.int64)
    return column.astype(np.int64, copy=False)


def _multiplied(column: Array, factor: Any, missing: Array | None, name: str) -> Array:
    most = (2**63 - 1) // np.maximum(factor, 1)
    _check((column > most) | (column < -most), missing, column, name)
    with np.errstate(over="ignore"):
        made: Array = column * factor
    return made


def _check(
    bad: Array, missing: Array | None, column: Array, name: str,
    why: str = "no time of 64 bits is",
) -> None:  # fmt: skip
    """MalformedMessage where a value that is not null is too large."""
    if missing is not None:
        bad = bad & ~missing
    if bad.any():
        raise MalformedMessage(
            f"{name} is {column[bad][0]}, which {why}: times='numbers' gives numbers",
            element=name,
        )


def day_times(column: Array, missing: Array | None, unit: str, name: str) -> tuple[Array, str]:
    """Times of day in us or ns, the units that Arrow has 64 bits for, all within one day."""
    day = 86_400 * 10 ** _POWERS[unit]
    _check((column < 0) | (column >= day), missing, column, name, "is within no day")
    if unit in ("us", "ns"):
        return column, unit
    return column * 10 ** (6 - _POWERS[unit]), "us"


def days(column: Array, missing: Array | None, name: str) -> Array:
    """Days since 1970 in the 32 bits that Arrow has for them."""
    _check((column >= 2**31) | (column < -(2**31)), missing, column, name)
    return column.astype(np.int32)


def shown(facts: Mapping[str, Fact], name: str) -> str:
    """What a column of a time is called once it is one: its field's name."""
    fact = facts[name]
    return fact.whole if fact.time is not None and fact.whole else name


@contextmanager
def of_group(group: str) -> Iterator[None]:
    """A MalformedMessage of a group's columns says which group: ``legs.expires is ...``."""
    try:
        yield
    except MalformedMessage as error:
        text, element = error.args[0], error.element
        raise MalformedMessage(f"{group}.{text}", element=f"{group}.{element}") from None


def as_datetimes(columns: dict[str, Array], facts: dict[str, Fact]) -> None:
    """Puts datetime64 and timedelta64 in the places of numbers that are times."""
    made: dict[str, Array] = {}
    told: dict[str, Fact] = {}
    gone: set[str] = set()
    for name in columns:
        if facts[name].time is not None:
            gone.update(parts(columns, facts, name))
    for name, column in columns.items():
        fact = facts[name]
        if fact.time is None:
            if name not in gone:
                made[name], told[name] = column, fact
            continue
        found, missing, unit = times(columns, facts, name)
        if missing is not None:
            found = np.where(missing, _NAT, found)
        kind = "m" if fact.time["kind"] == "time" else "M"
        name = shown(facts, name)
        made[name] = np.ascontiguousarray(found).view(f"{kind}8[{unit}]")
        told[name] = Fact(time={"kind": fact.time["kind"], "unit": unit})
    for mapping, new in ((columns, made), (facts, told)):
        mapping.clear()
        mapping.update(new)  # type: ignore[arg-type]


def as_strings(columns: dict[str, Array], facts: Mapping[str, Fact]) -> None:
    """Puts str in the places of fixed texts; bytes that are none in the encoding as ``\\xNN``."""
    for name, column in columns.items():
        if column.dtype.kind == "S":
            columns[name] = strings(column, facts[name])


def strings(column: Array, fact: Fact) -> Array:
    """Fixed texts as numpy's str, each up to its first NUL; what is null is empty."""
    distinct, codes = np.unique(column, return_inverse=True)
    missing = is_null(distinct, fact)
    made = [text_of(text, fact.charset) for text in byte_strings(distinct, fact)]
    if missing is not None:
        made = ["" if gone else text for text, gone in zip(made, missing, strict=True)]
    width = max(map(len, made), default=1) or 1
    return np.array(made, f"U{width}")[codes.reshape(-1)]


def width_of(charset: str) -> int:
    """Bytes of a NUL in it."""
    return int(charset[4:6]) // 8 if charset.startswith(("utf-16", "utf-32")) else 1


def byte_strings(column: Array, fact: Fact) -> list[bytes]:
    """Fixed texts as bytes: of wide characters up to the first NUL, else without those at the end.

    numpy takes a NUL byte at the end for no part of the text, which half of a character may be.
    """
    width, size = width_of(fact.charset), column.dtype.itemsize
    if width == 1:
        found: list[bytes] = column.tolist()
        return found
    rows = np.ascontiguousarray(column).view(np.uint8).reshape(len(column), size)
    count = size // width
    characters = rows[:, : count * width].reshape(len(column), count, width).any(axis=2)
    counts = np.logical_and.accumulate(characters, axis=1).sum(axis=1) * width
    return [row.tobytes()[:count] for row, count in zip(rows, counts.tolist(), strict=True)]


def text_of(content: bytes, charset: str) -> str:
    """A fixed text up to its first NUL; what is no text in the encoding as ``\\xNN``."""
    if width_of(charset) == 1:
        content = content.partition(b"\0")[0]
    try:
        text = content.decode(charset, "backslashreplace")
    except Exception:  # codecs have errors of their own
        text = content.decode("latin-1")
    text = text.partition("\0")[0]
    return text.encode("utf-8", "backslashreplace").decode()  # a codec may give half a character
