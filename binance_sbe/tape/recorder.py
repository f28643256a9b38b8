"""Records what a feed receives: `connect(..., record=PATH)` and `feed.record(PATH)` make one."""

from __future__ import annotations

import hashlib
import math
import os
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from importlib import import_module, resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sbe_codegen.version import __version__

from ..errors import RecordingError
from ..feed import recording
from ..feed.ledger import Hole
from ..keys import stripped
from ..logs import LOG
from .disk import DISK, Disk
from .rows import PREFIX, PRIVATE, VERSION, Kind, as_json, pyarrow, tape_hole, with_head, xxh3
from .settings import Recording
from .taking import Taking
from .writer import Writer

if TYPE_CHECKING:
    from ..feed.intake.backlog import Backlog
    from ..feed.ledger import Ledger

_LOG_SECONDS = 10.0
_CLOCK_SOURCE = Path("/sys/devices/system/clocksource/clocksource0/current_clocksource")


def schema_of(module: str) -> dict[str, Any]:
    """Id, version, package, hash and XML of the SBE schema of one of the package's decoders."""
    found = import_module(f"binance_sbe.{module}")
    xml = resources.files("binance_sbe").joinpath(f"{module}.xml").read_bytes()
    return {
        "id": found.SCHEMA_ID,
        "version": found.SCHEMA_VERSION,
        "package": found.PACKAGE,
        "sha256": hashlib.sha256(xml).hexdigest(),
        "xml": xml.decode(),
    }


