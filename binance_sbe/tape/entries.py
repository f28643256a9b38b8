"""The batches of a file, by their metadata, and the rows of one."""

from __future__ import annotations

import struct
from bisect import bisect_left
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .rows import Kind
from .tape_file import Columns, record_batch

FRAME = str(int(Kind.FRAME))  # as metadata of batches name it
# What `Entry.of` raises.
ODD = (KeyError, TypeError, ValueError, AttributeError, OverflowError, struct.error)
_MOST_ROWS = 2**31 - 1  # of a batch, whose offsets are int32


_NUMBERS = (  # of 64 bits, in this order
    "offset", "metadata_length", "body_length", "batch", "rows", "before", "frames_before",
    "first_ns", "last_ns", "first_event_us", "last_event_us", "others",
)  # fmt: skip
_PLACES = {name: 8 * i for i, name in enumerate(_NUMBERS)}
_COLUMNS = 8 * len(_NUMBERS)  # where the check sum is
_COUNTS = _COLUMNS + 8  # where the counts of kinds begin, and counters behind them
_NONE = -(2**63)
_NUMBER = struct.Struct("<q")
_SUM = struct.Struct("<Q")


class Shape(NamedTuple):
    """What batches that follow each other have in common, mostly."""

    kinds: tuple[str, ...]
    counters: tuple[str, ...]
    new: tuple[str, ...]
    schema: str


class Entry(Mapping[str, Any]):
    """A batch: where it is, and its metadata ("tape.batch"), which is as it was written.

    A tape of a day has a million: each takes some 300 bytes.
    """

    __slots__ = ("_packed", "_shape")

    def __init__(self, packed: bytes, shape: Shape) -> None:
        self._packed = packed
        self._shape = shape

    @classmethod
    def of(
        cls,
        offset: int,
        metadata_length: int,
        body_length: int,
        told: dict[str, Any],
        shapes: dict[Shape, Shape],
    ) -> Entry:
        """Raises what comes of it where it says what no recorder says: see `ODD`."""
        kinds, counters = told["kinds"], told["counters"]
        shape = Shape(tuple(kinds), tuple(counters), tuple(told["new"]), told["schema"])
        if type(shape.schema) is not str or not all(type(name) is str for name in shape.new):
            raise TypeError("not names")
        digest = told["columns"]
        if f"{int(digest, 16):016x}" != digest:
            raise ValueError(f"{digest!r} is no check sum")
        numbers = [offset, metadata_length, body_length]
        numbers += [_NONE if told[name] is None else told[name] for name in _NUMBERS[3:]]
        packed = struct.pack(
            f"<{len(_NUMBERS)}qQ{len(kinds) + len(counters)}q",
            *numbers, int(digest, 16), *kinds.values(), *counters.values(),
        )  # fmt: skip
        found = cls(packed, shapes.setdefault(shape, shape))
        if (
            not 0 < found.rows < _MOST_ROWS
            or min(found["batch"], found["before"]) < 0
            or (
                found["frames_before"] < 0
                or found["first_ns"] == _NONE
                or found["last_ns"] == _NONE
            )
        ):
            raise ValueError("numbers that can't be")
        return found

    @property
    def told(self) -> Entry:
        """What it says of itself, by the keys of "tape.batch"."""
        return self

    def __getitem__(self, name: str) -> Any:
        place = _PLACES.get(name)
        if place is not None:
            number = _NUMBER.unpack_from(self._packed, place)[0]
            return None if number == _NONE and name.endswith("_event_us") else number
        shape = self._shape
        if name == "columns":
            return f"{_SUM.unpack_from(self._packed, _COLUMNS)[0]:016x}"
        if name == "kinds":
            return dict(zip(shape.kinds, self._counts(0, len(shape.kinds)), strict=True))
        if name == "counters":
            begin = len(shape.kinds)
            counts = self._counts(begin, begin + len(shape.counters))
            return dict(zip(shape.counters, counts, strict=True))
        if name == "new":
            return list(shape.new)
        if name == "schema":
            return shape.schema
        raise KeyError(name)

    def _counts(self, begin: int, end: int) -> tuple[int, ...]:
        found: tuple[int, ...] = struct.unpack_from(
            f"<{end - begin}q", self._packed, _COUNTS + 8 * begin
        )
        return found

    def __iter__(self) -> Iterator[str]:
        return iter((*_NUMBERS[3:], "columns", "kinds", "counters", "new", "schema"))

    def __len__(self) -> int:
        return len(_NUMBERS) - 3 + 5

    __hash__ = object.__hash__
    __eq__ = object.__eq__

    @property
    def offset(self) -> int:
        found: int = _NUMBER.unpack_from(self._packed, 0)[0]
        return found

    @property
    def metadata_length(self) -> int:
        found: int = _NUMBER.unpack_from(self._packed, 8)[0]
        return found

    @property
    def body_length(self) -> int:
        found: int = _NUMBER.unpack_from(self._packed, 16)[0]
        return found

    @property
    def body_at(self) -> int:
        return self.offset + 8 + self.metadata_length

    @property
    def end(self) -> int:
        return self.body_at + self.body_length

    def ending(self, end: int) -> Entry:
        """The same, which is that long: metadata that would be longer are cut off, too."""
        body_at = min(self.body_at, end)
        lengths = struct.pack("<2q", body_at - self.offset - 8, end - body_at)
        return Entry(self._packed[:8] + lengths + self._packed[24:], self._shape)

    @property
    def rows(self) -> int:
        found: int = self["rows"]
        return found

    @property
    def frames(self) -> int:
        """SBE messages, or what claimed to be some."""
        kinds = self._shape.kinds
        return self._counts(kinds.index(FRAME), kinds.index(FRAME) + 1)[0] if FRAME in kinds else 0

    @property
    def has_others(self) -> bool:
        """Whether some of its rows are no frames."""
        return self._shape.kinds != (FRAME,)


