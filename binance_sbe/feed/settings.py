"""What a feed does when, checked once."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import time as time_of_day

from ..errors import KEY_HELP, MissingKey
from ..keys import remember_key
from ..route import Route

MOST_LINES = 3  # more would be of no use, and take connections of others


@dataclass(frozen=True)
class Settings:
    """See `connect`. Times are in seconds. ValueError for what can't be.

    ``renew_at`` is in UTC where it has no time zone. ``first_pause`` and ``longest_pause`` are
    between attempts to connect; a successor has ``settle_timeout`` to bring what its predecessor
    brings.
    """

    lines: int = 1
    reconnect: bool = True
    give_up_after: float | None = 900.0
    renew_after: float = 23.5 * 3600.0
    renew_at: time_of_day | None = None
    open_timeout: float = 10.0
    reply_timeout: float = 10.0
    silence_timeout: float = 60.0
    stream_timeout: Mapping[str, float | None] = field(default_factory=dict)
    first_pause: float = 0.25
    longest_pause: float = 30.0
    settle_timeout: float = 10.0
    route: Route = field(default_factory=Route)

    def __post_init__(self) -> None:
        if self.renew_at is not None and not isinstance(self.renew_at, time_of_day):
            raise ValueError(f"renew_at is a datetime.time, not {self.renew_at!r}")
        if not 1 <= self.lines <= MOST_LINES:
            raise ValueError(f"lines is from 1 to {MOST_LINES}, not {self.lines}")
        times = {
            name: getattr(self, name)
            for name in ("give_up_after", "renew_after", "open_timeout", "reply_timeout",
                         "silence_timeout", "first_pause", "longest_pause", "settle_timeout")
        }  # fmt: skip
        times |= {f"stream_timeout of {kind}": each for kind, each in self.stream_timeout.items()}
        for name, seconds in times.items():
            may_be_none = name == "give_up_after" or name.startswith("stream")
            if not (seconds is None and may_be_none):
                check_seconds(name, seconds)


def checked_key(given: str | None, advice: str = KEY_HELP) -> str:
    """The API key to use. No error quotes it; ``advice`` says what key is needed."""
    key = (os.environ.get("BINANCE_API_KEY", "") if given is None else given).strip()
    if not key:
        raise MissingKey(advice)
    if "PRIVATE KEY" in key or "PUBLIC KEY" in key:
        raise MissingKey(
            "this is a key file: what is asked for is the API key, the 64 letters and digits that "
            f"the exchange shows for it. {advice}"
        )
    if not (key.isascii() and key.isprintable()) or " " in key:
        raise MissingKey(f"the API key has characters that no key has. {advice}")
    return remember_key(key)


def private_key_of(given: object) -> object:
    """What was given, or else the path in BINANCE_PRIVATE_KEY; None where there is neither."""
    return (os.environ.get("BINANCE_PRIVATE_KEY") or None) if given is None else given


def password_of(given: str | bytes | None) -> str | bytes | None:
    """The password of an encrypted key: as given, or else BINANCE_PRIVATE_KEY_PASSWORD."""
    return (os.environ.get("BINANCE_PRIVATE_KEY_PASSWORD") or None) if given is None else given


def check_seconds(name: str, seconds: object) -> None:
    """ValueError for what is no positive number of seconds."""
    if not (isinstance(seconds, int | float) and seconds > 0):
        raise ValueError(f"{name} is a positive number of seconds, not {seconds!r}")


def check_batching(max_messages: int, max_delay: float) -> None:
    """ValueError for batches of nothing, or that are over before they begin."""
    if max_messages < 1:
        raise ValueError(f"max_messages is at least 1, not {max_messages}")
    if not max_delay >= 0:
        raise ValueError(f"max_delay is a number of seconds, not {max_delay}")


def warn_of_transport(transport: str | None) -> None:
    """For `connect`, which had a choice of two once."""
    if transport is None:
        return
    if transport not in ("websockets", "picows"):
        raise ValueError(f"transport is 'websockets' or 'picows', not {transport!r}")
    warnings.warn(
        "transport= has no effect any more: there is one transport, as fast as picows was",
        DeprecationWarning,
        stacklevel=4,  # of who calls `connect`, which has `planned` check all
    )
