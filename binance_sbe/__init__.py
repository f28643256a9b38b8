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
from sbe_codegen.runtime.results import Batch, GroupTable, Table
from sbe_codegen.runtime.scaling import to_decimal, to_float
from sbe_codegen.version import __version__

from .errors import (
    ConnectionLost,
    ConnectionRefused,
    FeedError,
    MissingKey,
    SubscriptionRefused,
    Unreachable,
)
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

__all__ = [
    "Batch",
    "BestBidAskStreamEvent",
    "Collector",
    "ConnectionLost",
    "ConnectionRefused",
    "DecodeError",
    "DepthDiffStreamEvent",
    "DepthSnapshotStreamEvent",
    "ErrorCode",
    "Feed",
    "FeedError",
    "GroupTable",
    "MalformedMessage",
    "MissingKey",
    "SbeError",
    "SchemaError",
    "SchemaMismatch",
    "SubscriptionRefused",
    "Table",
    "TradesStreamEvent",
    "TruncatedMessage",
    "UnexpectedTemplate",
    "UnknownTemplate",
    "Unreachable",
    "__version__",
    "connect",
    "decode",
    "decode_header",
    "decode_many",
    "to_decimal",
    "to_float",
]

if TYPE_CHECKING:
    from .client import Feed, connect
else:
    # websockets is imported only by those who connect.

    def __getattr__(name: str) -> Any:
        if name in ("connect", "Feed"):
            from . import client

            return getattr(client, name)
        raise AttributeError(f"module 'binance_sbe' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__} - {"TYPE_CHECKING", "Any"})
