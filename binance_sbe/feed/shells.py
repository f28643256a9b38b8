"""What an `Engine` wants of the shell around it, and of the connections that this opens."""

from __future__ import annotations

from typing import Protocol

from ..errors import FeedError
from .intake.streams import Source


class Transport(Protocol):
    """A connection that is open, as the engine uses it."""

    @property
    def is_drained(self) -> bool:
        """All that came before its end was taken."""

    @property
    def is_whole(self) -> bool:
        """It ended by agreement: nothing was cut off."""

    def send(self, text: str) -> None: ...
    def ping(self) -> None: ...
    def finish(self) -> None: ...
    def resume(self) -> None: ...


class Shell(Protocol):
    """What the engine has done for it."""

    def open(self, number: int, source: Source) -> None:
        """Open a transport into ``source``; then `Engine.opened`, or `Engine.failed`."""

    def close_one(self, number: int) -> None:
        """End this transport, whatever has become of it: nothing that it brings counts."""

    def answer(self, ticket: int, error: FeedError | None) -> None:
        """A request of the user's is done, or has failed."""

    def poke(self) -> None:
        """Something has changed: `Engine.tick` is to be called soon."""
