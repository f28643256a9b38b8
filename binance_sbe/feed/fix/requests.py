"""Requests over FIX, and the answers they wait for. Knows no sockets."""

from __future__ import annotations

import asyncio
import itertools
from collections import deque
from collections.abc import Iterable
from typing import Any

from ... import fix_sbe
from ...api.fix_wire import reason_of
from ...errors import FixError, SubscriptionRefused
from .account import DEPTH, KINDS, TICKER, TRADE, stream_name

Key = tuple[str, str]  # symbol, kind


class Requests:
    """Those of one session. ``identities`` has the ids of subscriptions that were asked for."""

    def __init__(self) -> None:
        self.identities: dict[Key, str] = {}
        self.refused: list[Key] = []  # that nobody was waiting for any more
        self._ids = itertools.count(1)
        self._waiting: dict[str, asyncio.Future[Any]] = {}
        self._snapshots: dict[str, deque[Key]] = {}  # by symbol: what its next snapshots are of
        self._sent: dict[int, str] = {}  # by the number of the message

    def new_id(self) -> str:
        return f"r{next(self._ids)}"

    def wait_for(self, identity: str, number: int) -> asyncio.Future[Any]:
        """What the answer to a request will be that was sent with that number."""
        found: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting[identity] = found
        self._sent[number] = identity
        return found

    def subscribed(self, key: Key, identity: str, number: int) -> None:
        """A subscription was asked for; those of books are answered by a snapshot."""
        self.identities[key] = identity
        self._sent[number] = identity
        if key[1] != TRADE:
            self._snapshots.setdefault(key[0], deque()).append(key)

    def drop(self, identity: str) -> None:
        """Nobody waits for it any more."""
        found = self._waiting.pop(identity, None)
        if found is not None and not found.done():
            found.cancel()
        self._sent = {n: i for n, i in self._sent.items() if i != identity}

    def fail(self, error: Exception) -> None:
        """Nothing will be answered any more."""
        for each in self._waiting.values():
            if not each.done():
                each.set_exception(error)
        self._waiting.clear()
        self._sent.clear()

    def _answer(self, identity: str, result: Any) -> bool:
        found = self._waiting.pop(identity, None)
        self._sent = {n: i for n, i in self._sent.items() if i != identity}
        if found is None:
            return False
        if not found.done():
            if isinstance(result, Exception):
                found.set_exception(result)
            else:
                found.set_result(result)
        return True

    def take(self, message: Any) -> bool:
        """Whether a message is the answer to a request, and so not for who iterates."""
        match message:
            case fix_sbe.InstrumentList():
                return self._answer(message.instrument_req_id, message)
            case fix_sbe.LimitResponse():
                return self._answer(message.req_id, message)
            case fix_sbe.MarketDataRequestReject():
                keys = self._forget(message.md_req_id)
                names = [stream_name(*key) for key in keys]
                code, why = message.error_code, reason_of(message)
                refused = SubscriptionRefused("MarketDataRequest", names, code, why)
                return self._not_subscribed(message.md_req_id, keys, refused)
            case fix_sbe.Reject():
                identity = self._sent.get(message.ref_seq_num or 0)
                if identity is None:
                    return False
                keys = self._forget(identity)
                text = f"{reason_of(message)} (code {message.error_code})"
                rejected = FixError(f"the exchange rejected a request: {text}")
                return self._not_subscribed(identity, keys, rejected)
        return False

    def _not_subscribed(self, identity: str, keys: list[Key], error: Exception) -> bool:
        """Tells who waits; where nobody does, the keys are in ``refused``."""
        is_awaited = self._answer(identity, error)
        if not is_awaited:
            self.refused += keys
        return is_awaited

    def _forget(self, identity: str) -> list[Key]:
        """A request was refused: what it was to subscribe to is not, and no snapshot is awaited."""
        keys = [key for key, each in self.identities.items() if each == identity]
        for key in keys:
            self._without(key)
        return keys

    def _without(self, key: Key) -> None:
        self.identities.pop(key, None)
        waiting = self._snapshots.get(key[0])
        if waiting and key in waiting:
            waiting.remove(key)

    def unsubscribed(self, key: Key, identity: str) -> None:
        """It was unsubscribed from: nothing of it is awaited any more."""
        self._without(key)
        self.drop(identity)

    def snapshot(self, message: Any) -> str | None:
        """A snapshot came: the kind that it is of, and its request is answered."""
        waiting = self._snapshots.get(message.symbol)
        if not waiting:
            return None
        key = waiting.popleft()
        self._answer(self.identities.get(key, ""), message)
        return key[1]


def market_data_request(
    symbol: str, kind: str, depth: int, identity: str, subscribe: bool
) -> dict[str, Any]:
    """The values of a MarketDataRequest. A market depth of 1 is what makes it a book ticker."""
    types = ["Trade"] if kind == TRADE else ["Bid", "Offer"]
    return {
        "subscription_request_type": "Subscribe" if subscribe else "Unsubscribe",
        "market_depth": {TICKER: 1, DEPTH: depth}.get(kind),
        "aggregated_book": None if kind == TRADE else True,
        "related_sym": [{"symbol": symbol}],
        "md_entry_types": [{"md_entry_type": each} for each in types],
        "md_req_id": identity,
    }


def checked_kinds(kinds: str | Iterable[str]) -> tuple[str, ...]:
    found = (kinds,) if isinstance(kinds, str) else tuple(dict.fromkeys(kinds))
    for each in found:
        if each not in KINDS:
            raise ValueError(f"kind {each!r} is not one of {', '.join(KINDS)}")
    if not found:
        raise ValueError(f"at least one kind is needed, of {', '.join(KINDS)}")
    return found
