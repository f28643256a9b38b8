"""Messages out of a byte stream: the FIX Simple Open Framing Header, in front of each."""

from __future__ import annotations

from typing import Any, Literal

from .errors import SbeError

SOFH_LENGTH = 6
SBE_LITTLE_ENDIAN = 0xEB50  # SBE 1.0, by the byte order of the messages
SBE_BIG_ENDIAN = 0x5BE0


class FramingError(SbeError, ValueError):
    """A byte stream that is out of step; ``offset`` is the byte in the stream."""

    def __init__(self, text: str, offset: int) -> None:
        self.offset = offset
        super().__init__(f"{text} at byte {offset} of the stream")


class Splitter:
    """Cuts a byte stream into messages; knows no sockets.

    Each message comes with its length (uint32, these 6 bytes included) and its encoding (uint16).
    The standard has both big-endian, whatever the messages are; ``byte_order="little"`` is what
    some venues send. ``encodings`` are those let in. ``feed`` takes what was read, however it was
    cut, and gives the messages that are complete, each as bytes of its own without the framing
    header. ``max_length`` bounds what one may take, ``min_length`` is the least that a message
    header takes.
    """

    def __init__(
        self,
        *,
        byte_order: Literal["big", "little"] = "big",
        encodings: tuple[int, ...] = (SBE_BIG_ENDIAN, SBE_LITTLE_ENDIAN),
        max_length: int = 1 << 20,
        min_length: int = 1,
    ) -> None:
        if byte_order not in ("big", "little"):
            raise ValueError(f"byte_order is 'big' or 'little', not {byte_order!r}")
        if max_length < SOFH_LENGTH + min_length:
            raise ValueError(f"max_length {max_length} has no room for a header")
        self.byte_order: Literal["big", "little"] = byte_order
        self.encodings = encodings
        self.max_length = max_length
        self.min_length = min_length
        self.position = 0  # in the stream, of the first byte that no message was made of
        self._rest = bytearray()
        self._fault: tuple[str, int] | None = None  # what is wrong, and at which byte

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
        while len(self._rest) - start >= SOFH_LENGTH:
            length = int.from_bytes(self._rest[start : start + 4], self.byte_order)
            encoding = int.from_bytes(self._rest[start + 4 : start + 6], self.byte_order)
            fault = self._wrong(length, encoding)
            if fault:
                self._fault = fault, self.position + start
                break
            if len(self._rest) - start < length:
                break
            messages.append(bytes(self._rest[start + SOFH_LENGTH : start + length]))
            start += length
        del self._rest[:start]
        self.position += start
        if self._fault is not None and not messages:
            raise FramingError(*self._fault)
        return messages

    def _wrong(self, length: int, encoding: int) -> str:
        if encoding not in self.encodings:
            known = " or ".join(f"0x{each:04X}" for each in self.encodings)
            swapped = int.from_bytes(encoding.to_bytes(2, "big"), "little")
            hint = ", which is in the other byte order" if swapped in self.encodings else ""
            return f"encoding 0x{encoding:04X} instead of {known}{hint}"
        if length < SOFH_LENGTH + self.min_length:
            return f"a message of {length} bytes, too few for its headers"
        if length > self.max_length:
            return f"a message of {length} bytes, more than the {self.max_length} allowed"
        return ""

    @property
    def pending(self) -> int:
        """Bytes of a message that is not complete yet: not 0 at the end of a stream is a loss."""
        return len(self._rest)


def framed(
    message: bytes,
    *,
    byte_order: Literal["big", "little"] = "big",
    encoding: int = SBE_LITTLE_ENDIAN,
) -> bytes:
    """The message with its framing header in front, as it goes onto the wire."""
    message = bytes(memoryview(message))
    length = (SOFH_LENGTH + len(message)).to_bytes(4, byte_order)
    return length + encoding.to_bytes(2, byte_order) + message
