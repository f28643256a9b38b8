"""The order books of a relay: what REST answers of depth, in step with the diffs it passes on."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, Any

from sbe_codegen.runtime.errors import DecodeError, SbeError

from ..books.order_book import OrderBook
from ..logs import LOG
from ..output import shown
from ..spot_sbe import DepthResponse
from ..spot_stream import DepthDiffStreamEvent
from ..venue.streams import DEPTH
from .rest import Asked, BaseRest, Refusal, depth_response, depth_weight, number

if TYPE_CHECKING:
    from ..api.rest import Client

_LIMIT = 5000  # levels of a snapshot
_MOST_DIFFS = 3000  # that wait for a snapshot
_PAUSE_SECONDS = 1.0  # between two snapshots of a symbol
_PATIENCE_SECONDS = 5.0  # that an answer waits for its book


class Depths:
    """Books of the symbols whose diffs are passed on. ``fetch(symbol)`` gets a snapshot.

    Without ``fetch`` snapshots are those of a tape, given to `snapshot`; where it has some,
    ``begins`` has books begun with the first diff, so that a snapshot finds those before it.
    """

    def __init__(self, fetch: Callable[[str], Any] | None) -> None:
        self.begins = False
        self._fetch = fetch
        self._books: dict[str, OrderBook] = {}  # by stream
        self._asked: dict[str, float] = {}  # when a snapshot was
        self._locks: dict[str, asyncio.Lock] = {}

    def take(self, stream: str, frame: bytes) -> None:
        """A frame that is passed on."""
        book = self._books.get(stream)
        if book is None:
            if not (self.begins and stream.endswith(f"@{DEPTH}")):
                return
            book = self._begin(stream)
        with contextlib.suppress(DecodeError):  # then an id is missing, which the book will see
            book.apply(DepthDiffStreamEvent.decode(frame))

    def snapshot(self, symbol: str, body: bytes) -> None:
        """An answer of REST on the tape."""
        stream = f"{symbol.lower()}@{DEPTH}"
        book = self._books.get(stream) or self._begin(stream)
        if book.state != "live":
            try:
                book.apply_snapshot(DepthResponse.decode(body))
            except DecodeError as error:
                LOG.warning("%s: a snapshot on the tape is damaged: %s", shown(symbol), error)

    def _begin(self, stream: str) -> OrderBook:
        symbol = stream.rpartition("@")[0].upper()
        book = self._books[stream] = OrderBook(symbol, on_error="mark", max_buffer=_MOST_DIFFS)
        return book

    def forget(self, stream: str) -> None:
        """Its diffs do not come any more."""
        for each in (self._books, self._asked, self._locks):
            each.pop(stream, None)

    async def prepare(self, stream: str) -> None:
        """Has the book of a stream of diffs live, if that can be done in some seconds."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_PATIENCE_SECONDS):
                async with self._locks.setdefault(stream, asyncio.Lock()):
                    await self._bring(stream)

    async def _bring(self, stream: str) -> None:
        while (book := self._books.get(stream)) is None or book.state != "live":
            if self._fetch is not None:
                book = book or self._begin(stream)
                pause = self._asked.get(stream, 0.0) + _PAUSE_SECONDS - time.monotonic()
                await asyncio.sleep(max(pause, 0.0))
                self._asked[stream] = time.monotonic()
                try:
                    book.apply_snapshot(await self._fetch(book.symbol), _LIMIT)
                except SbeError as error:
                    LOG.warning("%s: no snapshot for the relay: %s", shown(book.symbol), error)
            await asyncio.sleep(0.05)

    def answer(self, stream: str, limit: int) -> bytes:
        """A DepthResponse of the book as it is."""
        book = self._books.get(stream)
        if book is None or book.state != "live":
            raise Refusal(-1000, f"there is no order book of {stream} yet: ask again", 503)
        sides = [side[: side.proven][:limit].tolist() for side in (book.bids(), book.asks())]
        return depth_response(book.update_id, (book.price_exponent, book.qty_exponent), *sides)


class RelayRest(BaseRest):
    """``has(stream)`` says whether a stream is passed on now."""

    def __init__(self, depths: Depths, has: Callable[[str], bool]) -> None:
        super().__init__()
        self._depths, self._has = depths, has
        self.paths["/api/v3/depth"] = depth_weight, self._depth

    def stream(self, asked: Asked) -> str:
        """The stream of diffs that a request of depth is about."""
        stream = f"{asked.get('symbol', '').lower()}@{DEPTH}"
        if not self._has(stream):
            raise Refusal(-1121, "Invalid symbol: nobody has subscribed to its depth here.")
        return stream

    def _depth(self, asked: Asked, now: float) -> bytes:
        return self._depths.answer(self.stream(asked), number(asked, "limit", 100))


@contextlib.asynccontextmanager
async def fetching(url: str, route: dict[str, Any]) -> AsyncIterator[Callable[[str], Any]]:
    """Gives what gets a snapshot of the exchange. aiohttp is wanted with the first, no sooner."""
    from ..api import rest

    async with contextlib.AsyncExitStack() as stack:
        opened: list[Client] = []

        async def fetch(symbol: str) -> DepthResponse:
            if not opened:
                opened.append(await stack.enter_async_context(rest.Client(url=url, **route)))
            response: DepthResponse = await opened[0].depth(symbol, _LIMIT)
            return response

        yield fetch