class Recorder(recording.Recorder):
    """Writes a recording. Made by `record` of a feed; ``with`` closes it, and so does the feed.

    ``path`` is the directory. ``frames`` counts the frames that it took, ``written_frames`` and
    ``written_bytes`` those that are written and the bytes of the files, ``lost_frames`` those that
    never will be, since the disk could not take them. ``lag_ns`` is how far the disk was behind
    when the last batch was written, or is while it writes one. ``failure`` says why it can't be
    written now, or is None.

    One feed has one recorder at a time. Methods may be called from any thread.
    """

    _schema = "spot_stream"  # the module that decodes the frames
    _is_private = False

    def __init__(self, settings: Recording, disk: Disk = DISK) -> None:
        pyarrow()
        xxh3()
        self.path = settings.directory
        self.identity = uuid.uuid4().hex
        self._settings = settings
        self._now = time.time_ns
        self._host = ""
        self._streams: dict[str, None] = {}  # that are wanted
        self._most_held = 0
        self._backlog: Backlog | None = None
        self._ledger: Ledger | None = None
        self._taking = Taking(settings.batch_rows, settings.memory_limit)
        self._taking.note_clock = self._note_clock
        self._taking.note_lost = self._note_lost
        self._taking.note_full = self._note_full
        self._logged_at = -math.inf
        self._writer = Writer(
            settings, disk, self._taking, self.identity, self._metadata, self._counters
        )
        self._is_closed = False
        self._closing = threading.RLock()
        self._has_snapshots = False

    def __repr__(self) -> str:
        state = "closed" if self._is_closed else self.failure or "recording"
        lost = f", {self.lost_frames} lost" if self.lost_frames else ""
        return f"<Recorder {self.path}, {state}, {self.frames} frames{lost}>"

    def __enter__(self) -> Recorder:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def tap(self) -> Taking:
        """Who gets the frames: see `taking`."""
        return self._taking

    @property
    def frames(self) -> int:
        return self._taking.frames

    @property
    def written_frames(self) -> int:
        return self._writer.frames

    @property
    def written_bytes(self) -> int:
        return self._writer.bytes

    @property
    def lost_frames(self) -> int:
        return self._taking.lost_frames

    @property
    def lag_ns(self) -> int:
        since = self._writer.writing_ns
        return max(self._now() - since, 0) if since else self._writer.lag_ns

    @property
    def files(self) -> int:
        """How many were begun."""
        return self._writer.files

    @property
    def failure(self) -> str | None:
        return self._writer.failure

    @property
    def error(self) -> RecordingError | None:
        """What the feed ends with, where it was asked to end when the disk fails."""
        if self._settings.on_failure == "continue":
            return None
        if self.failure is not None:
            return RecordingError(f"{self.path}: {self.failure}")
        if self.lost_frames:
            return RecordingError(f"{self.path}: {self.lost_frames:,} frames were not recorded")
        return None

    def mark(self, text: str) -> None:
        """Puts a text of yours on the tape, where it is now. RuntimeError once it is closed."""
        if self._is_closed:
            raise RuntimeError(f"the recording has ended: {self.path}")
        self._put(0, Kind.MARK, text.encode())

    def flush(self, timeout: float | None = None) -> bool:
        """Waits until what came before is on the disk; False where it is not in that time (s)."""
        return self._writer.flush(timeout) and self.failure is None

    def close(self) -> None:
        """Ends the recording: waits until all is written, whoever of several has begun to end it.

        What the disk does not take now is lost, counted and logged. Once it is over, nothing is
        done.
        """
        with self._closing:
            if self._is_closed:
                return
            self._is_closed = True
            self.detach()
            lost = self.lost_frames
            self._writer.close()
            if self.lost_frames > lost:
                LOG.error("%s: %d frames could not be written", self.path, self.lost_frames - lost)

    # what the feed says (see `feed.recording`)

    def begin(
        self,
        url: str,
        streams: Iterable[str],
        backlog: Backlog | None = None,
        ledger: Ledger | None = None,
    ) -> None:
        """Opens the first file. RecordingError where that can't be done."""
        self._host, self._streams = stripped(url), dict.fromkeys(streams)
        self._backlog, self._ledger = backlog, ledger
        if backlog is not None:
            self._most_held = backlog.arbiter.most_held
        self._writer.start()
        self.asked(self._streams)

    def _put(self, connection: int, kind: Kind, content: bytes, now_ns: int | None = None) -> None:
        self._taking.put(self._now() if now_ns is None else now_ns, connection, kind, content)

    def text(self, number: int, text: str) -> None:
        self._put(number, Kind.TEXT, text.encode())

    def asked(self, streams: Iterable[str]) -> None:
        names = list(streams)
        self._streams = self._streams | dict.fromkeys(names)  # the writer's thread may look at it
        self._put(0, Kind.SUBSCRIPTION, as_json({"asked": names}))

    def opened(self, number: int, name: str, now_ns: int) -> None:
        self._put(number, Kind.OPENED, as_json({"number": number, "name": name}), now_ns)

    def entered(self, number: int, streams: Iterable[str]) -> None:
        told = {"number": number, "entered": list(streams)}
        self._put(number, Kind.SUBSCRIPTION, as_json(told))

    def ended(self, number: int, cause: str, whole: bool, now_ns: int) -> None:
        told = {"number": number, "cause": cause, "whole": whole}
        self._put(number, Kind.ENDED, as_json(told), now_ns)

    def forgotten(self, streams: Iterable[str]) -> None:
        names = list(streams)
        self._streams = {each: None for each in self._streams if each not in names}
        self._put(0, Kind.SUBSCRIPTION, as_json({"forgotten": names}))

    def released(self, moment: int, read_since: int) -> None:
        told = {"moment_ns": moment, "read_since_ns": read_since}
        self._put(0, Kind.RELEASED, as_json(told))

    def hole(self, hole: Hole) -> None:
        told = {
            "stream": hole.stream,
            "last_before": hole.last_before,
            "first_after": hole.first_after,
            "started_ns": hole.started_ns,
            "ended_ns": hole.ended_ns,
            "cause": hole.cause,
        }
        self._put(0, Kind.HOLE, as_json(told))

    def filled(self, stream: str, first: int, last: int) -> None:
        told = {"stream": stream, "last_before": first - 1, "first_after": last + 1, "filled": True}
        self._put(0, Kind.HOLE, as_json(told))

    def snapshot(
        self, symbol: str, after: int, limit: int, answer: bytes | None = None, why: str = ""
    ) -> None:
        if not self._has_snapshots:
            self._has_snapshots = True
            schema = schema_of("spot_sbe")
            xml = schema.pop("xml").encode()
            self._put(0, Kind.SCHEMA, with_head(schema, xml))
        told: dict[str, object] = {"symbol": symbol, "after": after, "limit": limit}
        if why:
            told["error"] = why
        elif answer is None:
            told["asked"] = True
        self._put(0, Kind.SNAPSHOT, with_head(told, answer or b""))

    # what the writer wants

    def _metadata(self, number: int) -> Mapping[bytes, bytes]:
        clock = {"source": _clock_source(), "offset_ns": self._taking.offset}
        values: dict[str, Any] = {
            "version": VERSION,
            "product": f"binance-sbe {__version__}",
            "recording": self.identity,
            "file": str(number),
            "started_ns": str(self._now()),
            "host": self._host,
            "streams": as_json(list(self._streams)),
            "clock": as_json(clock),
            "settings": as_json({"most_held": self._most_held}),
            "schemas": as_json([schema_of(self._schema)]),
        }
        if self._is_private:
            values[PRIVATE] = "1"
        return {
            f"{PREFIX}{key}".encode(): each if isinstance(each, bytes) else each.encode()
            for key, each in values.items()
        }

    def _counters(self) -> Mapping[str, int]:
        told = {"lost": self.lost_frames}
        if self._backlog is not None and self._ledger is not None:
            told |= {
                "frames": self._backlog.stats.frames,
                "bytes": self._backlog.stats.bytes,
                "holes": self._ledger.holes_count,
                "damaged": self._ledger.damaged_count,
                "dropped": self._ledger.dropped,
                "connections": self._ledger.connections_count,
            }
        return told

    def _note_clock(self, received: int, offset: int) -> None:
        told = {"wall_ns": received, "offset_ns": offset}
        self._taking.put(received, 0, Kind.CLOCK, as_json(told))

    def _note_full(self) -> None:
        """The first frame that is lost; it is logged once in a while."""
        if time.monotonic() >= self._logged_at + _LOG_SECONDS:
            self._logged_at = time.monotonic()
            why = self.failure or "the disk is too slow"
            most = self._settings.memory_limit >> 20
            LOG.error("%s: frames are lost: %d MiB wait for the disk: %s", self.path, most, why)

    def _note_lost(self, frames: int, size: int, since: int, until: int) -> None:
        why = self.failure or "the disk was too slow"
        self._taking.put(until, 0, Kind.HOLE, tape_hole(frames, size, since, until, why))


