"""Tables as `encode_many` reads them: what is copied from a row, and whether it may be."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..errors import EncodeError
from .arrays import check_column, check_newer
from .refusals import MISSING, refusal
from .slots import IntSlot

Array = np.ndarray[Any, Any]
Move = tuple[int, int, int, int]  # from, to, bytes, and of items of how many bytes if turned around


class Contents(NamedTuple):
    """What is in a table, or in that of a group, in the order of the schema."""

    records: Array
    offsets: Array | None  # of a group
    groups: list[Any]
    blobs: list[tuple[Array, Array]]
    dictionaries: list[Sequence[str]]


def contents_of(table: Any, layout: Any) -> Contents:
    """By what tables show to everybody: rows that somebody has put in their place count."""
    groups, data = table.groups, table.data
    return Contents(
        table.records,
        getattr(table, "offsets", None),
        [contents_of(groups[name], inner) for name, inner in layout.groups.items()],
        [(data[name].content, data[name].offsets) for name in layout.blobs],
        [table.dictionary(name) for name in layout.dictionaries],
    )


def check_columns(level: Any, records: Array, layout: Any, version: int, path: str) -> None:
    """EncodeError for rows of another layout, and for values that are no whole numbers."""
    if not isinstance(records, np.ndarray) or records.ndim != 1:
        raise refusal(f"{path}.records", MISSING, "a structured array of one dimension is needed")
    for name in layout.row_dtype().names or ():
        wanted = layout.row_dtype().fields[name][0]
        found = (records.dtype.fields or {}).get(name)
        if found is None or found[0] != wanted:
            raise refusal(f"{path}.{name}", MISSING, f"the table has no such column of {wanted}")
    for slot in level.fields:
        if not slot.size:
            continue
        column, place = records[slot.name], f"{path}[].{slot.name}"
        if slot.since > version:
            check_newer(slot, column, place, version)
        elif not isinstance(slot, IntSlot) and slot.facts["kind"] != "set":
            check_column(slot, column, place, np.ones(len(column), bool), version)


def moves_of(level: Any, dtype: np.dtype[Any], version: int) -> list[Move]:
    """The runs of bytes that make a block of a row, in the order of the block."""
    big = level.layout.formats.order == ">"
    moves: list[Move] = []
    for slot in level.fields:
        if slot.size and slot.since <= version:
            kind, offset = dtype.fields[slot.name][:2]  # type: ignore[index]
            moves += _moves(slot, kind, offset, slot.offset, big, version)
    merged: list[Move] = []
    for move in sorted(moves, key=lambda each: each[1]):
        if merged and not move[3] and not merged[-1][3]:
            begin, to, size, _ = merged[-1]
            if (begin + size, to + size) == move[:2]:
                merged[-1] = begin, to, size + move[2], 0
                continue
        merged.append(move)
    return merged


def _moves(
    slot: Any, dtype: np.dtype[Any], begin: int, to: int, big: bool, version: int
) -> Iterator[Move]:
    if dtype.names is not None:
        for member in slot.members_of_it:
            if member.size and member.since <= version:
                kind, offset = dtype.fields[member.name][:2]  # type: ignore[index]
                yield from _moves(member, kind, begin + offset, to + member.offset, big, version)
        return
    item = dtype.base.itemsize if dtype.kind != "S" else 1
    yield begin, to, dtype.itemsize, item if big and item > 1 else 0


def texts_of(
    texts: Sequence[str], data: Any, slack: int
) -> tuple[bytes, list[tuple[int, int] | None]]:
    """The texts as bytes end to end, and (begin, size) of each; None of those that are none."""
    parts: list[bytes] = []
    places: list[tuple[int, int] | None] = []
    total = 0
    for text in texts:
        try:
            made = text.encode(data.encoding)
            good = len(made) <= data.most and not (data.empty_is_null and not made)
        except UnicodeError:
            good = False
        if good:
            places.append((total, len(made)))
            parts.append(made)
            total += len(made)
        else:
            places.append(None)
    return b"".join([*parts, bytes(slack)]), places


def blobs_of(content: Array, offsets: Array) -> tuple[Array, Array]:
    return np.ascontiguousarray(content, np.uint8), np.ascontiguousarray(offsets, np.int64)


def check_ends(ends: Array, rows: int, entries: int, path: str) -> None:
    """EncodeError for offsets that would lead out of what they are offsets into."""
    good = ends.dtype == np.int64 and ends.ndim == 1 and ends.flags.c_contiguous
    good = good and len(ends) == rows + 1 and ends[0] >= 0 and ends[rows] <= entries
    if not good or (ends[1:] < ends[:-1]).any():
        raise refusal(path, MISSING, "its offsets are not those of the table around")


def bad_text(path: str, data: Any, code: int, count: int) -> EncodeError:
    """The error of a row whose code is none of a text that can be written."""
    if code == 2**32 - 1:
        why = "the row has no text: its sender's version had none (see version=), or it is null"
    elif code >= count:
        why = f"there are {count} texts"
    else:
        why = f"the text can't be written: it is longer than {data.most} bytes, or not text"
    return refusal(f"{path}.{data.name}", code, why)
