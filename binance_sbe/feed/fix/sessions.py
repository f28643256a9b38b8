"""FIX sessions that follow upon each other, with what was subscribed to, and what they bring."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from typing import Any

from sbe_codegen.runtime.errors import DecodeError

from ... import fix_sbe
from ...api.fix_session import (
    MOST_KEPT,
    Damaged,
    Event,
    Failed,
    LoggedOn,
    LoggedOut,
    Maintenance,
    Received,
)
from ...api.fix_wire import now, text_of
from ...errors import (
    FixError,
    LogonRefused,
    SlowConsumer,
    SubscriptionRefused,
    Unreachable,
)
from ...logs import LOG
from ...output import shown
from ..ledger import Gap
from ..successive import GIVE_UP_SECONDS, Successive
from .account import DEPTH, TRADE, Account, kind_of
from .link import Link
from .requests import Key, market_data_request
from .settings import Settings

MOST_DEPTH = 5000
_SETTLE_SECONDS = 1.0  # in which trades of a successor begin
_LOGOUT_SECONDS = 6.0
_MOST_DAMAGED = 1000


class Sessions(Successive[Link]):
    """The base of `Connection`: opens sessions; ``_queue`` has messages with when they came."""

    _made_by = "fix.connect"
    _wrong = FixError

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self.damaged: deque[Damaged] = deque(maxlen=_MOST_DAMAGED)
        self.sessions_count = 0
        self.is_deprecated = False
        self._settings = settings
        self._account = Account()
        self._account.ledger.gaps = self.gaps
        self._links: list[Link] = []  # all that are not closed
        self._wanted: dict[Key, int] = {}  # what is subscribed to, and how deep
        self._closing = asyncio.Lock()
        self._changing = asyncio.Lock()  # of what is subscribed to, and of the session for it
        self._feeding: Link | None = None  # whose messages are handed on

    # opening and closing

    async def close(self) -> None:
        """Logs out, and waits until the exchange has answered, a few seconds at most."""
        async with self._closing:  # whoever comes second waits for the first
            await self._end()
            await asyncio.gather(*(self._left(link) for link in list(self._links)))

    async def _left(self, link: Link) -> None:
        """A session is logged out of, and over."""
        link.log_out()
        try:
            await link.ended(_LOGOUT_SECONDS)
            if link.is_running:
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
        link.opened, link.began_ns = time.monotonic(), time.time_ns()
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
                headline = shown(text_of(event.message, "headline"), 200)
                LOG.info("%s: the exchange says: %s", self._settings.place, headline)
                link.is_ending = True
                if not self._settings.reconnect:
                    self._put(event.message)
                elif link is self._link:
                    self._begin_renewal("the exchange announced its end")
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
        if link is self._feeding:  # its successor, if there is one, goes on
            for other in self._links:
                if other.is_live and other is not link:
                    self._feed_from(other)
        if link is not self._link or not link.is_wanted or self._is_closed:
            return
        if not self._settings.reconnect:
            self._fail(error)
            return
        LOG.warning("%s: %s", self._settings.place, error)
        self._begin_renewal(str(error))

    def _received(self, link: Link, event: Received) -> None:
        try:
            self._sort(link, event.message)
        except DecodeError as error:  # of a text that is none
            frame = bytes(event.message)[:MOST_KEPT]
            self._take(link, Damaged(error, event.seq_num, frame))

    def _sort(self, link: Link, message: Any) -> None:
        """Answers go to who waits; what a successor brings waits while its predecessor goes on."""
        is_answer = link.requests.take(message)
        for key in link.requests.refused:
            LOG.warning("the exchange refused %s of %s", key[1], key[0])
            self._wanted.pop(key, None)
        link.requests.refused.clear()
        if is_answer:
            return
        kind: str | None = None
        if isinstance(message, fix_sbe.MarketDataSnapshot):
            kind = link.requests.snapshot(message)
        if link is not self._feeding:
            if self._feeding is not None and self._feeding.is_live:
                self._hold(link, message, kind)
                return
            self._feed_from(link)
        self._hand_on(message, kind, time.time_ns())

    def _hold(self, link: Link, message: Any, kind: str | None) -> None:
        if len(link.held) >= self._settings.max_queue:
            self._too_slow()
        link.held.append((message, kind, time.time_ns()))

    def _feed_from(self, link: Link) -> None:
        """From now on the messages of this session are handed on, with those that waited."""
        self._feeding = link
        held, link.held = link.held, []
        for message, kind, at in held:
            self._hand_on(message, kind, at)

    def _hand_on(self, message: Any, kind: str | None, at: int) -> None:
        """A message of the session that feeds; ``kind`` is that of a snapshot."""
        if isinstance(message, fix_sbe.MarketDataSnapshot):
            if kind == DEPTH:
                self._account.begin(message.symbol, message.last_book_update_id, at)
        else:
            kind = kind_of(message)
            # what was on its way when it was unsubscribed from is in no account
            if (
                kind is not None
                and (message.symbol, kind) in self._wanted
                and not self._account.is_new(message, kind, at)
            ):
                return
        self._put(message, at)

    def _put(self, message: Any, at: int | None = None) -> None:
        if self._waiting_count >= self._settings.max_queue:
            self._too_slow()
        if self._error is None:
            self._queue.append((message, time.time_ns() if at is None else at))
            self._wake.set()

    def _too_slow(self) -> None:
        self._fail(SlowConsumer("the FIX session", len(self._queue)))
        for link in self._links:
            link.log_out("the consumer is too slow")

    # renewal

    def _begin_renewal(self, cause: str) -> None:
        self._account.cause = cause
        self._renew_by(self._renew())

    async def _renew(self) -> None:
        """Opens another session, subscribes, and leaves the one before; again until it succeeds."""
        until = time.monotonic() + GIVE_UP_SECONDS
        while self._error is None:
            old = self._link
            assert old is not None
            await self._pause_after(old)
            try:
                link = await self._succeeded()
            except (Unreachable, FixError, TimeoutError) as error:
                is_refused = isinstance(error, LogonRefused) and error.code is not None
                if not old.is_live and (is_refused or time.monotonic() >= until):
                    raise
                LOG.warning("%s: no new session yet: %s", self._settings.place, error)
                await self._wait_a_while()
                continue
            if not old.is_live:  # or not any more: then its successor may have begun before
                self.gaps.append(Gap(old.last_ns, link.began_ns, self._account.cause))
            if old.is_live:
                await asyncio.sleep(_SETTLE_SECONDS)
                await self._left(old)
            else:
                await self._close_link(old)
            if self._feeding is not link:
                self._feed_from(link)
            if link.is_live and not link.is_ending:
                return
            until = time.monotonic() + GIVE_UP_SECONDS

    async def _succeeded(self) -> Link:
        """A session that has all that is subscribed to, and is the one to ask from now on."""
        link = await self._opened()
        try:
            await self._ask(link, dict(self._wanted), is_strict=False)
            async with self._changing:
                await self._catch_up(link)
                self._link = link
        except BaseException:
            link.is_wanted = False
            await self._left(link)
            raise
        return link

    async def _catch_up(self, link: Link) -> None:
        """What was subscribed to and unsubscribed from since it was asked."""
        identities = link.requests.identities
        missing = {key: depth for key, depth in self._wanted.items() if key not in identities}
        await self._ask(link, missing, is_strict=False)
        for key in [key for key in identities if key not in self._wanted]:
            await self._unasked(link, key)

    # asking

    async def _sent(self, link: Link, kind: Any, values: dict[str, Any]) -> int:
        """Sends as soon as the limit of messages allows."""
        while (wait := link.session.wait(now())) > 0 and link.is_live:
            await link.ended(wait)
        return link.send(kind, values)

    async def _ask(self, link: Link, wanted: dict[Key, int], *, is_strict: bool = True) -> None:
        """Subscribes, and waits for a snapshot of each book.

        Raises what is refused, or, where it is not strict, does without it and says so.
        """
        answers: dict[Key, tuple[str, asyncio.Future[Any]]] = {}
        try:
            for key, depth in wanted.items():
                identity = link.requests.new_id()
                values = market_data_request(*key, depth, identity, subscribe=True)
                number = await self._sent(link, fix_sbe.MarketDataRequest, values)
                link.requests.subscribed(key, identity, number)
                if key[1] != TRADE:  # whose increments are the only answer
                    answers[key] = identity, link.requests.wait_for(identity, number)
            found = await asyncio.gather(
                *(self._answer(answer, "snapshot") for _, answer in answers.values()),
                return_exceptions=True,
            )
        finally:
            for identity, answer in answers.values():
                link.requests.drop(identity)
                if answer.done() and not answer.cancelled():
                    answer.exception()  # which is told once
        wrong = [each for each in found if isinstance(each, BaseException)]
        if is_strict and wrong:
            raise wrong[0]
        if wrong and not link.is_live:
            raise FixError(f"the session ended while it was subscribed: {wrong[0]}")
        for key, each in zip(answers, found, strict=True):
            if isinstance(each, BaseException):
                LOG.warning("%s of %s: %s", key[1], key[0], each)
            if isinstance(each, SubscriptionRefused):
                self._wanted.pop(key, None)

    async def _unasked(self, link: Link, key: Key) -> None:
        """Unsubscribes."""
        identity = link.requests.identities.get(key)
        if identity is None:
            return
        values = market_data_request(*key, MOST_DEPTH, identity, subscribe=False)
        await self._sent(link, fix_sbe.MarketDataRequest, values)
        link.requests.unsubscribed(key, identity)

    async def _answer(self, answer: asyncio.Future[Any], what: str) -> Any:
        seconds = self._settings.reply_timeout
        try:
            async with asyncio.timeout(seconds):
                return await answer
        except TimeoutError:
            raise FixError(f"the exchange sent no {what} within {seconds:g} s") from None
