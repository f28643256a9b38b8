"""What people would use instead, each as well as it can be used."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import orjson
import sbe

SCHEMA = Path(__file__).parent.parent / "schemas" / "stream_1_0.xml"


class BookTicker(msgspec.Struct):
    u: int
    s: str
    b: float
    B: float
    a: float
    A: float


class Levels(msgspec.Struct):
    """Of depthUpdate and of depth20; what else there is in the JSON is stepped over."""

    b: list[tuple[float, float]]
    a: list[tuple[float, float]]


BOOK_TICKER = msgspec.json.Decoder(BookTicker, strict=False)
LEVELS = msgspec.json.Decoder(Levels, strict=False)
HEADER, BODY = struct.Struct("<HHHH"), struct.Struct("<qqbbqqqqB")
BLOCK = np.dtype(
    [("event_time", "<i8"), ("book_update_id", "<i8"), ("price_exponent", "i1"),
     ("qty_exponent", "i1"), ("bid_price", "<i8"), ("bid_qty", "<i8"), ("ask_price", "<i8"),
     ("ask_qty", "<i8")]
)  # fmt: skip

with SCHEMA.open(encoding="utf-8") as file:
    SBE = sbe.Schema.parse(file)


def by_struct(frame: bytes) -> tuple[Any, ...]:
    """The values of a frame, with the checks that `decode` makes."""
    if len(frame) < HEADER.size:
        raise ValueError("truncated header")
    block, template, schema, _ = HEADER.unpack_from(frame)
    if (template, schema) != (10001, 1) or block < 50:
        raise ValueError("not a best bid/ask")
    if len(frame) < 8 + block + 1:
        raise ValueError("truncated block")
    *values, length = BODY.unpack_from(frame, 8)
    end = 8 + block + 1 + length
    if len(frame) < end:
        raise ValueError("truncated symbol")
    return (*values, frame[end - length : end].decode())


def by_frombuffer(frame: bytes) -> tuple[Any, ...]:
    """The block by numpy; without the symbol, and with no check but that of the length."""
    values: tuple[Any, ...] = np.frombuffer(frame, BLOCK, 1, 8)[0].item()
    return values


def _ticker(fields: dict[str, Any]) -> tuple[Any, ...]:
    return (
        fields["u"], float(fields["b"]), float(fields["B"]), float(fields["a"]),
        float(fields["A"]), fields["s"],
    )  # fmt: skip


def by_orjson(text: bytes) -> tuple[Any, ...]:
    return _ticker(orjson.loads(text))


def by_json(text: bytes) -> tuple[Any, ...]:
    return _ticker(json.loads(text))


def by_sbe(frame: bytes) -> dict[str, Any]:
    """A dict. Its symbols are wrong (one character), as is what a newer sender's frame gives."""
    values: dict[str, Any] = SBE.decode(frame).value
    return values


def levels_by_orjson(text: bytes) -> Any:
    fields = orjson.loads(text)
    return [[(float(p), float(q)) for p, q in fields[side]] for side in ("b", "a")]
