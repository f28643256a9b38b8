"""Which rows of a batch go into a smaller tape, and what they say there."""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..venue.streams import DEPTH
from .entries import Rows
from .rows import Kind, as_json, parted
from .selecting import StreamMarks
from .taking import Chunk
from .tape_file import Columns

_LISTS = ("asked", "entered", "forgotten")  # of streams, in rows of subscriptions


@dataclass(frozen=True)
class Other:
    """A row that is no frame."""

    row: int
    received_ns: int
    connection: int
    kind: int
    content: bytes

    def chunk(self) -> Chunk:
        made = Chunk(1)
        made.append(self.received_ns, self.connection, self.kind, self.content)
        return made


def others_of(rows: Rows) -> list[Other]:
    return [
        Other(
            i, int(rows.received_ns[i]), int(rows.connection[i]), int(rows.kind[i]), rows.frame(i)
        )
        for i in np.flatnonzero(rows.kind).tolist()
    ]


def about(kind: int, content: bytes, wanted: frozenset[str]) -> bytes | None:
    """What of a row that is no frame is about these streams; None: nothing."""
    if kind == Kind.SUBSCRIPTION:
        told = json.loads(content)
        for key in _LISTS:
            if key in told:
                kept = [name for name in told[key] if name in wanted]
                return as_json(told | {key: kept}) if kept or not told[key] else None
    elif kind == Kind.HOLE:
        told = json.loads(content)
        return content if "stream" not in told or told["stream"] in wanted else None
    elif kind == Kind.SNAPSHOT:
        symbol = str(parted(content)[0]["symbol"]).lower()
        return content if f"{symbol}@{DEPTH}" in wanted else None
    return content


def chosen(
    rows: Rows,
    inside: NDArray[np.bool_],
    others: list[Other],
    marks: StreamMarks | None,
) -> Columns | None:
    """Those of the rows ``inside`` that are marked, and others as far as they are about the same.

    None for none; without ``marks`` all of them.
    """
    changed: dict[int, bytes] = {}
    if marks is not None:
        inside = inside & marks.of(rows)
        for each in others:
            content = about(each.kind, each.content, marks.wanted)
            if content is None:
                inside[each.row] = False
            elif content != each.content:
                changed[each.row] = content
    if not inside.any():
        return None
    if inside.all() and not changed:
        return rows.columns
    numbers = np.flatnonzero(inside)
    frames = [changed[i] if i in changed else rows.frame(i) for i in numbers.tolist()]
    return Columns(
        rows.received_ns[numbers],
        rows.connection[numbers],
        rows.kind[numbers],
        _ends(np.array([len(frame) for frame in frames])),
        np.frombuffer(b"".join(frames), np.uint8),
    )


def chosen_state(chunk: Chunk, wanted: frozenset[str] | None) -> Columns:
    """Rows of `State`, as far as they are about the streams that are wanted."""
    if wanted is None:
        return Columns.of(chunk)
    kept = Chunk(chunk.rows)
    for i in range(chunk.rows):
        kind = int(chunk.kind[i])
        content = chunk.data[chunk.offsets[i] : chunk.offsets[i + 1]].tobytes()
        found = about(kind, content, wanted)
        if found is not None:
            kept.append(int(chunk.received_ns[i]), int(chunk.connection[i]), kind, found)
    return Columns.of(kept)


def joined(parts: list[Columns]) -> Columns:
    if len(parts) == 1:
        return parts[0]
    lengths = np.concatenate([np.diff(part.offsets) for part in parts])
    return Columns(
        np.concatenate([part.received_ns for part in parts]),
        np.concatenate([part.connection for part in parts]),
        np.concatenate([part.kind for part in parts]),
        _ends(lengths),
        np.concatenate([part.data for part in parts]),
    )


def _ends(lengths: NDArray[np.int64] | NDArray[np.int32]) -> NDArray[np.int32]:
    offsets = np.zeros(len(lengths) + 1, np.int32)
    np.cumsum(lengths, out=offsets[1:])
    return offsets
