"""Binance's SBE market data: decoders, record arrays, and a live client.

``decode`` makes one message object of one frame, ``decode_many`` and ``Collector`` make record
arrays of many, and ``connect`` opens a live feed. See the README.
"""

from typing import TYPE_CHECKING, Any

from sbe_codegen.runtime.errors import (
    DecodeError,
    ErrorCode,
    MalformedMessage,
    SbeError,
    SchemaError,
    SchemaMismatch,
    TruncatedMessage,
    UnexpectedTemplate,
    UnknownTemplate,
)
from sbe_codegen.runtime.scaling import to_decimal, to_float
from sbe_codegen.version import __version__

from .spot_stream import (
    BestBidAskStreamEvent,
    Collector,
    DepthDiffStreamEvent,
    DepthSnapshotStreamEvent,
    TradesStreamEvent,
    decode,
    decode_header,
    decode_many,
)

if TYPE_CHECKING:
    from .client import connect

__all__ = [
    "BestBidAskStreamEvent",
    "Collector",
    "DecodeError",
    "DepthDiffStreamEvent",
    "DepthSnapshotStreamEvent",
    "ErrorCode",
    "MalformedMessage",
    "SbeError",
    "SchemaError",
    "SchemaMismatch",
    "TradesStreamEvent",
    "TruncatedMessage",
    "UnexpectedTemplate",
    "UnknownTemplate",
    "__version__",
    "connect",
    "decode",
    "decode_header",
    "decode_many",
    "to_decimal",
    "to_float",
]


def __getattr__(name: str) -> Any:
    # websockets is imported only by those who connect.
    if name == "connect":
        from .client import connect

        return connect
    raise AttributeError(f"module 'binance_sbe' has no attribute '{name}'")
