"""One file of a tape as it is read: where its batches are, what they say of themselves, and rows.

A file is walked from its beginning, message by message, reading metadata only. Where it is damaged
the next batch is looked for. Nothing in a file is believed that its XXH3 does not confirm.
"""

from __future__ import annotations

import json
import mmap
import os
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import TapeError
from ..output import shown
from . import flat
from .damage import Damage
from .rows import BATCH, CHECK, MAGIC, PREFIX, STREAMS, VERSION, Kind, columns_of, hashed, pyarrow
from .tape_file import Columns

_CONTINUES = b"\xff\xff\xff\xff"
_TAIL = b"ARROW1"
_LONGEST_METADATA = 64 << 20
FRAME = str(int(Kind.FRAME))  # as metadata of batches name it
_STEP = 1 << 20  # bytes that are looked through at a time


@dataclass
class Entry:
    """A batch: where it is, and its metadata, which is as it was written."""

    offset: int
    metadata_length: int
    body_length: int
    told: dict[str, Any]
    _streams: bytes

    @cached_property
    def streams(self) -> list[int]:
        """How many events of each stream of the file, by its number."""
        found: list[int] = json.loads(self._streams)
        return found

    @property
    def end(self) -> int:
        return self.offset + 8 + self.metadata_length + self.body_length

    @property
    def rows(self) -> int:
        found: int = self.told["rows"]
        return found

    @property
    def frames(self) -> int:
        """SBE messages, or what claimed to be some."""
        found: int = self.told["kinds"].get(FRAME, 0)
        return found

    @property
    def has_others(self) -> bool:
        """Whether some of its rows are no frames."""
        return set(self.told["kinds"]) != {FRAME}


@dataclass(slots=True, eq=False)
class Rows:
    """The columns of a batch. ``data[offsets[i]:offsets[i + 1]]`` is the frame of row i.

    The arrays lie in the file's memory map or in memory of their own; they stay good by themselves.
    """

    received_ns: NDArray[np.int64]
    connection: NDArray[np.uint16]
    kind: NDArray[np.uint8]
    offsets: NDArray[np.int32]
    data: NDArray[np.uint8]
    batch: Any  # the Arrow record batch

    def __len__(self) -> int:
        return len(self.kind)

    @property
    def columns(self) -> Columns:
        """The same, to be written."""
        return Columns(self.received_ns, self.connection, self.kind, self.offsets, self.data)

    def frame(self, i: int) -> bytes:
        return self.data[self.offsets[i] : self.offsets[i + 1]].tobytes()

    def contents(self, kind: Kind) -> Iterator[tuple[int, bytes]]:
        """The number and the content of each row of a kind."""
        for i in np.flatnonzero(self.kind == kind).tolist():
            yield i, self.frame(i)


def rising(entries: list[Entry]) -> list[Entry]:
    """The most of them whose numbers rise: others are copies, or were moved where they are."""
    numbers = [entry.told["batch"] for entry in entries]
    if all(a < b for a, b in pairwise(numbers)):
        return entries
    ends: list[int] = []  # of the best run of each length: its number, and its place
    places: list[int] = []
    befores: list[int] = []
    for i, number in enumerate(numbers):
        length = bisect_left(ends, number)
        ends[length:] = [number, *ends[length + 1 :]]
        places[length:] = [i, *places[length + 1 :]]
        befores.append(places[length - 1] if length else -1)
    found, i = [], places[-1]
    while i >= 0:
        found.append(entries[i])
        i = befores[i]
    return found[::-1]


