"""Answers of the REST API in SBE, and a small client for those that a feed needs.

The client is for market data: it signs nothing. aiohttp is the extra ``rest``.
"""

from __future__ import annotations

import ssl as tls
import time
from typing import TYPE_CHECKING, Any, Literal, TypeVar
from urllib.parse import urlsplit

from sbe_codegen.extras import imported

from .. import spot_sbe
from ..asynchronous import Asynchronous
from ..errors import (
    BinanceError,
    ConnectionRefused,
    FeedError,
    MissingKey,
    NotSbe,
    RateLimited,
    Unreachable,
)
from ..headers import number, retry_after
from ..keys import KEY_HEADER, remember_key
from ..route import Route
from ..venue import environments
from . import bodies
from .precision import Precision, precision_of

if TYPE_CHECKING:
    import aiohttp

M = TypeVar("M")

# What to ask with: any answer is SBE then, but for those of gateways and of HTTP 406.
HEADERS = {
    "Accept": "application/sbe",
    "X-MBX-SBE": f"{spot_sbe.SCHEMA_ID}:{spot_sbe.SCHEMA_VERSION}",
}
_PAUSE = {429: 60.0, 418: 120.0}  # seconds, where the exchange does not say how long
_SHORTEST_PAUSE = 1.0  # whatever it says
_MOST_WEIGHT = 10**9
_PRINTABLE = bytes(range(32, 127)) + b"\t\r\n"
_TEXT = ("json", "html", "xml", "text", "javascript", "form")


def decode_response(content_type: str | None, body: Any) -> Any:
    """The message that the body of an HTTP answer is, as `spot_sbe.decode` gives it.

    ``content_type`` is the header of that name, or None. Raises BinanceError for an ErrorResponse;
    NotSbe for an answer of a gateway (text, JSON, HTML, nothing), which is never fed to the
    decoder; DecodeError for SBE that is damaged, or of another schema. ``body`` is bytes or another
    buffer, which the message keeps.
    """
    if content_type is not None and not isinstance(content_type, str):
        raise TypeError(f"content_type is a str or None, not {type(content_type).__name__}")
    view = memoryview(body)
    media = (content_type or "").partition(";")[0].strip().lower()
    start = bytes(view[:200])
    is_text = not start.strip(_PRINTABLE)
    is_foreign = len(start) < 8 or spot_sbe.decode_header(start).schema_id != spot_sbe.SCHEMA_ID
    if any(word in media for word in _TEXT) or (is_foreign and (is_text or "sbe" not in media)):
        raise NotSbe(content_type, bytes(view))
    message = spot_sbe.decode(body)
    if isinstance(message, spot_sbe.ErrorResponse):
        raise error_of(message)
    return message


def error_of(response: spot_sbe.ErrorResponse) -> BinanceError:
    """The exception for an ErrorResponse."""
    return BinanceError(
        response.code,
        response.msg,
        response.retry_after,
        response.server_time,
        response.data_message,
    )


