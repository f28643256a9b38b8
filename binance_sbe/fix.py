"""The FIX API in SBE, by the names that programs know.

`Splitter`, `framed` and the decoders are for byte streams that somebody else reads; `Session` is
one session without I/O, and `connect` opens one.
"""

from __future__ import annotations

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
from .api.fix_session import Session
from .api.fix_wire import Now
from .api.signing import Signer, signer_of
from .feed.fix.connecting import connect
from .feed.fix.connection import Connection

__all__ = [
    "SOFH_LENGTH",
    "Collector",
    "Connection",
    "FramingError",
    "Now",
    "Session",
    "Signer",
    "Splitter",
    "connect",
    "decode",
    "decode_header",
    "decode_many",
    "framed",
    "signer_of",
]
