"""What the intake tells of what is missing, and to whom: it does not know the ledger."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from .backlog import Backlog
    from .streams import Stream


class Account(Protocol):
    """Ids and times (ns since 1970) are those of the events; see `arbiter` for the rules."""

    def follow(self, backlog: Backlog) -> None:
        """Given once: the backlog whose counters may be read."""

    def note_hole(
        self, stream: Stream, before: int, after: int, started: int, ended: int, cause: str
    ) -> None:
        """The ids between these two are missing."""

    def note_late(self, stream: Stream, first: int, last: int) -> int:
        """These ids come after all; returns how many of them were in holes."""

    def note_dropped(self, stream: Stream, first: int, last: int, received: int) -> None:
        """An event with these ids was dropped for a slow consumer."""

    def note_taken(self, stream: Stream) -> None:
        """An event was handed over, after some were dropped."""

    def note_all_taken(self) -> None:
        """What waited was handed over, of all streams, and what comes next does not wait."""
