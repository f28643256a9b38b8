"""The messages of a tape, one by one."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from sbe_codegen.runtime.errors import DecodeError

from ..venue.streams import Message
from .rows import Kind
from .slices import Slice


class Messages:
    """Of rows, one after the other. See `Tape.messages`."""

    def __init__(
        self,
        slices: Iterator[Slice],
        errors: deque[DecodeError] | None,
        decode: Callable[[bytes], Any],
    ) -> None:
        self._frames = self._next_frames(slices)
        self._errors = errors
        self._decode = decode

    @staticmethod
    def _next_frames(slices: Iterator[Slice]) -> Iterator[tuple[bytes, Slice]]:
        for part in slices:
            which = part.marks() & (part.rows.kind == Kind.FRAME)
            for i in np.flatnonzero(which).tolist():
                yield part.rows.frame(i), part

    def __iter__(self) -> Messages:
        return self

    def __next__(self) -> Message:
        while True:
            frame, part = next(self._frames)
            try:
                message: Message = self._decode(frame)
            except DecodeError as error:
                error.args = (f"{part.reader.name}: batch {part.entry.batch}: {error}",)
                if self._errors is None:
                    raise
                self._errors.append(error)
            else:
                return message
