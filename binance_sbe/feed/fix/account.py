"""Which market data are new, and what is missing between them. Knows no sockets and no clock.

Ids of trades follow upon each other, and those of depth updates as well; those of a book ticker
jump, since it is culled. A successor of a session brings some of what its predecessor has brought.
"""

from __future__ import annotations

from typing import Any

from ... import fix_sbe
from ...venue.streams import FIX_KINDS
from ..ledger import Hole, Ledger

TRADE, TICKER, DEPTH = KINDS = FIX_KINDS
_OF = {
    fix_sbe.MarketDataIncrementalTrade: TRADE,
    fix_sbe.MarketDataIncrementalBookTicker: TICKER,
    fix_sbe.MarketDataIncrementalDepth: DEPTH,
}


def kind_of(message: Any) -> str | None:
    """The kind of an increment; None for any other message."""
    return _OF.get(type(message))


def stream_name(symbol: str, kind: str) -> str:
    """What the ledger calls it, such as ``fix:btcusdt@depth``."""
    return f"fix:{symbol.lower()}@{kind}"


class Account:
    """``ledger`` has the holes; ``repeated`` counts what came a second time and was not handed on.

    Holes are noted with ``cause``, which says what happened last.
    """

    def __init__(self) -> None:
        self.ledger = Ledger()
        self.repeated = 0
        self.cause = "the exchange skipped ids"
        self._last: dict[tuple[str, str], tuple[int, int]] = {}  # id, and when, in ns

    def begin(self, symbol: str, update_id: int | None, now_ns: int) -> None:
        """A first snapshot of depth: increments go on from its id.

        Where increments came before, those are what the next ones have to follow upon.
        """
        if update_id is not None:
            self._last.setdefault((symbol, DEPTH), (update_id, now_ns))

    def forget(self, symbol: str, kind: str) -> None:
        """It was unsubscribed from."""
        self._last.pop((symbol, kind), None)

    def is_new(self, message: Any, kind: str, now_ns: int) -> bool:
        """Whether an increment is to be handed on; what is missing before it is noted."""
        first, last = _ids(message, kind)
        if last < first:  # trades without an entry
            return True
        key = (message.symbol, kind)
        before = self._last.get(key)
        if before is not None:
            if last <= before[0]:
                self.repeated += 1
                return False
            if first > before[0] + 1 and kind != TICKER:
                hole = Hole(stream_name(*key), before[0], first, before[1], now_ns, self.cause)
                self.ledger.note(hole)
        self._last[key] = last, now_ns
        return True


def _ids(message: Any, kind: str) -> tuple[int, int]:
    if kind == DEPTH:
        return message.first_book_update_id, message.last_book_update_id
    if kind == TICKER:
        return message.last_book_update_id, message.last_book_update_id
    ids = message.md_entries["trade_id"]
    return (int(ids.min()), int(ids.max())) if len(ids) else (1, 0)
