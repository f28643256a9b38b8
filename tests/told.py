"""All that a feed and its books have told, as text: two that are the same have told the same."""

from __future__ import annotations

import hashlib
from dataclasses import asdict
from typing import Any

_STREAM = (
    "name", "kind", "frames", "duplicates", "out_of_order", "late", "overlaps", "culled", "lost",
    "dropped", "last", "received", "heard", "is_covered", "cause",
)  # fmt: skip
_SOURCE = ("number", "name", "frames", "bytes", "won", "duplicates", "damaged", "received", "delay")
_HISTOGRAM = ("count", "negative", "max", "mean", "p50", "p99", "p999")


def values(thing: Any, names: tuple[str, ...]) -> str:
    return " ".join(f"{name}={getattr(thing, name)!r}" for name in names)


def ledger_lines(ledger: Any) -> list[str]:
    """The whole account, but for what never came to the intake."""
    lines = [repr(asdict(hole)) for hole in ledger.holes]
    lines += [values(ledger.streams[name], _STREAM) for name in ledger.streams]
    for each in ledger.connections:
        lines.append(f"{each.name} {each.opened_ns} {each.closed_ns} {each.cause}")
        lines.append(values(each.source, _SOURCE))
        lines.append(values(each.source.lag, _HISTOGRAM))
    lines += [repr(each) for each in ledger.damaged]
    counts = (
        ledger.holes_count, ledger.connections_count, ledger.ended_count, ledger.damaged_count,
        ledger.dropped, ledger.strays_count, dict(ledger.strays), dict(ledger.unknown_templates),
        dict(ledger.newer_versions),
    )  # fmt: skip
    return [*lines, repr(counts)]


def stats_lines(stats: Any) -> list[str]:
    """What does not depend on how fast anything was done."""
    return [repr(stats), values(stats.event_to_received, _HISTOGRAM)]


def book_line(book: Any) -> str:
    """A book at its update id: every level, and what is known of them."""
    levels = hashlib.sha256()
    for side in (book.bids(), book.asks()):
        levels.update(side.tobytes() + repr(side.proven).encode())
    audit = book.audit
    return (
        f"{book.symbol} {book.update_id} {book.follows} {book.applied} {book.bids_known_to} "
        f"{book.asks_known_to} {levels.hexdigest()} {audit.checks} {audit.levels} {audit.agreed} "
        f"{audit.snapshots} {audit.failures}"
    )


def batch_frames(batch: Any) -> bytes:
    """A hash of all rows of a batch, and of their times."""
    found = hashlib.sha256()
    for kind, table in sorted(batch.tables.items(), key=lambda item: item[0].__name__):
        records = table.records.copy()
        symbols = [table.symbols[code] for code in records["symbol"]]
        records["symbol"] = 0
        found.update(f"{kind.__name__} {records.tolist()} {symbols}".encode())
        for name in table.groups:
            for i in range(len(records)):
                found.update(repr(table.groups[name][i].tolist()).encode())
    found.update(repr(batch.rejected.tolist()).encode())
    return found.digest()
