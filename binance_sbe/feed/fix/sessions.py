"""FIX sessions that follow upon each other, with what was subscribed to, and what they bring."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from typing import Any

from ... import fix_sbe
from ...api.fix_session import Damaged, Event, Failed, LoggedOn, LoggedOut, Maintenance, Received
from ...errors import FeedError, FixError, LogonRefused, SlowConsumer, Unreachable
from ...logs import LOG
from ...output import shown
from .account import DEPTH, TRADE, Account
from .link import Link, now
from .requests import Key, market_data_request
from .settings import Settings

_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 30.0
_GIVE_UP_SECONDS = 900.0
_SETTLE_SECONDS = 1.0  # in which trades of a successor begin
_LOGOUT_SECONDS = 6.0
_MOST_DAMAGED = 1000


class Sessions:
    """The base of `Connection`: opens sessions, and has ``_queue`` of what came, with when."""

    def __init__(self, settings: Settings) -> None:
        self.damaged: deque[Damaged] = deque(maxlen=_MOST_DAMAGED)
        self.sessions_count = 0
        self.is_deprecated = False
        self._settings = settings
        self._account = Account()
        self._link: Link | None = None
        self._links: list[Link] = []  # all that are not closed
        self._renewal: asyncio.Task[None] | None = None
        self._wanted: dict[Key, int] = {}  # what is subscribed to, and how deep
        self._queue: deque[tuple[Any, int]] = deque()
        self._wake = asyncio.Event()
        self._closing = asyncio.Lock()
        self._error: FeedError | None = None
        self._is_closed = self._is_consumed = False

    # opening and closing

    async def close(self) -> None:
        """Logs out, and waits until the exchange has answered, a few seconds at most."""
        self._is_closed = True
        self._wake.set()
        async with self._closing:  # whoever comes second waits for the first
            if self._renewal is not None:
                self._renewal.cancel()
                await asyncio.gather(self._renewal, return_exceptions=True)
            await asyncio.gather(*(self._left(link) for link in list(self._links)))

    async def _left(self, link: Link) -> None:
        """A session is logged out of, and over."""
        link.log_out()
        try:
            async with asyncio.timeout(_LOGOUT_SECONDS):
                await link.ended()
        except TimeoutError:
            LOG.warning("%s: the exchange did not end the session", self._settings.place)
        finally:
            await self._close_link(link)

    async def _close_link(self, link: Link) -> None:
        await link.close()
        if link in self._links:
            self._links.remove(link)

    async def _opened(self) -> Link:
        """A new session that is logged on. Raises Unreachable and LogonRefused."""
        link = Link(self._settings, self._take)
        self._links.append(link)
        try:
            await link.open()
            await link.logged_on
        except BaseException:
            link.is_wanted = False
            await self._close_link(link)
            raise
        self.sessions_count += 1
        return link

    # events

    def _take(self, link: Link, event: Event) -> None:
        match event:
            case Received():
                self._received(link, event)
            case LoggedOn():
                self._logged_on(link, event)
            case Damaged():
                self.damaged.append(event)
                LOG.warning("%s: a message is damaged: %s", self._settings.place, event.error)
            case Maintenance():
                headline = shown(event.message.headline, 200)
                LOG.info("%s: the exchange says: %s", self._settings.place, headline)
                if self._settings.reconnect and link is self._link:
                    self._begin_renewal("the exchange announced its end")
                elif link is self._link:
                    self._put(event.message)
            case LoggedOut():
                said = event.text or "without a reason"
                self._ended(link, FixError(f"the exchange ended the session: {said}"))
            case Failed():
                self._ended(link, event.error)

    def _logged_on(self, link: Link, event: LoggedOn) -> None:
        if event.is_deprecated:
            self.is_deprecated = True
            version = f"{fix_sbe.SCHEMA_ID}:{fix_sbe.SCHEMA_VERSION}"
            LOG.warning("the exchange will give up schema %s: install a newer binance-sbe", version)
        if not link.logged_on.done():
            link.logged_on.set_result(None)

    def _ended(self, link: Link, error: FixError) -> None:
        link.requests.fail(error)
        if not link.logged_on.done():
            refused = error if isinstance(error, LogonRefused) else LogonRefused(str(error))
            link.logged_on.set_exception(refused)
            return
        if link is not self._link or not link.is_wanted or self._is_closed:
            return
        if not self._settings.reconnect:
            self._fail(error)
            return
        LOG.warning("%s: %s", self._settings.place, error)
        self._begin_renewal(str(error))

    def _fail(self, error: FeedError) -> None:
        if self._error is None:
            self._error = error
        self._wake.set()

    def _received(self, link: Link, event: Received) -> None:
        message, at = event.message, time.time_ns()
        if link.requests.take(message):
            return
        if isinstance(message, fix_sbe.MarketDataSnapshot):
            if link.requests.snapshot(message) == DEPTH:
                self._account.begin(message.symbol, message.last_book_update_id, at)
        elif not self._account.is_new(message, at):
            return
        elif isinstance(message, fix_sbe.MarketDataRequestReject):
            self._lost_subscriptions(link)
        self._put(message)

    def _lost_subscriptions(self, link: Link) -> None:
        """What was refused after nobody waited for it any more."""
        for key in [key for key in self._wanted if key not in link.requests.identities]:
            LOG.warning("the exchange refused %s of %s", key[1], key[0])
            del self._wanted[key]

    def _put(self, message: Any) -> None:
        if len(self._queue) >= self._settings.max_queue:
            self._fail(SlowConsumer("the FIX session", len(self._queue)))
            for link in self._links:
                link.log_out("the consumer is too slow")
            return
        if self._error is None:
            self._queue.append((message, time.time_ns()))
            self._wake.set()

    # renewal

    def _begin_renewal(self, cause: str) -> None:
        self._account.cause = cause
        if self._renewal is None or self._renewal.done():
            self._renewal = asyncio.create_task(self._renew(), name="FIX renewal")
            self._renewal.add_done_callback(self._renewed)

    def _renewed(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            wrong = (
                error if isinstance(error, FeedError) else FixError(f"renewal failed: {error!r}")
            )
            self._fail(wrong)

    async def _renew(self) -> None:
        """Opens another session, subscribes, and leaves the one before; again until it succeeds."""
        pause, until = _FIRST_PAUSE, time.monotonic() + _GIVE_UP_SECONDS
        while True:
            old = self._link
            assert old is not None
            try:
                link = await self._succeeded()
            except (Unreachable, FixError, TimeoutError) as error:
                is_dead = not old.is_live
                if is_dead and (isinstance(error, LogonRefused) or time.monotonic() >= until):
                    raise
                LOG.warning("%s: no new session yet: %s", self._settings.place, error)
                await asyncio.sleep(pause)
                pause = min(2 * pause, _LONGEST_PAUSE)
                continue
            self._link = link
            if old.is_live:
                await asyncio.sleep(_SETTLE_SECONDS)
                await self._left(old)
            else:
                await self._close_link(old)
            if link.is_live:
                return
            pause, until = _FIRST_PAUSE, time.monotonic() + _GIVE_UP_SECONDS

    async def _succeeded(self) -> Link:
        """A session that has all that is subscribed to."""
        link = await self._opened()
        try:
            await self._ask(link, dict(self._wanted))
        except BaseException:
            link.is_wanted = False
            await self._left(link)
            raise
        return link

    # asking

    async def _sent(self, link: Link, kind: Any, values: dict[str, Any]) -> int:
        """Sends as soon as the limit of messages allows."""
        while (wait := link.session.wait(now())) > 0 and link.is_live:
            await asyncio.sleep(wait)
        return link.send(kind, values)

    async def _ask(self, link: Link, wanted: dict[Key, int]) -> None:
        """Subscribes, and waits for a snapshot of each book."""
        answers: list[tuple[str, asyncio.Future[Any]]] = []
        try:
            for key, depth in wanted.items():
                identity = link.requests.new_id()
                values = market_data_request(*key, depth, identity, subscribe=True)
                number = await self._sent(link, fix_sbe.MarketDataRequest, values)
                link.requests.subscribed(key, identity)
                if key[1] != TRADE:  # whose increments are the only answer
                    answers.append((identity, link.requests.wait_for(identity, number)))
            found = await asyncio.gather(
                *(self._answer(answer, "snapshot") for _, answer in answers),
                return_exceptions=True,
            )
            for each in found:
                if isinstance(each, BaseException):
                    raise each
        finally:
            for identity, _ in answers:
                link.requests.drop(identity)

    async def _answer(self, answer: asyncio.Future[Any], what: str) -> Any:
        seconds = self._settings.reply_timeout
        try:
            async with asyncio.timeout(seconds):
                return await answer
        except TimeoutError:
            raise FixError(f"the exchange sent no {what} within {seconds:g} s") from None
