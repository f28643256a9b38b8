"""One file of a tape while it is written: batches, each in one piece, and a footer at the end."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .census import Census
from .disk import Disk
from .rows import (
    BATCH,
    CHECK,
    MAGIC,
    MOST_STREAMS,
    PREFIX,
    PRIVATE,
    STREAMS,
    Kind,
    as_json,
    columns_of,
    hashed,
    pyarrow,
)
from .taking import Chunk

COMPRESSIONS = ("zstd", "lz4", None)


class Columns(NamedTuple):
    """Rows: ``data[offsets[i]:offsets[i + 1]]`` is the frame of row i, and ``offsets[0]`` is 0."""

    received_ns: NDArray[np.int64]
    connection: NDArray[np.uint16]
    kind: NDArray[np.uint8]
    offsets: NDArray[np.int32]
    data: NDArray[np.uint8]

    @classmethod
    def of(cls, chunk: Chunk) -> Columns:
        n = chunk.rows
        return cls(
            chunk.received_ns[:n],
            chunk.connection[:n],
            chunk.kind[:n],
            chunk.offsets[: n + 1],
            chunk.data[: chunk.used],
        )


def record_batch(columns: Columns, schema: Any = None) -> Any:
    """The rows as Arrow has them, over the same memory; ``schema`` is that of a tape."""
    pa, n = pyarrow(), len(columns.kind)
    received, connection, kind, offsets, data = map(pa.py_buffer, columns)
    return pa.RecordBatch.from_arrays(
        [
            pa.Array.from_buffers(pa.int64(), n, [None, received]),
            pa.Array.from_buffers(pa.uint16(), n, [None, connection]),
            pa.Array.from_buffers(pa.uint8(), n, [None, kind]),
            pa.Array.from_buffers(pa.binary(), n, [None, offsets, data]),
        ],
        schema=columns_of(pa) if schema is None else schema,
    )


class _Sink:
    """Collects what Arrow writes, until a batch is whole."""

    closed = False

    def __init__(self) -> None:
        self.bytes = bytearray()

    def write(self, data: bytes) -> int:
        self.bytes += data
        return len(data)

    def flush(self) -> None:
        """There is nothing that waits."""

    def close(self) -> None:
        self.closed = True


class TapeFile:
    """``metadata`` is that of the schema. Raises OSError, and leaves no file then.

    An OSError of `write` leaves the file as it was before, and is the end of it: `abandon`.
    """

    def __init__(
        self, disk: Disk, path: Path, metadata: Mapping[bytes, bytes], compression: str | None
    ) -> None:
        pa = pyarrow()
        self.path = path
        self.size = self.rows = self.frames = self.batches = 0
        self.first_ns: int | None = None
        self.last_ns: int | None = None
        self.kinds: dict[str, int] = {}  # rows, by the number of the kind
        self._disk = disk
        self._pa = pa
        self._census = Census(MOST_STREAMS)
        self._schema = columns_of(pa).with_metadata(dict(metadata))
        described = self._schema.serialize().to_pybytes()
        self._mark = hashed(described)
        self._sink = _Sink()
        codec = pa.Codec("zstd", 1) if compression == "zstd" else compression
        options = pa.ipc.IpcWriteOptions(compression=codec, use_threads=False)
        self._arrow = pa.ipc.new_file(
            pa.PythonFile(self._sink, mode="w"), self._schema, options=options
        )
        self._begins = MAGIC + described  # which Arrow writes with the first batch, and we before
        is_private = f"{PREFIX}{PRIVATE}".encode() in metadata
        self.fd = disk.create(path, 0o600 if is_private else 0o644)
        try:
            self._put(memoryview(self._begins))
        except BaseException:
            disk.close(self.fd)
            disk.remove(path)
            raise

    def write(self, columns: Columns, frames_before: int, counters: Mapping[str, int]) -> None:
        """Rows, as one batch."""
        batch = record_batch(columns, self._schema)
        told, counts = self._told(columns, frames_before, counters)
        texts = {BATCH: as_json(told), STREAMS: as_json(counts)}
        texts[CHECK] = hashed(*texts.values()).encode()
        self._arrow.write_batch(batch, custom_metadata=texts)
        self._put(self._arrows())
        self.batches += 1
        self.rows += len(columns.kind)
        first, last = told["first_ns"], told["last_ns"]
        self.first_ns = first if self.first_ns is None else min(first, self.first_ns)
        self.last_ns = last if self.last_ns is None else max(last, self.last_ns)
        for name, count in told["kinds"].items():
            self.kinds[name] = self.kinds.get(name, 0) + count
        self.frames = self.kinds.get(str(int(Kind.FRAME)), 0)

    def _arrows(self) -> memoryview:
        """What Arrow has written since the last time, without the beginning that was ours."""
        written, self._sink.bytes = self._sink.bytes, bytearray()
        return memoryview(written)[len(self._begins) if self.batches == 0 else 0 :]

    def _told(
        self, columns: Columns, frames_before: int, counters: Mapping[str, int]
    ) -> tuple[dict[str, Any], list[int]]:
        """The metadata of a batch, and the events of each stream."""
        received, _, kind, offsets, data = columns
        census = self._census
        known = len(census.names)
        counts = census.count(kind, offsets, data)
        kinds = {str(each): int(count) for each, count in enumerate(np.bincount(kind)) if count}
        has_events = census.first_event <= census.last_event
        told = {
            "batch": self.batches,
            "rows": len(received),
            "before": self.rows,
            "frames_before": frames_before,
            "first_ns": int(received.min()),
            "last_ns": int(received.max()),
            "first_event_us": census.first_event if has_events else None,
            "last_event_us": census.last_event if has_events else None,
            "kinds": kinds,
            "new": census.names[known:],
            "others": census.others,
            "columns": hashed(*columns),
            "schema": self._mark,
            "counters": dict(counters),
        }
        return told, counts.tolist()

    def _put(self, data: Any) -> None:
        """All of it, or nothing."""
        view = memoryview(data)
        done = 0
        try:
            while done < len(view):
                done += self._disk.write(self.fd, view[done:])
        except OSError:
            self._disk.cut(self.fd, self.size)
            raise
        self.size += done

    def sync(self) -> None:
        self._disk.sync(self.fd)

    def is_there(self) -> bool:
        return self._disk.is_there(self.path, self.fd)

    def close(self, durable: bool = True) -> None:
        """Ends it with its footer."""
        try:
            self._arrow.close()
            self._put(self._arrows())
            if durable:
                self.sync()
        finally:
            self._disk.close(self.fd)

    def abandon(self) -> None:
        """Leaves it without a footer: what is in it is whole, and is on the disk if that can be."""
        try:
            with contextlib.suppress(OSError):
                self._disk.sync(self.fd)
        finally:
            self._disk.close(self.fd)
