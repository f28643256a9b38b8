"""One FIX session over one socket, with asyncio."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from typing import Any

from ...api.fix_session import Event, Failed, LoggedOut, Session
from ...api.fix_wire import now
from ...errors import FixError, Unreachable
from ...logs import LOG
from .requests import Requests
from .settings import Settings

_READ = 1 << 16
_ADDRESS_SECONDS = 0.25  # until the next address of a host is tried as well (RFC 8305)
_MOST_UNSENT = 1 << 20


class Link:
    """``take(link, event)`` is called with each event; it must not wait."""

    def __init__(self, settings: Settings, take: Callable[[Link, Event], None]) -> None:
        self.session: Session = settings.new_session()
        self.requests = Requests()
        self.is_wanted = True  # until somebody asks for its end
        self._is_told = False  # that it is over
        self.is_ending = False  # the exchange has announced its end
        self.opened = time.monotonic()
        self.began_ns = self.last_ns = time.time_ns()  # when it was logged on, when something came
        # of a successor, while its predecessor goes on: messages, kinds of snapshots, times
        self.held: list[tuple[Any, str | None, int]] = []
        self.logged_on: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._settings = settings
        self._take = take
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._task: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Connects, and sends the logon. Raises Unreachable."""
        settings = self._settings
        options: dict[str, Any] = {}
        if settings.is_secure:
            options = {"ssl": settings.route.context(), "server_hostname": settings.host}
        if settings.route.local_addr is not None:
            options["local_addr"] = settings.route.local_addr
        try:
            async with asyncio.timeout(settings.open_timeout):
                self._reader, self._writer = await asyncio.open_connection(
                    settings.host, settings.port, happy_eyeballs_delay=_ADDRESS_SECONDS, **options
                )
        except TimeoutError:
            why = f"no connection within {settings.open_timeout:g} s"
            raise Unreachable(f"{settings.place}: {why}") from None
        except (OSError, ValueError) as error:
            raise Unreachable(f"{settings.place}: {error or type(error).__name__}") from None
        self.session.log_on(now())
        self._flush()
        self._task = asyncio.create_task(self._run(), name="FIX session")

    @property
    def is_live(self) -> bool:
        return self.session.state == "live" and self.is_running

    @property
    def is_running(self) -> bool:
        return self._task is not None and not self._task.done()

    async def ended(self, seconds: float) -> None:
        """Waits until it is over, so long at most."""
        if self._task is not None:
            await asyncio.wait([self._task], timeout=seconds)

    def send(self, kind: Any, values: dict[str, Any]) -> int:
        """See `Session.send`."""
        writer = self._writer
        if not self.is_running or writer is None or writer.is_closing():
            raise FixError("nothing can be sent: the session is over")
        if writer.transport.get_write_buffer_size() > _MOST_UNSENT:
            raise FixError("the exchange does not read what is sent: the message was not sent")
        number = self.session.send(kind, values, now())
        self._flush()
        return number

    def log_out(self, text: str = "") -> None:
        self.is_wanted = False
        self.session.log_out(now(), text)
        self._flush()

    def _flush(self) -> None:
        data = self.session.to_send()
        if data and self._writer is not None and not self._writer.is_closing():
            self._writer.write(data)

    async def _run(self) -> None:
        """Reads, and lets time pass, until the session is over."""
        assert self._reader is not None
        try:
            await self._read(self._reader)
            if not self._is_told:
                self._take(self, Failed(FixError("the session is over")))
        except Exception as error:
            LOG.exception("%s: the FIX session failed", self._settings.place)
            self.session.abandon()
            self._take(self, Failed(FixError(f"the session failed: {error!r}")))
        finally:
            self._hang_up()

    async def _read(self, reader: asyncio.StreamReader) -> None:
        while self.session.state != "closed":
            wait = self.session.next_tick() - now().seconds
            try:
                async with asyncio.timeout(max(wait, 0.0)):
                    data = await reader.read(_READ)
            except TimeoutError:
                events = self.session.tick(now())
            except OSError:
                events = self.session.end_of_stream(now())
            else:
                self.last_ns = time.time_ns()
                if data:
                    events = self.session.receive(data, now())
                else:
                    events = self.session.end_of_stream(now())
            self._flush()
            for event in events:
                self._is_told |= isinstance(event, Failed | LoggedOut)
                self._take(self, event)

    def _hang_up(self) -> None:
        if self._writer is not None:
            self._writer.close()

    async def close(self) -> None:
        """Ends it, and waits for that; the logout was sent before."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        self._hang_up()
        if self._writer is not None:
            with contextlib.suppress(OSError, TimeoutError):
                async with asyncio.timeout(1.0):
                    await self._writer.wait_closed()
