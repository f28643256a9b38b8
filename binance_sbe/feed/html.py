"""A feed and its ledger as HTML, for notebooks: texts of the exchange without key and markup."""

from __future__ import annotations

from typing import Any

from sbe_codegen.runtime import markup

from ..output import shown

ROWS = 20  # of streams
LATEST = 10  # holes and connections
_COUNTERS = ("frames", "lost", "dropped", "late", "duplicates", "out_of_order", "culled")


def feed_html(feed: Any) -> str:
    """What it is connected to, and what came of each stream."""
    ledger = feed.ledger
    is_open = sum(each.closed_ns is None for each in ledger.connections)
    caption = shown(
        f"{repr(feed).strip('<>')}, {is_open} of {ledger.connections_count} connections open, "
        f"{feed.waiting:,} frames waiting, {ledger.holes_count:,} holes"
    )
    return _streams(caption, ledger)


def ledger_html(ledger: Any) -> str:
    """The counters, then the latest holes and connections."""
    holes = [
        (shown(each.stream), each.last_before + 1, each.first_after - 1, each.ids,
         utc(each.started_ns), utc(each.ended_ns), shown(each.cause))
        for each in ledger.holes[-LATEST:]
    ]  # fmt: skip
    connections = [
        (shown(each.name), utc(each.opened_ns), utc(each.closed_ns), f"{each.frames:,}",
         None if each.cause is None else shown(each.cause))
        for each in ledger.connections[-LATEST:]
    ]  # fmt: skip
    parts = [_streams(f"Ledger: {repr(ledger).strip('<>').partition(': ')[2]}", ledger)]
    if holes:
        caption = f"Holes: the latest {len(holes)} of {ledger.holes_count:,}"
        names = ("stream", "first id", "last id", "ids", "from", "to", "cause")
        parts.append(markup.table(caption, names, holes))
    if connections:
        caption = f"Connections: the latest {len(connections)} of {ledger.connections_count:,}"
        header = ("name", "opened", "closed", "frames", "cause")
        parts.append(markup.table(caption, header, connections))
    return "".join(parts)


def utc(time_ns: int | None) -> str | None:
    """A time in ns since 1970, to the millisecond; None for None, and for 0, which is never."""
    return markup.utc(time_ns // 10**6, "ms") if time_ns else None


def _streams(caption: str, ledger: Any) -> str:
    streams = ledger.streams
    rows = [
        (shown(name), *(f"{getattr(each, counter):,}" for counter in _COUNTERS),
         utc(each.received))
        for name, each in list(streams.items())[:ROWS]
    ]  # fmt: skip
    note = f"The first {ROWS} of {len(streams):,} streams." if len(streams) > ROWS else ""
    header = ("stream", *(each.replace("_", " ") for each in _COUNTERS), "latest")
    return markup.table(caption, header, rows, note)
