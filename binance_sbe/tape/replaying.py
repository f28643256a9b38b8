"""Feeds that play a tape: the shells of live feeds, over a `Player` in the place of connections."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from typing import TYPE_CHECKING, Any, Literal, NoReturn, cast

from sbe_codegen.runtime.tables.results import Batch

from ..errors import TapeError
from ..feed import blocking, feed
from ..feed.base import BaseFeed, Plan
from ..feed.intake.frame_queue import policies
from ..feed.intake.handlers import FrameHandler
from ..feed.moving import LONGEST_WAIT
from ..feed.settings import Settings
from ..venue.streams import Message, stream_names
from .playing import Player, most_held_of
from .pumping import EVER
from .selecting import Moment, Selection, said
from .slices import AnyPath
from .staging import FEW, MANY, AsyncStage, ThreadStage
from .tape import Tape

if TYPE_CHECKING:
    from ..feed.backfill import FilledTrades
    from .played_books import AsyncBooks, ThreadBooks


class Playbill:
    """What `replay` was asked for, checked. Raises as `replay` does."""

    def __init__(
        self,
        path: AnyPath | Iterable[AnyPath],
        speed: float | None,
        start: Moment | None,
        end: Moment | None,
        streams: str | Iterable[str] | None,
        on_error: str,
        max_queue: int,
        on_damage: Literal["raise", "skip"],
    ) -> None:
        if speed is not None:
            if isinstance(speed, bool) or not isinstance(speed, int | float):
                raise TypeError(f"speed is a number, or None, not {type(speed).__name__}")
            if not 0 < speed < float("inf"):
                raise ValueError(f"speed is a positive number, or None, not {speed}")
        if on_error not in ("raise", "collect"):
            raise ValueError(f"on_error is 'raise' or 'collect', not {on_error!r}")
        if max_queue < 1:
            raise ValueError(f"max_queue is at least 1 frame, not {max_queue}")
        self.speed = speed
        self.selection = Selection.of(start, end, streams)
        self.tape = Tape(path, on_damage=on_damage)
        self.tape.check_is_public()
        first, last = self.tape.start_ns, self.tape.end_ns
        if first is None or last is None:
            raise TapeError(f"{self.tape.paths[0]}: nothing is on this tape")
        if self.selection.start > last or self.selection.end <= first:
            raise ValueError(
                f"the tape has nothing in that time: it has {said(first)} to {said(last)}"
            )
        self.plan = Plan(
            streams=[],
            url=", ".join(map(str, self.tape.paths)),
            rest_url="",
            api_key=None,
            on_error=on_error,
            policy=policies("block"),
            # what is held takes room, and the consumer is to have some besides
            max_queue=max(max_queue, 2 * most_held_of(self.tape)),
            settings=Settings(),
        )


class Replayed(BaseFeed):
    """What both have: a `Player` in the place of the engine."""

    player: Player

    def _played(self, bill: Playbill) -> Player:
        self.player = Player(bill.tape, bill.selection, self._backlog, self.ledger)
        if bill.selection.streams is not None:
            self.player.check_known(bill.selection.streams)
        return self.player

    @property
    def tape(self) -> Tape:
        """What is played."""
        return self.player.tape

    @property
    def streams(self) -> list[str]:
        """The streams that the exchange had acknowledged, as far as the tape was played."""
        return self.player.sessions.streams

    @property
    def now_ns(self) -> int:
        """The time of the tape: when what was played last came."""
        return self.player.now_ns

    @property
    def cut_off(self) -> set[str]:
        """The streams that no connection brings now, by the time of the tape."""
        return self.player.sessions.cut_off()

    @property
    def reconnects(self) -> int:
        """How often a connection was lost."""
        return self.player.sessions.lost_count

    def _not_on_tape(self, what: str) -> RuntimeError:
        return RuntimeError(f"a tape is played here, {self.url}: {what}")

    def renew(self) -> None:
        """RuntimeError: connections are those of the tape."""
        raise self._not_on_tape("its connections can't be renewed")

    def record(self, path: Any, **options: Any) -> NoReturn:
        """RuntimeError: it is recorded already."""
        raise self._not_on_tape("what comes is recorded already; 'binance-sbe tape cut' copies it")

    def _delay(self, max_delay: float) -> int:
        """The time of the tape at which a batch that has a row now is handed over."""
        if max_delay * 1e9 >= EVER:
            return EVER
        return min(self.player.now_ns + int(max_delay * 1e9), EVER)


class AsyncFeed(Replayed, feed.Feed):
    """A tape that is played, as the feed was that it was recorded of. Made by `replay`.

    Everything is as in a live feed, at the times of the tape: ``max_delay`` of `batches` too, so
    that batches are the same at any speed. `subscribe` and `unsubscribe` choose what is handed on
    among the streams of the tape; ``tape`` is the `Tape`.
    """

    _usage = "async with replay(...) as feed:"

    def __init__(self, bill: Playbill) -> None:
        self._bill = bill
        self._most = FEW
        super().__init__(bill.plan)

    def _new_connections(self, plan: Plan) -> Any:
        return AsyncStage(self._played(self._bill), self._bill.speed)

    async def __aenter__(self) -> Any:
        if self._is_open:
            raise RuntimeError("this feed was opened before: call replay again")
        self._is_open = True
        self.player.open()
        return self

    async def close(self) -> None:
        """Ends it: iteration ends after the frames that were played."""
        if self._is_open:
            await self._connections.close()

    async def subscribe(self, *streams: str) -> None:
        """Has these handed on, too. ValueError for streams that the tape has not."""
        if streams:
            self._opened()
            self.player.subscribe(stream_names(streams))

    async def unsubscribe(self, *streams: str) -> None:
        """Has these not handed on any more."""
        if streams:
            self._opened()
            self.player.unsubscribe(stream_names(streams))

    def fill_trades(self, client: Any = None) -> AsyncIterator[FilledTrades]:
        """RuntimeError: a tape is as it is."""
        raise self._not_on_tape("holes of it are not filled")

    def _rings(self) -> Awaitable[object]:
        return self._stage.play(self._most)

    @property
    def _stage(self) -> AsyncStage:
        return cast("AsyncStage", self._connections)

    async def play(self) -> None:
        """Has a part of the tape played, for who needs more than frames of it: books."""
        self._alone()
        self._bell.is_waited = True
        try:
            await self._stage.play(FEW)
        finally:
            self._bell.is_waited = False

    async def run(
        self, handler: Callable[[Message], object] | FrameHandler, *, reuse: bool = False
    ) -> None:
        """Calls ``handler(message)`` for each message: see `Feed.run` of a live feed."""
        self._most = MANY
        try:
            await super().run(handler, reuse=reuse)
        finally:
            self._most = FEW

    async def batches(
        self, max_messages: int = 10_000, max_delay: float = 0.1
    ) -> AsyncIterator[Batch]:
        """Batches of frames as tables, each with a ``received_ns`` column: the times of the tape.

        A batch is handed over when it has ``max_messages`` frames, or before the first that came
        ``max_delay`` seconds after its first, by the tape's time. All else is as in a live feed.
        """
        size = self._batch_size(max_messages, max_delay)
        self._begin()
        backlog, player, stage = self._backlog, self.player, self._stage

        def there_are_rows() -> int:
            self._alone()
            backlog.gather(size)
            self._most = 1
            return backlog.batches.rows

        try:
            while await self._wait(there_are_rows):
                until = self._delay(max_delay)
                while not (backlog.rows_ready or player.is_over):
                    self._alone()
                    self._bell.is_waited = True
                    try:
                        if not await stage.play(EVER - player.frames, until):
                            break
                    finally:
                        self._bell.is_waited = False
                yield self._hand_over()
        finally:
            self._most = FEW
            backlog.stop_gathering()
        self._end()

    def books(self, *symbols: str, **options: Any) -> Any:
        """Order books of these symbols, kept in step with the snapshots of the tape.

        ``async with feed.books("btcusdt") as kept``, before anybody iterates over the feed.
        ``options`` are those that are not of requests: ``max_levels``, ``max_buffer``.
        """
        from .played_books import AsyncBooks

        self._opened()
        books: AsyncBooks = AsyncBooks(self, symbols, **options)
        return books


class ThreadFeed(Replayed, blocking.Feed):
    """A tape that is played in the thread that uses it. Made by `sync.replay`.

    Everything is as in the feed of `binance_sbe.replay`.
    """

    def __init__(self, bill: Playbill) -> None:
        self._bill = bill
        super().__init__(bill.plan, None, False, None)

    def _new_loop(self, plan: Plan, spin: bool) -> Any:
        return ThreadStage(self._played(self._bill), self._bill.speed)

    @property
    def _stage(self) -> ThreadStage:
        return cast("ThreadStage", self._loop)

    def __enter__(self) -> Any:
        if self._is_open:
            raise RuntimeError("this feed was opened before: call sync.replay again")
        self._is_open = True
        self.player.open()
        return self

    def _not_open(self) -> RuntimeError:
        return RuntimeError(
            "this is not open: write 'with sync.replay(...) as feed:', and use it in that block"
        )

    def _look(self) -> None:
        """There are no sockets to look at."""

    def _next_batch(self, size: int, max_delay: float) -> Batch | None:
        backlog, stage = self._backlog, self._stage
        backlog.gather(size)
        try:
            stage.most = 1
            while not backlog.batches.rows:
                if self._is_over:
                    return None
                self._wait(float("inf"), None)
            stage.most, stage.until = EVER - self.player.frames, self._delay(max_delay)
            while not (backlog.rows_ready or self._is_over or stage.pace.is_at(stage.until)):
                self._turn(LONGEST_WAIT)
        finally:
            stage.most, stage.until = FEW, EVER
        return self._hand_over()

    def _run(self, calls: Any) -> None:
        self._stage.most = MANY
        try:
            super()._run(calls)
        finally:
            self._stage.most = FEW

    def play(self) -> None:
        """Has a part of the tape played, for who needs more than frames of it: books."""
        me = self._alone()
        with self._lock:
            self._mover, self._is_consumed = me, True
            try:
                self._turn(LONGEST_WAIT)
            finally:
                if self._closes:
                    self._finish_closing()

    def books(self, *symbols: str, **options: Any) -> Any:
        """Order books of these symbols, kept in step with the snapshots of the tape.

        ``with feed.books("btcusdt") as kept``, before anybody iterates over the feed. ``options``
        are those that are not of requests: ``max_levels``, ``max_buffer``.
        """
        from .played_books import ThreadBooks

        self._opened()
        books: ThreadBooks = ThreadBooks(self, symbols, **options)
        return books
