"""What is to be done: the units of work of some tapes, and the account that all of them need."""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sbe_codegen.extras import imported
from sbe_codegen.runtime.errors import DecodeError

from .. import spot_sbe, spot_stream
from ..errors import LakeError, TapeError
from ..tape.damage import Damage
from ..tape.entry import Entry
from ..tape.reading import TapeReader
from ..tape.rows import Kind, parted
from ..tape.tape import Tape
from .account import Account

UNIT_FRAMES = 1_000_000
UNIT_BYTES = 96 << 20  # of frames
RUN_UP_NS = 5_000_000_000
RUN_UP_FRAMES = 50_000
_SNAPSHOT = str(int(Kind.SNAPSHOT))
AnyTape = str | os.PathLike[str] | Tape


@dataclass(frozen=True)
class Span:
    """The batches from ``first`` to ``last`` (exclusive) of one file of a tape."""

    path: str
    first: int
    last: int


@dataclass(frozen=True)
class Unit:
    """A range of batches, and the run-up before it; small, and pickled to a worker.

    ``name`` is the same for the same beginning of the same file, whatever came behind it since.
    """

    name: str
    span: Span
    run_up: tuple[Span, ...]
    recording: str
    first_ns: int
    frames: int

    @property
    def stem(self) -> str:
        """Of the names of its files."""
        return f"{self.name}-{self.span.last}"


@dataclass(frozen=True)
class Plan:
    units: tuple[Unit, ...]
    account: Account
    ledger: Any  # of the tapes together
    damage: tuple[Damage, ...]  # what is in no batch


def paths(tapes: AnyTape | Iterable[AnyTape]) -> list[str]:
    """The paths, or URLs, of tapes. LakeError where there is none."""
    given = [tapes] if isinstance(tapes, str | os.PathLike | Tape) else list(tapes)
    found: list[str] = []
    for each in given:
        if isinstance(each, Tape):
            found += map(os.fspath, each.paths)
        elif isinstance(each, str | os.PathLike):
            found.append(os.fspath(each))
        else:
            raise TypeError(f"a tape is given by its path, not by {type(each).__name__}")
    if not found:
        raise LakeError("no tape was given")
    return list(dict.fromkeys(map(_fetched, found)))


def _fetched(url: str) -> str:
    """A path of this machine; of a tape elsewhere that of a copy, which is made once."""
    if "://" not in url and not url.startswith(("memory:", "file:")):
        return url
    fsspec = imported("fsspec", f"{url!r}, which is a URL,", "lake")
    fs, place = fsspec.core.url_to_fs(url)
    protocols = {fs.protocol} if isinstance(fs.protocol, str) else set(fs.protocol)
    if "file" in protocols:
        return str(place)
    target = Path(_cache()) / f"{zlib.crc32(url.encode()):08x}-{Path(place).name or 'tape'}"
    if not fs.exists(place):
        raise TapeError(f"{url}: there is no such file or directory")
    files = {file: target / file[len(place) :].lstrip("/") for file in fs.find(place)}
    if fs.isfile(place):
        files = {place: target}
    for left in set(target.rglob("*.arrow")) - set(files.values()):
        left.unlink()  # it is not there any more
    for file, inner in files.items():
        if inner.exists() and inner.stat().st_size == fs.size(file):
            continue
        inner.parent.mkdir(parents=True, exist_ok=True)
        half = inner.with_name(f"{inner.name}.tmp")
        fs.get_file(file, os.fspath(half))
        half.replace(inner)
    return os.fspath(target)


def _cache() -> str:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return os.fspath(Path(base) / "binance-sbe" / "tapes")


def planned(found: Sequence[str]) -> Plan:
    """Reads metadata, and rows that are no frames. Raises TapeError for what is no tape."""
    tape = Tape(found, on_damage="skip")
    for schema in tape.schemas:
        if (schema.get("id"), schema.get("package")) != (
            spot_stream.SCHEMA_ID,
            spot_stream.PACKAGE,
        ):
            raise LakeError(
                f"{', '.join(found)}: the tape has frames of the schema {schema.get('package')!r} "
                f"(id {schema.get('id')}), and not of {spot_stream.PACKAGE!r}: it is of another "
                "product"
            )
    _refuse_overlaps(tape)
    units: list[Unit] = []
    damage: list[Damage] = []
    snapshots: list[tuple[str, int]] = []
    for recording in tape._recordings:
        before: TapeReader | None = None
        for reader in recording.readers:
            damage += [part for part in reader.parts if isinstance(part, Damage)]
            units += _units(reader, before)
            snapshots += _snapshots(reader)
            before = reader
    units.sort(key=lambda unit: (unit.first_ns, unit.name))
    ledger = tape.ledger
    return Plan(tuple(units), Account.of(ledger.holes, snapshots), ledger, tuple(damage))


