"""The ladder of a book: for a terminal, as lines, or as one line of JSON."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from sbe_codegen.printing import counted, fitting

from ..api.decimals import decimal
from ..books.keeper import LiveBook
from ..output import json_text
from .numbers import duration, short
from .screen import cell, fitted

_BAR = 24  # characters of the longest bar
_LEAST = 11  # lines of the smallest ladder of several
_AROUND = 7  # lines of the table that are not levels, and one below
UNPROVEN = "unsure"  # of a level between which and the best some may be missing
# Side, price, quantity, quantity up to there, its share of the largest, and if it is proven.
Row = tuple[str, str, str, str, float, bool]


def rich_panels(kept: Sequence[LiveBook], levels: int, width: int, height: int) -> Any:
    """The ladders of several books, one below the other, as many as fit into ``height`` lines."""
    from rich.console import Group

    if len(kept) == 1:
        return rich_panel(kept[0], levels, width, height)
    most = max(1, (height - 2) // _LEAST)
    share = (height - 2) // min(len(kept), most)
    found = [rich_panel(book, levels, width, share, is_brief=True) for book in kept[:most]]
    names = ", ".join(book.symbol for book in kept[most:])
    more = [cell(f"for {names} the terminal is not high enough")] if names else []
    return Group(*found, *more)


def line_of(book: LiveBook, levels: int) -> str:
    """The book as one line of JSON. Prices and quantities are str, times as they are."""
    bids, asks = book.bids(levels), book.asks(levels)
    price, qty = book.price_exponent, book.qty_exponent
    spread = book.spread
    return json_text(
        {
            "symbol": book.symbol,
            "state": book.state,
            "reason": book.reason,
            "since_ns": book.since_ns,
            "update_id": book.update_id,
            "event_time": book.event_time,
            "spread": None if spread is None else decimal(spread, price),
            "bids": [[decimal(p, price), decimal(q, qty)] for p, q in bids.tolist()],
            "asks": [[decimal(p, price), decimal(q, qty)] for p, q in asks.tolist()],
            "proven_bids": bids.proven,
            "proven_asks": asks.proven,
            "audit": vars(book.audit),
        }
    )


def is_old(book: LiveBook) -> bool:
    """Whether its prices are of before something that it has missed: no connection, say."""
    return book.state == "stale"


def state_lines(book: LiveBook) -> list[str]:
    """What is to be known of the book as a whole, and of how it was compared."""
    now = time.time_ns()
    text = f"{book.symbol} {book.state} for {duration((now - book.since_ns) / 1e9)}"
    if book.update_id >= 0:
        text += f", update id {book.update_id:,}"
    if book.event_time and book.update_id >= 0:
        age = duration(max(0.0, now / 1e9 - book.event_time / 1e6))
        text += f", prices are of {age} ago" if is_old(book) else f", {age} old"
    if book.reason:
        text += f": {book.reason}"
    audit = book.audit
    told = "audit: nothing compared yet"
    if audit.last_ns is not None:
        ago = duration((now - audit.last_ns) / 1e9)
        checks = counted(audit.checks, "check")
        told = f"audit: {audit.agreed:,} of {audit.levels:,} levels agreed in {checks}"
        told += f" ({audit.snapshots:,} with snapshots), the last {ago} ago"
        if audit.failures:
            told += f"; {audit.failures:,} failed, and the book was made anew"
    return [text, told]


def rows_of(book: LiveBook, levels: int) -> list[Row]:
    """The asks first, the highest of them on top; then the bids."""
    found = []
    for side, held in (("ask", book.asks(levels)), ("bid", book.bids(levels))):
        total = 0
        rows = []
        for i, (price, qty) in enumerate(held.tolist()):
            total += qty
            is_proven = held.proven is not None and i < held.proven
            rows.append((side, price, qty, total, is_proven))
        found += rows[::-1] if side == "ask" else rows
    most = max((total for _, _, _, total, _ in found), default=1)
    return [
        (
            side,
            decimal(price, book.price_exponent),
            short(qty, book.qty_exponent),
            short(total, book.qty_exponent),
            total / most,
            is_proven,
        )
        for side, price, qty, total, is_proven in found
    ]


def between(book: LiveBook) -> str:
    """What is between the sides."""
    spread = book.spread
    if spread is None:
        return "a side is empty"
    middle = decimal(round((book.mid or 0) * 10), book.price_exponent - 1)
    return f"spread {decimal(spread, book.price_exponent)}, mid {middle}"


def plain_lines(book: LiveBook, levels: int) -> list[str]:
    """For a pipe."""
    lines = state_lines(book)
    rows = rows_of(book, levels)
    for i, (side, price, qty, total, _, is_proven) in enumerate(rows):
        if i and side == "bid" and rows[i - 1][0] == "ask":
            lines.append(f"  {between(book)}")
        mark = "" if is_proven else f"  {UNPROVEN}"
        mark += "  (old)" if is_old(book) else ""
        lines.append(f"  {side} {price:>14} {qty:>12} {total:>12}{mark}")
    return lines


def rich_panel(
    book: LiveBook,
    levels: int,
    width: int = 100,
    height: int | None = None,
    is_brief: bool = False,
) -> Any:
    """The ladder as a rich renderable; where it is narrow, without bars and totals.

    As many levels as fit into ``height`` lines, one a side at least. ``is_brief``: with the state
    alone below it.
    """
    from rich.console import Group

    texts = state_lines(book)[:1] if is_brief else texts_of(book)
    if height is not None:
        lines = sum(-(-len(text) // width) for text in texts)
        levels = max(1, min(levels, (height - _AROUND - lines) // 2))
    rows = rows_of(book, levels)
    table = fitted((_table(book, rows, columns) for columns in (4, 3, 2)), width)
    return Group(table, *map(cell, texts))


def _table(book: LiveBook, rows: list[Row], columns: int) -> Any:
    from rich.table import Table

    color = {"live": "bold green", "syncing": "bold yellow"}.get(book.state, "bold red")
    state = f"{book.state}: these prices are old" if is_old(book) else book.state
    table = Table(title=cell(f"{book.symbol}  {state}", color), title_justify="left")
    for name in ("price", "qty", "total")[:columns]:
        table.add_column(name, justify="right", no_wrap=True)
    if columns > 3:
        table.add_column("total as a bar", width=_BAR, no_wrap=True)
    block = "█" if fitting("█") == "█" else "#"
    for i, (side, price, qty, total, share, is_proven) in enumerate(rows):
        style = "dim" if is_old(book) else "red" if side == "ask" else "green"
        bar = block * max(1, round(share * _BAR))
        is_bright = is_proven and not is_old(book)
        plain = "dim" if is_old(book) else ""
        row = [
            cell(price, f"bold {style}" if is_bright else "dim"),
            cell(qty, plain),
            cell(total, plain),
            cell(bar, style) if is_proven else cell(UNPROVEN, "dim"),
        ]
        is_last_ask = side == "ask" and i + 1 < len(rows) and rows[i + 1][0] == "bid"
        table.add_row(*row[:columns], end_section=is_last_ask)
    return table


def texts_of(book: LiveBook) -> list[str]:
    """What is said below the ladder."""
    known = f"{book.bids().proven:,} bids, {book.asks().proven:,} asks"
    return [
        f"{between(book)}; total: of all levels from the best to here",
        f"without a gap from the best: {known}; beyond them ({UNPROVEN}) levels may be missing",
        *state_lines(book),
    ]
