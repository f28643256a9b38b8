"""Frames that are parts of something larger, as an input of `decode_many`: rows know of what.

The C side writes into each row the number of its frame in the list that it was given, in the first
of the leading columns. What is known of a frame besides is put beside it when all rows are there.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import DecodeError, PacketError
from .contents import Array, Source
from .results import Batch

if TYPE_CHECKING:
    from ..framing.packets import EndOf, Loss

PREFIX = ("frame", "received_ns", "packet", "packet_sequence", "packet_time")


@dataclass(frozen=True)
class Numbered:
    """``frames``, and int64 arrays of the leading columns that their rows have: the first, or all,
    of `PREFIX`, with an item for each frame."""

    frames: list[Any]
    columns: dict[str, Array]
    losses: tuple[Loss, ...] = ()


def numbered(frames: Any, layout: Any, end_of: EndOf, on_error: str) -> Numbered | None:
    """Packets as frames, and None for other inputs of `decode_many`.

    Raises PacketError for the first loss where ``on_error`` is "raise".
    """
    if isinstance(frames, Numbered):
        return frames
    from ..framing.captures import Capture  # which most programs do without
    from ..framing.packets import Packets

    if isinstance(frames, os.PathLike):
        frames = Capture(frames)
    if isinstance(frames, Capture):
        frames = frames.packets()
    if not isinstance(frames, Packets):
        return None
    frames, columns, losses = frames.split(layout, end_of)
    if losses and on_error == "raise":
        first = losses[0]
        raise PacketError(first.why, first.offset, first.packet)
    return Numbered(frames, columns, tuple(losses))


def number(batch: Batch, given: Numbered) -> Batch:
    """The batch, with all leading columns in its rows, and errors with the numbers of frames."""
    source = batch._source
    for message in source.schema.classes:
        found = source.contents(message)
        if found is not None:
            records = found.records
            names = records.dtype.names[: len(given.columns)]
            index = records[names[0]].copy()
            for name, column in zip(names, given.columns.values(), strict=True):
                records[name] = column[index]
    made = Batch(_Source(source, given.columns["frame"]))
    made.losses = given.losses
    return made


class _Source:
    """What a batch is made of, whose errors have the numbers that frames have outside of it."""

    def __init__(self, whole: Source, frame: Array) -> None:
        self.schema = whole.schema
        self.columns = whole.columns
        self.frame_count = whole.frame_count
        self.refused = whole.refused
        self.left_over_bytes = whole.left_over_bytes
        self.contents = whole.contents
        self.numbers = frame
        self._made = _Rejections(whole.rejections(), frame)

    def rejections(self) -> _Rejections:
        return self._made


class _Rejections:
    """Those of a batch, with the numbers that frames have outside of it."""

    def __init__(self, rejections: Any, frame: Array) -> None:
        self._rejections = rejections
        self._frame = frame

    def __len__(self) -> int:
        return len(self._rejections)

    def records(self) -> Array:
        records: Array = self._rejections.records().copy()
        records["frame"] = self._frame[records["frame"]] if len(records) else 0
        return records

    def error(self, index: int) -> DecodeError:
        return renumbered(self._rejections.error(index), self._frame)


def renumbered(error: DecodeError, frame: Array) -> DecodeError:
    """The error, with the number that its frame has outside of the batch."""
    if error.frame is not None:
        error.frame = int(np.asarray(frame)[error.frame])
    return error
