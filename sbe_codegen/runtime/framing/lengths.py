"""Messages out of a byte stream: a length in front of each."""

from __future__ import annotations

from typing import Literal

from .streams import Head, StreamSplitter


class LengthSplitter(StreamSplitter):
    """Cuts a byte stream in which each message has its length in front.

    ``size`` is how many bytes the length has: 2 or 4 as a rule, 1 and 8 as well.
    ``includes_itself`` says whether it counts its own bytes too. ``max_length`` bounds what one
    message may take with its length, and ``min_length`` is the least that a message takes without.
    """

    def __init__(
        self,
        size: int = 2,
        *,
        byte_order: Literal["big", "little"] = "little",
        includes_itself: bool = False,
        max_length: int = 1 << 20,
        min_length: int = 1,
    ) -> None:
        if size not in (1, 2, 4, 8):
            raise ValueError(f"size is 1, 2, 4 or 8 bytes, not {size!r}")
        self.head_size = size
        self.includes_itself = includes_itself
        super().__init__(byte_order, max_length, min_length)

    def head(self, data: bytes) -> Head:
        length = int.from_bytes(data, self.byte_order)
        return Head(length if self.includes_itself else length + self.head_size)

    def framed(self, message: bytes) -> bytes:
        """The message with its length in front. ValueError where that has no room for it."""
        message = bytes(memoryview(message))
        length = len(message) + (self.head_size if self.includes_itself else 0)
        if length >> (8 * self.head_size):
            raise ValueError(f"a message of {len(message)} bytes has no length of {self.head_size}")
        return length.to_bytes(self.head_size, self.byte_order) + message
