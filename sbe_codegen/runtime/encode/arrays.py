"""Structured arrays as the entries of a group: into the layout of the wire, and checked.

The columns of an array hold raw numbers, and null is the schema's null value, as in the arrays that
decoding gives. This is for arrays that are not yet as the wire has them, and for groups of more
than whole numbers: the others are checked where they lie.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from .refusals import MISSING, refusal, unknown

Array = np.ndarray[Any, Any]


def prepared(group: Any, array: Array, version: int, stride: int) -> tuple[Array, bool]:
    """An array whose items are entries of ``version``, all of them allowed.

    The second is True where the array is that itself, and others of its dtype will be too, but for
    the numbers in them.
    """
    name, level = group.name, group.level
    names = array.dtype.names
    if type(array) is not np.ndarray:
        raise refusal(name, array, f"a plain array is needed, not {type(array).__name__}")
    if level.groups or level.data:
        raise refusal(name, array, "entries with groups or data of their own are a list of dicts")
    if array.ndim != 1 or names is None:
        raise refusal(name, array, "a structured array of one dimension is needed")
    known = {each.name: each for each in level.fields}
    for each in names:
        if each not in known or not known[each].size:
            columns = [column for column, slot in known.items() if slot.size]
            raise unknown(f"{name}.{each}", columns)
    wire = level.layout.dtype
    if level.is_plain and version >= level.since and _same(array.dtype, wire):
        level.check_array(array, name)
        return array, True
    made = np.zeros(len(array), level.layout.older_dtype(version, stride))
    for slot in level.fields:
        if slot.size:
            _column(slot, array, made, version, name)
    return made, False


def _same(one: np.dtype[Any], other: np.dtype[Any]) -> bool:
    return (one.names, one.itemsize) == (other.names, other.itemsize) and one.fields == other.fields


def _column(slot: Any, array: Array, made: Array, version: int, group: str) -> None:
    path = f"{group}[].{slot.name}"
    names = array.dtype.names or ()
    if slot.since > version:
        if slot.name in names:
            check_newer(slot, array[slot.name], path, version)
        return
    if slot.name not in names:
        if slot.absent is None:
            raise refusal(path, MISSING, "a column is needed: the field is required")
        made[slot.name] = np.frombuffer(slot.absent, made.dtype[slot.name], 1)[0]
        return
    _copy(slot, array[slot.name], made[slot.name], path, version)
    check_column(slot, array[slot.name], path, np.ones(len(made), bool), version)


def check_newer(slot: Any, column: Array, path: str, version: int) -> None:
    """EncodeError for a value of a field or a member that ``version`` does not have.

    ``path`` has ``[]`` where the number of a row belongs.
    """
    null = nulls(slot, column)
    if not null.all():
        bad = int(np.argmin(null))
        why = f"version {version} of the schema has no such field"
        raise refusal(path.replace("[]", f"[{bad}]", 1), column[bad].tolist(), why)


def _copy(slot: Any, source: Array, target: Array, path: str, version: int) -> None:
    """Values as they are, in the layout of the wire; refused where they don't fit."""
    if target.dtype.names is not None:
        members = {each.name: each for each in slot.members_of_it if each.size}
        if source.dtype.names is None or set(source.dtype.names) != set(members):
            raise refusal(path, MISSING, f"columns {', '.join(members)} are needed")
        for name, member in members.items():
            if member.since <= version:
                _copy(member, source[name], target[name], f"{path}.{name}", version)
        return
    kinds = {"S": "S", "f": "iuf"}.get(target.dtype.kind, "iub")
    if source.dtype.kind not in kinds or source.shape != target.shape:
        what = f"{source.dtype} of shape {source.shape}"
        raise refusal(path, MISSING, f"a column of {target.dtype} is needed, not {what}")
    with np.errstate(all="ignore"):
        target[...] = source.astype(target.dtype)
    same = target == source
    if target.dtype.kind == "f":
        same |= np.isnan(target) & np.isnan(source)
        if source.dtype.kind in "iu":  # numpy compares both as floats
            same &= np.frompyfunc(lambda made, given: made == given, 2, 1)(target, source) == True  # noqa: E712
    if not same.all():
        bad = int(np.argmin(same.reshape(len(same), -1).all(axis=1)))
        why = f"{target.dtype} can't hold it"
        raise refusal(path.replace("[]", f"[{bad}]", 1), source[bad].tolist(), why)


def nulls(slot: Any, column: Array) -> Array:
    """Which values of a column stand for null; what has no null is null where it is zero."""
    if column.dtype.names is not None:
        first = next((each for each in slot.members_of_it if each.size), None)
        return nulls(first, column[first.name]) if first else np.ones(len(column), bool)
    if not len(column):
        return np.ones(0, bool)
    kind, null = slot.facts["kind"], slot.facts.get("null")
    if kind == "set":  # no bits, or all of them where the schema has a name for that
        return np.asarray((column == 0) | (column == np.iinfo(column.dtype).max))
    if kind in ("text", "char"):
        is_null = np.asarray(column == np.zeros(1, column.dtype)[0])
        if kind == "char" and null is not None:  # that is declared beside NUL
            is_null |= np.asarray(column == bytes([int(null) & 0xFF]))
        return is_null
    if kind == "mantissa":
        return np.asarray((column == np.frombuffer(slot.facts_null, np.uint8)).all(axis=1))
    is_null = column == null
    if null is None:  # of floats
        is_null = np.isnan(column)
    return np.asarray(is_null.reshape(len(column), -1).all(axis=1))


def check_column(slot: Any, column: Array, path: str, there: Array, version: int) -> None:
    """EncodeError for a value that the schema does not allow; rows not ``there`` are null.

    ``path`` has ``[]`` where the number of a row belongs.
    """
    facts: Mapping[str, Any] = slot.facts
    kind = facts["kind"]
    wrong, why = np.zeros(len(column), bool), ""
    if kind == "composite":
        if slot.null is not None:
            there = there & ~nulls(slot, column)
        for member in slot.members_of_it:
            if not member.size:
                continue
            inner = f"{path}.{member.name}"
            if member.since > version:
                check_newer(member, column[member.name], inner, version)
            else:
                check_column(member, column[member.name], inner, there, version)
        return
    if kind in ("number", "enum") and facts["type"] in ("float", "double"):
        null = nulls(slot, column)
        low, high = facts.get("min"), facts.get("max")
        wrong = np.zeros(len(column), bool) if facts.get("optional") else null
        if low is not None:
            wrong = wrong | (~null & (column < low))
        if high is not None:
            wrong = wrong | (~null & (column > high))
        why = "outside the range of the schema, or what stands for null"
    elif kind in ("number", "enum"):
        null = column == facts["null"]
        wrong = (column < slot.least) | (column > slot.most) | null
        if facts.get("optional") or (kind == "enum" and slot.names_null):
            wrong &= ~null
        why = f"outside {slot.least} to {slot.most}, or what stands for null"
    elif kind == "char" and not facts.get("optional"):
        wrong, why = column == b"", "the field is required, and NUL stands for null"
    elif kind == "text":
        wrong = np.array([not slot.is_text(each) for each in column.tolist()], bool)
        why = "the bytes are no text in the encoding of the field"
    wrong = wrong & there
    if wrong.any():
        bad = int(np.argmax(wrong))
        raise refusal(path.replace("[]", f"[{bad}]", 1), column[bad].tolist(), why)
