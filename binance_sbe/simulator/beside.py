"""What a server beside a local exchange has: a key whose signatures it takes, a port, and tasks."""

from __future__ import annotations

import asyncio
from collections.abc import Container, Coroutine
from typing import TYPE_CHECKING, Any

from ..asynchronous import Asynchronous
from .fix_keys import new_key
from .server import Exchange

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey


class Beside(Asynchronous):
    """``key`` is the private key whose signatures are taken; a new one where none is given.

    ``api_keys`` are those that are let in, None: any. Port 0 takes a free one.
    """

    def __init__(
        self,
        exchange: Exchange,
        *,
        key: Ed25519PrivateKey | None = None,
        api_keys: Container[str] | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        is_deprecated: bool = False,
    ) -> None:
        self.key = new_key() if key is None else key
        self.url = ""
        self._exchange = exchange
        self._public = self.key.public_key()
        self._api_keys = api_keys
        self._host, self._port = host, port
        self._is_deprecated = is_deprecated
        self._tasks: set[asyncio.Task[Any]] = set()

    @property
    def _place(self) -> str:
        """The host as it stands in a URL."""
        return f"[{self._host}]" if ":" in self._host else self._host

    def _later(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _end_tasks(self) -> None:
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
