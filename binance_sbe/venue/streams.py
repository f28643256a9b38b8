"""The streams that exist, and how they are named: ``<symbol in lower case>@<kind>``."""

from __future__ import annotations

from collections.abc import Iterable

from ..spot_stream import (
    BestBidAskStreamEvent,
    DepthDiffStreamEvent,
    DepthSnapshotStreamEvent,
    TradesStreamEvent,
)

# The speeds of the two depth streams have changed several times and are not promised: none is here.
KINDS = {
    "trade": TradesStreamEvent,
    "bestBidAsk": BestBidAskStreamEvent,
    "depth20": DepthSnapshotStreamEvent,
    "depth": DepthDiffStreamEvent,
}


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
            f"stream '{text}': SBE has no '{kind}' stream; its kinds are {', '.join(KINDS)}"
        )
    return f"{symbol.lower()}@{kind}"


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