class Client(Asynchronous):
    """Asks the REST API for market data, in SBE: ``async with rest.Client() as client``.

    ``environment`` is "prod", "testnet" or "demo"; ``url`` (http, https, ws or wss, host and port)
    overrides it. ``api_key`` is sent where it is given; market data needs none. It goes to this
    host only: a redirect is not followed. ``timeout`` is in seconds, for one answer; ``max_size``
    is what one may have at most, in bytes after decompression. ``proxy``, ``ssl`` and
    ``local_addr`` are as for `connect`; SOCKS needs aiohttp-socks, the extra ``socks``.

    ``used_weight`` is what the exchange has said was used of the minute's weight, at ``used_at``
    (seconds since 1970); None before it has said so. When it refuses with HTTP 429 or 418, that is
    RateLimited, and until ``blocked_until`` (time.monotonic()) nothing more is asked: requests
    raise RateLimited at once.
    """

    _usage = "async with rest.Client() as client:"

    def __init__(
        self,
        *,
        environment: str = "prod",
        url: str | None = None,
        api_key: str | None = None,
        timeout: float = 10.0,
        max_size: int = 64 << 20,
        proxy: str | Literal[True] | None = True,
        ssl: tls.SSLContext | None = None,
        local_addr: tuple[str, int] | None = None,
    ) -> None:
        if not (isinstance(max_size, int) and max_size > 0):
            raise ValueError(f"max_size is a positive number of bytes, not {max_size!r}")
        if not timeout > 0:
            raise ValueError(f"timeout is a positive number of seconds, not {timeout!r}")
        self.url = environments.rest_url(environment, url)
        self.used_weight: int | None = None
        self.used_at = 0.0
        self.blocked_until = 0.0
        self._route = Route(proxy, ssl, local_addr)
        self._timeout = timeout
        self._max_size = max_size
        self._headers = HEADERS | bodies.ACCEPTED
        if api_key:
            self._headers[KEY_HEADER] = _checked(api_key)
        self._session: aiohttp.ClientSession | None = None
        self._proxy: dict[str, Any] = {}  # what each request is to be given

    def __repr__(self) -> str:
        return f"<rest.Client {self.url}, weight used: {self.used_weight}>"

    async def __aenter__(self) -> Client:
        aiohttp = imported("aiohttp", "rest.Client", "rest")
        self._session = aiohttp.ClientSession(
            connector=self._connector(aiohttp),
            headers=self._headers,
            timeout=aiohttp.ClientTimeout(total=self._timeout),
            auto_decompress=False,
            cookie_jar=aiohttp.DummyCookieJar(),  # nothing that a server says is sent back to it
        )
        return self

    def _connector(self, aiohttp: Any) -> Any:
        """How its connections are made."""
        route, place = self._route, urlsplit(self.url)
        is_secure = place.scheme == "https"
        try:
            port = place.port or (443 if is_secure else 80)
            proxy = route.proxy_for(str(place.hostname), port, is_secure)
        except ValueError as error:
            raise Unreachable(f"{self.url}: {error}") from None
        options: dict[str, Any] = {"ssl": route.context() if is_secure else True}
        if route.local_addr is not None:
            options["local_addr"] = route.local_addr
        if proxy is None:
            return aiohttp.TCPConnector(**options)
        if proxy.is_socks:
            socks = imported("aiohttp_socks", "rest.Client through a SOCKS proxy", "socks")
            kind = socks.ProxyType.SOCKS5 if proxy.scheme[5] == "5" else socks.ProxyType.SOCKS4
            return socks.ProxyConnector(
                proxy.host,
                proxy.port,
                kind,
                proxy.user,
                proxy.password or None,
                proxy.scheme in ("socks5h", "socks4a"),  # whose side resolves the host
                **options,
            )
        self._proxy = {"proxy": str(proxy)}
        if proxy.user is not None:
            self._proxy["proxy_auth"] = aiohttp.BasicAuth(proxy.user, proxy.password)
        return aiohttp.TCPConnector(**options)

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def get(self, path: str, **parameters: object) -> Any:
        """The message that answers ``GET path``, such as ``"/api/v3/depth"``.

        Raises Unreachable, RateLimited, ConnectionRefused for a redirect, FeedError for an answer
        over ``max_size``, BinanceError for an error of the exchange's, NotSbe for an answer that is
        not SBE, and DecodeError for SBE that is damaged.
        """
        if self._session is None:
            raise self._not_open()
        import aiohttp

        left = self.blocked_until - time.monotonic()
        if left > 0:
            raise RateLimited(self.url, 429, left)
        query = {name: str(value) for name, value in parameters.items()}
        try:
            asked = self._session.get(
                self.url + path, params=query, allow_redirects=False, **self._proxy
            )
            async with asked as answer:
                self._note_limits(answer.status, answer.headers)
                body = await bodies.read(answer, self.url, self._max_size)
        except TimeoutError:
            failure = Unreachable(f"{self.url}: no answer within {self._timeout:g} s")
        except (aiohttp.ClientError, OSError) as error:
            failure = Unreachable(f"{self.url}: {error or type(error).__name__}")
        else:
            return decode_response(answer.headers.get("Content-Type"), body)
        raise failure  # here, since the errors of aiohttp have all headers of the request in them

    def _note_limits(self, status: int, headers: Any) -> None:
        weight = number(headers.get("X-MBX-USED-WEIGHT-1M"), _MOST_WEIGHT)
        if weight is not None:
            self.used_weight, self.used_at = weight, time.time()
        if status in (429, 418):
            given = retry_after(headers.get("Retry-After"))
            wait = _PAUSE[status] if given is None else max(float(given), _SHORTEST_PAUSE)
            self.blocked_until = time.monotonic() + wait
            raise RateLimited(self.url, status, wait)
        if 300 <= status < 400:
            raise ConnectionRefused(self.url, status, "", location=headers.get("Location"))

    async def historical_trades(
        self, symbol: str, from_id: int, limit: int = 1000
    ) -> spot_sbe.TradesResponse:
        """Up to ``limit`` (1,000 at most) trades from an id on. Weight 25. Errors as for `get`."""
        answer = await self.get(
            "/api/v3/historicalTrades", symbol=symbol.upper(), fromId=from_id, limit=limit
        )
        return _expected(answer, spot_sbe.TradesResponse)

    async def depth(self, symbol: str, limit: int = 100) -> spot_sbe.DepthResponse:
        """The ``limit`` best levels (5,000 at most) of each side. Weight: `depth_weight`.

        Errors as for `get`.
        """
        answer = await self.get("/api/v3/depth", symbol=symbol.upper(), limit=limit)
        return _expected(answer, spot_sbe.DepthResponse)

    async def precision(self, symbol: str) -> Precision:
        """The steps of a symbol's prices and quantities, to print numbers as the exchange does.

        Asked of exchangeInfo, weight 20: keep it. Errors as for `get`; for a symbol that there is
        not the exchange has BinanceError -1121.
        """
        answer = await self.get("/api/v3/exchangeInfo", symbol=symbol.upper())
        return precision_of(_expected(answer, spot_sbe.ExchangeInfoResponse), symbol)

    async def server_time(self) -> int:
        """The exchange's clock, in microseconds since 1970. Weight 1. Errors as for `get`."""
        return _expected(await self.get("/api/v3/time"), spot_sbe.ServerTimeResponse).server_time


def _checked(key: str) -> str:
    """A key as a header may have it. No error quotes it."""
    if not isinstance(key, str):
        raise TypeError(f"api_key is a str, not {type(key).__name__}")
    if not (key.isascii() and key.isprintable()) or " " in key:
        raise MissingKey("the API key has characters that no key has")
    return remember_key(key)


def depth_weight(limit: int) -> int:
    """The weight of a snapshot of so many levels."""
    return next((w for most, w in ((100, 5), (500, 25), (1000, 50)) if limit <= most), 250)


def _expected(answer: Any, kind: type[M]) -> M:
    if not isinstance(answer, kind):
        raise FeedError(f"asked for a {kind.__name__}, and got a {type(answer).__name__}")
    return answer
