"""The WebSocket API for programs, with asyncio: requests, and the events of user data."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from typing import Any, TypeVar

from ... import spot_sbe
from ...api.websocket_api import RateLimit, Reply
from ...api.ws_session import Params, Undecodable
from ...errors import (
    BinanceError,
    ConnectionRefused,
    FeedError,
    MissingKey,
    SlowConsumer,
)
from ...logs import LOG
from ...venue.streams import symbol_name
from ..ledger import Gap, Ledger
from ..recording import NOBODY, Recorder
from ..successive import GIVE_UP_SECONDS, Successive
from .link import Link
from .settings import Settings

K = TypeVar("K")
_PASSING = (-1000, -1001, -1003, -1007, -1034)  # errors of the exchange's that pass
_MOST_DAMAGED = 1000
_NO_KEYS = (
    "this needs a signature: give api_key and private_key, or set BINANCE_API_KEY and "
    "BINANCE_PRIVATE_KEY"
)


class Connection(Successive[Link]):
    """The WebSocket API, to be used as ``async with ws_api.connect() as api``.

    Requests are matched with their replies, so that several may wait at a time. ``async for event
    in api`` gives events of user data, message objects of `spot_sbe`, once they are subscribed to;
    one consumer at a time. A connection that is lost is made anew, logged on and subscribed as it
    was; requests that waited then raise ConnectionLost, since nobody knows whether they were
    carried out, and ``ledger.gaps`` (``gaps`` for short) says when events may have been missed.
    Frames that can't be decoded are in ``damaged``, the latest 1,000.
    """

    _usage = "async with ws_api.connect() as api:"
    _made_by = "ws_api.connect"
    _wrong = FeedError

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self.ledger = Ledger()
        self.ledger.gaps = self.gaps
        self.damaged: deque[Undecodable] = deque(maxlen=_MOST_DAMAGED)
        self.connections_count = 0
        self._settings = settings
        self._recorder = NOBODY
        self._logs_on = False
        self._subscriptions: dict[int, int] = {}  # ids as the user has them -> as they are now
        self._changing = asyncio.Lock()  # of these, of the logon, and of the link for them
        self._quiet_since: int | None = None  # no events come any more (ns since 1970)
        self._unwanted: set[asyncio.Task[None]] = set()  # end what nobody has waited for

    def __repr__(self) -> str:
        state = "new" if self._link is None else ("open" if self._link.is_open else "lost")
        return f"<ws_api.Connection {self._settings.url}, {'closed' * self._is_closed or state}>"

    @property
    def rate_limits(self) -> tuple[RateLimit, ...]:
        """How much of each limit is used, by the latest reply."""
        return () if self._link is None else self._link.session.rate_limits

    @property
    def is_deprecated(self) -> bool:
        """Whether the exchange will give up the version of the schema that is asked for."""
        return self._link is not None and self._link.session.is_deprecated

    @property
    def recorder(self) -> Recorder:
        """Who keeps the events: somebody or nobody (``recording.NOBODY``)."""
        return self._recorder

    # opening and closing

    async def __aenter__(self) -> Connection:
        if self._settings.recorder is not None and self._link is None and not self._is_closed:
            self._recorder = self._settings.recorder()
            self._recorder.begin(self._settings.url, [])
        try:
            return await super().__aenter__()
        except BaseException:
            await self._end_recording()
            raise

    async def close(self) -> None:
        """Closes the connection; who waits for an event sees the end. The tape is whole then."""
        try:
            await self._end()
            if self._link is not None:
                await self._link.close()
        finally:
            await self._end_recording()

    async def _end_recording(self) -> None:
        if self._recorder is not NOBODY:
            await asyncio.to_thread(self._recorder.close)

    async def _opened(self) -> Link:
        link = Link(self._settings, self._take, self.connections_count, self._recorder)
        await link.open()
        self.connections_count += 1
        return link

    # events

    def _take(self, link: Link, message: Any) -> None:
        if message is None:
            self._ended(link)
        elif isinstance(message, Undecodable):
            self.damaged.append(message)
        elif isinstance(message, spot_sbe.ServerShutdownEvent):
            if link is self._link:
                self._begin_renewal("the exchange announced its end")
        else:
            if isinstance(message, spot_sbe.EventStreamTerminatedEvent):
                ended = message.subscription_id
                known = self._subscriptions.items()
                self._subscriptions = {mine: now for mine, now in known if now != ended}
            self._put(message)
        if (error := self._recorder.error) is not None:
            self._fail(error)

    def _put(self, message: Any) -> None:
        if self._waiting_count >= self._settings.max_queue:
            self._fail(SlowConsumer("user data", len(self._queue)))
        elif self._error is None:
            self._queue.append(message)
            self._wake.set()

    def _ended(self, link: Link) -> None:
        if link is not self._link or not link.is_wanted or self._is_closed:
            return
        error = link.error or FeedError("the connection has ended")
        if not self._settings.reconnect:
            self._fail(error)
            return
        LOG.warning("%s: %s", self._settings.url, error)
        self._begin_renewal(str(error))

    # renewal

    def _begin_renewal(self, cause: str) -> None:
        self._renew_by(self._renew(cause))

    async def _renew(self, cause: str) -> None:
        """Another connection takes the place of this one; again until it succeeds."""
        until = time.monotonic() + GIVE_UP_SECONDS
        while self._error is None:
            old = self._link
            assert old is not None
            await self._pause_after(old)
            try:
                await self._replace(old, cause)
            except (FeedError, BinanceError) as error:
                if _is_final(error) or time.monotonic() >= until:
                    raise FeedError(f"no new connection: {error}") from None
                LOG.warning("%s: no new connection yet: %s", self._settings.url, error)
                await self._wait_a_while(getattr(error, "retry_after", None) or 0.0)
                continue
            if self._link is not None and self._link.is_open:
                return
            until = time.monotonic() + GIVE_UP_SECONDS

    async def _replace(self, old: Link, cause: str) -> None:
        """Opens a connection, logs it on, leaves the one before, and subscribes."""
        link = await self._opened()
        try:
            async with self._changing:
                if self._logs_on:
                    await self._log_on(link)
                if old.is_open:  # nothing comes twice: it ends before events begin anew
                    self._link = link  # what is asked from now on
                    await old.drained(self._settings.reply_timeout)
                    started = self._quiet_since = time.time_ns()
                    await old.close()
                else:
                    started = self._quiet_since = self._quiet_since or old.last_ns
                for mine in list(self._subscriptions):
                    self._subscriptions[mine] = await self._subscribe(link)
        except BaseException:
            self._link = old if old.is_open else self._link
            await link.close()
            raise
        self._quiet_since = None
        if self._subscriptions:
            gap = Gap(started, time.time_ns(), cause)
            self.gaps.append(gap)
            self._recorder.missed(gap.started_ns, gap.ended_ns, gap.cause)
        self._link = link

    # requests

    async def reply(self, method: str, **params: Any) -> Reply:
        """The reply to any request, with its status and rate limits. See `request`."""
        if method != "session.logout":
            return await self._live().ask(method, params)
        async with self._changing:
            link = self._live()
            # Also if nobody waits for the answer: signatures are taken either way.
            link.session.is_logged_on = self._logs_on = False
            return await link.ask(method, params)

    async def request(self, method: str, **params: Any) -> Any:
        """The message that answers a request, such as ``"depth", symbol="BTCUSDT", limit=5``.

        Parameters that are None are left out. Raises BinanceError for an error of the exchange's,
        ConnectionLost where the connection ended meanwhile, and FeedError where no reply comes.
        """
        return _message(await self.reply(method, **params))

    async def signed_request(self, method: str, **params: Any) -> Any:
        """The same with time and signature, which orders and accounts need. Raises MissingKey."""
        if method not in ("session.logon", "session.logout"):
            return await self._signed(self._live(), method, params)
        async with self._changing:
            link = self._live()
            link.session.is_logged_on = self._logs_on = False
            found = await self._signed(link, method, params, with_key=True)
            link.session.is_logged_on = self._logs_on = method == "session.logon"
        return found

    async def _signed(self, link: Link, method: str, params: Params, with_key: bool = False) -> Any:
        if not link.session.can_sign:
            raise MissingKey(_NO_KEYS)
        millis = time.time_ns() // 10**6
        given = link.session.signed(params, millis, with_key=with_key)
        return _message(await link.ask(method, given))

    async def log_on(self) -> spot_sbe.WebSocketSessionLogonResponse:
        """Logs the connection on with the Ed25519 key; requests need no signature then."""
        async with self._changing:
            found = await self._log_on(self._live())
            self._logs_on = True
        return found

    async def _log_on(self, link: Link) -> spot_sbe.WebSocketSessionLogonResponse:
        found: spot_sbe.WebSocketSessionLogonResponse = _of_kind(
            await self._signed(link, "session.logon", {}, with_key=True),
            spot_sbe.WebSocketSessionLogonResponse,
        )
        link.session.is_logged_on = True
        return found

    async def subscribe_user_data(self) -> int:
        """Subscribes to the events of the account of the key; returns the subscription's id.

        Events have the exchange's own id, which is another one after a connection was lost; this
        one stays good for `unsubscribe_user_data`.
        """
        async with self._changing:
            link = self._live()
            asked = asyncio.create_task(self._subscribe(link))
            try:
                found = await asyncio.shield(asked)
            except asyncio.CancelledError:
                ending = asyncio.create_task(_end_unwanted(link, asked))
                self._unwanted.add(ending)
                ending.add_done_callback(self._unwanted.discard)
                raise
            mine = self._known_as(found)
        return mine

    def _known_as(self, found: int) -> int:
        mine = found if found not in self._subscriptions else max(self._subscriptions) + 1
        self._subscriptions[mine] = found
        return mine

    async def _subscribe(self, link: Link) -> int:
        """By the session where it is logged on, and by a signature where it is not."""
        if link.session.is_logged_on:
            answer = _message(await link.ask("userDataStream.subscribe", {}))
        else:
            answer = await self._signed(link, "userDataStream.subscribe.signature", {})
        kind = spot_sbe.UserDataStreamSubscribeResponse
        identity = _of_kind(answer, kind).subscription_id
        if identity is None:
            raise FeedError("the exchange has subscribed to user data without saying as which")
        return identity

    async def unsubscribe_user_data(self, subscription_id: int | None = None) -> None:
        """Ends one subscription, or without an id all of them. ValueError for one there is not."""
        async with self._changing:
            current = None
            if subscription_id is not None:
                if subscription_id not in self._subscriptions:
                    raise ValueError(f"there is no subscription {subscription_id!r}")
                current = self._subscriptions[subscription_id]
            before = dict(self._subscriptions)
            # Also if nobody waits for the answer: no later connection subscribes to it again.
            if subscription_id is None:
                self._subscriptions.clear()
            else:
                del self._subscriptions[subscription_id]
            try:
                await self.request("userDataStream.unsubscribe", subscriptionId=current)
            except BinanceError:
                self._subscriptions = before
                raise

    # market data

    async def server_time(self) -> int:
        """The exchange's clock, in microseconds since 1970."""
        found: int = _of_kind(await self.request("time"), spot_sbe.ServerTimeResponse).server_time
        return found

    async def depth(self, symbol: str, limit: int = 100) -> spot_sbe.DepthResponse:
        """The ``limit`` best levels (5,000 at most) of each side."""
        found = await self.request("depth", symbol=symbol_name(symbol).upper(), limit=limit)
        return _of_kind(found, spot_sbe.DepthResponse)

    async def trades(self, symbol: str, limit: int = 500) -> spot_sbe.TradesResponse:
        """The latest trades, 1,000 at most."""
        name = symbol_name(symbol).upper()
        found = await self.request("trades.recent", symbol=name, limit=limit)
        return _of_kind(found, spot_sbe.TradesResponse)

    async def klines(
        self,
        symbol: str,
        interval: str,
        *,
        start_ms: int | None = None,
        end_ms: int | None = None,
        limit: int = 500,
    ) -> spot_sbe.KlinesResponse:
        """Bars of an interval such as "1m" or "1h", 1,000 at most; times are ms since 1970."""
        found = await self.request(
            "klines", symbol=symbol_name(symbol).upper(), interval=interval, startTime=start_ms,
            endTime=end_ms, limit=limit,
        )  # fmt: skip
        return _of_kind(found, spot_sbe.KlinesResponse)

    # consuming

    async def __anext__(self) -> Any:
        event = await self._next()
        if event is None:
            raise StopAsyncIteration
        return event


async def _end_unwanted(link: Link, asked: asyncio.Task[int]) -> None:
    """Ends a subscription that was cancelled before its answer came."""
    with contextlib.suppress(FeedError, BinanceError):
        await link.ask("userDataStream.unsubscribe", {"subscriptionId": await asked})


def _of_kind(message: Any, kind: type[K]) -> K:
    """FeedError for an answer to something else."""
    if not isinstance(message, kind):
        made = type(message).__name__
        raise FeedError(f"the exchange has answered with {made} where {kind.__name__} was asked")
    return message


def _is_final(error: Exception) -> bool:
    """Whether it would be refused again."""
    if isinstance(error, BinanceError):
        return error.code not in _PASSING
    if isinstance(error, ConnectionRefused):
        return 300 <= error.status < 500 and error.status not in (408, 418, 429)
    return False


def _message(reply: Reply) -> Any:
    """Raises BinanceError where the reply is one."""
    reply.raise_for_status()
    if reply.status is not None and reply.status >= 400:
        raise BinanceError(-reply.status, f"status {reply.status}, without an error message")
    return reply.message
