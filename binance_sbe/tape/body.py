"""The columns of a batch, found in the bytes of its message without an Arrow object for each.

The layout is that of Arrow's "Columnar Format": a body has the buffers of each column, one after
the other, each at a multiple of eight bytes. A compressed buffer begins with its length as it is
without compression, eight bytes, or with -1 where it is not compressed after all.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import flat
from .rows import pyarrow

_COLUMNS = 4
# The buffers of received_ns, connection, kind and frame: the first of each marks its nulls.
_RECEIVED, _CONNECTION, _KIND, _OFFSETS, _DATA = 1, 3, 5, 7, 8
_BUFFERS = 9
_PADDING = 64  # a buffer may be so much longer than what it has to hold
_LONGEST = 2**31 - 1  # offsets are int32
_INT64, _INT32, _UINT16, _UINT8 = map(np.dtype, ("<i8", "<i4", "<u2", "u1"))
_CODECS: dict[str, Any] = {}


class Body:
    """The bytes of a batch's message, ``metadata_length`` and the body behind it."""

    def __init__(self, message: bytes | memoryview, metadata_length: int, rows: int) -> None:
        """ValueError where this is no batch of so many rows, without nulls."""
        self._bytes = message
        self._at = 8 + metadata_length
        layout = flat.read_layout(message[8 : self._at])
        self._codec = None if layout.codec is None else _codec(layout.codec)
        self._buffers = layout.buffers
        if layout.columns != [(rows, 0)] * _COLUMNS or len(layout.buffers) != _BUFFERS or rows < 1:
            raise ValueError(f"not {rows} rows without nulls, as were written")
        self._rows = rows

    def columns(self) -> tuple[NDArray[Any], ...]:
        """received_ns, connection, kind, offsets and data.

        ValueError, and what Arrow's codecs raise, where they are not there.
        """
        n = self._rows
        offsets = self._column(_OFFSETS, _INT32, n + 1)
        return (
            self._column(_RECEIVED, _INT64, n),
            self._column(_CONNECTION, _UINT16, n),
            self._column(_KIND, _UINT8, n),
            offsets,
            self._column(_DATA, _UINT8, int(offsets[-1]), _LONGEST),
        )

    def _column(self, which: int, kind: Any, count: int, most: int | None = None) -> NDArray[Any]:
        if count <= 0:
            return np.empty(0, kind)
        offset, length = self._buffers[which]
        at = self._at + offset
        if offset < 0 or offset % 8 or not 0 <= length <= len(self._bytes) - at:
            raise ValueError(f"a buffer of {length} bytes at {offset} is not in the batch")
        if self._codec is not None and length:
            size = int.from_bytes(self._bytes[at : at + 8], "little", signed=True)
            if size != -1:
                most = count * kind.itemsize + _PADDING if most is None else most
                if not 0 <= size <= most:
                    raise ValueError(f"a buffer of {size} bytes, where at most {most} can be")
                packed = memoryview(self._bytes)[at + 8 : at + length]
                return np.frombuffer(self._codec.decompress(packed, size), kind, count)
            at, length = at + 8, length - 8
        if count * kind.itemsize > length:
            raise ValueError(f"{count} values of {kind} are not within {length} bytes")
        return np.frombuffer(self._bytes, kind, count, at)


def _codec(name: str) -> Any:
    if name not in _CODECS:
        _CODECS[name] = pyarrow().Codec(name)
    return _CODECS[name]
