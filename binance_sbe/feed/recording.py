"""What a feed tells whoever records it: all that arbitration depends on, beside the frames.

The client of the WebSocket API tells whoever records its user data by the same methods.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from sbe_codegen.runtime.errors import SbeError

if TYPE_CHECKING:
    from .intake.backlog import Backlog
    from .intake.tap import Tap


class Recorder:
    """Nobody: `tape.recorder.Recorder` is somebody.

    Called on the feed's thread, in the order in which things happen; no call waits, but `close`.
    """

    detach: Callable[[], object] = staticmethod(bool)  # has the feed call it no more

    @property
    def error(self) -> SbeError | None:
        """What the feed is to end with, if with anything."""
        return None

    @property
    def tap(self) -> Tap | None:
        """Who gets the frames."""
        return None

    def begin(
        self,
        url: str,
        streams: Iterable[str],
        backlog: Backlog | None = None,
        ledger: Any = None,
    ) -> None:
        """Given first; ``streams`` are those that somebody wants, ``ledger`` is the feed's."""

    def close(self) -> None:
        """No more comes: waits until all is written. From any thread."""

    def text(self, number: int, text: str) -> None:
        """A text came through the connection of that number."""

    def asked(self, streams: Iterable[str]) -> None:
        """The user wants more streams."""

    def opened(self, number: int, name: str, now_ns: int) -> None:
        """A connection is there, since ``now_ns``."""

    def entered(self, number: int, streams: Iterable[str]) -> None:
        """The connection brings these from now on."""

    def ended(self, number: int, cause: str, whole: bool, now_ns: int) -> None:
        """It brings nothing from ``now_ns`` on, and all that it brought was taken."""

    def forgotten(self, streams: Iterable[str]) -> None:
        """Streams are not wanted any more."""

    def released(self, moment: int, read_since: int) -> None:
        """Frames that waited were let go, as `Arbiter.released` does."""

    def hole(self, hole: Any) -> None:
        """The ledger has another `ledger.Hole`."""

    def filled(self, stream: str, first: int, last: int) -> None:
        """These ids have come after all."""

    def snapshot(
        self, symbol: str, after: int, limit: int, answer: bytes | None = None, why: str = ""
    ) -> None:
        """A snapshot of a book was asked for, or came, or (``why``) did not.

        ``after`` is how many events the books had taken before.
        """

    def event(self, number: int, frame: bytes) -> None:
        """A frame of user data came through the connection of that number."""

    def missed(self, started_ns: int, ended_ns: int, cause: str, frames: int | None = None) -> None:
        """Frames of user data may be missing, so many or, None, nobody knows how many."""


NOBODY = Recorder()
