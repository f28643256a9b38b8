"""A FIX session for programs, with asyncio: what was subscribed to stays so, and nothing is lost
silently."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterable
from typing import Any

from sbe_codegen.runtime.tables.results import Batch

from ... import fix_sbe
from ...errors import FeedError
from ...venue.streams import symbol_name
from ..ledger import Ledger
from ..settings import check_batching
from .account import DEPTH, KINDS
from .link import Link
from .requests import Key, checked_kinds
from .sessions import MOST_DEPTH, Sessions


class Connection(Sessions):
    """A FIX session, to be used as ``async with fix.connect(...) as session``.

    ``async for message in session`` gives what the exchange sends, message objects of `fix_sbe`,
    but for answers to the methods below and what the session itself answers. One consumer at a
    time. Where the exchange announces the end of the session (News), another one is opened and
    subscribed before the first is left, and where a session is lost, a new one takes its place: for
    market data, that is; other roles end with FixError, unless ``reconnect=True``. Increments that
    came already are not handed on again (``repeated`` counts them), and ids that are missing are in
    ``ledger.holes``; ``gaps`` says when there was no session. Messages that can't be decoded are in
    ``damaged``, the latest 1,000.
    """

    _usage = "async with fix.connect(...) as session:"

    def __repr__(self) -> str:
        state = "new" if self._link is None else self._link.session.state
        return f"<fix.Connection {self._settings.place}, {state}, {len(self._wanted)} streams>"

    @property
    def ledger(self) -> Ledger:
        """What is missing: ``holes`` of streams such as ``fix:btcusdt@depth``."""
        return self._account.ledger

    @property
    def repeated(self) -> int:
        """Increments that came a second time, of a successor."""
        return self._account.repeated

    @property
    def clock_offset(self) -> int | None:
        """How far the exchange's clock was ahead of this one when it last sent, in us."""
        return None if self._link is None else self._link.session.clock_offset

    @property
    def streams(self) -> list[Key]:
        """Symbol and kind of what is subscribed to."""
        return list(self._wanted)

    def is_subscribed(self, symbol: str, kind: str) -> bool:
        """Whether a kind of market data of a symbol, in upper case, is in ``streams``."""
        return (symbol, kind) in self._wanted

    @property
    def is_live(self) -> bool:
        """Whether there is a session that is logged on, and has all that is subscribed to."""
        return self._link is not None and self._link.is_live and not self._is_closed

    @property
    def is_closed(self) -> bool:
        """Whether nothing more comes but what waits."""
        return self._is_closed

    # requests

    async def subscribe(
        self, *symbols: str, kinds: str | Iterable[str] = KINDS, depth: int = MOST_DEPTH
    ) -> None:
        """Subscribes to kinds of market data: "trade", "book_ticker" and "depth", of each symbol.

        ``depth`` is how many levels of a side are followed, 2 to 5,000. Returns when a snapshot of
        each book has come, which is handed to who iterates as well. Raises SubscriptionRefused, or
        FixError where no snapshot comes; what was not refused is subscribed to then. Where trades
        are refused, nothing is raised: the MarketDataRequestReject comes to who iterates.
        """
        if not (isinstance(depth, int) and 2 <= depth <= MOST_DEPTH):
            raise ValueError(f"depth is 2 to {MOST_DEPTH} levels, not {depth!r}")
        found = checked_kinds(kinds)
        names = [symbol_name(each).upper() for each in symbols]
        if not names:
            raise ValueError("at least one symbol is needed, such as 'btcusdt'")
        async with self._changing:
            link = self._live()
            for name in names:
                if DEPTH in found and self._wanted.get((name, DEPTH), depth) != depth:
                    raise ValueError(f"depth of {name} is subscribed to: unsubscribe from it first")
            wanted = {(name, kind): depth for name in names for kind in found}
            fresh = {key: depth for key, depth in wanted.items() if key not in self._wanted}
            self._wanted |= fresh
            try:
                await self._ask(link, fresh)
            except BaseException:
                for key in fresh:
                    if key not in link.requests.identities or not link.is_live:
                        self._wanted.pop(key, None)
                raise

    async def unsubscribe(self, *symbols: str, kinds: str | Iterable[str] = KINDS) -> None:
        """The opposite of `subscribe`; what was sent before may still come."""
        keys = [
            (symbol_name(symbol).upper(), kind)
            for symbol in symbols
            for kind in checked_kinds(kinds)
        ]
        async with self._changing:
            link = self._live()
            for key in keys:
                await self._unasked(link, key)
                self._wanted.pop(key, None)
                self._account.forget(*key)

    async def instruments(self, symbol: str | None = None) -> fix_sbe.InstrumentList:
        """What is traded, with the steps of prices and quantities: of one symbol, or of all."""
        link = self._live()
        identity = link.requests.new_id()
        values = {
            "instrument_list_request_type": "AllInstruments" if symbol is None
            else "SingleInstrument",
            "instrument_req_id": identity,
            "symbol": None if symbol is None else symbol_name(symbol).upper(),
        }  # fmt: skip
        found: fix_sbe.InstrumentList = await self._asked(
            link, fix_sbe.InstrumentListRequest, values, identity
        )
        return found

    async def limits(self) -> fix_sbe.LimitResponse:
        """How much of the limits of messages and orders is used."""
        link = self._live()
        identity = link.requests.new_id()
        found: fix_sbe.LimitResponse = await self._asked(
            link, fix_sbe.LimitQuery, {"req_id": identity}, identity
        )
        return found

    async def _asked(self, link: Link, kind: Any, values: dict[str, Any], identity: str) -> Any:
        number = await self._sent(link, kind, values)
        answer = link.requests.wait_for(identity, number)
        try:
            return await self._answer(answer, f"answer to a {kind.__name__}")
        finally:
            link.requests.drop(identity)

    async def send(self, kind: Any, **values: Any) -> int:
        """Sends any message of `fix_sbe`, such as NewOrderSingle; returns its number.

        Answers come to who iterates; a Reject has the number in ``ref_seq_num``. Where the limit of
        messages is reached, this waits. Raises EncodeError for values that can't be, ValueError for
        messages of the session itself, FixError where it has ended.
        """
        return await self._sent(self._live(), kind, values)

    # consuming

    async def __anext__(self) -> Any:
        message = await self._next()
        if message is None:
            raise StopAsyncIteration
        return message[0]

    async def several(self, most: int, until: float | None) -> list[tuple[Any, int]]:
        """What is there, up to ``most`` messages with when they came, ns since 1970.

        At least one, unless ``until`` (of time.monotonic()) is over, or the session.
        """
        first = await self._next(until)
        found = [] if first is None else [first]
        while first is not None and self._queue and len(found) < most:
            found.append(self._taken_out())
        return found

    def left_over(self) -> list[tuple[Any, int]]:
        """What came and nobody has taken; for a connection that is closed."""
        found = list(self._queue)
        self._queue.clear()
        return found

    async def batches(
        self, *, max_messages: int = 10_000, max_delay: float = 0.1
    ) -> AsyncIterator[Batch]:
        """Batches of tables of what comes, as `fix_sbe.decode_many` gives them.

        A batch is handed over with ``max_messages`` messages, or ``max_delay`` seconds after its
        first. Rows have ``received_ns``.
        """
        check_batching(max_messages, max_delay)
        held: list[tuple[Any, int]] = []
        until: float | None = None
        while True:
            try:
                found = await self._next(until)
            except FeedError:
                if held:  # what came before is handed over first
                    yield batch_of(held)
                raise
            except BaseException:  # who is cancelled has got none of it
                self._give_back(held)
                raise
            if found is not None:
                held.append(found)
                if until is None:
                    until = time.monotonic() + max_delay
                if len(held) < max_messages and time.monotonic() < until:
                    continue
            elif until is None:
                return
            batch, held = batch_of(held), []
            yield batch
            until = None


def batch_of(messages: Iterable[tuple[Any, int]]) -> Batch:
    """Messages with when they came, as tables."""
    collector = fix_sbe.Collector()
    for message, received_ns in messages:
        collector.append(bytes(message), received_ns)
    return collector.take()
