"""Binance's SBE: decoders, record arrays, and a live client.

``decode`` makes one message object of one frame of the market-data streams, ``decode_many`` and
``Collector`` make record arrays of many, and ``connect`` opens a live feed. `spot_sbe` has the
decoders of the REST and WebSocket API (see `rest` and `websocket_api`), `fix_sbe` those of the FIX
API (see `fix`). See docs/ in the project, from docs/start.md on.
"""

import inspect
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

from sbe_codegen.runtime.decode.forms import FORMS

try:
    from sbe_codegen.runtime.decode.scaling import to_decimal, to_float
except ModuleNotFoundError as _error:
    if not str(_error.name).startswith("sbe_codegen."):
        raise
    raise ModuleNotFoundError(
        "binance_sbe is not compiled in this directory. 'make build' compiles it in a checkout; a "
        "program that uses an installed binance_sbe is to be started in another directory",
        name=_error.name,
    ) from None
from sbe_codegen.runtime.errors import (
    DecodeError,
    EncodeError,
    ErrorCode,
    MalformedMessage,
    MissingPackage,
    SbeError,
    SchemaError,
    SchemaMismatch,
    SchemaTooLarge,
    TruncatedMessage,
    UnexpectedTemplate,
    UnknownName,
    UnknownTemplate,
)
from sbe_codegen.runtime.tables.results import Batch, GroupTable, Table
from sbe_codegen.version import __version__

from .errors import (
    BinanceError,
    BookError,
    ConnectionLost,
    ConnectionRefused,
    FeedError,
    FixError,
    FramingError,
    LakeError,
    LogonRefused,
    MissingKey,
    NotSbe,
    PacketError,
    RateLimited,
    RecordingError,
    SlowConsumer,
    SubscriptionRefused,
    TapeError,
    Unreachable,
    not_compiled,
)

__all__ = [
    "Batch",
    "BestBidAskStreamEvent",
    "BinanceError",
    "BookError",
    "Collector",
    "ConnectionLost",
    "ConnectionRefused",
    "DecodeError",
    "DepthDiffStreamEvent",
    "DepthSnapshotStreamEvent",
    "EncodeError",
    "ErrorCode",
    "Feed",
    "FeedError",
    "FixError",
    "FramingError",
    "GroupTable",
    "LakeError",
    "LogonRefused",
    "MalformedMessage",
    "MissingKey",
    "MissingPackage",
    "NotSbe",
    "OrderBook",
    "PacketError",
    "RateLimited",
    "RecordingError",
    "SbeError",
    "SchemaError",
    "SchemaMismatch",
    "SchemaTooLarge",
    "SlowConsumer",
    "SubscriptionRefused",
    "Table",
    "Tape",
    "TapeError",
    "TradesStreamEvent",
    "TruncatedMessage",
    "UnexpectedTemplate",
    "UnknownName",
    "UnknownTemplate",
    "Unreachable",
    "__version__",
    "books",
    "connect",
    "decode",
    "decode_header",
    "decode_many",
    "fix",
    "fix_sbe",
    "lake",
    "lifecycle",
    "replay",
    "rest",
    "spot_sbe",
    "spot_stream",
    "sync",
    "tape",
    "to_decimal",
    "to_float",
    "to_json",
    "websocket_api",
    "ws_api",
]

# What `to_json_dict` of their messages calls.
FORMS["binance_sbe.spot_sbe"] = FORMS["binance_sbe.spot_stream"] = (
    "binance_sbe.api.json_form:json_value"
)

if TYPE_CHECKING:
    from . import fix, fix_sbe, lake, lifecycle, rest, spot_sbe, spot_stream, sync, tape
    from . import websocket_api as websocket_api
    from . import ws_api as ws_api
    from .api.json_form import to_json
    from .books.order_book import OrderBook
    from .live import Feed, books, connect
    from .replayed import replay
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
    from .tape.tape import Tape
else:
    from . import books

    def _module(name: str) -> ModuleType:
        try:
            return import_module(f".{name}", __name__)
        except ModuleNotFoundError as error:
            said = not_compiled(error)
            if said is None:
                raise
            raise ModuleNotFoundError(said, name=error.name) from None

    class _Callable(ModuleType):
        """The room `books` has the name of the function `live.books`: so it can be called."""

        def __call__(self, *symbols: str, **options: Any) -> Any:
            _module("spot_sbe")  # which books need for their snapshots
            return _module("live").books(*symbols, **options)

        @property
        def __signature__(self) -> inspect.Signature:
            return inspect.signature(import_module(".live", "binance_sbe").books)

    books.__class__ = _Callable

    # Each decoder module, and websockets, is loaded by those who use it.
    _MODULES = frozenset(
        {
            "fix",
            "fix_sbe",
            "lake",
            "lifecycle",
            "rest",
            "spot_sbe",
            "spot_stream",
            "sync",
            "tape",
            "websocket_api",
            "ws_api",
        }
    )
    _HOMES = {
        "connect": "live",
        "Feed": "live",
        "OrderBook": "books.order_book",
        "Tape": "tape.tape",
        "replay": "replayed",
        "to_json": "api.json_form",
    }

    def __getattr__(name: str) -> Any:
        if name in _MODULES:
            return _module(name)
        if name not in __all__:
            raise AttributeError(f"module 'binance_sbe' has no attribute '{name}'")
        found = getattr(_module(_HOMES.get(name, "spot_stream")), name)
        globals()[name] = found
        return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__} - {"TYPE_CHECKING", "Any", "import_module"})
