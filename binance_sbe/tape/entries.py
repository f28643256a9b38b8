"""The rows of a batch, and which batches of a file are in their order."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .entry import Entry
from .rows import Kind
from .tape_file import Columns, record_batch


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
    numbers = [entry.batch for entry in entries]
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
