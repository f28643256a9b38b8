"""What a way saw in one run: the handlers that latency.py gives to all ways, and the clocks."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from binance_sbe import BestBidAskStreamEvent

PACED, BURST, PROOF = "paced", "burst", "proof"


class EnoughError(Exception):
    """The last message has come."""


def enough() -> None:
    raise EnoughError


@dataclass
class Seen:
    """``kind`` is what a handler does with a message, the same for all ways.

    PACED: notes when it came, and when it was sent, which is its id. BURST: counts it. PROOF: adds
    its id and its bid price. At the last of ``count`` the handler takes the time, and raises
    `EnoughError`, or calls ``finish``.
    """

    kind: str
    count: int
    seen: int = 0
    ids: int = 0
    prices: int = 0
    sent: list[int] = field(default_factory=list)
    came: list[int] = field(default_factory=list)
    cpu: int = 0  # ns of the receiving thread, from `begin` to `end`
    _began: int = 0

    def begin(self) -> None:
        """The handshake is over, and the subscription acknowledged."""
        self._began = time.thread_time_ns()

    def end(self) -> None:
        self.cpu = time.thread_time_ns() - self._began

    def sums(self) -> dict[str, int]:
        """What the server also knows."""
        if self.kind == PACED:
            return {"count": len(self.sent), "ids": sum(self.sent)}
        if self.kind == BURST:
            return {"count": self.seen}
        return {"count": self.seen, "ids": self.ids, "prices": self.prices}

    def handler(self, finish: Callable[[], object] = enough) -> Callable[[Any], None]:
        count, seen = self.count, 0
        sent, came, clock = self.sent.append, self.came.append, time.monotonic_ns

        def count_it(message: Any) -> None:
            nonlocal seen
            seen += 1
            if seen == count:
                self.end()
                self.seen = seen
                finish()

        def note_times(message: Any) -> None:
            nonlocal seen
            came(clock())
            sent(message.book_update_id)
            seen += 1
            if seen == count:
                self.end()
                finish()

        def add(message: Any) -> None:
            self.seen += 1
            self.ids += message.book_update_id
            self.prices += message.bid_price
            if self.seen == count:
                self.end()
                finish()

        return {BURST: count_it, PACED: note_times, PROOF: add}[self.kind]

    def batch_handler(self) -> Callable[[Any], None]:
        """The same for a batch."""

        def handle(batch: Any) -> None:
            now = time.monotonic_ns()
            self.seen += len(batch)
            if self.kind != BURST:
                records = batch[BestBidAskStreamEvent].records
                ids = records["book_update_id"].tolist()
                if self.kind == PACED:
                    self.sent += ids
                    self.came += [now] * len(ids)
                else:
                    self.ids += sum(ids)
                    self.prices += int(np.sum(records["bid_price"]))
            if self.seen >= self.count:
                self.end()
                raise EnoughError

        return handle

    def take_over(self, noted: Any) -> None:
        """What the handler in C has noted."""
        self.end()
        self.seen, self.ids, self.prices = noted.count, noted.ids, noted.prices
        self.sent, self.came = noted.sent.tolist(), noted.came.tolist()
