"""`binance-sbe simulate --fix --ws-api`: servers that check signatures, and what clients need."""

from __future__ import annotations

import contextlib
import shlex
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sbe_codegen.extras import imported

from ..errors import FeedError
from ..feed.settings import password_of
from .serving import no_serving

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from ..simulator import Exchange
    from ..simulator.fix_keys import Certified

_KEY, _CERTIFICATE, _SERVER = "private.pem", "certificate.pem", "server.pem"
_EVENT_SECONDS = 2.0  # between two events of user data


@dataclass(frozen=True)
class Signed:
    """Ports of the servers, None where there is to be none, and the directory of the key."""

    fix: int | None
    ws_api: int | None
    keys: Path

    def __call__(self, exchange: Exchange) -> contextlib.AbstractAsyncContextManager[list[str]]:
        """They serve beside the exchange while the block runs, which is given lines about them."""
        return _opened(exchange, self)


@contextlib.asynccontextmanager
async def _opened(exchange: Exchange, wanted: Signed) -> AsyncIterator[list[str]]:
    """Gives lines that say how they are reached.

    Clients sign with ``keys/private.pem``, which is made where there is none. Raises MissingKey
    where it is no key, MissingPackage without cryptography, and FeedError where a port can't be
    opened.
    """
    imported("cryptography", "signing", "fix")
    key = _key_in(wanted.keys)
    given: dict[str, Any] = {"key": key, "api_keys": exchange.api_keys, "host": exchange.host}
    symbol = next(iter(exchange.markets))
    api_key = "BINANCE_API_KEY=any " if exchange.api_keys is None else ""  # others are not shown
    pem = shlex.quote(str(wanted.keys / _KEY))
    lines = []
    async with contextlib.AsyncExitStack() as stack:
        if wanted.fix is not None:
            from ..simulator.fix import FixAcceptor

            tls = _certified_in(wanted.keys, exchange.host)
            acceptor = FixAcceptor(exchange, port=wanted.fix, tls=tls, **given)
            await _enter(stack, acceptor, exchange.host, wanted.fix, "--fix")
            trusted = wanted.keys / _CERTIFICATE
            lines.append(
                f"FIX on {acceptor.url}; to look at it: {api_key}"
                f"SSL_CERT_FILE={shlex.quote(str(trusted))} binance-sbe fix watch {symbol} "
                f"--url {acceptor.url} --private-key {pem}"
            )
        if wanted.ws_api is not None:
            from ..simulator.ws_api import WsApi

            api = WsApi(exchange, port=wanted.ws_api, event_seconds=_EVENT_SECONDS, **given)
            await _enter(stack, api, exchange.host, wanted.ws_api, "--ws-api")
            lines.append(f"WebSocket API on {api.url}; the key that signs: {pem}")
        yield lines


async def _enter(
    stack: contextlib.AsyncExitStack, server: Any, host: str, port: int, option: str
) -> None:
    try:
        await stack.enter_async_context(server)
    except OSError as error:
        raise no_serving(host, port, error, option) from None


@contextlib.contextmanager
def _told(folder: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error)
        place = getattr(error, "filename", None) or folder
        raise FeedError(f"--keys {folder}: {place}: {why}") from None


def _key_in(folder: Path) -> Ed25519PrivateKey:
    """The private key of a directory, which is there or is made, for its owner's eyes only."""
    from ..api.signing import key_of
    from ..simulator.fix_keys import keep, new_key, pem_of

    with _told(folder):
        folder.mkdir(parents=True, exist_ok=True)
        keep(folder / _KEY, lambda: pem_of(new_key()))
    return key_of(folder / _KEY, password_of(None))


def _certified_in(folder: Path, host: str) -> Certified:
    """The server's certificate, which stays the same from one start to the next."""
    from ..simulator.fix_keys import certified

    with _told(folder):
        made = certified("localhost", host, kept=folder / _SERVER)
        trusted = folder / _CERTIFICATE
        if not trusted.exists() or trusted.read_bytes() != made.pem:
            trusted.write_bytes(made.pem)
    return made
