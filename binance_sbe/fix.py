"""`binance_sbe.api.fix`, by the name that programs know."""

from .api.fix import (
    SOFH_LENGTH,
    Collector,
    FramingError,
    Splitter,
    decode,
    decode_header,
    decode_many,
    framed,
)

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
