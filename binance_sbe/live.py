"""A feed and books as programs open them: what the rooms below have, put together."""

from __future__ import annotations

import inspect
import os
import ssl as tls
from collections.abc import Callable, Mapping
from datetime import time as time_of_day
from typing import TYPE_CHECKING, Any, Literal, TypedDict, Unpack

from .feed import feed
from .feed.base import BaseFeed, Plan
from .feed.intake.frame_queue import policies
from .feed.settings import Settings, warn_of_transport
from .route import Route
from .venue import environments
from .venue.streams import KINDS, STREAM_TIMEOUT, stream_names

if TYPE_CHECKING:
    from .books.live import Books
    from .tape.recorder import Recorder
    from .tape.settings import Recording


class Recordable(BaseFeed):
    """A feed that can be recorded: with asyncio or without."""

    def record(self, path: str | os.PathLike[str] | Recording, **options: Any) -> Recorder:
        """Records what comes from now on, every frame of every connection, into a directory.

        It ends when the feed is closed, or with ``close()`` of the Recorder that is returned, which
        ``with`` calls as well. ``options`` are those of `tape.Recording`. Raises RecordingError
        where the directory can't be written to, RuntimeError where the feed is recorded already,
        ValueError for an option that can't be. Needs pyarrow and xxhash, the extra ``tape``.
        """
        from .tape.recorder import recorder_of

        self._opened()
        recorder = recorder_of(path, options)
        self._record(recorder)
        return recorder


class Feed(Recordable, feed.Feed):
    __doc__ = feed.Feed.__doc__

    def books(self, *symbols: str, **options: Any) -> Books:
        """Order books of these symbols over this feed, which is open: ``async with feed.books()``.

        Their streams are added to those of the feed, and nobody else iterates over it. For
        ``options`` see `books`; ``client`` is an open `rest.Client`, by default one of the same
        environment. The feed stays open.
        """
        from .books.live import Books  # which needs the decoders of REST: feeds do not

        self._opened()
        return Books(self, symbols, **options)


class ConnectOptions(TypedDict, total=False):
    """What `connect` may be given beside streams: see there."""

    api_key: str | None
    environment: Literal["prod", "testnet", "demo"]
    url: str | None
    transport: str | None
    on_error: Literal["raise", "collect"]
    on_overflow: str | Mapping[str, str]
    max_queue: int
    lines: int
    reconnect: bool
    give_up_after: float | None
    renew_after: float
    renew_at: time_of_day | None
    open_timeout: float
    reply_timeout: float
    silence_timeout: float
    stream_timeout: Mapping[str, float | None]
    proxy: str | Literal[True] | None
    ssl: tls.SSLContext | None
    local_addr: tuple[str, int] | None
    busy_poll: int | None
    record: str | os.PathLike[str] | Recording | None


def connect(*streams: str, **options: Unpack[ConnectOptions]) -> Feed:
    """A feed of SBE streams, to be used as ``async with connect("btcusdt@trade") as feed``.

    ``api_key`` is an Ed25519 key's id; None reads BINANCE_API_KEY. ``url`` (ws:// or wss://, host
    and port) overrides ``environment``. ``on_error`` says what iteration does with a frame that is
    no message: raise its DecodeError (the feed stays open, and iterating again goes on with the
    next frame), or keep it in ``feed.errors``, count it and go on. ``transport`` has no effect.

    ``max_queue`` is the most frames that are held for a slow consumer, and ``on_overflow``, for all
    streams or by kind, what happens beyond it: "block" stops reading, and the exchange waits, for
    a minute at most; "drop_oldest" drops the oldest frame of the stream; "conflate" (bestBidAsk and
    depth20) keeps the newest only; "raise" raises SlowConsumer. What is dropped is in the ledger.

    A connection that is lost is made anew (``reconnect``), at once after a clean close and with
    growing pauses otherwise, until its streams had no connection, by any line, for
    ``give_up_after`` seconds (None: for ever). Before the exchange ends it, after ``renew_after``
    seconds and at ``renew_at`` every day (UTC where it has no time zone), a new connection takes
    over without a hole.
    ``lines`` is how many connections bring the same streams; the first to bring an event wins.
    A connection that is silent for ``silence_timeout``, pings included, or does not answer a
    request within ``reply_timeout``, is replaced; so is one whose stream is silent for longer than
    ``stream_timeout`` of its kind. All times are seconds.

    ``proxy`` is the URL of one to go through (http://, socks5h://, socks5://, with user:password@
    where it asks for that); True is that of the environment (HTTPS_PROXY, NO_PROXY) or the system,
    None is none. ``ssl`` is a context of your own for wss://, ``local_addr`` the address and port
    to come from (port 0: any), ``busy_poll`` the microseconds that the kernel polls the network
    card for (SO_BUSY_POLL, Linux). The first address of the host that answers is taken (RFC 8305).
    ``record`` is a directory, or a `tape.Recording`, into which every frame goes as it comes.

    Raises ValueError for a stream, an environment, a url or a limit that can't be one. Entering the
    block raises MissingKey, Unreachable, ConnectionRefused or SubscriptionRefused (all FeedError).
    """
    check_options("connect", options)
    return Feed(planned(*streams, **options))


