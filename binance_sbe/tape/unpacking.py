"""Buffers without compression, as Arrow's IPC format compresses them.

Arrow's codec makes a new context of zstd for each buffer, which takes 20 us; a batch has five. The
package zstandard keeps one. Without it Arrow's is used.
"""

from __future__ import annotations

import threading
from typing import Any

from .rows import pyarrow

zstandard: Any
try:
    import zstandard
except ImportError:
    zstandard = None

_UNKNOWN = -1  # what `frame_content_size` says where a frame does not


class _Contexts(threading.local):
    """One a thread: none may be used by two at a time."""

    def __init__(self) -> None:
        self.zstd = zstandard.ZstdDecompressor()


_contexts = None if zstandard is None else _Contexts()
_codecs: dict[str, Any] = {}


def unpacked(codec: str, packed: memoryview, size: int) -> Any:
    """The ``size`` bytes that were compressed with "zstd" or "lz4", as a bytes-like object.

    ValueError, and what Arrow raises, where they are not: no more memory is taken than for them.
    """
    if codec == "zstd" and _contexts is not None:
        try:
            if zstandard.frame_content_size(packed) not in (size, _UNKNOWN):
                raise ValueError(f"a compressed buffer has other bytes than the {size} it claims")
            found = _contexts.zstd.decompress(packed, max_output_size=size)
        except zstandard.ZstdError as error:
            raise ValueError(f"a compressed buffer is damaged: {error}") from None
        if len(found) != size:
            raise ValueError(f"a compressed buffer has {len(found)} bytes, and claims {size}")
        return found
    if codec not in _codecs:
        _codecs[codec] = pyarrow().Codec(codec)
    return _codecs[codec].decompress(packed, size)
