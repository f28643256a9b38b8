"""What a Batch is made of: rows that were written, or copies of some of another's."""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

import numpy as np

from ..errors import DecodeError

Array = np.ndarray[Any, Any]


class Contents(NamedTuple):
    """What was written for one message class or group; ``groups`` and the rest in schema order."""

    records: Array
    offsets: Array
    groups: list[Any]  # of these, or of what has the same (`written.Written`)
    blobs: list[tuple[Array, Array]]
    dictionaries: list[list[str]]

    @classmethod
    def empty(cls, layout: Any, columns: tuple[str, ...] = ()) -> Contents:
        start = np.zeros(1, np.int64)
        return cls(
            np.empty(0, layout.row_dtype(columns)),
            start,
            [cls.empty(group) for group in layout.groups.values()],
            [(np.empty(0, np.uint8), start) for _ in layout.blobs],
            [[] for _ in layout.dictionaries],
        )

    def part(self, begin: int, end: int) -> Contents:
        """A copy of the rows from ``begin`` to ``end``, and what is theirs; texts are shared."""
        return self._replace(
            records=self.records[begin:end].copy(),
            groups=[group.under(begin, end) for group in self.groups],
            blobs=[
                (content[ends[begin] : ends[end]].copy(), ends[begin : end + 1] - ends[begin])
                for content, ends in self.blobs
            ],
        )

    def under(self, begin: int, end: int) -> Contents:
        """The entries of a group that belong to some rows of the table around."""
        offsets = self.offsets[begin : end + 1]
        first, last = (int(offsets[i]) for i in (0, -1))
        return self.part(first, last)._replace(offsets=offsets - first)


class Source(Protocol):
    """What a Batch is made of: the `rows.Rows` that were written, or some of another's."""

    @property
    def schema(self) -> Any: ...
    @property
    def columns(self) -> tuple[str, ...]:
        """Those before the fields of a message."""

    @property
    def frame_count(self) -> int: ...
    @property
    def refused(self) -> int:
        """How many of them were no messages."""

    @property
    def left_over_bytes(self) -> int: ...
    def contents(self, message: type) -> Any:
        """`Contents`, or what has the same; None where no such message came."""

    def rejections(self) -> Any:
        """`SomeRejections`, or `written.Rejections`."""


def index_of(whole: Source, frames: Array) -> Array:
    """Which of a batch's frames these are, from 0 on.

    A batch of some frames of a larger input has other numbers of them: ``numbers``.
    """
    numbers = getattr(whole, "numbers", None)
    return frames if numbers is None else np.searchsorted(numbers, frames)


class SomeRejections:
    """Those of some of a batch's frames, which are counted from 0 again."""

    def __init__(self, whole: Source, begin: int, end: int) -> None:
        self._rejections = whole.rejections()
        records = self._rejections.records()
        index = index_of(whole, records["frame"])
        self._first, last = (int(i) for i in np.searchsorted(index, (begin, end)))
        self._records: Array = records[self._first : last].copy()
        self._records["frame"] = index[self._first : last] - begin

    def __len__(self) -> int:
        return len(self._records)

    def records(self) -> Array:
        return self._records

    def error(self, index: int) -> DecodeError:
        error: DecodeError = self._rejections.error(self._first + index)
        return error


class Part:
    """Copies of some of a batch's rows: the source of a Batch of its own."""

    def __init__(self, whole: Source, begin: int, end: int) -> None:
        self.schema = whole.schema
        self.columns = whole.columns
        self.frame_count = end - begin
        self.left_over_bytes = 0 if begin else whole.left_over_bytes
        self._rejections = SomeRejections(whole, begin, end)
        self.refused = len(self._rejections)
        self._contents: dict[type, Contents] = {}
        for message in self.schema.classes:
            found = whole.contents(message)
            if found is None:
                continue
            index = index_of(whole, found.records["frame"])
            first, last = (int(i) for i in np.searchsorted(index, (begin, end)))
            self._contents[message] = found.part(first, last)
            self._contents[message].records["frame"] = index[first:last] - begin

    def contents(self, message: type) -> Contents | None:
        return self._contents.get(message)

    def rejections(self) -> SomeRejections:
        return self._rejections
