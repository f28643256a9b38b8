"""One file of a tape as it is read: where its batches are, what they say of themselves, and rows.

A file is walked from its beginning, message by message, reading metadata only. Where it is damaged
the next batch is looked for. Nothing in a file is believed that its XXH3 does not confirm.
"""

from __future__ import annotations

import contextlib
import json
import re
from functools import cached_property
from pathlib import Path
from typing import Any

from ..errors import TapeError
from ..output import shown
from . import flat
from .body import columns_in
from .damage import Damage
from .disk import DISK
from .entries import Rows, rising
from .entry import Entry
from .pool import Held, Pool
from .rows import (
    MAGIC,
    PREFIX,
    STREAMS,
    VERSION,
    columns_of,
    hashed,
    parsed,
    pyarrow,
)
from .walking import Walk

_TAIL = b"ARROW1"
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

    @property
    def _walk(self) -> Walk:
        """Not kept: it would keep this, and with it the files that are open."""
        return Walk(self.name, self.size, self._piece, self._is_good)

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
        found = self._walk.length(self._piece(8, 16), 8)
        return None if found is None else self._piece(8, 16 + found)

    @cached_property
    def _first_batch(self) -> Entry | None:
        """The first that there is, wherever it begins."""
        return next(self._walk.batches_from(8, self.size), None)

    @cached_property
    def _schema_is_whole(self) -> bool:
        first = self._first_batch
        if first is None or self._described is None:
            return first is None
        return bool(hashed(self._described) == first["schema"])

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
            if self._first_batch and hashed(described) == self._first_batch["schema"]:
                return _texts(described)
        return self._own_metadata

    @property
    def is_known(self) -> bool:
        """Whether the metadata are those that were written."""
        return not self._schema_is_damaged or self.metadata is not self._own_metadata

    def told(self, key: str, default: Any) -> Any:
        """A value of the metadata that is JSON, if it is of the kind that ``default`` is."""
        try:
            found = json.loads(self.metadata[key])
        except (KeyError, ValueError, RecursionError):
            return default
        return found if default is None or isinstance(found, type(default)) else default

    @property
    def asked(self) -> list[str]:
        """The streams that were wanted when the file was begun."""
        return [name for name in self.told("streams", []) if isinstance(name, str)]

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

    @cached_property
    def parts(self) -> list[Entry | Damage]:
        """What the file has, from its beginning to its end."""
        if self.headless is not None:
            return [Damage(self.name, 0, self.size, self.headless, None, None)]
        entries, tail = self._walk.through(self._first)
        found: list[Entry | Damage] = []
        at, before = self._first, 0
        frames: int | None = 0 if self.number == 0 and self._is_version else None
        for entry in rising(entries):
            rows = entry.before - before
            if entry.offset != at or rows:
                lost = None if frames is None else entry.frames_before - frames
                if frames is None and rows == 0:
                    lost = 0
                why = "no batch" if entry.offset != at else "batches are missing here"
                found.append(Damage(self.name, at, entry.offset, why, rows, lost))
            found.append(entry)
            at, before = entry.end, entry.before + entry.rows
            frames = entry.frames_before + entry.frames
        if tail is not None:
            found.append(tail)
        return found

    @property
    def _first(self) -> int:
        """Where the first batch should begin."""
        if self._described is not None and (self._schema_is_whole or self._is_version):
            return 8 + len(self._described)
        return self.size if self._first_batch is None else self._first_batch.offset

    @property
    def _is_version(self) -> bool:
        return self._own_metadata.get("version") == VERSION

    @property
    def entries(self) -> list[Entry]:
        return [part for part in self.parts if isinstance(part, Entry)]

    def counts_of(self, entry: Entry) -> list[int]:
        """How many events of each stream of the file a batch has, by the stream's number.

        It is read each time: a list of hundreds for each batch of a tape is too much to keep.
        """
        metadata = self._piece(entry.offset + 8, entry.body_at)
        try:
            found = parsed(flat.read_message(metadata).metadata[STREAMS])
        except (ValueError, KeyError, RecursionError):
            found = None
        if type(found) is not list or not _are_counts(found):
            raise self._unreadable(entry, "it has no counts of its streams")
        return found

    @cached_property
    def places_of_streams(self) -> dict[str, list[int]]:
        """By stream, the numbers of the entries that have events of it, rising."""
        names: list[str] = []
        found: dict[str, list[int]] = {}
        for i, entry in enumerate(self.entries):
            names += entry["new"]
            for name, count in zip(names, self.counts_of(entry), strict=False):
                if count:
                    found.setdefault(name, []).append(i)
        return found

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
        if hashed(*rows.columns) != entry["columns"]:
            raise self._unreadable(entry, "its rows are not those that were written")
        return rows

    def _is_good(self, entry: Entry) -> bool:
        try:
            self.read(entry)
        except TapeError:
            return False
        return True

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
            f"{self.path}: batch {entry['batch']} at byte {entry.offset}: {why}: "
            "'binance-sbe tape recover' keeps the others"
        )


def _are_counts(found: list[Any]) -> bool:
    """Whether these are counts; no loop over them, for a tape has hundreds in each batch."""
    if not found:
        return True
    return set(map(type, found)) == {int} and min(found) >= 0 and max(found) < 2**31


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
