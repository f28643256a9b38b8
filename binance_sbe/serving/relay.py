"""A relay: one feed, live or of a tape, shared by as many programs as want it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections import Counter
from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit

from websockets.datastructures import Headers

from sbe_codegen.runtime.errors import SbeError

from ..errors import SubscriptionRefused
from ..feed.feed import Feed
from ..logs import LOG
from ..output import shown
from ..venue.environments import is_loopback
from ..venue.streams import stream_name
from .clients import Client
from .control import INVALID_REQUEST
from .depths import Depths, RelayRest, fetching
from .rest import Answer, Refusal, asked_of
from .server import Server

_TOGETHER = 256  # messages that are passed on before clients have their turn
_STALL_SECONDS = 10.0  # that a tape without a speed waits for its slowest client
_SNAPSHOT = 6  # see `tape.rows.Kind`, which needs no pyarrow here
_END_SECONDS = 5.0  # for clients to take what is left
_SOFT, _MOST = 256 << 10, 8 << 20


class Relay(Server):
    """Serves what a feed brings as the exchange would: ``async with Relay(connect()) as relay``.

    ``feed`` is one of `connect`, or of `replay`, that was not opened: the relay opens and closes
    it. Clients subscribe, unsubscribe and list as at the exchange; the feed is asked for what any
    of them wants, once, and ``linger`` seconds after the last has gone no more. Messages are passed
    on as they came, each event once and in order; who comes late gets what comes from then on.
    Where the feed has a hole, clients see the same gap in the ids. REST answers ping, time, and
    depth of symbols whose depth stream somebody has: of a book that is in step with the diffs.

    A tape begins when ``wait_for`` clients have subscribed to something. Without a speed it waits
    for the slowest; else a client with more than ``soft_buffer`` bytes waiting gets the newest only
    of bestBidAsk and depth20, and with ``max_buffer`` bytes it is cut off.

    Keys of clients are not looked at unless ``api_keys`` are given, and the feed's key goes to no
    client. The default address is for programs on this machine only. Raises OSError where the port
    is taken, and what opening the feed raises.
    """

    _usage = "async with Relay(connect(...)) as relay:"

    def __init__(
        self,
        feed: Feed,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        api_keys: Iterable[str] | None = None,
        wait_for: int = 1,
        linger: float = 5.0,
        soft_buffer: int = _SOFT,
        max_buffer: int = _MOST,
        max_clients: int = 1000,
        control_limit: int = 5,
        ping_interval: float | None = 20.0,
    ) -> None:
        if not isinstance(feed, Feed):
            raise TypeError(f"a relay is of a feed of connect or replay, not {type(feed).__name__}")
        if not 0 < soft_buffer <= max_buffer:
            raise ValueError(f"soft_buffer is 1 to max_buffer ({max_buffer}), not {soft_buffer}")
        if wait_for < 0 or max_clients < 1 or not linger >= 0:
            raise ValueError("wait_for and linger are at least 0, max_clients is at least 1")
        super().__init__(
            host,
            port,
            api_keys=api_keys,
            control_limit=control_limit,
            ping_interval=ping_interval,
            soft_buffer=soft_buffer,
            max_buffer=max_buffer,
            max_clients=max_clients,
        )
        self.feed = feed
        self.passed = 0  # messages that the feed brought
        self.unreadable = 0  # that are no message of a stream, and go to nobody
        self._player: Any = getattr(feed, "player", None)  # of a tape
        pace: Any = getattr(feed._connections, "pace", None)
        self._is_at_once = pace is not None and pace.speed is None
        self._most_waiting = self.soft_buffer // 2  # for such a tape to go on
        if self._is_at_once:
            self.soft_buffer = self.max_buffer  # all get all
        self._wait_for = wait_for
        self._linger = linger
        self._counts: Counter[str] = Counter()  # clients by stream
        self._has: dict[Client, set[str]] = {}  # what is counted of each
        self._upstream: set[str] = set()  # that the feed was asked for
        self._own: set[str] = set()  # that it is never asked to end
        self._idle: dict[str, float] = {}  # since when nobody has it
        self._asking = asyncio.Lock()
        self._changed = asyncio.Event()  # there are streams, or enough clients
        self._reading: asyncio.Task[None] | None = None
        self._stack = contextlib.AsyncExitStack()
        self._depths = Depths(None)
        self._rest = RelayRest(self._depths, self._is_passed_on)

    # opening and closing

    async def __aenter__(self) -> Relay:
        async with contextlib.AsyncExitStack() as stack:
            await stack.enter_async_context(self.feed)
            if self._player is None:
                route = self.feed.route.for_rest()
                fetch = await stack.enter_async_context(fetching(self.feed.rest_url, route))
                self._depths = Depths(fetch)
                self._rest = RelayRest(self._depths, self._is_passed_on)
                self._own = set(self.feed.streams)
                self._upstream = set(self._own)
            elif _has_snapshots(self._player.tape):
                self._depths.begins = True
                self._player.on_snapshot = self._on_snapshot
            await self._open()
            stack.push_async_callback(self._close)
            self._stack = stack.pop_all()
        if not is_loopback(self.host):
            LOG.warning("%s: open to other machines, and whoever reaches it is served", self.url)
        self._later(self._tend())
        self._reading = asyncio.create_task(self._read())
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._reading is not None
        self._reading.cancel()
        await asyncio.wait([self._reading])
        await self._stack.aclose()

    async def wait(self) -> None:
        """Waits for the end of the feed; raises what it ended with, if not with the tape's end."""
        assert self._reading is not None
        await asyncio.shield(self._reading)

    # what clients want

    def exists(self, stream: str) -> bool:
        if self._player is not None:
            is_there: bool = self._player.has(stream)
            return is_there
        try:
            return stream_name(stream) == stream
        except ValueError:
            return False

    def _is_passed_on(self, stream: str) -> bool:
        return stream in self._upstream if self._player is None else self.exists(stream)

    async def _answered(self, client: Client, text: str) -> str:
        before = client.streams
        client.streams = dict(before)  # to go back to, where the exchange refuses
        reply = client.answer(text)
        refusal = await self._count(client)
        if refusal is None:
            return reply
        client.streams = before
        await self._count(client)
        told = {"code": INVALID_REQUEST, "msg": refusal}
        return json.dumps(told | {"id": json.loads(text).get("id")})

    async def _entered(self, client: Client) -> None:
        refusal = await self._count(client)
        if refusal is not None:
            client.streams = {}
            await self._count(client)
            await client.connection.close(1008, refusal[:100])

    def _left(self, client: Client) -> None:
        for stream in self._has.pop(client, ()):
            self._release(stream)

    def _release(self, stream: str) -> None:
        self._counts[stream] -= 1
        if not self._counts[stream]:
            del self._counts[stream]
            self._idle[stream] = time.monotonic()

    async def _count(self, client: Client) -> str | None:
        """Has the feed bring what the client has subscribed to; says why it can't."""
        has = self._has.setdefault(client, set())
        for stream in has - client.streams.keys():
            has.discard(stream)
            self._release(stream)
        for stream in client.streams.keys() - has:
            has.add(stream)
            self._counts[stream] += 1
            self._idle.pop(stream, None)
        refusal = await self._ask(list(has))
        self._changed.set()
        return refusal

    async def _ask(self, streams: list[str]) -> str | None:
        if self._player is not None:
            return None
        async with self._asking:
            wanted = [name for name in streams if name not in self._upstream]
            if not wanted:
                return None
            try:
                await self.feed.subscribe(*wanted)
            except SubscriptionRefused as error:
                return f"the exchange refused: {shown(error.reason, 200)}"
            except (SbeError, RuntimeError) as error:
                return f"the feed can't bring it: {shown(error, 200)}"
            self._upstream |= set(wanted)
            return None

    async def _tend(self) -> None:
        """What nobody wants any more is not asked for any more."""
        while True:
            await asyncio.sleep(min(max(self._linger, 0.05), 1.0))
            due = time.monotonic() - self._linger
            gone = [name for name, since in self._idle.items() if since <= due]
            async with self._asking:
                gone = [name for name in gone if name in self._idle and name not in self._own]
                for name in gone:
                    del self._idle[name]
                    self._upstream.discard(name)
                    if self._player is None:
                        self._depths.forget(name)
                if gone and self._player is None:
                    try:
                        await self.feed.unsubscribe(*gone)
                    except (SbeError, RuntimeError) as error:
                        LOG.warning("%s: %s", self.url, shown(error))

    # REST

    async def _rest_answer(self, path: str, headers: Headers) -> Answer | None:
        try:
            is_depth = urlsplit(path).path == "/api/v3/depth"
        except ValueError:
            return None
        if is_depth:
            with contextlib.suppress(Refusal):  # which is the answer, then
                await self._depths.prepare(self._rest.stream(asked_of(path)))
        return self._rest.answer(path, headers, self.now())

    def now(self) -> float:
        """Seconds since 1970: of a tape, where it is."""
        at = 0 if self._player is None else self._player.now_ns
        return at / 1e9 if at > 0 else time.time()

    def _on_snapshot(self, told: dict[str, Any], body: bytes) -> None:
        if body:
            self._depths.snapshot(str(told["symbol"]), body)

    # passing on

    async def _read(self) -> None:
        """Until the feed ends; clients are told then."""
        try:
            if self._player is not None:
                while sum(map(bool, self._has.values())) < self._wait_for:
                    await self._news()
            await self._pass_on()
        except asyncio.CancelledError:
            raise
        except Exception as error:
            await self._end(f"the feed has ended: {shown(error, 80)}")
            raise
        await self._end("the tape has ended" if self._player is not None else "the feed has ended")

    async def _news(self) -> None:
        self._changed.clear()
        await self._changed.wait()

    async def _pass_on(self) -> None:
        feed, frames = self.feed, self.feed._backlog.frames
        feed._begin()
        while True:
            while not (frames or feed._connections.has_streams or feed._engine.is_over):
                await self._news()
            try:
                if not await feed._wait(frames.__len__):
                    break
            except RuntimeError:
                if feed._connections.has_streams:
                    raise
                continue  # the last stream was unsubscribed
            for _ in range(min(len(frames), _TOGETHER)):
                frame, _, stream = frames.popleft()
                self.passed += 1
                if stream is None:
                    self.unreadable += 1
                    continue
                self.send(stream.name, frame)
                self._depths.take(stream.name, frame)
            feed._consumed()
            await asyncio.sleep(0)
            if self._is_at_once:
                await self._wait_for_clients()
        feed._end()

    async def _wait_for_clients(self) -> None:
        """Of a tape without a speed all get all, but who takes nothing for a while."""
        until = time.monotonic() + _STALL_SECONDS
        while slow := [c for c in self._connections.values() if c.waiting > self._most_waiting]:
            if time.monotonic() > until:
                for client in slow:
                    self._cut(client)
                return
            await asyncio.sleep(0.002)

    async def _end(self, why: str) -> None:
        """Clients get what is left, and the end."""
        until = time.monotonic() + _END_SECONDS
        while any(c.waiting for c in self._connections.values()) and time.monotonic() < until:
            await asyncio.sleep(0.005)
        closes = [each.close(1001, why) for each in list(self._connections)]
        if closes:
            await asyncio.gather(*closes, return_exceptions=True)


def _has_snapshots(tape: Any) -> bool:
    """Whether there are snapshots of books on a tape."""
    return any(str(_SNAPSHOT) in entry["kinds"] for each in tape._readers for entry in each.entries)
