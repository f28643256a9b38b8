"""What a `Supervisor` tells its shell to do."""

from __future__ import annotations

from dataclasses import dataclass

from .errors import FeedError
from .sequencer import Line


@dataclass(frozen=True)
class Open:
    """Make a connection, and report `opened` or `failed`."""

    connection: int
    line: Line


@dataclass(frozen=True)
class Send:
    connection: int
    text: str


@dataclass(frozen=True)
class Close:
    connection: int
    cause: str


@dataclass(frozen=True)
class Entered:
    """The connection brings these streams from now on."""

    line: Line
    names: tuple[str, ...]


@dataclass(frozen=True)
class Left:
    """The connection brings nothing any more."""

    line: Line
    cause: str


@dataclass(frozen=True)
class Forgotten:
    """These streams are not wanted any more."""

    names: tuple[str, ...]


@dataclass(frozen=True)
class Answer:
    """A request of the user's is done, or has failed."""

    ticket: int
    error: FeedError | None


@dataclass(frozen=True)
class Log:
    is_warning: bool
    text: str


@dataclass(frozen=True)
class Failed:
    """The feed is over."""

    error: FeedError


Action = Open | Send | Close | Entered | Left | Forgotten | Answer | Log | Failed