class TapeReader:
    """Raises TapeError for a file that is no tape, or of another format."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.name = path.name
        self._pa = pyarrow()
        self._columns = columns_of(self._pa)
        try:
            with path.open("rb") as file:
                self.size = os.fstat(file.fileno()).st_size
                self._data = self._mapped(file)
        except OSError as error:
            raise TapeError(f"{path}: {error.strerror or error}") from None
        if not self.size:
            raise TapeError(f"{path}: an empty file, no tape")
        self._check_format()

    def _mapped(self, file: Any) -> memoryview:
        """The whole file. One that may still be cut, since it has no footer, is copied.

        A page of a memory map that is not in the file any more ends the process.
        """
        if not self.size:
            return memoryview(b"")
        file.seek(max(self.size - len(_TAIL), 0))
        if file.read() == _TAIL:
            return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
        file.seek(0)
        return memoryview(file.read(self.size))

    def _check_format(self) -> None:
        if bytes(self._data[: len(MAGIC)]) != MAGIC:
            found = bytes(self._data[:8])
            # A tape with a damaged beginning is one all the same, if there is a batch in it.
            if self._first_batch is None:
                raise TapeError(f"{self.path}: no tape: it begins with {found!r}, not {MAGIC!r}")
        version = self.metadata.get("version")
        if version == VERSION:
            return
        if version is None:
            if self._first_batch is not None:
                return  # its schema's message is damaged
            if self._described is None:
                raise TapeError(f"{self.path}: cut off before its first batch: nothing is in it")
            raise TapeError(f"{self.path}: an Arrow file, and no tape: it has no '{PREFIX}version'")
        if self._first_batch is not None and not self._schema_is_whole:
            return
        raise TapeError(
            f"{self.path}: a tape of format {shown(version, 20)}, and this reads format {VERSION}: "
            "install a newer binance-sbe"
        )

    # metadata

    @cached_property
    def _described(self) -> memoryview | None:
        """The schema's message with its eight bytes of prefix; None where it is none."""
        found = self._prefix(8)
        if found is None:
            return None
        return self._data[8 : 16 + found]

    @cached_property
    def _first_batch(self) -> Entry | None:
        """The first that there is, wherever it begins."""
        return next(self._batches_from(8, self.size), None)

    @cached_property
    def _schema_is_whole(self) -> bool:
        first = self._first_batch
        if first is None or self._described is None:
            return first is None
        return hashed(self._described) == first.told.get("schema")

    @cached_property
    def metadata(self) -> dict[str, str]:
        """The schema's, without ``tape.`` before the keys; empty where that is damaged."""
        if self._described is None:
            return {}
        try:
            found = flat.schema_metadata(self._described[8:])
            return {
                key.decode().removeprefix(PREFIX): value.decode()
                for key, value in found.items()
                if key.startswith(PREFIX.encode())
            }
        except ValueError:  # UnicodeDecodeError too
            return {}

    def told(self, key: str, default: Any) -> Any:
        """A value of the metadata that is JSON."""
        try:
            return json.loads(self.metadata[key])
        except (KeyError, ValueError, RecursionError):
            return default

    @property
    def recording(self) -> str:
        return self.metadata.get("recording", self.name)

    @property
    def number(self) -> int:
        text = self.metadata.get("file", "0")
        return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0

    # where batches are

    def _prefix(self, at: int) -> int | None:
        """How long the metadata is of the message that begins there; None where none does."""
        if bytes(self._data[at : at + 4]) != _CONTINUES or at + 8 > self.size:
            return None
        length = int.from_bytes(self._data[at + 4 : at + 8], "little", signed=True)
        if not 0 <= length <= min(_LONGEST_METADATA, self.size - at - 8):
            return None
        return length

    def _entry(self, at: int) -> Entry | None:
        """The batch that begins there, if its metadata are as they were written."""
        length = self._prefix(at)
        if not length:
            return None
        try:
            message = flat.read_message(self._data[at + 8 : at + 8 + length])
            found = message.metadata
            text, streams = found.get(BATCH), found.get(STREAMS)
            if message.kind != flat.RECORD_BATCH or text is None or streams is None:
                return None
            if found.get(CHECK) != hashed(text, streams).encode() or message.body_length < 0:
                return None
            return Entry(at, length, message.body_length, json.loads(text), streams)
        except ValueError:
            return None

    def _batches_from(self, at: int, end: int) -> Iterator[Entry]:
        """The batches that begin at or after ``at``, by looking at every place where one can."""
        while at < end:
            part = bytes(self._data[at : min(at + _STEP + 8, end)])
            place = part.find(_CONTINUES)
            while place >= 0:
                if (at + place) % 8 == 0:
                    entry = self._entry(at + place)
                    if entry is not None:
                        yield entry
                place = part.find(_CONTINUES, place + 1)
            at += _STEP

    @cached_property
    def parts(self) -> list[Entry | Damage]:
        """What the file has, from its beginning to its end."""
        entries, tail = self._walked()
        found: list[Entry | Damage] = []
        at, before = self._first, 0
        frames: int | None = 0 if self.number == 0 and self._is_version else None
        for entry in rising(entries):
            rows = entry.told["before"] - before
            if entry.offset != at or rows:
                lost = None if frames is None else entry.told["frames_before"] - frames
                if frames is None and rows == 0:
                    lost = 0
                why = "no batch" if entry.offset != at else "batches are missing here"
                found.append(Damage(self.name, at, entry.offset, why, rows, lost))
            found.append(entry)
            at, before = entry.end, entry.told["before"] + entry.rows
            frames = entry.told["frames_before"] + entry.frames
        if tail is not None:
            found.append(tail)
        return found

    def _walked(self) -> tuple[list[Entry], Damage | None]:
        """The batches, as they lie in the file, and what is wrong with its end."""
        entries: list[Entry] = []
        at = self._first
        while True:
            entry = self._entry(at)
            if entry is not None and entry.end > self.size:
                why = "cut off within a batch"
                return entries, Damage(self.name, at, self.size, why, entry.rows, entry.frames)
            if entry is None:
                if self._is_end(at):
                    return entries, None
                entry = next(self._batches_from(at + 1, self.size), None)
                if entry is None or entry.end > self.size:
                    return entries, Damage(self.name, at, self.size, "no batch", None, None)
            entries.append(entry)
            at = entry.end

    @property
    def _first(self) -> int:
        """Where the first batch should begin."""
        if self._described is not None and (self._schema_is_whole or self._is_version):
            return 8 + len(self._described)
        return self.size if self._first_batch is None else self._first_batch.offset

    @property
    def _is_version(self) -> bool:
        return self.metadata.get("version") == VERSION

    def _is_end(self, at: int) -> bool:
        """Whether the stream ends there, as it should."""
        return at == self.size or self._prefix(at) == 0

    @property
    def entries(self) -> list[Entry]:
        return [part for part in self.parts if isinstance(part, Entry)]

    @property
    def has_end(self) -> bool:
        """Whether the file's last bytes are those of an Arrow file: its recorder has closed it."""
        return bytes(self._data[-len(_TAIL) :]) == _TAIL

    @cached_property
    def footer_problem(self) -> str | None:
        """What is wrong with the end of the file, None where it is as it should be."""
        if not self.has_end:
            return "it has no footer: the recorder was killed, or has not ended yet"
        length = int.from_bytes(self._data[-10:-6], "little", signed=True)
        end = self.size - 10
        if not 0 < length <= end:
            return "the length of its footer is damaged"
        try:
            blocks = flat.read_footer(self._data[end - length : end])
        except ValueError:
            return "its footer is damaged"
        found = [flat.Block(e.offset, e.metadata_length + 8, e.body_length) for e in self.entries]
        if blocks != found:
            return f"its footer names {len(blocks)} batches, not the {len(found)} that are there"
        return None

    @property
    def has_footer(self) -> bool:
        return self.footer_problem is None

    @property
    def schema_problem(self) -> str | None:
        if bytes(self._data[: len(MAGIC)]) != MAGIC:
            return f"it does not begin with {MAGIC!r}"
        if self._schema_is_whole and self._described is not None:
            return None
        return "the message of its schema is damaged: host and streams are not known"

    # rows

    def read(self, entry: Entry) -> Rows:
        """The rows of a batch. TapeError where they are not what was written."""
        pa, n = self._pa, entry.rows
        try:
            buffer = pa.py_buffer(self._data[entry.offset : entry.end])
            message = pa.ipc.read_message(buffer)
            batch = pa.ipc.read_record_batch(message, self._columns)
            if batch.num_rows != n or any(column.null_count for column in batch.columns):
                raise ValueError(f"{batch.num_rows} rows, or nulls, where {n} rows were written")
            fixed = [batch.column(i).buffers()[1] for i in range(3)]
            _, ends, data = batch.column(3).buffers()
            offsets = np.frombuffer(ends, np.int32, n + 1)
            used = int(offsets[-1])
            rows = Rows(
                np.frombuffer(fixed[0], np.int64, n),
                np.frombuffer(fixed[1], np.uint16, n),
                np.frombuffer(fixed[2], np.uint8, n),
                offsets,
                np.frombuffer(data, np.uint8, used) if used else np.empty(0, np.uint8),
                batch,
            )
        except (pa.ArrowException, ValueError, OSError, MemoryError, TypeError) as error:
            raise self._unreadable(entry, shown(error, 200)) from None
        told = hashed(rows.received_ns, rows.connection, rows.kind, rows.offsets, rows.data)
        if told != entry.told["columns"]:
            raise self._unreadable(entry, "its rows are not those that were written")
        return rows

    def _unreadable(self, entry: Entry, why: str) -> TapeError:
        return TapeError(
            f"{self.path}: batch {entry.told['batch']} at byte {entry.offset}: {why}: "
            "'binance-sbe tape recover' keeps the others"
        )
