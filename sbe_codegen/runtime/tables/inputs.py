"""The forms in which many frames can be given to `decode_many`."""

from __future__ import annotations

from typing import Any

import numpy as np


def as_run(frames: Any) -> tuple[Any, Any] | None:
    """``(buffer, offsets)`` where the input is one run of bytes, None where it is a sequence.

    ``frames`` is a list or tuple of buffers, a tuple of a buffer and n + 1 int64 offsets, an Arrow
    ``binary`` or ``large_binary`` array, or one buffer, whose offsets are None. Raises TypeError
    for anything else, ValueError for Arrow arrays with nulls. The offsets are not checked yet, and
    int32 where they are of an Arrow ``binary`` array.
    """
    if _is_arrow(frames):
        return _arrow(frames)
    if isinstance(frames, tuple) and len(frames) == 2 and _is_offsets(frames[1]):
        return frames
    if isinstance(frames, (list, tuple)):
        return None
    try:
        memoryview(frames).release()
    except TypeError:
        raise TypeError(
            "frames is a list or tuple of buffers, a tuple (buffer, int64 offsets), an Arrow "
            f"binary array, or one buffer of messages end to end, not {type(frames).__name__}"
        ) from None
    return frames, None


def _is_offsets(value: Any) -> bool:
    """Whether ``value`` is meant as offsets: an array of numbers that are not bytes."""
    if isinstance(value, list):
        return all(isinstance(item, int) for item in value)
    try:
        view = memoryview(value)
    except TypeError:
        return False
    return view.itemsize > 1


class ArrowOffsets(np.ndarray[Any, Any]):
    """Those of an Arrow array, which may be int32."""


def offsets_of(given: Any) -> np.ndarray[Any, Any]:
    """The offsets as an array in one piece, at least one; it may be the given one.

    Raises TypeError where they are not int64 (Arrow's: or int32) in one dimension. Whether they are
    in order is not looked at.
    """
    if isinstance(given, list):
        raise TypeError("offsets are an int64 array, not a list: np.array(offsets, np.int64)")
    offsets = np.asarray(given)
    is_narrow = isinstance(given, ArrowOffsets) and offsets.dtype == np.int32
    if not (offsets.dtype == np.int64 or is_narrow) or offsets.ndim != 1:
        raise TypeError(
            f"offsets are int64 in one dimension, not {offsets.dtype} in {offsets.ndim}"
        )
    if len(offsets) == 0:
        raise ValueError("offsets has no items: n frames have n + 1 offsets, the first one 0")
    return np.ascontiguousarray(offsets, np.int32 if is_narrow else np.int64)


def checked_offsets(given: Any, size: int) -> np.ndarray[Any, Any]:
    """`offsets_of`, in order inside a buffer of ``size`` bytes, else ValueError."""
    offsets = offsets_of(given)
    falling = np.flatnonzero(offsets[1:] < offsets[:-1])
    if len(falling):
        at = int(falling[0])
        raise ValueError(f"offsets[{at + 1}] = {offsets[at + 1]} is below offsets[{at}]")
    if offsets[0] < 0 or offsets[-1] > size:
        raise ValueError(
            f"offsets go from {offsets[0]} to {offsets[-1]}, and the buffer has {size} bytes"
        )
    return offsets


def _is_arrow(value: Any) -> bool:
    return hasattr(value, "buffers") and hasattr(value, "type") and hasattr(value, "null_count")


def _arrow(array: Any) -> tuple[Any, Any]:
    widths = {"binary": np.int32, "large_binary": np.int64}
    kind = str(array.type)
    if kind not in widths:
        raise TypeError(f"an Arrow array of frames is binary or large_binary, not {kind}")
    if array.null_count:
        raise ValueError(f"{array.null_count} of {len(array)} Arrow values are null, not frames")
    _, ends, data = array.buffers()
    if len(array) == 0:
        return b"", np.zeros(1, np.int64)
    offsets = np.frombuffer(ends, widths[kind])[array.offset : array.offset + len(array) + 1]
    buffer = b"" if data is None else data
    return buffer, offsets.view(ArrowOffsets)
