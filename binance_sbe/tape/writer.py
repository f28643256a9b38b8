"""The thread that writes a tape: from chunks of rows to files, and on when the disk fails."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from queue import Empty

from ..errors import RecordingError
from ..logs import LOG
from ..output import shown
from . import manifest
from .disk import Disk
from .rows import SUFFIX, Kind, stem_of, tape_hole
from .settings import Recording
from .state import State
from .taking import Chunk, Taking
from .tape_file import Columns, TapeFile

_AGAIN_SECONDS = 1.0  # after a failure
_LOOK_SECONDS = 1.0  # between looks at what the disk has free, and whether the file is still there
_MOST_HOLES = 10_000  # chunks that are lost at the end, at most: more do not wait
_NAMES = 1000  # attempts to find a name that is free


class Writer:
    """``begin(number)`` gives the metadata of a file's schema, ``counters()`` what a batch is told.

    `start` opens the first file and raises RecordingError where that can't be done; from then on
    failures are logged, ``failure`` says what is wrong now, and it is tried again each second.
    """

    def __init__(
        self,
        settings: Recording,
        disk: Disk,
        taking: Taking,
        identity: str,
        begin: Callable[[int], Mapping[bytes, bytes]],
        counters: Callable[[], Mapping[str, int]],
    ) -> None:
        self.failure: str | None = None
        self.files = 0
        self.rows = self.frames = self.bytes = 0  # written
        self.lag_ns = 0  # when a batch was written last
        self.writing_ns = 0  # when the first row of the batch came that is written now; 0: none is
        self._settings = settings
        self._disk = disk
        self._taking = taking
        self._identity = identity
        self._begin = begin
        self._counters = counters
        self._file: TapeFile | None = None
        self._state = State()
        self._holes = Chunk(_MOST_HOLES)  # that the tape has not been told of yet
        self._rotate_at = self._rotate_after = 0.0
        self._synced_at = self._looked_at = time.monotonic()
        self._unsynced = 0  # bytes
        self._flushes: list[threading.Event] = []
        self._closing = threading.Event()
        self._in_hand: Chunk | None = None  # what is being written
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        try:
            self._disk.make_directory(self._settings.directory)
            self._check_free()
            self._open()
        except OSError as error:
            raise RecordingError(f"{self._settings.directory}: {_said(error)}") from None
        # A daemon, so that a program that forgets to close can end; `close` waits for it.
        self._thread = threading.Thread(target=self._run, name="binance-sbe tape", daemon=True)
        self._thread.start()

    def flush(self, timeout: float | None) -> bool:
        """Waits until what was given before is written and synchronised; False where it is not."""
        if self._thread is None or not self._thread.is_alive():
            return self.failure is None
        event = threading.Event()
        self._flushes.append(event)
        self._taking.full.put(None)
        return event.wait(timeout)

    def close(self) -> None:
        """Waits until all is written, or has been tried once more."""
        self._closing.set()
        self._taking.full.put(None)
        if self._thread is not None:
            self._thread.join()

    # the thread

    def _run(self) -> None:
        try:
            while not self._closing.is_set():
                self._turn()
            self._write_all()
            self._taking.end()
            self._write_all()
            self._write_holes()
            self._end_file()
        except BaseException as error:  # of ours: the recording ends, the feed goes on
            LOG.error("%s: the recording failed", self._settings.directory, exc_info=error)
            self.failure = f"{type(error).__name__}: {error}"
            self._taking.cut()
            self._taking.stop()
            if self._in_hand is not None:
                self._lose(self._in_hand)
            while not self._taking.full.empty():
                chunk = self._next(0.0)
                if chunk is not None:
                    self._lose(chunk)
            self._give_up()
        finally:
            self._answer(self._flushes)

    def _turn(self) -> None:
        chunk = self._next(self._settings.batch_seconds)
        if chunk is not None:
            self._write(chunk)
            flushes = []
        else:  # it is time, or somebody waits
            flushes = list(self._flushes)
            self._write_all()
        self._look(bool(flushes))
        self._answer(flushes)

    def _write_all(self) -> None:
        """What there is now."""
        self._taking.cut()
        for _ in range(self._taking.full.qsize()):
            chunk = self._next(0.0)
            if chunk is not None:
                self._write(chunk)

    def _answer(self, flushes: list[threading.Event]) -> None:
        for event in list(flushes):
            event.set()
            if event in self._flushes:  # a failure may have answered before
                self._flushes.remove(event)

    def _next(self, seconds: float) -> Chunk | None:
        """The next chunk; None where none came in that time, or somebody wants something else."""
        try:
            return (
                self._taking.full.get(timeout=seconds)
                if seconds
                else self._taking.full.get_nowait()
            )
        except Empty:
            return None

    def _give_up(self) -> None:
        """After an error of ours: a further file tells what was lost, if that can be."""
        try:
            file, self._file = self._file, None
            if file is not None:  # nobody knows what its Arrow writer has kept
                file.abandon()
                self._note(file, False)
            self._write_holes()
            self._end_file()
        except BaseException as error:
            LOG.error("%s: nor is what was lost told", self._settings.directory, exc_info=error)

    def _write(self, chunk: Chunk) -> None:
        """Until it is written; once only where the end has come."""
        is_last = False
        self._in_hand = chunk
        self.writing_ns = int(chunk.received_ns[0])
        while True:
            try:
                self._write_once(chunk)
                break
            except OSError as error:
                self._failed(error)
            if is_last:
                self._lose(chunk)
                break
            is_last = self._closing.wait(_AGAIN_SECONDS)
        self.writing_ns = 0
        self._in_hand = None
        self._taking.done(chunk)
        if self._settings.durability == "batch" and self._file is not None:
            try:  # what was written is not written again
                self._sync()
            except OSError as error:
                self._failed(error)

    def _lose(self, chunk: Chunk) -> None:
        """Nothing is written of these any more; what is written later says so."""
        self._taking.lose_all(chunk)
        since, until = int(chunk.received_ns[0]), int(chunk.received_ns[chunk.rows - 1])
        hole = tape_hole(chunk.frames, chunk.used, since, until, str(self.failure))
        self._holes.append(until, 0, Kind.HOLE, hole)

    def _lose_file(self, file: TapeFile, why: str) -> None:
        """All that was written to it is gone from the recording."""
        if file.first_ns is not None and file.last_ns is not None:
            self._taking.lose_more(file.frames, file.size)
            hole = tape_hole(file.frames, file.size, file.first_ns, file.last_ns, why)
            self._holes.append(file.last_ns, 0, Kind.HOLE, hole)

    def _write_holes(self) -> None:
        """What was lost at the end, and no batch has told of; once."""
        if self._holes.rows:
            try:
                self._tell_holes(self._ready())
            except OSError as error:
                self._failed(error)

    def _tell_holes(self, file: TapeFile) -> None:
        if self._holes.rows:
            file.write(Columns.of(self._holes), self.frames, self._counters())
            self._holes = Chunk(_MOST_HOLES)

    def _ready(self) -> TapeFile:
        """The file to write to."""
        self._rotate()
        if self._file is None:
            self._disk.make_directory(self._settings.directory)
            self._check_free()
            self._open()
        assert self._file is not None
        return self._file

    def _write_once(self, chunk: Chunk) -> None:
        file = self._ready()
        before = file.size
        self._tell_holes(file)
        file.write(Columns.of(chunk), self.frames, self._counters())
        if self.failure is not None:
            LOG.warning("%s: the recording goes on", self._settings.directory)
            self.failure = None
        self._state.follow(chunk)
        self.rows += chunk.rows
        self.frames += chunk.frames
        self.bytes += file.size - before
        self._unsynced += file.size - before
        self.lag_ns = max(time.time_ns() - int(chunk.received_ns[chunk.rows - 1]), 0)

    def _failed(self, error: OSError) -> None:
        """The file is left as it is, without the batch that was not written."""
        text = _said(error)
        if self.failure is None:
            LOG.error("%s: the recording waits: %s", self._settings.directory, text)
        self.failure = text
        self._answer(self._flushes)  # who waits is told so
        file, self._file = self._file, None
        if file is not None:
            with contextlib.suppress(OSError):
                file.abandon()
            self._note(file, False)

    def _look(self, wants_sync: bool) -> None:
        """What is due by the clock. A failure is that of the next batch."""
        now = time.monotonic()
        try:
            if self._file is None:
                return
            seconds = self._settings.durability
            due = isinstance(seconds, int | float) and now >= self._synced_at + seconds
            if self._unsynced and (due or wants_sync):
                self._sync()
            if now >= self._looked_at + _LOOK_SECONDS:
                self._looked_at = now
                if not self._file.is_there():
                    why = f"{self._file.path.name} was removed, or another is in its place"
                    self._lose_file(self._file, why)
                    raise OSError(why)
                self._check_free()
            self._rotate()
        except OSError as error:
            self._failed(error)

    def _sync(self) -> None:
        assert self._file is not None
        self._file.sync()
        self._unsynced = 0
        self._synced_at = time.monotonic()

    def _check_free(self) -> None:
        free = self._disk.free(self._settings.directory)
        if free < self._settings.min_free:
            raise OSError(
                f"the disk has {free:,} bytes free, less than {self._settings.min_free:,}"
            )

    # files

    def _rotate(self) -> None:
        """Ends the file whose time is over, or that is full."""
        if self._file is None or not self._file.batches:
            return
        is_full = self._file.size >= self._settings.rotate_bytes
        if is_full or time.time() >= self._rotate_at or time.monotonic() >= self._rotate_after:
            self._end_file()

    def _end_file(self) -> None:
        file, self._file = self._file, None
        if file is None:
            return
        try:
            file.close(durable=self._settings.durability != "os")
        except OSError as error:
            LOG.error("%s: no footer: %s", file.path, _said(error))
            self._note(file, False)
            return
        self._unsynced = 0
        self._note(file, True)

    def _open(self) -> None:
        now, seconds = time.time(), self._settings.rotate_seconds
        metadata = self._begin(self.files)
        self._file = self._created(now, metadata)
        self.files += 1
        self._rotate_at = (now // seconds + 1) * seconds
        self._rotate_after = time.monotonic() + seconds
        again = self._state.rows(time.time_ns())
        if again is not None:
            self._file.write(Columns.of(again), self.frames, self._counters())
            self.rows += again.rows
        if self._settings.durability != "os":
            self._disk.sync_directory(self._settings.directory)
        self._note(self._file, False)

    def _created(self, now: float, metadata: Mapping[bytes, bytes]) -> TapeFile:
        stem = stem_of(datetime.fromtimestamp(now, UTC), self._identity, self.files)
        for attempt in range(_NAMES):
            name = f"{stem}-{attempt}{SUFFIX}" if attempt else f"{stem}{SUFFIX}"
            path = self._settings.directory / name
            with contextlib.suppress(FileExistsError):
                return TapeFile(self._disk, path, metadata, self._settings.compression)
        raise FileExistsError(f"{stem}{SUFFIX} and {_NAMES} names like it exist")

    def _note(self, file: TapeFile, is_closed: bool) -> None:
        """Writes the manifest, without which all can be read as well."""
        entry = manifest.entry(file, self._identity, self.files - 1, is_closed)
        try:
            manifest.note(self._settings.directory, entry, self._disk)
        except OSError as error:
            LOG.warning("%s: no manifest: %s", self._settings.directory, _said(error))


def _said(error: OSError) -> str:
    """What is wrong with the disk."""
    text = error.strerror or str(error)
    return shown(f"{text} ({error.filename})" if error.filename else text)
