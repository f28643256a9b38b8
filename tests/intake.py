"""A ledger and a backlog that are put together as a feed does it, without a feed."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from binance_sbe.feed.intake.backlog import Backlog
from binance_sbe.feed.intake.frame_queue import FrameQueue, policies
from binance_sbe.feed.intake.stats import Stats
from binance_sbe.feed.ledger import Ledger


def intake(
    limit: int = 10_000,
    policy: str | Mapping[str, str] = "block",
    wake: Callable[[], object] = lambda: None,
) -> tuple[Ledger, Backlog]:
    ledger = Ledger()
    chosen = policies(policy)
    stops = set(chosen.values()) == {"block"}
    return ledger, Backlog(Stats(), ledger, FrameQueue(limit, chosen, ledger), stops, wake)
