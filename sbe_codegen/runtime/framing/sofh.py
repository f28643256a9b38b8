"""Messages out of a byte stream: the FIX Simple Open Framing Header, in front of each."""

from __future__ import annotations

from typing import Literal

from .streams import FramingError as FramingError
from .streams import Head, StreamSplitter

SOFH_LENGTH = 6
SBE_LITTLE_ENDIAN = 0xEB50  # SBE 1.0, by the byte order of the messages
SBE_BIG_ENDIAN = 0x5BE0


class Splitter(StreamSplitter):
    """Cuts a byte stream into messages; knows no sockets.

    Each message comes with its length (uint32, these 6 bytes included) and its encoding (uint16).
    The standard has both big-endian, whatever the messages are; ``byte_order="little"`` is what
    some venues send. ``encodings`` are those let in. ``feed`` takes what was read, however it was
    cut, and gives the messages that are complete, each as bytes of its own without the framing
    header. ``max_length`` bounds what one may take, ``min_length`` is the least that a message
    header takes.
    """

    head_size = SOFH_LENGTH

    def __init__(
        self,
        *,
        byte_order: Literal["big", "little"] = "big",
        encodings: tuple[int, ...] = (SBE_BIG_ENDIAN, SBE_LITTLE_ENDIAN),
        max_length: int = 1 << 20,
        min_length: int = 1,
    ) -> None:
        super().__init__(byte_order, max_length, min_length)
        self.encodings = encodings

    def head(self, data: bytes) -> Head:
        length = int.from_bytes(data[:4], self.byte_order)
        encoding = int.from_bytes(data[4:], self.byte_order)
        if encoding in self.encodings:
            return Head(length)
        known = " or ".join(f"0x{each:04X}" for each in self.encodings)
        swapped = int.from_bytes(encoding.to_bytes(2, "big"), "little")
        hint = ", which is in the other byte order" if swapped in self.encodings else ""
        return Head(length, f"encoding 0x{encoding:04X} instead of {known}{hint}")


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
