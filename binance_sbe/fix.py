"""The FIX API in SBE: messages out of a byte stream.

Each message comes with a Simple Open Framing Header of 6 bytes, which Binance sends little-endian:
its length with the header (uint32), and the encoding 0xEB50 (uint16). `Splitter` cuts the stream;
`decode`, `decode_many` and `Collector` are those of `fix_sbe`, so that market data become record
arrays.
"""

from __future__ import annotations

from typing import Any

from .errors import FramingError
from .fix_sbe import Collector, decode, decode_header, decode_many

__all__ = [
    "Collector",
    "FramingError",
    "Splitter",
    "decode",
    "decode_header",
    "decode_many",
    "framed",
]

SOFH_LENGTH = 6
ENCODING = 0xEB50  # SBE 1.0, little-endian
_HEADER_LENGTH = 20


def framed(message: bytes) -> bytes:
    """The message with its framing header in front, as it goes onto the wire."""
    length = (SOFH_LENGTH + len(message)).to_bytes(4, "little")
    return length + ENCODING.to_bytes(2, "little") + message


class Splitter:
    """Cuts a byte stream into messages; knows no sockets.

    ``feed`` takes what was read, however it was cut, and gives the messages that are complete, each
    as bytes of its own without the framing header. ``max_length`` bounds what one may take.
    """

    def __init__(self, max_length: int = 1 << 20) -> None:
        if max_length < SOFH_LENGTH + _HEADER_LENGTH:
            raise ValueError(f"max_length {max_length} has no room for a header")
        self.max_length = max_length
        self.position = 0  # in the stream, of the first byte that no message was made of
        self._rest = bytearray()
        self._error: FramingError | None = None

    def feed(self, data: Any) -> list[bytes]:
        """The messages that ``data`` completes. Raises FramingError, and from then on always.

        Messages before the fault are given first: the error comes with the next call.
        """
        if self._error is not None:
            raise self._error
        self._rest += data
        messages = []
        start = 0
        while len(self._rest) - start >= SOFH_LENGTH:
            length = int.from_bytes(self._rest[start : start + 4], "little")
            encoding = int.from_bytes(self._rest[start + 4 : start + 6], "little")
            fault = self._fault(length, encoding)
            if fault:
                self._error = FramingError(fault, self.position + start)
                break
            if len(self._rest) - start < length:
                break
            messages.append(bytes(self._rest[start + SOFH_LENGTH : start + length]))
            start += length
        del self._rest[:start]
        self.position += start
        if self._error is not None and not messages:
            raise self._error
        return messages

    def _fault(self, length: int, encoding: int) -> str:
        if encoding != ENCODING:
            swapped = encoding in (0x50EB, 0xE05B, 0x5BE0)
            hint = ", which is of a big-endian sender" if swapped else ""
            return f"encoding 0x{encoding:04X} instead of 0x{ENCODING:04X}{hint}"
        if length < SOFH_LENGTH + _HEADER_LENGTH:
            return f"a message of {length} bytes, too few for its headers"
        if length > self.max_length:
            return f"a message of {length} bytes, more than the {self.max_length} allowed"
        return ""

    @property
    def pending(self) -> int:
        """Bytes of a message that is not complete yet: not 0 at the end of a stream is a loss."""
        return len(self._rest)
