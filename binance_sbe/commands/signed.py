"""`binance-sbe simulate --fix --ws-api`: servers that check signatures, and what clients need."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shlex
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from sbe_codegen.extras import imported

from ..errors import FeedError
from .serving import no_serving

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from ..simulator import Exchange

_KEY, _CERTIFICATE = "private.pem", "certificate.pem"
_ASSET = "USDT"
_EVENT_SECONDS = 2.0


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

            acceptor = FixAcceptor(exchange, port=wanted.fix, **given)
            await _enter(stack, acceptor, exchange.host, wanted.fix)
            trusted = wanted.keys / _CERTIFICATE
            trusted.write_bytes(acceptor.tls.pem)
            lines.append(
                f"FIX on {acceptor.url}; to look at it: {api_key}"
                f"SSL_CERT_FILE={shlex.quote(str(trusted))} binance-sbe fix watch {symbol} "
                f"--url {acceptor.url} --private-key {pem}"
            )
        if wanted.ws_api is not None:
            from ..simulator.ws_api import WsApi

            api = WsApi(exchange, port=wanted.ws_api, **given)
            await _enter(stack, api, exchange.host, wanted.ws_api)
            events = asyncio.create_task(_user_data(api))
            stack.push_async_callback(_ended, events)
            lines.append(f"WebSocket API on {api.url}; the key that signs: {pem}")
        yield lines


async def _enter(stack: contextlib.AsyncExitStack, server: Any, host: str, port: int) -> None:
    try:
        await stack.enter_async_context(server)
    except OSError as error:
        raise no_serving(host, port, error) from None


def _key_in(folder: Path) -> Ed25519PrivateKey:
    """The private key of a directory, which is there or is made, for its owner's eyes only."""
    from cryptography.hazmat.primitives import serialization

    from ..api.signing import signer_of
    from ..simulator.fix_keys import new_key

    path = folder / _KEY
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if path.exists():
            signer_of(path)  # says what is wrong with it
            found = serialization.load_pem_private_key(path.read_bytes(), None)
            return cast("Ed25519PrivateKey", found)
        key = new_key()
        pem = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(pem)
    except OSError as error:
        raise FeedError(f"--keys {folder}: {error.strerror}: name a directory") from None
    return key


async def _ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def _user_data(api: Any) -> None:
    """A change of a balance now and then, for those who have subscribed to them."""
    delta = 100_000_000
    while True:
        await asyncio.sleep(_EVENT_SECONDS)
        await api.emit(_ASSET, delta)
        delta = -delta
