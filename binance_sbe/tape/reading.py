"""One file of a tape as it is read: where its batches are, what they say of themselves, and rows.

A file is walked from its beginning, message by message, reading metadata only. Where it is damaged
the next batch is looked for. Nothing in a file is believed that its XXH3 does not confirm.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

from ..errors import TapeError
from ..output import shown
from . import flat
from .body import columns_in
from .damage import Damage
from .disk import DISK
from .entries import Entry, Rows, rising
from .pool import Held, Pool
from .rows import (
    BATCH,
    CHECK,
    MAGIC,
    PREFIX,
    STREAMS,
    VERSION,
    columns_of,
    hashed,
    parsed,
    pyarrow,
)

_CONTINUES = b"\xff\xff\xff\xff"
_TAIL = b"ARROW1"
_LONGEST_METADATA = 64 << 20
_STEP = 1 << 20  # bytes that are looked through at a time
_HEAD = 4096  # bytes of a batch that are read at first: its metadata are within, mostly
_NAMED = re.compile(r"-([0-9a-f]{8})-(\d{4,9})\.arrow$")  # whose file it is, and which


class TapeReader:
    """Raises TapeError for a file that is no tape, or of another format.

    One that has no beginning that can be read, and no batch, is damage from its first byte to its
    last where ``is_part`` says that others of a tape are beside it; ``headless`` is why.
    """

    def __init__(self, path: Path, pool: Pool | None = None, is_part: bool = False) -> None:
        self.path = path
        self.name, self.directory = path.name, path.parent.resolve()
        self.headless: str | None = None
        self.is_alone = False  # given by its own path: nothing is known of what is beside it
        self._pa = pyarrow()
        self._pool = pool or Pool()
        try:
            held = self._pool.held(path)
        except OSError as error:
            raise self._failed(error) from None
        self.size, self._identity = held.size, held.identity  # whatever has its name later
        self._check_format()
        if self.headless is not None and not is_part:
            raise self.no_tape()

    def no_tape(self) -> TapeError:
        return TapeError(f"{self.path}: {self.headless}")

    def _failed(self, error: OSError) -> TapeError:
        return TapeError(f"{self.path}: {error.strerror or error}")

    def _piece(self, at: int, end: int) -> bytes:
        """The bytes from ``at`` to ``end``, as far as the file had them when it was opened.

        Raises TapeError where it can't be read, or another file has taken its place.
        """
        at, end = max(at, 0), min(end, self.size)
        if end <= at:
            return b""
        try:
            return self._held().read(at, end - at)
        except OSError as error:
            raise self._failed(error) from None

    def _held(self) -> Held:
        held = self._pool.held(self.path)
        if held.identity != self._identity:
            raise TapeError(f"{self.path}: another file has its name since it was opened")
        return held

    def _message(self, entry: Entry, in_place: bool) -> bytes | memoryview:
        """The bytes of a batch: a copy, or where they lie in the file."""
        if in_place and self._pool.maps:
            try:
                found = self._held().mapped(entry.offset, entry.end - entry.offset)
                if found is not None:
                    return found
            except (OSError, ValueError):
                pass  # a file system that can't map
        return self._piece(entry.offset, entry.end)

    def _check_format(self) -> None:
        begins = self._piece(0, len(MAGIC))
        if not self.size:
            self.headless = "an empty file, no tape"
            return
        # A tape with a damaged beginning is one all the same, if there is a batch in it.
        if begins != MAGIC and self._first_batch is None:
            self.headless = f"no tape: it begins with {begins!r}, not {MAGIC!r}"
            return
        version = self._own_metadata.get("version")
        if version == VERSION:
            return
        if version is None:
            if self._first_batch is not None:
                return  # its schema's message is damaged
            if self._described is None or self.footer_schema is None:
                self.headless = "cut off before its first batch: nothing is in it"
                return
            raise TapeError(f"{self.path}: an Arrow file, and no tape: it has no '{PREFIX}version'")
        if self._first_batch is not None and not self._schema_is_whole:
            return
        raise TapeError(
            f"{self.path}: a tape of format {shown(version, 20)}, and this reads format {VERSION}: "
            "install a newer binance-sbe"
        )

    # metadata

    @cached_property
    def _described(self) -> bytes | None:
        """The schema's message with its eight bytes of prefix; None where it is none."""
        found = self._length(self._piece(8, 16), 8)
        return None if found is None else self._piece(8, 16 + found)

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

    @property
    def _schema_is_damaged(self) -> bool:
        return self._described is None or not self._schema_is_whole

    @property
    def schema(self) -> Any:
        """As its message has it."""
        return self._pa.ipc.read_schema(self._pa.py_buffer(self._described))

    @cached_property
    def footer_schema(self) -> Any:
        """The schema that the footer has, as Arrow reads it; None where it can't be read."""
        length = int.from_bytes(self._piece(self.size - 10, self.size - 6), "little", signed=True)
        if not self.has_end or not 0 < length <= self.size - 10:
            return None
        tail = self._piece(self.size - 10 - length, self.size)
        with contextlib.suppress(self._pa.ArrowException, OSError, ValueError, TypeError):
            return self._pa.ipc.open_file(self._pa.py_buffer(MAGIC + tail)).schema
        return None

    @cached_property
    def _own_metadata(self) -> dict[str, str]:
        return {} if self._described is None else _texts(self._described)

    @cached_property
    def metadata(self) -> dict[str, str]:
        """The schema's, without ``tape.`` before the keys.

        Where its message is damaged the footer's copy, if that is as it was written.
        """
        if self._schema_is_damaged and self.footer_schema is not None:
            described = self.footer_schema.serialize().to_pybytes()
            if self._first_batch and hashed(described) == self._first_batch.told.get("schema"):
                return _texts(described)
        return self._own_metadata

    @property
    def is_known(self) -> bool:
        """Whether the metadata are those that were written."""
        return not self._schema_is_damaged or self.metadata is not self._own_metadata

    def told(self, key: str, default: Any) -> Any:
        """A value of the metadata that is JSON."""
        try:
            return json.loads(self.metadata[key])
        except (KeyError, ValueError, RecursionError):
            return default

    @cached_property
    def _named(self) -> tuple[str, int]:
        """What the name says of the recording, in eight letters, and of the number."""
        found = _NAMED.search(self.name)
        return (found[1], int(found[2])) if found else (self.name, 0)

    @property
    def recording(self) -> str:
        """Eight letters of it where only the name tells."""
        return (self.is_known and self.metadata.get("recording")) or self._named[0]

    @property
    def number(self) -> int:
        text = self.metadata.get("file", "") if self.is_known else ""
        is_number = text.isascii() and text.isdigit() and len(text) < 10
        return int(text) if is_number else self._named[1]

    # where batches are

    def _length(self, head: bytes, at: int) -> int | None:
        """How long the metadata is of the message that begins so; None where none does."""
        if len(head) < 8 or head[:4] != _CONTINUES:
            return None
        length = int.from_bytes(head[4:8], "little", signed=True)
        if not 0 <= length <= min(_LONGEST_METADATA, self.size - at - 8):
            return None
        return length

    def _entry(self, at: int, head: bytes) -> Entry | None:
        """The batch that begins there, if its metadata are as they were written.

        ``head`` are the file's bytes there, as far as somebody has them.
        """
        length = self._length(head, at)
        if not length:
            return None
        if length + 8 > len(head):
            head = self._piece(at, at + 8 + length)
        try:
            message = flat.read_message(head[8 : 8 + length])
            found = message.metadata
            text, streams = found.get(BATCH), found.get(STREAMS)
            if message.kind != flat.RECORD_BATCH or text is None or streams is None:
                return None
            if found.get(CHECK) != hashed(text, streams).encode() or message.body_length < 0:
                return None
            return Entry(at, length, message.body_length, parsed(text), streams)
        except (ValueError, RecursionError):
            return None

    def _batches_from(self, at: int, end: int) -> Iterator[Entry]:
        """The batches that begin at or after ``at``, by looking at every place where one can."""
        while at < end:
            part = self._piece(at, min(at + _STEP + 8, end))
            place = part.find(_CONTINUES)
            while place >= 0:
                if (at + place) % 8 == 0:
                    entry = self._entry(at + place, part[place : place + _HEAD])
                    if entry is not None:
                        yield entry
                place = part.find(_CONTINUES, place + 1)
            at += _STEP

    @cached_property
    def parts(self) -> list[Entry | Damage]:
        """What the file has, from its beginning to its end."""
        if self.headless is not None:
            return [Damage(self.name, 0, self.size, self.headless, None, None)]
        try:
            entries, tail = self._walked(self._held())
        except OSError as error:
            raise self._failed(error) from None
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

    def _walked(self, held: Held) -> tuple[list[Entry], Damage | None]:
        """The batches, as they lie in the file, and what is wrong with its end."""
        entries: list[Entry] = []
        at = self._first
        while True:
            entry = self._entry(at, held.read(at, min(_HEAD, self.size - at)))
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
        return self._own_metadata.get("version") == VERSION

    def _is_end(self, at: int) -> bool:
        """Whether the stream ends there, as it should."""
        return at == self.size or self._length(self._piece(at, at + 8), at) == 0

    @property
    def entries(self) -> list[Entry]:
        return [part for part in self.parts if isinstance(part, Entry)]

    @cached_property
    def has_end(self) -> bool:
        """Whether the file's last bytes are those of an Arrow file: its recorder has closed it."""
        return self._piece(self.size - len(_TAIL), self.size) == _TAIL

    @cached_property
    def footer_problem(self) -> str | None:
        """What is wrong with the end of the file, None where it is as it should be."""
        if not self.has_end:
            if DISK.is_written(self.path):
                return "its recorder is at work: it has no footer yet"
            return "it has no footer: the recorder was killed"
        end = self.size - 10
        length = int.from_bytes(self._piece(end, end + 4), "little", signed=True)
        if not 0 < length <= end:
            return "the length of its footer is damaged"
        try:
            blocks = flat.read_footer(self._piece(end - length, end))
        except ValueError:
            return "its footer is damaged"
        found = [flat.Block(e.offset, e.metadata_length + 8, e.body_length) for e in self.entries]
        if blocks != found:
            return (
                f"its footer is that of other batches: it names {len(blocks)}, and here are "
                f"{len(found)}"
            )
        return None

    @property
    def has_footer(self) -> bool:
        return self.footer_problem is None

    @property
    def schema_problem(self) -> str | None:
        if self.headless is not None:
            return None  # which is said already
        if self._piece(0, len(MAGIC)) != MAGIC:
            return f"it does not begin with {MAGIC!r}"
        if not self._schema_is_damaged:
            return None
        unknown = "" if self.is_known else ": host and streams are not known"
        return f"the message of its schema is damaged{unknown}"

    # rows

    def read(self, entry: Entry, in_place: bool = False) -> Rows:
        """The rows of a batch. TapeError where they are not what was written.

        They are copies, or ``in_place`` where the file is as long as they are looked at.
        """
        try:
            message = self._message(entry, in_place)
            rows = Rows(*columns_in(message, entry.metadata_length, entry.rows))
        except (self._pa.ArrowException, ValueError, OSError, MemoryError, TypeError) as error:
            raise self._unreadable(entry, shown(error, 200)) from None
        if hashed(*rows.columns) != entry.told["columns"]:
            raise self._unreadable(entry, "its rows are not those that were written")
        return rows

    def check_arrow(self, entry: Entry, rows: Rows) -> None:
        """TapeError where Arrow does not read the same rows from a batch."""
        ipc = self._pa.ipc
        try:
            message = ipc.read_message(self._pa.py_buffer(self._piece(entry.offset, entry.end)))
            batch = ipc.read_record_batch(message, columns_of(self._pa))
            batch.validate(full=True)
        except (self._pa.ArrowException, ValueError, OSError, MemoryError, TypeError) as error:
            raise self._unreadable(entry, f"Arrow can't read it: {shown(error, 200)}") from None
        if not batch.equals(rows.batch):
            raise self._unreadable(entry, "Arrow reads other rows than were written")

    def _unreadable(self, entry: Entry, why: str) -> TapeError:
        return TapeError(
            f"{self.path}: batch {entry.told['batch']} at byte {entry.offset}: {why}: "
            "'binance-sbe tape recover' keeps the others"
        )


def _texts(described: bytes) -> dict[str, str]:
    """The metadata of a schema's message, without ``tape.`` before the keys."""
    try:
        return {
            key.decode().removeprefix(PREFIX): value.decode()
            for key, value in flat.schema_metadata(described[8:]).items()
            if key.startswith(PREFIX.encode())
        }
    except ValueError:  # UnicodeDecodeError too
        return {}
