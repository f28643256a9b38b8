"""One unit of work: a range of a tape's batches becomes files of rows.

`convert_unit` is pure but for the files: it may be called in any process on any machine that sees
the tape and the archive, and again, with the same result.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any
from urllib.parse import quote

import numpy as np

from ..venue.streams import KINDS
from . import frames, snapshots
from .account import Account, flags_of
from .events import Events, ordered
from .manifest import Part, Record
from .numbers import Form
from .options import STREAMS_OF_FRAMES, Options
from .parts import SUFFIXES, described, pyarrow, writer
from .plan import Unit
from .source import Snapshot, Source, read
from .store import Store
from .tables import DAY_US, NAMES, Layout, clean

_DAY_NS = DAY_US * 1000


def convert_unit(unit: Unit, store: Store, options: Options, account: Account) -> Record:
    """Writes the files of a unit, and returns what they have. Raises TapeError and OSError."""
    source = read(unit)
    record = Record.of(unit, options)
    record.problems += source.problems
    rejected = source.batch.rejected["frame"] >= source.fresh
    record.rejected = int(rejected.sum())
    record.frames = source.batch.frame_count - source.fresh
    if options.format in STREAMS_OF_FRAMES:
        _write_frames(unit, store, options, source, record)
        return record
    pa = pyarrow()
    form = Form(pa, options.numbers, options.scale)
    account = account.until(unit.received[1])
    for kind in KINDS.values():
        name = NAMES[kind.name]
        if name in options.kinds:
            _write_kind(pa, unit, store, options, account, form, source, kind, record)
    if "snapshot" in options.kinds and source.snapshots:
        _write_snapshots(pa, unit, store, options, form, source.snapshots, record)
    return record


def _write_kind(
    pa: Any, unit: Unit, store: Store, options: Options, account: Account, form: Form,
    source: Source, kind: Any, record: Record,
) -> None:  # fmt: skip
    table = source.batch[kind.message]
    if not len(table):
        return
    events = ordered(table, source.fresh)
    name = NAMES[kind.name]
    record.duplicates[name] = events.duplicates
    layout = Layout(pa, kind.name, form, options.levels)
    flags = flags_of(events, account)
    for day, chosen in _days(events.records["event_time"], DAY_US):
        found, marks = (events, flags) if chosen is None else (events.part(chosen), flags[chosen])
        for symbol, rows in _partitions(found, options):
            part, marked = found.part(rows), marks[rows]
            place = _place(unit, options, name, day, symbol)
            schema = described(layout.schema, **_exponents(part))
            with store.writing(place) as file, writer(options, file, schema) as out:
                for piece in layout.pieces(part, marked, source.arrivals, options.rows):
                    out.write_table(piece)
            record.parts.append(_part_of(place, name, day, part, layout, marked, source))


def _write_frames(
    unit: Unit, store: Store, options: Options, source: Source, record: Record
) -> None:
    """By days of arrival here: a frame that is no message has no other time."""
    numbers = frames.chosen(source, options)
    for day, chosen in _days(source.arrivals.received_ns[numbers], _DAY_NS):
        some = numbers if chosen is None else numbers[chosen]
        suffix = frames.SUFFIXES[options.format]
        place = f"kind=frame/date={day.isoformat()}/part-{unit.stem}{suffix}"
        with store.writing(place) as file:
            rows = frames.write(source, some, options, file, record.problems)
        record.parts.append(Part(place, "frame", day.isoformat(), rows, len(some), 0, {}))


def _days(times: Any, length: int) -> Iterator[tuple[date, Any]]:
    """The days (UTC) of some times, each with a mask of its rows; None where it has all."""
    if not len(times):
        return
    numbers = times // length
    low, high = int(numbers.min()), int(numbers.max())
    for number in range(low, high + 1) if high - low < 1000 else np.unique(numbers).tolist():
        chosen = None if low == high else numbers == number
        if chosen is None or chosen.any():
            yield _date(number), chosen


def _date(number: int) -> date:
    """Of a number of days since 1970; a time that no calendar has is its first or last day."""
    try:
        return date(1970, 1, 1) + timedelta(days=number)
    except OverflowError:
        return date.min if number < 0 else date.max


def _partitions(events: Events, options: Options) -> Iterator[tuple[str | None, slice]]:
    """All of them, or those of each symbol."""
    if options.partition_by is None:
        yield None, slice(0, len(events))
        return
    for begin, end in events.segments():
        yield events.symbols[int(events.symbol[begin])], slice(begin, end)


def _place(unit: Unit, options: Options, kind: str, day: date, symbol: str | None) -> str:
    folder = f"kind={kind}/date={day.isoformat()}"
    if symbol is not None:
        folder += f"/symbol={quote(clean(symbol), safe='')}"
    return f"{folder}/part-{unit.stem}{SUFFIXES[options.format]}"


def _exponents(events: Events) -> dict[str, str]:
    """For the metadata of a file, where all of its numbers have one exponent."""
    found = {}
    for name in ("price_exponent", "qty_exponent"):
        values = events.records[name]
        if len(values) and (values == values[0]).all():
            found[name] = str(int(values[0]))
    return found


def _one_exponent(found: list[Snapshot]) -> dict[str, str]:
    """The same of snapshots."""
    result = {}
    for name in ("price_exponent", "qty_exponent"):
        values = {getattr(each, name) for each in found}
        if len(values) == 1:
            result[name] = str(values.pop())
    return result


def _part_of(
    place: str, kind: str, day: date, events: Events, layout: Layout, flags: Any, source: Source
) -> Part:
    rows = layout.rows(events)
    ends = np.cumsum(rows)
    symbols = {}
    received = source.arrivals.received_ns[events.records["frame"]]
    for begin, end in events.segments():
        first_row = int(ends[begin] - rows[begin])
        symbols[clean(events.symbols[int(events.symbol[begin])])] = [
            int(ends[end - 1]) - first_row,
            int(events.first[begin]),
            int(events.last[end - 1]),
            int(received[begin:end].min()),
        ]
    return Part(
        place, kind, day.isoformat(), int(ends[-1]), len(events), int((flags & 1).sum()), symbols
    )


def _write_snapshots(
    pa: Any, unit: Unit, store: Store, options: Options, form: Form, found: list[Snapshot],
    record: Record,
) -> None:  # fmt: skip
    times = np.array([each.received_ns for each in found], np.int64)
    for day, chosen in _days(times, _DAY_NS):
        some = [each for i, each in enumerate(found) if chosen is None or chosen[i]]
        by_symbol: dict[str, list[Snapshot]] = {}
        for each in sorted(some, key=lambda one: (one.symbol, one.received_ns)):
            by_symbol.setdefault(each.symbol, []).append(each)
        groups = [(None, some)] if options.partition_by is None else list(by_symbol.items())
        for symbol, those in groups:
            place = _place(unit, options, "snapshot", day, symbol)
            table = snapshots.table(pa, form, those)
            schema = described(table.schema, **_one_exponent(those))
            with store.writing(place) as file, writer(options, file, schema) as out:
                out.write_table(table)
            symbols = {
                name: [
                    sum(len(each.bids) + len(each.asks) for each in each_of),
                    each_of[0].last_update_id,
                    each_of[-1].last_update_id,
                    each_of[0].received_ns,
                ]
                for name, each_of in by_symbol.items()
                if symbol in (None, name)
            }
            record.parts.append(
                Part(place, "snapshot", day.isoformat(), table.num_rows, len(those), 0, symbols)
            )