class PrivateRecorder(Recorder):
    """Of the events of an account, for `ws_api.connect`; requests and replies do not come to it."""

    _schema = "spot_sbe"
    _is_private = True

    def event(self, number: int, frame: bytes) -> None:
        self._put(number, Kind.FRAME, frame)

    def missed(self, started_ns: int, ended_ns: int, cause: str, frames: int | None = None) -> None:
        self._put(0, Kind.HOLE, tape_hole(frames, None, started_ns, ended_ns, cause))


def settings_of(path: str | os.PathLike[str] | Recording, options: dict[str, Any]) -> Recording:
    """ValueError and TypeError for what can't be."""
    if isinstance(path, Recording):
        return replace(path, **options)
    if not isinstance(path, str | os.PathLike):
        raise TypeError(f"record is a directory, or a Recording, not {type(path).__name__}")
    return Recording(path, **options)


def recorded_to(
    path: str | os.PathLike[str] | Recording, kind: type[Recorder] = Recorder
) -> Callable[[], Recorder]:
    """What makes a Recorder once there is something to record. What can't be is refused now."""
    settings = settings_of(path, {})
    return lambda: kind(settings)


def recorder_of(path: str | os.PathLike[str] | Recording, options: dict[str, Any]) -> Recorder:
    """A Recorder that has written nothing yet."""
    return Recorder(settings_of(path, options))


def _clock_source() -> str:
    try:
        return _CLOCK_SOURCE.read_text().strip()
    except OSError:
        return "unknown"
