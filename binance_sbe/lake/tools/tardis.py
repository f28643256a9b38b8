"""CSV as Tardis publishes it, gzipped, a type, a day and a symbol a file.

``binance_trades_2026-11-27_BTCUSDT.csv.gz`` and so on, by local_timestamp; times are microseconds.
Of types for which nothing came there is no file.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import numpy as np

from sbe_codegen.extras import imported

from ...venue.streams import DEPTH20
from .. import expand
from ..numbers import plain
from ..options import Options
from ..parts import pyarrow
from ..store import Store
from ..tables import NAMES
from .market import Book, Job, Made, Piece, insertions, interleaved, pieces
from .sampled import samples

KINDS = (*NAMES.values(), "snapshot")
_TOP = NAMES[DEPTH20]
EXCHANGE = "binance"
_HEAD = ["exchange", "symbol", "timestamp", "local_timestamp"]
_DEEP = 25  # levels of a book_snapshot_25, of the kept book
_ROWS = {
    "trades": ["id", "side", "price", "amount"],
    "quotes": ["ask_amount", "ask_price", "bid_price", "bid_amount"],
    "incremental_book_L2": ["is_snapshot", "side", "price", "amount"],
    **{
        f"book_snapshot_{n}": [
            f"{side}s[{i}].{what}"
            for i in range(n)
            for side in ("ask", "bid")
            for what in ("price", "amount")
        ]
        for n in (5, _DEEP)
    },
}


def write(stage: Store, out: Store, job: Job, options: Options) -> Made:
    """Writes the files of a symbol and a day; their names."""
    made: list[str] = []
    for name, tables in (
        ("trades", _trades(stage, job)),
        ("quotes", _quotes(stage, job)),
        ("incremental_book_L2", _diffs(stage, job)),
        ("book_snapshot_5", _tops(stage, job)),
        (f"book_snapshot_{_DEEP}", _kept(stage, job)),
    ):
        file = f"{EXCHANGE}_{name}_{job.date}_{job.safe_symbol}.csv.gz"
        if _write(out, file, [*_HEAD, *_ROWS[name]], tables):
            made.append(file)
    return Made(made)


def _write(out: Store, name: str, columns: list[str], tables: Iterator[dict[str, Any]]) -> bool:
    pa = pyarrow()
    csv = imported("pyarrow.csv", "an archive", "lake")
    first = next(tables, None)
    if first is None:
        return False
    plain_text = csv.WriteOptions(include_header=False, quoting_style="none")
    with ExitStack() as stack:
        file = stack.enter_context(out.writing(name))
        # no name and no time in the header of gzip: the same bytes for the same rows
        packed: Any = stack.enter_context(_packed(file))
        packed.write((",".join(columns) + "\n").encode())
        while first is not None:
            table = pa.table({name: first[name] for name in columns})
            sink = pa.BufferOutputStream()
            csv.write_csv(table, sink, plain_text)
            packed.write(sink.getvalue())
            first = next(tables, None)
    return True


def _packed(file: Any) -> Any:
    try:
        from isal import igzip
    except ImportError:
        return gzip.GzipFile(fileobj=file, mode="wb", filename="", mtime=0, compresslevel=6)
    return igzip.IGzipFile(  # type: ignore[no-untyped-call]
        fileobj=file, mode="wb", filename="", mtime=0, compresslevel=2
    )


def _head(piece: Piece, job: Job, kind: str, repeats: Any = None) -> dict[str, Any]:
    times = {
        "timestamp": piece.ints(kind, "event_time"),
        "local_timestamp": piece.arrivals(kind) // 1000,
    }
    if repeats is not None:
        times = {name: np.repeat(values, repeats) for name, values in times.items()}
    return _headed(job, times)


def _headed(job: Job, times: dict[str, Any]) -> dict[str, Any]:
    pa = pyarrow()
    count = len(times["timestamp"])
    names = {"exchange": EXCHANGE, "symbol": job.symbol}
    texts = {name: pa.repeat(pa.scalar(text), count) for name, text in names.items()}
    return texts | {name: plain(pa, pa.int64(), values) for name, values in times.items()}


def texts(mantissas: Any, exponents: Any, missing: Any = None) -> Any:
    """Numbers as exact text, with the places of their exponents."""
    pa = pyarrow()
    exponents = np.ascontiguousarray(np.broadcast_to(exponents, mantissas.shape), np.int8)
    offsets, content = expand.texts(np.ascontiguousarray(mantissas, np.int64), exponents)
    made = pa.StringArray.from_buffers(len(mantissas), pa.py_buffer(offsets), pa.py_buffer(content))
    return made if missing is None else pa.compute.if_else(pa.array(missing), None, made)


def _trades(stage: Store, job: Job) -> Iterator[dict[str, Any]]:
    pa = pyarrow()
    for piece in pieces(stage, job, "trade"):
        maker = piece.tables["trade"].column("is_buyer_maker")
        side = pa.compute.if_else(maker, "sell", "buy").fill_null("unknown")
        yield _head(piece, job, "trade") | {
            "id": piece.ints("trade", "id"),
            "side": side,
            "price": texts(piece.ints("trade", "price"), piece.exponents("trade", "price")),
            "amount": texts(piece.ints("trade", "qty"), piece.exponents("trade", "qty")),
        }


def _quotes(stage: Store, job: Job) -> Iterator[dict[str, Any]]:
    for piece in pieces(stage, job, "best_bid_ask"):
        found = _head(piece, job, "best_bid_ask")
        for side in ("bid", "ask"):
            for name, what in (("price", "price"), ("amount", "qty")):
                mantissas = piece.ints("best_bid_ask", f"{side}_{what}")
                found[f"{side}_{name}"] = texts(mantissas, piece.exponents("best_bid_ask", what))
        yield found


def _diffs(stage: Store, job: Job) -> Iterator[dict[str, Any]]:
    pa = pyarrow()
    waiting: list[Book] = []
    for piece in pieces(stage, job, "depth"):
        inserted, waiting = insertions(piece, waiting)
        sides = [piece.side("depth", name) for name in ("bids", "asks")]
        begin, events = 0, len(sides[0].offsets) - 1
        exponents = [piece.exponents("depth", name) for name in ("price", "qty")]
        times = {
            "timestamp": piece.ints("depth", "event_time"),
            "local_timestamp": piece.arrivals("depth") // 1000,
        }
        cuts = [(each.at, each.book) for each in inserted if each.book is not None]
        for at, book in [*cuts, (events, None)]:
            counts = [np.diff(side.offsets[begin : at + 1]).astype(np.int64) for side in sides]
            order, is_bid = interleaved(sides, begin, at)
            both = [np.concatenate([getattr(s, what) for s in sides]) for what in ("price", "qty")]
            repeats = counts[0] + counts[1]
            if repeats.sum():
                when = {n: np.repeat(values[begin:at], repeats) for n, values in times.items()}
                yield _headed(job, when) | {
                    "is_snapshot": pa.repeat(pa.scalar("false"), len(order)),
                    "side": _side(is_bid),
                    "price": texts(both[0][order], np.repeat(exponents[0][begin:at], repeats)),
                    "amount": texts(both[1][order], np.repeat(exponents[1][begin:at], repeats)),
                }
            if book is not None:
                bid_price, bid_qty, ask_price, ask_qty = book.mantissas
                count = len(bid_price) + len(ask_price)
                when = {n: np.full(count, values[at]) for n, values in times.items()}
                yield _headed(job, when) | {
                    "is_snapshot": pa.repeat(pa.scalar("true"), count),
                    "side": _side(np.arange(count) < len(bid_price)),
                    "price": texts(np.concatenate([bid_price, ask_price]), book.exponents[0]),
                    "amount": texts(np.concatenate([bid_qty, ask_qty]), book.exponents[1]),
                }
            begin = at


def _side(is_bid: Any) -> Any:
    pa = pyarrow()
    return pa.compute.if_else(pa.array(is_bid), "bid", "ask")


def _tops(stage: Store, job: Job) -> Iterator[dict[str, Any]]:
    """The five best levels that depth20 has."""
    for piece in pieces(stage, job, _TOP):
        found = _head(piece, job, _TOP)
        exponents = [piece.exponents(_TOP, name) for name in ("price", "qty")]
        for name, column in (("bid", "bids"), ("ask", "asks")):
            side = piece.side(_TOP, column)
            found |= _levels(name, side, exponents, 5)
        yield found


def _levels(name: str, side: Any, exponents: list[Any], count: int) -> dict[str, Any]:
    found = {}
    lengths = np.diff(side.offsets)
    for i in range(count):
        missing = lengths <= i
        at = np.where(missing, 0, side.offsets[:-1] + i)
        for what, values, exponent in (
            ("price", side.price, exponents[0]),
            ("amount", side.qty, exponents[1]),
        ):
            values = values[at] if len(values) else np.zeros(len(at), np.int64)
            found[f"{name}s[{i}].{what}"] = texts(values, exponent, missing)
    return found


def _kept(stage: Store, job: Job) -> Iterator[dict[str, Any]]:
    """The best levels of the kept book whenever one of them has changed, while it is known."""
    for found in samples(stage, job, _DEEP, 0):
        known = np.flatnonzero(found["flags"] == 0)
        if not len(known):
            continue
        when = {
            "timestamp": found["time"][known],
            "local_timestamp": found["arrival"][known] // 1000,
        }
        row = _headed(job, when)
        for i in range(_DEEP):
            for k, (side, what) in enumerate(
                (("bid", "price"), ("bid", "amount"), ("ask", "price"), ("ask", "amount"))
            ):
                values = found["levels"][known, k, i]
                exponent = found["price_exponent" if what == "price" else "qty_exponent"][known]
                row[f"{side}s[{i}].{what}"] = texts(values, exponent, values == -1)
        yield row
