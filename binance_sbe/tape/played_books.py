"""Order books over a tape that is played: kept in step with the snapshots that are on it.

Each request, answer and failure of the live books is a row of the tape, with the number of events
that these had taken before: here they are given to the same `Keeper` at the same places, so that a
book has the same levels at every update id. No requests, and no clock but the tape's.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import AsyncIterator, Iterable
from typing import Any, NamedTuple

from sbe_codegen.runtime.errors import DecodeError

from ..books import blocking, live
from ..books.base import TICK_SECONDS, BaseBooks
from ..books.keeper import UP, Link, LiveBook
from ..feed.protocol.supervisor import WE_CLOSED
from ..logs import LOG
from ..spot_sbe import DepthResponse
from .playing import Player
from .pumping import EVER

_NOT_ASKED = "the tape has a snapshot"


class _Due(NamedTuple):
    """A row of a snapshot, for when so many events were taken. ``link`` and times are the row's."""

    after: int
    told: dict[str, Any]
    body: bytes
    link: Link
    now: float
    now_ns: int


class PlayedBooks(BaseBooks):
    """What both shells share. ``feed`` is one of `replaying`."""

    feed: Any

    def __init__(self, feed: Any, symbols: Iterable[str], **options: Any) -> None:
        super().__init__(feed, symbols, **{"audit_seconds": None, **options})
        self._player: Player = feed.player
        self._due: deque[_Due] = deque()
        self._places: list[int] = []  # of the snapshots of the tape: the events before each
        self._ticked = 0.0
        self._row_link: Link | None = None
        self._has_ended = False  # whoever takes the events has had the last

    def _start(self) -> None:
        """What is on the tape is looked for, once."""
        if self._player.on_snapshot is not None:
            raise RuntimeError("this feed has books already")
        if self._player.frames == 0:
            self._places = self._player.snapshots()
        self._player.on_snapshot = self._passed

    def _stop(self) -> None:
        if self._player.on_snapshot == self._passed:
            self._player.on_snapshot = None

    def _now(self) -> tuple[float, int]:
        player = self._player
        return player.moment_ns / 1e9, player.now_ns

    def _link(self, symbol: str) -> Link:
        """That the recorded feed was closed counts once all that it had brought is taken."""
        link = super()._link(symbol) if self._row_link is None else self._row_link
        return UP if link.cause == WE_CLOSED and not (link.is_up or self._has_ended) else link

    @property
    def _is_behind(self) -> bool:
        """Whether the tape is to be played up to another snapshot before the next event is taken.

        The live books had taken this many events when it came: others had arrived, and waited.
        """
        player = self._player
        passed = player.snapshots_passed
        return (
            player.is_true
            and passed < len(self._places)
            and self._places[passed] <= self._taken_count
            and not player.is_over
            and not self.feed._backlog.full
        )

    def _passed(self, told: dict[str, Any], body: bytes) -> None:
        """The player has come to the row of a snapshot."""
        symbol = str(told["symbol"])
        if symbol not in self._keeper.books:
            return
        # The events that wait came before it. Where all is as it was live, the books had not taken
        # all of them.
        after = self._taken_count + len(self.feed._backlog.frames)
        if self._player.is_true:
            after = min(max(int(told["after"]), self._taken_count), after)
        self._due.append(_Due(after, told, body, super()._link(symbol), *self._now()))

    def _apply(self) -> None:
        """The snapshots whose turn it is."""
        while self._due and self._due[0].after <= self._taken_count:
            due = self._due.popleft()
            self._row_link = due.link
            try:
                self._apply_one(due)
            finally:
                self._row_link = None
        self._say()
        now, _ = self._now()
        if now >= self._ticked + TICK_SECONDS:
            self._ticked = now
            self._tick()

    def _apply_one(self, due: _Due) -> None:
        keeper, symbol = self._keeper, due.told["symbol"]
        keeper.limit = int(due.told.get("limit", keeper.limit))
        if due.told.get("asked"):
            keeper.ask(symbol, _NOT_ASKED, due.now)
            keeper.begin(symbol)
        elif "error" in due.told:
            LOG.warning("%s: no snapshot of %s: %s", self.feed.url, symbol, due.told["error"])
            keeper.failed(symbol, due.now)
        else:
            if not keeper.is_fetching(symbol):  # the request came before what is played
                keeper.ask(symbol, _NOT_ASKED, due.now)
                keeper.begin(symbol)
            try:
                answer = DepthResponse.decode(due.body)
            except DecodeError as error:
                LOG.warning("%s: no snapshot of %s: %s", self.feed.url, symbol, error)
                keeper.failed(symbol, due.now)
                return
            keeper.snapshot(symbol, answer, due.now, due.now_ns)


class AsyncBooks(PlayedBooks, live.Books):
    """Order books by symbol over a feed that plays a tape. Made by its ``books``."""

    async def _open_client(self) -> None:
        self._start()

    def _start_tasks(self) -> None:
        """There are no requests."""

    def _source(self) -> AsyncIterator[Any]:
        return self._events()

    async def _events(self) -> AsyncIterator[Any]:
        feed = self.feed
        events = feed.__aiter__()
        while True:
            while self._is_behind:
                await feed.play()
            self._apply()
            try:
                event = await anext(events)
            except StopAsyncIteration:
                self._apply()
                self._has_ended = True
                return
            self._apply()
            yield event

    async def close(self) -> None:
        """Ends it; the feed stays open."""
        self._stop()
        await super().close()


class ThreadBooks(PlayedBooks, blocking.Books):
    """Order books by symbol over a feed that plays a tape. Made by its ``books``.

    They move while somebody iterates over their ``events()``, or is in ``wait()`` or ``keep()``;
    the seconds of ``keep`` are those of the tape.
    """

    def _new_requests(self) -> Any:
        return _NoRequests(self)

    def keep(self, seconds: float) -> None:
        """Keeps the books in step for so long, by the tape."""
        stage = self.feed._stage
        stage.until = until = self._player.now_ns + int(seconds * 1e9)
        try:
            while not (self._player.is_over or stage.pace.is_at(until)) or self.feed.waiting:
                if self.feed.waiting:
                    self._step(None)
                else:
                    self.feed.play()
        finally:
            stage.until = EVER
        if self._player.is_over:
            self._has_ended = True
            self.feed._end()

    def _step(self, until: float | None) -> tuple[bool, tuple[str, LiveBook | None, Any] | None]:
        while self._is_behind:
            self.feed.play()
        self._apply()
        patience = None if until is None else max(until - time.monotonic(), 0.0)
        try:
            event = self.feed.receive(patience)
        except TimeoutError:
            return False, None
        self._apply()
        if event is None:
            self._has_ended = True
            return True, None
        return False, self._taken(event)


class _NoRequests:
    """In the place of the thread that asks for snapshots."""

    def __init__(self, books: PlayedBooks) -> None:
        self._books = books

    def start(self) -> None:
        self._books._start()

    def close(self) -> None:
        self._books._stop()
