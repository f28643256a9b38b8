"""One array in a ``.npz``, as `numpy.savez_compressed` writes it, of which little is in memory.

`numpy` wants the whole array in memory. With `isal`, where that is installed, compressing takes a
tenth of the time that zlib needs.
"""

from __future__ import annotations

import io
import struct
import tempfile
import zlib
from collections.abc import Iterator
from itertools import chain
from types import TracebackType
from typing import Any, BinaryIO

import numpy as np

_STEP = 4 << 20  # bytes, as all sizes here
_IN_MEMORY = 64 << 20
_NAME = b"data.npy"
_MOST = 0xFFFFFFFF
_HEAD = struct.Struct("<4sHHHHHLLLHH")
_ENTRY = struct.Struct("<4sHHHHHHLLLHHHHHLL")
_END64 = struct.Struct("<4sQHHLLQQQQ")
_LOCATOR = struct.Struct("<4sLQL")
_END = struct.Struct("<4sHHHHLLH")
_DATE = (1 << 5) | 1  # 1980-01-01: the same bytes for the same rows


class Spool:
    """Rows end to end, of which it is not known yet how many there will be.

    They are kept in memory as they are given, and from 64 MiB on in a file that has no name.
    """

    def __init__(self, dtype: np.dtype[Any]) -> None:
        self.dtype = dtype
        self.count = 0
        self._parts: list[np.ndarray[Any, Any]] = []
        self._file: BinaryIO | None = None

    def __enter__(self) -> Spool:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        if self._file is not None:
            self._file.close()

    def add(self, rows: np.ndarray[Any, Any]) -> None:
        self.count += len(rows)
        self._parts.append(rows)
        if self.count * self.dtype.itemsize > _IN_MEMORY:
            if self._file is None:
                self._file = tempfile.TemporaryFile()  # noqa: SIM115 - closed with this
            for part in self._parts:
                self._file.write(part.view(np.uint8).data)
            self._parts.clear()

    def bytes(self) -> Iterator[Any]:
        """All of them, in pieces; it may be asked once, when all are there."""
        if self._file is not None:
            self._file.seek(0)
            while part := self._file.read(_STEP):
                yield part
        for rows in self._parts:
            yield rows.view(np.uint8).data


def write(file: BinaryIO, rows: Spool) -> None:
    """Writes an archive with the array ``data`` of these rows.

    It is a zip file with sizes of 64 bits, as numpy makes it.
    """
    head = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        head,
        {
            "descr": np.lib.format.dtype_to_descr(rows.dtype),
            "fortran_order": False,
            "shape": (rows.count,),
        },
    )
    codec, crc32 = _codec()
    crc, size, packed = 0, 0, 0
    # The sizes are not known yet: they follow in a descriptor behind the data (flag 3).
    file.write(_HEAD.pack(b"PK\3\4", 45, 8, 8, 0, _DATE, 0, _MOST, _MOST, len(_NAME), 20))
    file.write(_NAME + struct.pack("<HHQQ", 1, 16, 0, 0))
    begin = _HEAD.size + len(_NAME) + 20
    for part in chain([head.getvalue()], rows.bytes()):
        crc = crc32(part, crc)
        size += len(part)
        packed += file.write(codec.compress(part))
    packed += file.write(codec.flush())
    file.write(struct.pack("<4sLQQ", b"PK\7\x08", crc, packed, size))
    at = begin + packed + 24
    more = struct.pack("<HHQQ", 1, 16, size, packed)
    entry = _ENTRY.pack(
        b"PK\1\2", 45, 45, 8, 8, 0, _DATE, crc, _MOST, _MOST, len(_NAME), len(more), 0, 0, 0, 0, 0
    )  # fmt: skip
    file.write(entry + _NAME + more)
    length = len(entry) + len(_NAME) + len(more)
    file.write(_END64.pack(b"PK\6\6", 44, 45, 45, 0, 0, 1, 1, length, at))
    file.write(_LOCATOR.pack(b"PK\6\7", 0, at + length, 1))
    file.write(_END.pack(b"PK\5\6", 0, 0, 1, 1, length, min(at, _MOST), 0))


def _codec() -> tuple[Any, Any]:
    """What compresses: raw deflate, which every zip reader has; and the check sum."""
    try:
        from isal import isal_zlib
    except ImportError:
        return zlib.compressobj(1, zlib.DEFLATED, -15), zlib.crc32
    level = isal_zlib.ISAL_BEST_SPEED + 1
    return isal_zlib.compressobj(level, isal_zlib.DEFLATED, -15), isal_zlib.crc32
