"""The state of a feed in words and rows, for `binance-sbe watch`."""

from __future__ import annotations

from typing import Any

from ..feed.feed import Feed
from ..feed.ledger import ConnectionRecord
from ..feed.protocol.supervisor import WE_CLOSED
from .numbers import duration, percentiles
from .screen import cell, fitted


def old_symbols(feed: Feed) -> set[str]:
    """The symbols of which some stream has no connection now: what is known of them gets old."""
    return {name.partition("@")[0].upper() for name in feed.cut_off}


def is_well(feed: Feed) -> bool:
    """Whether nothing was lost or damaged, and no connection ended but by us."""
    found = counts(feed)
    return not any(found[name] for name in found if name not in HARMLESS)


def no_connection(feed: Feed) -> str:
    """Nothing, while a connection is open."""
    if open_connections(feed):
        return ""
    causes = [each.cause for each in feed.ledger.connections[-1:] if each.cause]
    return f"no connection is open{f': {causes[0]}' if causes else ''}"


def open_connections(feed: Feed) -> list[ConnectionRecord]:
    return [each for each in feed.ledger.connections if each.closed_ns is None]


# What `connection_cells` gives, in this order. The last are for several that bring the same.
COLUMNS = ("connection", "age", "last read", "frames", "MB", "first", "behind the first")


def connection_cells(connection: ConnectionRecord, now_ns: int) -> tuple[str, ...]:
    """One open connection: how old it is, what it has brought, and how often it was first."""
    line = connection.line
    brought = line.won + line.duplicates
    first = f"{100 * line.won / brought:.1f} %" if brought else ""
    lag = percentiles(line.lag) if line.lag.count else ""
    heard = f"{duration(max(0, now_ns - line.received) / 1e9)} ago" if line.received else "never"
    return (
        connection.name, duration((now_ns - connection.opened_ns) / 1e9), heard,
        f"{connection.frames:,}", f"{connection.bytes / 1e6:.2f}", first, lag,
    )  # fmt: skip


def lag_line(feed: Feed) -> str:
    stats = feed.stats
    return (
        f"lag: exchange to here {percentiles(stats.event_to_received)}; "
        f"here to decoded {percentiles(stats.received_to_decoded)}"
    )


HARMLESS = ("duplicates", "left out by the exchange (no loss)")


def counts(feed: Feed) -> dict[str, int]:
    """The ledger in numbers, over all streams."""
    ledger = feed.ledger
    streams = list(ledger.streams.values())
    return {
        "holes": ledger.holes_count,
        "ids lost": sum(each.lost for each in streams),
        "dropped for the consumer": ledger.dropped,
        "duplicates": sum(each.duplicates for each in streams),
        "out of order": sum(each.out_of_order for each in streams),
        "left out by the exchange (no loss)": sum(each.culled for each in streams),
        "damaged": ledger.damaged_count,
        "unknown": sum(ledger.unknown_templates.values()),
        "newer version": sum(ledger.newer_versions.values()),
        "connections ended": ledger.ended_count
        - sum(each.cause == WE_CLOSED for each in ledger.connections),
    }


def ledger_line(feed: Feed) -> str:
    """What is not zero, and the latest hole."""
    found = [f"{name} {number:,}" for name, number in counts(feed).items() if number]
    text = "ledger: " + (", ".join(found) if found else "nothing lost, nothing odd")
    hole = latest_hole(feed)
    return f"{text}; latest hole: {hole}" if hole else text


def latest_hole(feed: Feed) -> str:
    """What is missing, since when, and why; nothing where there is no hole."""
    if not feed.ledger.holes:
        return ""
    hole = feed.ledger.holes[-1]
    ago = duration((feed.now_ns - hole.ended_ns) / 1e9)
    return f"{hole.stream}, {hole.ids:,} ids, {ago} ago, {hole.cause}"


def plain_lines(feed: Feed) -> list[str]:
    """For a pipe."""
    now = feed.now_ns
    lines = [f"  {lag_line(feed)}", f"  {ledger_line(feed)}"]
    for each in open_connections(feed):
        cells = connection_cells(each, now)
        named = zip(COLUMNS[1:], cells[1:], strict=True)
        told = ", ".join(f"{name} {cell}" for name, cell in named if cell)
        lines.append(f"  {cells[0]}: {told}")
    lost = no_connection(feed)
    return [*lines, f"  {lost}"] if lost else lines


def rich_panel(feed: Feed, width: int) -> Any:
    """The same as a rich renderable."""
    from rich.console import Group

    now = feed.now_ns
    rows = [connection_cells(each, now) for each in open_connections(feed)]
    most = len(COLUMNS)
    columns = (most, most - 1, 4) if any(row[-1] for row in rows) else (most - 2, 4)
    table = fitted((_table(rows, count) for count in columns), width)
    lost = feed.ledger.holes_count or feed.ledger.damaged_count
    return Group(
        table if rows else cell(no_connection(feed), "bold red"),
        cell(lag_line(feed)),
        cell(ledger_line(feed), "yellow" if lost else ""),
    )


def _table(rows: list[tuple[str, ...]], columns: int) -> Any:
    from rich.table import Table

    table = Table(expand=False)
    for i, name in enumerate(COLUMNS[:columns]):
        table.add_column(name, justify="left" if i == 0 else "right", no_wrap=True)
    for row in rows:
        table.add_row(*map(cell, row[:columns]))
    return table
