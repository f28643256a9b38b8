"""The FIX API in SBE: messages out of a byte stream.

Each message comes with a Simple Open Framing Header of 6 bytes, which Binance sends little-endian:
its length with the header (uint32), and the encoding 0xEB50 (uint16). `Splitter` cuts the stream;
`decode`, `decode_many` and `Collector` are those of `fix_sbe`, so that market data become record
arrays.
"""

from __future__ import annotations

from sbe_codegen.runtime import sofh
from sbe_codegen.runtime.sofh import SOFH_LENGTH, FramingError

from ..fix_sbe import Collector, decode, decode_header, decode_many

__all__ = [
    "SOFH_LENGTH",
    "Collector",
    "FramingError",
    "Splitter",
    "decode",
    "decode_header",
    "decode_many",
    "framed",
]

_HEADER_LENGTH = 20


def framed(message: bytes) -> bytes:
    """The message with its framing header in front, as it goes onto the wire."""
    return sofh.framed(message, byte_order="little")


class Splitter(sofh.Splitter):
    """Cuts the byte stream of the FIX API into messages; knows no sockets. See `sofh.Splitter`."""

    def __init__(self, max_length: int = 1 << 20) -> None:
        super().__init__(
            byte_order="little",
            encodings=(sofh.SBE_LITTLE_ENDIAN,),
            max_length=max_length,
            min_length=_HEADER_LENGTH,
        )