@dataclass(slots=True, eq=False)
class Rows:
    """The columns of a batch. ``data[offsets[i]:offsets[i + 1]]`` is the frame of row i.

    The arrays stay good when the file is closed, or is gone: their memory is their own, or a map of
    the file. Of a map that is so unless somebody makes the file shorter.
    """

    received_ns: NDArray[np.int64]
    connection: NDArray[np.uint16]
    kind: NDArray[np.uint8]
    offsets: NDArray[np.int32]
    data: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.kind)

    @property
    def columns(self) -> Columns:
        """The same, to be written."""
        return Columns(self.received_ns, self.connection, self.kind, self.offsets, self.data)

    @property
    def batch(self) -> Any:
        """An Arrow record batch over the same memory."""
        return record_batch(self.columns)

    def frame(self, i: int) -> bytes:
        return self.data[self.offsets[i] : self.offsets[i + 1]].tobytes()

    def contents(self, kind: Kind) -> Iterator[tuple[int, bytes]]:
        """The number and the content of each row of a kind."""
        for i in np.flatnonzero(self.kind == kind).tolist():
            yield i, self.frame(i)


def rising(entries: list[Entry]) -> list[Entry]:
    """The most of them whose numbers rise: others are copies, or were moved where they are."""
    numbers = [entry.told["batch"] for entry in entries]
    if all(a < b for a, b in pairwise(numbers)):
        return entries
    ends: list[int] = []  # of the best run of each length: its number, and its place
    places: list[int] = []
    befores: list[int] = []
    for i, number in enumerate(numbers):
        length = bisect_left(ends, number)
        ends[length:] = [number, *ends[length + 1 :]]
        places[length:] = [i, *places[length + 1 :]]
        befores.append(places[length - 1] if length else -1)
    found, i = [], places[-1]
    while i >= 0:
        found.append(entries[i])
        i = befores[i]
    return found[::-1]
