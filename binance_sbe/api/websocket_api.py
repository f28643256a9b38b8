"""Frames of the WebSocket API in SBE: replies are in an envelope, events arrive bare."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from .. import spot_sbe
from .rest import error_of


class RateLimit(NamedTuple):
    """How much of a limit is used: ``current`` of ``limit`` in ``interval_num`` x ``interval``."""

    type: Any
    interval: Any
    interval_num: int
    limit: int
    current: int


@dataclass(frozen=True, slots=True)
class Reply:
    """What a frame of the WebSocket API says.

    ``message`` is the reply's own message, or the event; None where a reply has none. For an event
    ``status`` is None, ``id`` is None and there are no rate limits. ``deprecated`` says that the
    exchange wants a newer schema to be asked for. The frame is kept alive by ``message``.
    """

    message: Any
    status: int | None = None
    deprecated: bool = False
    rate_limits: tuple[RateLimit, ...] = ()
    id: str | None = None

    def raise_for_status(self) -> None:
        """Raises BinanceError where the exchange answered with an error."""
        if isinstance(self.message, spot_sbe.ErrorResponse):
            raise error_of(self.message)


def unwrap(frame: Any) -> Reply:
    """The reply or event in a binary frame. Raises DecodeError for what is no message."""
    message = spot_sbe.decode(frame)
    if not isinstance(message, spot_sbe.WebSocketResponse):
        return Reply(message)
    return Reply(
        message.result_message,
        message.status,
        message.sbe_schema_id_version_deprecated is True,
        tuple(_rate_limits(message)),
        message.id,
    )


def _rate_limits(message: spot_sbe.WebSocketResponse) -> Any:
    for row in message.rate_limits.tolist():
        kind, interval = (
            _member(enum, value)
            for enum, value in zip(
                (spot_sbe.RateLimitType, spot_sbe.RateLimitInterval), row, strict=False
            )
        )
        yield RateLimit(kind, interval, *row[2:])


def _member(enum: Any, value: int) -> Any:
    return enum._value2member_map_.get(value, value)