def planned(
    *streams: str,
    api_key: str | None = None,
    environment: Literal["prod", "testnet", "demo"] = "prod",
    url: str | None = None,
    transport: str | None = None,
    on_error: Literal["raise", "collect"] = "raise",
    on_overflow: str | Mapping[str, str] = "block",
    max_queue: int = 65536,
    lines: int = 1,
    reconnect: bool = True,
    give_up_after: float | None = 900.0,
    renew_after: float = 23.5 * 3600.0,
    renew_at: time_of_day | None = None,
    open_timeout: float = 10.0,
    reply_timeout: float = 10.0,
    silence_timeout: float = 60.0,
    stream_timeout: Mapping[str, float | None] = STREAM_TIMEOUT,
    proxy: str | Literal[True] | None = True,
    ssl: tls.SSLContext | None = None,
    local_addr: tuple[str, int] | None = None,
    busy_poll: int | None = None,
    record: str | os.PathLike[str] | Recording | None = None,
) -> Plan:
    """What `connect` was asked for; ValueError and TypeError as it says."""
    where = environments.stream_url(environment, url)
    if on_error not in ("raise", "collect"):
        raise ValueError(f"on_error is 'raise' or 'collect', not {on_error!r}")
    if api_key is not None and not isinstance(api_key, str):
        raise TypeError(f"api_key is a str, not {type(api_key).__name__}")
    if max_queue < 1:
        raise ValueError(f"max_queue is at least 1 frame, not {max_queue}")
    warn_of_transport(transport)
    if unknown := set(stream_timeout) - set(KINDS):
        raise ValueError(f"stream_timeout: '{min(unknown)}' is not a kind: {', '.join(KINDS)}")
    settings = Settings(
        lines=lines,
        reconnect=reconnect,
        give_up_after=give_up_after,
        renew_after=renew_after,
        renew_at=renew_at,
        open_timeout=open_timeout,
        reply_timeout=reply_timeout,
        silence_timeout=silence_timeout,
        stream_timeout={**STREAM_TIMEOUT, **stream_timeout},
        route=Route(proxy, ssl, local_addr, busy_poll),
    )
    return Plan(
        stream_names(streams),
        where,
        environments.rest_url(environment, url),
        api_key,
        on_error,
        policies(on_overflow),
        max_queue,
        settings,
        None if record is None else _recorded_to(record),
    )


def _recorded_to(record: str | os.PathLike[str] | Recording) -> Callable[[], Recorder]:
    from .tape.recorder import recorded_to  # which feeds do without

    return recorded_to(record)


def check_options(function: str, options: Mapping[str, Any]) -> None:
    """TypeError, as Python's own, for an option that neither `connect` nor this function has."""
    if unknown := set(options) - set(ConnectOptions.__annotations__):
        raise TypeError(f"{function}() got an unexpected keyword argument '{min(unknown)}'")


# For help() and editors: the options one by one, with what they are by default.
connect.__signature__ = inspect.signature(planned).replace(return_annotation="Feed")  # type: ignore[attr-defined]


def books(
    *symbols: str,
    limit: int = 1000,
    audit_seconds: float | None = 3600.0,
    weight_limit: int = 6000,
    max_levels: int = 10_000,
    max_buffer: int = 3000,
    **options: Unpack[ConnectOptions],
) -> Books:
    """Order books of these symbols, over a feed of their own: ``async with books("btcusdt")``.

    ``limit`` is the number of levels of a snapshot, 5000 at most, which weighs 5 (up to 100), 25
    (500), 50 (1000) or 250 (5000): ``weight_limit`` is what the exchange allows in a minute, of
    which 80 % are used, the most active symbols first. Each book is compared with a fresh
    snapshot every ``audit_seconds`` (None: never), and with depth20 all the time. ``max_levels``
    and ``max_buffer`` (diffs that wait for a snapshot) are those of `OrderBook`, ``options`` those
    of `connect`. Needs aiohttp, the extra ``rest``.
    """
    from .books.live import Books

    check_options("books", options)
    options.setdefault("on_error", "collect")
    feed = Feed(planned(**options))
    return Books(
        feed,
        symbols,
        limit=limit,
        audit_seconds=audit_seconds,
        weight_limit=weight_limit,
        max_levels=max_levels,
        max_buffer=max_buffer,
        owns_feed=True,
    )
