"""The batches of a file, by their metadata, and the rows of one."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import TapeError
from .rows import Kind, parsed
from .tape_file import Columns, record_batch

FRAME = str(int(Kind.FRAME))  # as metadata of batches name it


@dataclass
class Entry:
    """A batch: where it is, and its metadata, which is as it was written."""

    offset: int
    metadata_length: int
    body_length: int
    told: dict[str, Any]
    _streams: bytes

    @property
    def streams(self) -> list[int]:
        """How many events of each stream of the file, by its number. TapeError for no such list."""
        try:
            found = parsed(self._streams)
        except (ValueError, RecursionError):
            found = None
        if type(found) is not list or not all(type(n) is int and 0 <= n < 2**31 for n in found):
            raise TapeError(f"the batch at byte {self.offset} has no counts of streams")
        return found

    @property
    def body_at(self) -> int:
        return self.offset + 8 + self.metadata_length

    @property
    def end(self) -> int:
        return self.body_at + self.body_length

    @property
    def rows(self) -> int:
        found: int = self.told["rows"]
        return found

    @property
    def frames(self) -> int:
        """SBE messages, or what claimed to be some."""
        found: int = self.told["kinds"].get(FRAME, 0)
        return found

    @property
    def has_others(self) -> bool:
        """Whether some of its rows are no frames."""
        return set(self.told["kinds"]) != {FRAME}


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
