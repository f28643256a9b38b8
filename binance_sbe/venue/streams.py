"""The streams that exist, and how they are named: ``<symbol in lower case>@<kind>``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ..spot_stream import (
    BestBidAskStreamEvent,
    DepthDiffStreamEvent,
    DepthSnapshotStreamEvent,
    TradesStreamEvent,
)

Message = (
    TradesStreamEvent | BestBidAskStreamEvent | DepthSnapshotStreamEvent | DepthDiffStreamEvent
)


@dataclass(frozen=True)
class Kind:
    """What is to be known of one kind of stream.

    ``ids_jump``: its ids are those of the book, of which it brings some: an id that is left out is
    no loss. ``is_replaced``: each event replaces the one before, so that a slow consumer may be
    given the newest only. ``silence``: seconds after which it is not believed that nothing happens
    (None: trades may be rare; the others follow the book). ``json_name`` is the kind of the JSON
    stream of the same events.
    """

    name: str
    message: type[Message]
    ids_jump: bool
    is_replaced: bool
    silence: float | None
    json_name: str


TRADE, BEST_BID_ASK, DEPTH20, DEPTH = "trade", "bestBidAsk", "depth20", "depth"

# In the order of their templates, as `kinds.pxd` has them for C. The speeds of the two depth
# streams have changed several times and are not promised: none is here.
_TABLE = (
    Kind(
        TRADE, TradesStreamEvent, ids_jump=False, is_replaced=False, silence=None, json_name=TRADE
    ),
    Kind(
        BEST_BID_ASK,
        BestBidAskStreamEvent,
        ids_jump=True,
        is_replaced=True,
        silence=300.0,
        json_name="bookTicker",
    ),
    Kind(
        DEPTH20,
        DepthSnapshotStreamEvent,
        ids_jump=True,
        is_replaced=True,
        silence=300.0,
        json_name=DEPTH20,
    ),
    Kind(
        DEPTH,
        DepthDiffStreamEvent,
        ids_jump=False,
        is_replaced=False,
        silence=300.0,
        json_name=DEPTH,
    ),
)
KIND_OF: Mapping[type, Kind] = {kind.message: kind for kind in _TABLE}
KINDS: Mapping[str, Kind] = {kind.name: kind for kind in _TABLE}
NAMES = tuple(KINDS)
FIX_KINDS = ("trade", "book_ticker", "depth")  # of market data over FIX
REPLACED = tuple(kind.name for kind in _TABLE if kind.is_replaced)
FIRST_TEMPLATE = TradesStreamEvent.TEMPLATE_ID  # those of the others follow
assert [kind.message.TEMPLATE_ID - FIRST_TEMPLATE for kind in _TABLE] == list(range(len(_TABLE)))
_TEMPLATES = range(FIRST_TEMPLATE, FIRST_TEMPLATE + 100)  # later ones are expected among these
# The default of `connect`: seconds that streams may be silent, by kind.
STREAM_TIMEOUT: Mapping[str, float | None] = {kind.name: kind.silence for kind in _TABLE}


def stream_name(text: str) -> str:
    """The stream as the exchange spells it: the symbol in lower case, the kind as it is.

    Raises ValueError for what can't be a stream, such as the kinds that only JSON streams have.
    """
    if not isinstance(text, str):
        raise TypeError(f"a stream is a str such as 'btcusdt@trade', not {type(text).__name__}")
    symbol, separator, kind = text.partition("@")
    if not separator or not _is_symbol(symbol):
        raise ValueError(f"stream '{text}' is not '<symbol>@<kind>', such as 'btcusdt@trade'")
    if kind not in KINDS:
        raise ValueError(
            f"stream '{text}': SBE has no '{kind}' stream{_instead(kind)}; its kinds are "
            f"{', '.join(KINDS)}"
        )
    return f"{symbol.lower()}@{kind}"


def _instead(kind: str) -> str:
    """What there is of a kind that only JSON streams have."""
    if kind == "bookTicker":
        return f", but '{BEST_BID_ASK}'"
    if kind == "aggTrade":
        return f", but '{TRADE}', which has the single trades"
    if kind.startswith("kline_"):
        return f", but bars can be made of '{TRADE}'"
    if kind.startswith("depth"):
        return f", but '{DEPTH20 if kind[5:6].isdigit() else DEPTH}'"
    return ""


def is_stream_template(template_id: int) -> bool:
    """Whether messages of that template come from streams, also those that are not known yet."""
    return template_id in _TEMPLATES


def symbol_name(text: str) -> str:
    """The symbol in lower case, as streams have it. ValueError for what can't be one."""
    if not _is_symbol(text):
        raise ValueError(f"{text!r} is not a symbol, such as 'btcusdt'")
    return text.lower()


def _is_symbol(text: object) -> bool:
    """Letters and digits of any script, and ``_ - .``, as the exchange allows."""
    return isinstance(text, str) and text != "" and all(c.isalnum() or c in "_-." for c in text)


def stream_names(texts: Iterable[str]) -> list[str]:
    """The same for several, each once, in the order given."""
    if isinstance(texts, str):
        raise TypeError(f"streams are given one by one, not as the str '{texts}'")
    return list(dict.fromkeys(map(stream_name, texts)))