def _refuse_overlaps(tape: Tape) -> None:
    """Recordings of the same streams at the same time are one market twice."""
    known: list[tuple[int, int, set[str], str]] = []
    for recording in tape._recordings:
        told = [entry for reader in recording.readers for entry in reader.entries]
        told = [each for each in told if each["first_event_us"] is not None]
        if not told:
            continue
        streams = {name for each in told for name in each["new"]}
        first = min(each["first_event_us"] for each in told)
        last = max(each["last_event_us"] for each in told)
        name = os.fspath(recording.readers[0].path)
        for start, end, others, other in known:
            both = sorted(streams & others)
            if first <= end and start <= last and both:
                raise LakeError(
                    f"{other} and {name} have the same streams at the same time ({both[0]} and "
                    f"{len(both) - 1} more): convert one of them, or cut them with "
                    "'binance-sbe tape cut'"
                )
        known.append((first, last, streams, name))


def _units(reader: TapeReader, before: TapeReader | None) -> list[Unit]:
    entries = reader.entries
    found: list[Unit] = []
    begin = frames = size = 0
    for i, entry in enumerate(entries):
        frames += entry.frames
        size += _bytes(entries[i - 1] if i else None, entry)
        is_last = i == len(entries) - 1
        if frames >= UNIT_FRAMES or size >= UNIT_BYTES or is_last:
            if frames:
                found.append(_unit(reader, before, begin, i + 1, frames))
            begin, frames, size = i + 1, 0, 0
    return found


def _bytes(before: Entry | None, entry: Entry) -> int:
    """Of the frames of a batch, at least about."""
    now = entry["counters"].get("bytes", 0)
    then = 0 if before is None else before["counters"].get("bytes", 0)
    return max(now - then if before is not None else 0, entry.body_length)


def _unit(reader: TapeReader, before: TapeReader | None, begin: int, end: int, frames: int) -> Unit:
    path, entries = os.fspath(reader.path), reader.entries
    first_ns = entries[begin].first_ns
    run_up: list[Span] = []
    count = _run_up(entries[:begin], first_ns)
    if count == begin and before is not None and before.entries:
        others = before.entries
        more = _run_up(others, first_ns)
        if more:
            run_up.append(Span(os.fspath(before.path), len(others) - more, len(others)))
    if count:
        run_up.append(Span(path, begin - count, begin))
    name = f"{reader.recording[:8]}-{reader.number:04d}-{begin:06d}"
    # by the exchange's clock: units are in the order of their events
    times = [entry["first_event_us"] for entry in entries[begin:end]]
    first_us = min((each for each in times if each is not None), default=first_ns // 1000)
    span = Span(path, begin, end)
    return Unit(name, span, tuple(run_up), reader.recording, first_us * 1000, frames)


def _run_up(entries: Sequence[Entry], first_ns: int) -> int:
    """How many of the last of these batches are to be read before."""
    frames = count = 0
    for entry in reversed(entries):
        if entry.last_ns < first_ns - RUN_UP_NS or frames >= RUN_UP_FRAMES:
            break
        frames += entry.frames
        count += 1
    return count


def _snapshots(reader: TapeReader) -> list[tuple[str, int]]:
    found = []
    for entry in reader.entries:
        if not entry["kinds"].get(_SNAPSHOT):
            continue
        try:
            rows = reader.read(entry)
        except TapeError:
            continue  # the unit that it is in says so
        for _, content in rows.contents(Kind.SNAPSHOT):
            head, body = parted(content)
            if body:
                try:
                    answer = spot_sbe.DepthResponse.decode(body)
                except DecodeError:
                    continue
                found.append((str(head["symbol"]), int(answer.last_update_id)))
    return found
