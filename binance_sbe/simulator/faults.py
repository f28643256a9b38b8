"""What a local exchange does wrong, at random from a seed or when it is told to."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from typing import TypeVar

from .events import Depth, Diff

Book = TypeVar("Book", Depth, Diff)

KINDS = {
    "cut": "a connection breaks off in the middle of a frame",
    "close": "a connection is closed, with code 1001 and a reason",
    "silence": "a connection stays open, says nothing any more and answers no ping",
    "shutdown": "serverShutdown is announced, and the connection closed a little later",
    "damage": "one frame comes damaged",
    "unknown": "a message comes whose template nobody knows",
    "newer": "one message comes in a newer version, with longer blocks",
    "delay": "for up to two seconds nothing comes through a connection, and then all of it",
    "repeat": "one frame comes twice",
    "swap": "two frames of one stream come in the wrong order",
    "cull": "for a second most events of bestBidAsk are left out",
    "refuse": "the next request is refused",
    "slow": "the next request is answered seconds late",
    "limit": "the next REST request gets HTTP 429, with Retry-After",
    "ban": "the next REST request gets HTTP 418, with Retry-After",
    "old": "the next snapshot by REST is that of the request before",
    "finer": "the next diff, depth20 and snapshot have one more digit, and exponents to match",
}


def kinds(names: Iterable[str]) -> list[str]:
    """These faults, ``all`` in full. ValueError for one that there is not.

    ``cut`` is one at random, ``cut@2.5`` the one that is to happen after 2.5 seconds.
    """
    found: list[str] = []
    for name in filter(None, names):
        kind, at, seconds = name.partition("@")
        if kind == "all" and not at:
            found += KINDS
            continue
        if kind not in KINDS:
            raise ValueError(f"there is no fault '{kind}'; there are {', '.join(KINDS)}")
        if at and not _is_time(seconds):
            raise ValueError(f"fault '{name}': '{seconds}' is not a number of seconds from 0 up")
        found.append(name)
    return found


def _is_time(text: str) -> bool:
    try:
        return 0 <= float(text) < float("inf")
    except ValueError:
        return False


def damaged(frame: bytes, chance: random.Random) -> bytes:
    """A frame that is no message any more: cut short, or with lengths that can't be."""
    return chance.choice(
        [
            frame[: chance.randrange(len(frame))],
            b"\x00\x00" + frame[2:],  # a root block of no bytes
            frame[:4] + b"\x99\x99" + frame[6:],  # of another schema
        ]
    )


def unknown(frame: bytes) -> bytes:
    """The same bytes as a message of a template that the schema does not have."""
    return frame[:2] + (29999).to_bytes(2, "little") + frame[4:]


def newer(frame: bytes) -> bytes:
    """The same message as a sender of version 1 may write it: a root block three bytes longer."""
    size = int.from_bytes(frame[:2], "little")
    head = (size + 3).to_bytes(2, "little") + frame[2:6] + b"\x01\x00"
    return head + frame[8 : 8 + size] + b"\xaa\xbb\xcc" + frame[8 + size :]


def finer(event: Book) -> Book:
    """The same levels with another digit; where 64 bits have no room for it, as they were."""
    levels = event.bids + event.asks
    if any(max(level) > 2**63 // 10 for level in levels):
        return event
    return event._replace(
        price_exponent=event.price_exponent - 1,
        qty_exponent=event.qty_exponent - 1,
        bids=tuple((10 * price, 10 * qty) for price, qty in event.bids),
        asks=tuple((10 * price, 10 * qty) for price, qty in event.asks),
    )


class Schedule:
    """Which fault comes when: every ``seconds`` on average, seeded, or at a time that is given."""

    def __init__(self, names: Iterable[str], seconds: float, seed: int) -> None:
        given = kinds(names)
        self.names = [name for name in given if "@" not in name]
        timed = (name.partition("@") for name in given if "@" in name)
        self.script = sorted((float(at), name) for name, _, at in timed)
        if not seconds > 0:
            raise ValueError(f"faults come every so many seconds, more than {seconds}")
        self.seconds = seconds
        self.chance = random.Random(f"faults/{seed}")
        self.done: list[tuple[float, str]] = []
        self._next = self._pause()

    def _pause(self) -> float:
        return self.chance.expovariate(1.0 / self.seconds)

    def due(self, elapsed: float, inflict: Callable[[str], bool]) -> None:
        """Inflicts what is due by then.

        Of those at random one that can't be inflicted is not done; what is timed is done as soon as
        it can be.
        """
        while self.script and elapsed >= self.script[0][0] and inflict(self.script[0][1]):
            self.done.append((elapsed, self.script.pop(0)[1]))
        while self.names and elapsed >= self._next:
            name = self.chance.choice(self.names)
            if inflict(name):
                self.done.append((elapsed, name))
            self._next = elapsed + self._pause()
