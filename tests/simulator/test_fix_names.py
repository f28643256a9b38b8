"""The local FIX acceptor serves the host that it has a certificate for, and no other (SNI)."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from binance_sbe import fix
from binance_sbe.simulator import Exchange
from binance_sbe.simulator.fix import FixAcceptor


def serving(work: Callable[[FixAcceptor, int], Awaitable[Any]]) -> Any:
    async def main() -> Any:
        async with Exchange(["btcusdt"]) as exchange, FixAcceptor(exchange) as acceptor:
            return await work(acceptor, int(acceptor.url.rpartition(":")[2]))

    return asyncio.run(asyncio.wait_for(main(), 30))


async def shake_hands(acceptor: FixAcceptor, port: int, name: str | None) -> None:
    context = acceptor.tls.client
    context.check_hostname = False  # the refusal has to be the server's
    _, writer = await asyncio.open_connection(
        "127.0.0.1", port, ssl=context, server_hostname=name or "127.0.0.1"
    )
    writer.close()
    await writer.wait_closed()


@pytest.mark.parametrize("name", ["localhost", "LocalHost", None])
def test_its_own_name_is_served_and_so_is_an_address_which_names_none(name: str | None) -> None:
    serving(lambda acceptor, port: shake_hands(acceptor, port, name))


@pytest.mark.parametrize("name", ["fix-md.binance.com", "localhost.example", "x"])
def test_another_name_ends_the_handshake(name: str) -> None:
    with pytest.raises((ssl.SSLError, ConnectionError)):  # gone before the alert is read, maybe
        serving(lambda acceptor, port: shake_hands(acceptor, port, name))


def test_a_session_names_the_host_that_it_wants() -> None:
    """A name in the URL is sent: the exchange needs it."""
    named = []

    async def work(acceptor: FixAcceptor, port: int) -> None:
        checked = acceptor.tls.server.sni_callback
        assert checked is not None

        def note(socket: Any, name: Any, context: Any) -> Any:
            named.append(name)
            return checked(socket, name, context)

        acceptor.tls.server.sni_callback = note
        async with fix.connect(
            url=f"tcp+tls://localhost:{port}", api_key="k", private_key=acceptor.key,
            ssl=acceptor.tls.client,
        ) as session:  # fmt: skip
            await session.subscribe("btcusdt", kinds="trade")

    serving(work)
    assert named == ["localhost"]
