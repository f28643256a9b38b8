"""A tape as it is read: what is in it, what is missing, and its frames, tables and messages."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from typing import Any, Literal

import numpy as np

from sbe_codegen.runtime.dispatch import Dispatcher
from sbe_codegen.runtime.errors import DecodeError
from sbe_codegen.runtime.tables.results import Batch

from .. import spot_stream
from ..errors import TapeError
from ..logs import LOG
from ..output import shown
from ..venue.streams import Message
from . import manifest
from .account import Session, TapeLedger, ledger_of
from .damage import Damage
from .decoding import collect
from .disk import DISK
from .messages import Messages
from .pool import Pool
from .proving import Report, recovered, verified
from .reading import TapeReader
from .rows import PRIVATE, Kind, pyarrow
from .selecting import Moment, Selection, said
from .slices import AnyPath, Recording, Slice, grouped, merged, names_are_known, opened, paths_of

_ROOM = 65_536  # rows to make room for at first


class Tape:
    """One recording, or several, in order of time: ``Tape(PATH)`` or ``Tape([PATH, ...])``.

    A path is a directory of ``.arrow`` files or one of these; one that is given twice is read once.
    Files are looked into when the tape is opened, and read as they are asked for, batch by batch;
    a few of them are open at a time. Of each batch 200 bytes stay in memory, which is some 50 MB
    for a tape of 10 GB. A file that is damaged from its beginning to its end is no tape by itself,
    and damage of the tape among others.
    Frames are those that came, of all connections: where the feed had several lines, and while one
    connection took over from another, events are on the tape twice; `replay` gives each once.

    With ``memory_map`` tables and messages are decoded from where frames lie in the files, which
    nobody may make shorter meanwhile: on a network file system, where somebody might, leave it off.

    ``on_damage`` says what reading does at a batch that is damaged: "raise" TapeError, or "skip"
    it and keep it in ``damage``. Raises TapeError for what is no tape, and MissingPackage without
    pyarrow and xxhash, the extra ``tape``.
    """

    def __init__(
        self,
        path: AnyPath | Iterable[AnyPath],
        *,
        on_damage: Literal["raise", "skip"] = "raise",
        memory_map: bool = True,
    ) -> None:
        if on_damage not in ("raise", "skip"):
            raise ValueError(f"on_damage is 'raise' or 'skip', not {on_damage!r}")
        self.paths = paths_of(path)
        self.damage: deque[Damage | TapeError] = deque(maxlen=1000)
        self.errors: deque[DecodeError] = deque(maxlen=1000)
        self._on_damage = on_damage
        self._pool = Pool(maps=memory_map)
        self._all_readers = opened(self.paths, self._pool)
        self._all_recordings = grouped(self._all_readers)

    def __repr__(self) -> str:
        state = "closed" if self._pool.is_closed else f"{self.frames_count} frames"
        return f"<Tape {', '.join(map(str, self.paths))}: {state}>"

    def __enter__(self) -> Tape:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Lets go of the files; reading raises ValueError then. Arrays stay good."""
        self._pool.close()

    @property
    def _readers(self) -> list[TapeReader]:
        self._check_is_open()
        return self._all_readers

    @property
    def _recordings(self) -> list[Recording]:
        self._check_is_open()
        return self._all_recordings

    def _check_is_open(self) -> None:
        if self._pool.is_closed:
            raise ValueError(f"{self.paths[0]}: the tape is closed")

    # what is in it

    @cached_property
    def start_ns(self) -> int | None:
        """When the first row came, ns since 1970; None where there is none."""
        return min((session.start_ns for session in self.sessions), default=None)

    @cached_property
    def end_ns(self) -> int | None:
        """When the last row came, ns since 1970."""
        return max((session.end_ns for session in self.sessions), default=None)

    @cached_property
    def frames_count(self) -> int:
        """SBE frames, those included that are no message."""
        return sum(session.frames for session in self.sessions)

    @cached_property
    def streams(self) -> list[str]:
        """The streams of which there are events, by name."""
        found = {name for r in self._readers for entry in r.entries for name in entry["new"]}
        return sorted(found)

    @cached_property
    def sessions(self) -> list[Session]:
        """What each recorder has written, by time."""
        found = []
        for recording in self._recordings:
            entries = [entry for reader in recording.readers for entry in reader.entries]
            if entries:
                session = Session(
                    recording.identity,
                    min(entry.first_ns for entry in entries),
                    max(entry.last_ns for entry in entries),
                    sum(entry.frames for entry in entries),
                    [reader.name for reader in recording.readers],
                    recording.readers[-1].has_footer,
                    recording.readers[0].metadata.get("host", ""),
                )
                found.append(session)
        return sorted(found, key=lambda session: session.start_ns)

    @cached_property
    def ledger(self) -> TapeLedger:
        """The account of it all: see `TapeLedger`."""
        return ledger_of(self._recordings, self.sessions)

    @property
    def schemas(self) -> list[dict[str, Any]]:
        """The SBE schemas of the frames: id, version, package, sha256 and xml of each."""
        found = {}
        for reader in self._readers:
            for schema in reader.told("schemas", []):
                if isinstance(schema, dict) and isinstance(schema.get("sha256"), str):
                    found[schema["sha256"]] = schema
        return list(found.values())

    @cached_property
    def is_private(self) -> bool:
        """Whether frames of it are events of somebody's account: user data, and no streams."""
        return any(PRIVATE in reader.metadata for reader in self._readers)

    def check_is_public(self) -> None:
        """TapeError where it is private."""
        for reader in self._readers:
            if PRIVATE in reader.metadata:
                raise TapeError(
                    f"{reader.path}: this tape has private data, the events of an account, and no "
                    "market data: Tape.messages reads it"
                )

    def look_through(self, progress: Callable[[int, int], object] | None = None) -> None:
        """Finds the batches of all files, which else is done when they are first asked for.

        ``progress(done, total)`` is called with bytes.
        """
        done, total = 0, sum(reader.size for reader in self._readers)
        for reader in self._readers:
            _ = reader.parts
            done += reader.size
            if progress is not None:
                progress(done, total)

    # reading

    def _note_damage(self, what: Damage | TapeError, reader: TapeReader) -> None:
        """Raises it, or keeps it: as ``on_damage`` says.

        A batch that is not all there, since the recorder still writes it or was killed at that, is
        no damage: it is kept, and logged where nobody writes it any more.
        """
        is_last = any(each.readers[-1] is reader for each in self._recordings)
        is_at_end = isinstance(what, Damage) and what.end == reader.size
        is_cut = is_last and is_at_end and not reader.has_end
        if self._on_damage == "raise" and not is_cut:
            raise (
                what
                if isinstance(what, TapeError)
                else TapeError(
                    f"{reader.path}: bytes {what.begin} to {what.end}: {what.why}: "
                    "'binance-sbe tape recover' keeps the rest"
                )
            )
        if is_cut and what not in self.damage and not DISK.is_written(reader.path):
            LOG.warning("%s: %s", reader.directory, what)
        self.damage.append(what)

    def _selected(
        self, start: Moment | None, end: Moment | None, streams: str | Iterable[str] | None
    ) -> Selection:
        """ValueError for what can't be, TapeError for what this tape can't have."""
        self._check_is_open()
        selection = Selection.of(start, end, streams)
        if selection.streams is not None and names_are_known(self._readers):
            asked = {name for each in self._readers for name in each.asked}
            check_streams(self, selection.streams - asked)  # one may have brought nothing
        first, last = self.start_ns or 0, self.end_ns or 0
        if self.sessions and (selection.start > last or selection.end <= first):
            raise nothing_in(self)
        return selection

    def _slices(
        self, selection: Selection, with_others: bool = False, in_place: bool = True
    ) -> Iterator[Slice]:
        sources = [
            each.slices(selection, self._note_damage, with_others, in_place)
            for each in self._recordings
        ]
        return merged(sources)

    def frames(
        self,
        start: Moment | None = None,
        end: Moment | None = None,
        streams: str | Iterable[str] | None = None,
    ) -> Iterator[Any]:
        """Arrow record batches as they lie in the files: received_ns, connection, kind and frame.

        Rows are those with ``start <= received_ns < end`` (ns since 1970, a datetime, or a text in
        ISO 8601; UTC where it has no time zone). With ``streams`` they are SBE messages of these;
        without they are of all kinds (`Kind`). Raises TapeError at a batch that is damaged.

        Where it is called it raises ValueError for a range or streams that can't be, and TapeError
        where the tape has no such stream, or is all before or after that range.
        """
        return self._frames(self._selected(start, end, streams))

    def _frames(self, selection: Selection) -> Iterator[Any]:
        for part in self._slices(selection, selection.streams is None, in_place=False):
            batch = part.rows.batch.slice(part.begin, part.end - part.begin)
            if part.wanted is None:
                yield batch
                continue
            marks = part.wanted[part.begin : part.end].astype(bool)
            if marks.any():
                yield batch if marks.all() else batch.filter(pyarrow().array(marks))

    def batches(
        self,
        start: Moment | None = None,
        end: Moment | None = None,
        streams: str | Iterable[str] | None = None,
        *,
        max_messages: int = 65_536,
        on_error: Literal["raise", "collect"] = "collect",
    ) -> Iterator[Batch]:
        """Batches of tables, as `decode_many` gives them, with ``received_ns``.

        A batch has ``max_messages`` frames, the last one fewer. Its ``connections`` has the number
        of the connection of each frame (uint16); a table's column ``frame`` says which frame a row
        is of. For what is selected see `frames`. Frames that are no messages are in ``rejected``,
        or raise DecodeError. TapeError for a private tape.
        """
        self.check_is_public()
        if max_messages < 1:
            raise ValueError(f"max_messages is at least 1, not {max_messages}")
        max_messages = min(max_messages, 2**31)  # more than a batch can have
        return self._batches(self._selected(start, end, streams), max_messages, on_error)

    def _batches(
        self, selection: Selection, max_messages: int, on_error: Literal["raise", "collect"]
    ) -> Iterator[Batch]:
        collector = spot_stream.Collector(min(max_messages, _ROOM), on_error)
        connections: list[Any] = []
        for part in self._slices(selection):
            rows, at = part.rows, part.begin
            while at < part.end:
                begin = at
                at = collect(
                    collector, rows.received_ns, rows.kind, rows.offsets, rows.data, part.wanted,
                    at, part.end, max_messages,
                )  # fmt: skip
                numbers = rows.connection[begin:at]
                if part.wanted is not None or part.entry.frames != len(rows):
                    numbers = numbers[part.marks()[begin:at] & (rows.kind[begin:at] == Kind.FRAME)]
                connections.append(numbers)
                if len(collector) >= max_messages:
                    yield _taken(collector, connections)
                    connections = []
        if len(collector):
            yield _taken(collector, connections)

    def messages(
        self,
        start: Moment | None = None,
        end: Moment | None = None,
        streams: str | Iterable[str] | None = None,
        *,
        on_error: Literal["raise", "collect"] = "raise",
    ) -> Iterator[Message]:
        """Message objects, as `decode` gives them. For what is selected see `frames`.

        A frame that is no message raises DecodeError, which says in which file and batch; asking
        for the next goes on behind it. Or its error is kept in ``errors``, the latest 1,000. Of a
        private tape they are those of `spot_sbe`.
        """
        if on_error not in ("raise", "collect"):
            raise ValueError(f"on_error is 'raise' or 'collect', not {on_error!r}")
        selection = self._selected(start, end, streams)
        errors = self.errors if on_error == "collect" else None
        return Messages(self._slices(selection), errors, self._decoder())

    def _decoder(self) -> Callable[[bytes], Any]:
        if not self.is_private:
            return spot_stream.decode
        from .. import spot_sbe  # which takes its time to load

        return Dispatcher([spot_stream, spot_sbe]).decode

    # proof

    def verify(self, progress: Any = None) -> Report:
        """Reads all of it and checks every check sum, number and footer. Raises nothing for damage.

        ``progress(done, total)`` is called with bytes as it goes on.
        """
        listed = {
            directory: manifest.read(directory)
            for directory in {path.resolve() for path in self.paths if path.is_dir()}
        }
        return verified(self._recordings, listed, progress).report()

    @staticmethod
    def recover(path: AnyPath, progress: Any = None) -> Report:
        """Makes whole files of those that are cut off or damaged; returns what is in them.

        A file that is not whole is renamed to ``<name>.damaged``, and one with its good batches,
        and a row for each hole between them, takes its place. One of which nothing can be kept is
        renamed, and where others of its recording are beside it a file with the row of a hole
        stands in its place. The manifest is made anew. Raises TapeError where nothing at all can be
        kept, RecordingError where the directory can't be written to.
        """
        return recovered(paths_of(path), progress)


def check_streams(tape: Tape, streams: Iterable[str]) -> None:
    """TapeError for one of which there is no event."""
    known = tape.streams
    for name in sorted(set(streams) - set(known)):
        few = ", ".join(map(shown, known[:5])) + (", ..." if len(known) > 5 else "")
        raise TapeError(
            f"{tape.paths[0]}: no event of {shown(name)} is on this tape: it has {few or 'none'}"
        )


def nothing_in(tape: Tape) -> TapeError:
    """For a range of time that the tape is before, or after."""
    return TapeError(
        f"{tape.paths[0]}: no frame of it is in that range of time: it goes from "
        f"{said(tape.start_ns)} to {said(tape.end_ns)}"
    )


def _taken(collector: Any, connections: list[Any]) -> Batch:
    batch: Any = collector.take()
    batch.connections = np.concatenate(connections)
    found: Batch = batch
    return found
