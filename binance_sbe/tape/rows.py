"""What a tape is made of: columns, kinds of rows, and the keys of its metadata.

docs/formats/tape.md is the specification.
"""

from __future__ import annotations

import enum
import json
from datetime import datetime
from typing import Any

from sbe_codegen.extras import imported

VERSION = "1"
EXTRA = "tape"
SUFFIX = ".arrow"
MAGIC = b"ARROW1\0\0"  # with which a file begins; the stream follows
PREFIX = "tape."  # of the keys in the schema's metadata
BATCH, STREAMS, CHECK = b"tape.batch", b"tape.streams", b"tape.check"  # in that of a batch
PRIVATE = "private"  # key of the metadata of a tape of user data
_DECODER = json.JSONDecoder()
_xxhash: Any = None
MOST_STREAMS = 20_000  # of a file, that batches count one by one


class Kind(enum.IntEnum):
    """What a row is."""

    FRAME = 0
    TEXT = 1
    OPENED = 2
    ENDED = 3
    SUBSCRIPTION = 4
    HOLE = 5
    SNAPSHOT = 6
    CLOCK = 7
    SCHEMA = 8
    MARK = 9
    RELEASED = 10


def pyarrow() -> Any:
    """The package; MissingPackage where it is not installed."""
    imported("pyarrow.ipc", "a tape", EXTRA)
    return imported("pyarrow", "a tape", EXTRA)


def xxh3() -> Any:
    """A new XXH3 of 64 bits."""
    global _xxhash
    if _xxhash is None:  # which costs less than to ask for the module each time
        _xxhash = imported("xxhash", "a tape", EXTRA)
    return _xxhash.xxh3_64()


def hashed(*parts: Any) -> str:
    """XXH3 of buffers, one after the other, as 16 hexadecimal digits."""
    state = xxh3()
    for part in parts:
        state.update(part)
    digest: str = state.hexdigest()
    return digest


def stem_of(moment: datetime, identity: str, number: int) -> str:
    """What the name of a file begins with: when it was begun, by whom, and its number."""
    return f"{moment:%Y%m%dT%H%M%S.%fZ}-{identity[:8]}-{number:04}"


def columns_of(pa: Any) -> Any:
    """The schema, without metadata."""
    return pa.schema(
        [
            pa.field("received_ns", pa.int64(), nullable=False),
            pa.field("connection", pa.uint16(), nullable=False),
            pa.field("kind", pa.uint8(), nullable=False),
            pa.field("frame", pa.binary(), nullable=False),
        ]
    )


def as_json(value: object) -> bytes:
    """One line; what is no UTF-8 is escaped, as all that is not ASCII."""
    return json.dumps(value, separators=(",", ":")).encode()


def parsed(line: bytes) -> Any:
    """What `as_json` was given. ValueError where there is no JSON, RecursionError where too much.

    A tape has a line for each batch, and `json.loads` takes half as long again.
    """
    return _DECODER.raw_decode(line.decode())[0]


def tape_hole(
    frames: int | None, size: int | None, since: int, until: int, why: str, **more: object
) -> bytes:
    """What a row says of a hole of the tape's own: frames, and bytes of these, None: not known."""
    told = {"frames": frames, "bytes": size, "started_ns": since, "ended_ns": until, "cause": why}
    return as_json(told | more)


def with_head(head: object, body: bytes) -> bytes:
    """A line of JSON, and bytes behind it."""
    return as_json(head) + b"\n" + body


def parted(frame: bytes) -> tuple[Any, bytes]:
    """The inverse of `with_head`. ValueError where there is no JSON."""
    head, _, body = frame.partition(b"\n")
    return json.loads(head), body
