"""Bodies of HTTP answers, read with a limit that holds after decompression, too."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any

from .errors import FeedError
from .outside import shown

if TYPE_CHECKING:
    import aiohttp

# What to ask with, since aiohttp would offer whatever is installed; it is not to unpack itself.
ACCEPTED = {"Accept-Encoding": "gzip, deflate"}
_CHUNK = 1 << 16
_WINDOWS = {"gzip": 31, "x-gzip": 31, "deflate": 15}  # for zlib


class Unpacking:
    """Makes what was sent of what arrives, piece by piece; ``limit`` bytes of it, and no more.

    Raises FeedError, where the bytes are of an encoding that nobody asked for, or of none.
    """

    def __init__(self, place: str, encoding: str, limit: int) -> None:
        self._place = place
        self._left = self._limit = limit
        self._encoding = name = encoding.strip().lower()
        if name not in ("", "identity") and name not in _WINDOWS:
            raise FeedError(f"{place}: the answer is encoded as {shown(name, 50)}, unasked")
        self._window = _WINDOWS.get(name)
        self._unpacker: Any = None
        self._is_begun = False

    def feed(self, data: bytes) -> list[bytes]:
        """The parts that these bytes add. Never more than the limit is held at a time."""
        if self._window is None:
            return [self._counted(data)]
        parts = []
        try:
            while data:
                if self._unpacker is None:
                    self._unpacker = self._made(data)
                parts.append(self._counted(self._unpacker.decompress(data, self._left + 1)))
                data = self._unpacker.unconsumed_tail or self._unpacker.unused_data
                if self._unpacker.eof:
                    self._unpacker = None  # gzip may go on with another member
        except zlib.error as error:
            why = f"the answer is not {self._encoding}, as it says: {error}"
            failure = FeedError(f"{self._place}: {why}")
        else:
            return parts
        raise failure

    def _made(self, data: bytes) -> Any:
        assert self._window is not None
        is_raw = self._encoding == "deflate" and not self._is_begun and data[0] & 15 != 8
        self._is_begun = True
        return zlib.decompressobj(-15 if is_raw else self._window)

    def _counted(self, part: bytes) -> bytes:
        self._left -= len(part)
        if self._left < 0:
            raise too_large(self._place, self._limit)
        return part

    def end(self) -> None:
        """Nothing more comes."""
        if self._unpacker is not None:
            raise FeedError(
                f"{self._place}: the answer ended in the middle of its {self._encoding}"
            )


def too_large(place: str, limit: int) -> FeedError:
    return FeedError(
        f"{place}: the answer has more than {limit:,} bytes: ask for less, or give a larger "
        "max_size"
    )


async def read(answer: aiohttp.ClientResponse, place: str, limit: int) -> bytes:
    """The body of an answer of a session that does not decompress. Raises FeedError over the limit.

    ``place`` begins errors. Reading stops where the limit is passed.
    """
    unpacking = Unpacking(place, answer.headers.get("Content-Encoding", ""), limit)
    if (answer.content_length or 0) > limit:
        raise too_large(place, limit)
    parts: list[bytes] = []
    async for chunk in answer.content.iter_chunked(_CHUNK):
        parts += unpacking.feed(chunk)
    unpacking.end()
    return b"".join(parts)
