"""What a `Supervisor` tells its shell to do."""

from __future__ import annotations

from dataclasses import dataclass

from ...errors import FeedError


@dataclass(frozen=True)
class Open:
    """Make a connection, and report `opened` or `failed`."""

    connection: int
    name: str


@dataclass(frozen=True)
class Send:
    connection: int
    text: str


@dataclass(frozen=True)
class Ask:
    """Ask the other side for a sign of life, by a ping."""

    connection: int


@dataclass(frozen=True)
class Finish:
    """Ask for the end of a connection; what is on its way still counts. `closed` is to follow."""

    connection: int


@dataclass(frozen=True)
class Close:
    """End a connection at once. Nothing that still comes counts."""

    connection: int
    cause: str


@dataclass(frozen=True)
class Entered:
    """The connection brings these streams from now on."""

    connection: int
    names: tuple[str, ...]


@dataclass(frozen=True)
class Left:
    """The connection brings nothing any more.

    ``whole`` says that it has brought all up to the end that we had asked for.
    """

    connection: int
    cause: str
    whole: bool = False


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
    """``event`` is one word for what happened, ``fields`` has its figures."""

    event: str
    text: str
    fields: dict[str, object]

    @property
    def is_warning(self) -> bool:
        return self.event not in ("renewing", "renewed", "up")


@dataclass(frozen=True)
class Failed:
    """The feed is over."""

    error: FeedError


Action = Open | Send | Ask | Finish | Close | Entered | Left | Forgotten | Answer | Log | Failed


def logged(event: str, text: str, of: str | None = None, **fields: object) -> Log:
    """A line of the log, which begins with the connection ``of`` which it tells."""
    if of is None:
        return Log(event, text, fields)
    return Log(event, f"{of}: {text}", {"connection": of, **fields})
