"""The frames of a unit, read from the tape and decoded in one go."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from sbe_codegen.runtime.errors import DecodeError

from .. import spot_sbe, spot_stream
from ..errors import TapeError
from ..tape.entries import Rows
from ..tape.reading import TapeReader
from ..tape.rows import Kind, parted
from .plan import Span, Unit
from .tables import Arrivals


@dataclass
class Snapshot:
    """A snapshot of a book: prices and quantities are mantissas, the best levels first."""

    symbol: str
    received_ns: int
    last_update_id: int
    price_exponent: int
    qty_exponent: int
    bids: Any  # records of price and qty
    asks: Any


@dataclass
class Source:
    """What a unit has: ``batch`` of all frames, of which the first ``fresh`` are its run-up."""

    batch: Any
    arrivals: Arrivals
    fresh: int
    frames: Any  # (data, offsets), as `decode_many` takes them
    snapshots: list[Snapshot] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def read(unit: Unit) -> Source:
    """All of it in memory. A batch that is damaged is left out, and is one of the ``problems``."""
    problems: list[str] = []
    readers = {span.path: TapeReader(Path(span.path)) for span in (*unit.run_up, unit.span)}
    # without its whole run-up a unit is not what it will be when the tape is mended
    parts = [_rows(readers[span.path], span, problems) for span in unit.run_up]
    before = [rows for part in parts for rows in part]
    inner = _rows(readers[unit.span.path], unit.span, problems)
    data, offsets, received, connection = _joined([*before, *inner])
    fresh = sum(int((rows.kind == Kind.FRAME).sum()) for rows in before)
    batch = spot_stream.decode_many((data, offsets), on_error="collect")
    snapshots = [each for rows in inner for each in _snapshots(rows, problems)]
    return Source(
        batch, Arrivals(received, connection), fresh, (data, offsets), snapshots, problems
    )


def _rows(reader: TapeReader, span: Span, problems: list[str]) -> list[Rows]:
    entries = reader.entries
    if len(entries) < span.last:
        raise TapeError(f"{span.path}: has {len(entries)} batches, and had {span.last} before")
    found = []
    for entry in entries[span.first : span.last]:
        try:
            found.append(reader.read(entry, in_place=True))
        except TapeError as error:
            problems.append(str(error))
    return found


def _joined(parts: Sequence[Rows]) -> tuple[Any, Any, Any, Any]:
    """The SBE frames of all parts, end to end: bytes, offsets, times and connections."""
    counts, sizes = [], []
    for rows in parts:
        counts.append(int((rows.kind == Kind.FRAME).sum()))
        sizes.append(len(rows.data))
    total = sum(counts)
    data = np.empty(sum(sizes), np.uint8)
    offsets = np.zeros(total + 1, np.int64)
    received, connection = np.empty(total, np.int64), np.empty(total, np.uint16)
    at = begin = 0
    for rows, count in zip(parts, counts, strict=True):
        end = begin + count
        content, ends, chosen = rows.data, rows.offsets[1:], slice(None)
        if count < len(rows):  # rows of other kinds are in between
            chosen = rows.kind == Kind.FRAME
            lengths = np.diff(rows.offsets)
            content, ends = content[np.repeat(chosen, lengths)], np.cumsum(lengths[chosen])
        received[begin:end] = rows.received_ns[chosen]
        connection[begin:end] = rows.connection[chosen]
        data[at : at + len(content)] = content
        np.add(ends, at, out=offsets[begin + 1 : end + 1], dtype=np.int64)
        at += len(content)
        begin = end
    return data[:at], offsets, received, connection


def _snapshots(rows: Rows, problems: list[str]) -> list[Snapshot]:
    found = []
    for i, content in rows.contents(Kind.SNAPSHOT):
        head, body = parted(content)
        if not body:
            continue  # the request failed, and was noted with its reason
        symbol = str(head["symbol"]).upper()
        try:
            answer = spot_sbe.DepthResponse.decode(body)
        except DecodeError as error:
            problems.append(f"the snapshot of {symbol} is damaged: {error}")
            continue
        found.append(
            Snapshot(
                symbol,
                int(rows.received_ns[i]),
                answer.last_update_id,
                answer.price_exponent,
                answer.qty_exponent,
                answer.bids.copy(),
                answer.asks.copy(),
            )
        )
    return found
