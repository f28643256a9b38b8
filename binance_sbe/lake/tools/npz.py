"""One array in a ``.npz``, as `numpy.savez_compressed` writes it, from rows that lie in a file.

`numpy` wants the whole array in memory. With `isal`, where that is installed, compressing takes a
tenth of the time that zlib needs.
"""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any, BinaryIO

import numpy as np

_STEP = 4 << 20
_NAME = b"data.npy"
_MOST = 0xFFFFFFFF
_HEAD = struct.Struct("<4sHHHHHLLLHH")
_ENTRY = struct.Struct("<4sHHHHHHLLLHHHHHLL")
_END64 = struct.Struct("<4sQHHLLQQQQ")
_LOCATOR = struct.Struct("<4sLQL")
_END = struct.Struct("<4sHHHHLLH")
_DATE = (1 << 5) | 1  # 1980-01-01: the same bytes for the same rows


def write(file: BinaryIO, rows: BinaryIO, dtype: np.dtype[Any], count: int) -> None:
    """Writes an archive with the array ``data`` of ``count`` rows, which ``rows`` has end to end.

    It is a zip file with sizes of 64 bits, as numpy makes it.
    """
    head = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        head,
        {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": (count,)},
    )
    codec = _codec()
    crc, size, packed = 0, 0, 0
    # The sizes are not known yet: they follow in a descriptor behind the data (flag 3).
    file.write(_HEAD.pack(b"PK\3\4", 45, 8, 8, 0, _DATE, 0, _MOST, _MOST, len(_NAME), 20))
    file.write(_NAME + struct.pack("<HHQQ", 1, 16, 0, 0))
    begin = _HEAD.size + len(_NAME) + 20
    part = head.getvalue()
    while part:
        crc = zlib.crc32(part, crc)
        size += len(part)
        out = codec.compress(part)
        packed += file.write(out)
        part = rows.read(_STEP)
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


def _codec() -> Any:
    """What compresses: raw deflate, which every zip reader has."""
    try:
        from isal import isal_zlib
    except ImportError:
        return zlib.compressobj(1, zlib.DEFLATED, -15)
    return isal_zlib.compressobj(isal_zlib.ISAL_BEST_SPEED + 1, isal_zlib.DEFLATED, -15)
