"""What all splitters of byte streams have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Literal, NamedTuple

from ..errors import FramingError as FramingError
from ..errors import PacketError as PacketError


class Head(NamedTuple):
    """Of one message: all its bytes with the framing, or what is wrong with it."""

    length: int
    fault: str = ""


class StreamSplitter(ABC):
    """Cuts a byte stream into messages; knows no sockets.

    ``feed`` takes what was read, however it was cut, and gives the messages that are complete, each
    as bytes of its own without the framing. A message is at most ``max_length`` bytes with it.
    """

    head_size: int  # bytes in front of each message, which say how long it is

    def __init__(
        self, byte_order: Literal["big", "little"], max_length: int, min_length: int
    ) -> None:
        if byte_order not in ("big", "little"):
            raise ValueError(f"byte_order is 'big' or 'little', not {byte_order!r}")
        if max_length < self.head_size + min_length:
            raise ValueError(f"max_length {max_length} has no room for a header")
        self.byte_order: Literal["big", "little"] = byte_order
        self.max_length = max_length
        self.min_length = min_length
        self.position = 0  # in the stream, of the first byte that no message was made of
        self._rest = bytearray()
        self._fault: tuple[str, int] | None = None  # what is wrong, and at which byte

    @abstractmethod
    def head(self, data: bytes) -> Head:
        """What the ``head_size`` bytes of the framing say."""

    def feed(self, data: Any) -> list[bytes]:
        """The messages that ``data`` completes. Raises FramingError, and from then on always.

        Messages before the fault are given first: the error comes with the next call. It is another
        error each time: one that is raised again keeps what all its raisers were given.
        """
        if self._fault is not None:
            raise FramingError(*self._fault)
        try:
            self._rest += memoryview(data)
        except TypeError:
            raise TypeError(f"feed takes bytes, not {type(data).__name__}") from None
        messages = []
        start = 0
        while len(self._rest) - start >= self.head_size:
            length, fault = self.head(bytes(self._rest[start : start + self.head_size]))
            fault = fault or self._wrong(length)
            if fault:
                self._fault = fault, self.position + start
                break
            if len(self._rest) - start < length:
                break
            messages.append(bytes(self._rest[start + self.head_size : start + length]))
            start += length
        del self._rest[:start]
        self.position += start
        if self._fault is not None and not messages:
            raise FramingError(*self._fault)
        return messages

    def _wrong(self, length: int) -> str:
        if length < self.head_size + self.min_length:
            return f"a message of {length} bytes, too few for its headers"
        if length > self.max_length:
            return f"a message of {length} bytes, more than the {self.max_length} allowed"
        return ""

    @property
    def pending(self) -> int:
        """Bytes of a message that is not complete yet: not 0 at the end of a stream is a loss."""
        return len(self._rest)
