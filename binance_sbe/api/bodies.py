"""Bodies of HTTP answers, read with a limit that holds after decompression, too."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any

from ..errors import FeedError
from ..output import shown

if TYPE_CHECKING:
    import aiohttp

# What to ask with, since aiohttp would offer whatever is installed; it is not to unpack itself.
ACCEPTED = {"Accept-Encoding": "gzip, deflate"}
_CHUNK = 1 << 16
_WINDOWS = {"gzip": 31, "x-gzip": 31, "deflate": 15}  # for zlib


class Unpacking:
    """Makes what was sent of what arrives, piece by piece: ``body``, of ``limit`` bytes at most.

    Raises FeedError, also where the bytes are of an encoding that nobody asked for, or of none.
    """

    def __init__(self, place: str, encoding: str, limit: int) -> None:
        self.body = bytearray()
        self._place = place
        self._limit = limit
        self._encoding = name = encoding.strip().lower()
        if name not in ("", "identity") and name not in _WINDOWS:
            raise FeedError(f"{place}: the answer is encoded as {shown(name, 50)}, unasked")
        self._window = _WINDOWS.get(name)
        self._unpacker: Any = None
        self._is_begun = False

    def feed(self, data: bytes) -> None:
        """Never makes more than the limit, whatever is in these bytes."""
        if self._window is None:
            self._add(data)
            return
        failure = ""
        while data:
            if self._unpacker is None:
                self._unpacker = self._made(data)
            try:
                part = self._unpacker.decompress(data, self._limit - len(self.body) + 1)
            except zlib.error as error:
                failure = f"the answer is not {self._encoding}, as it says: {error}"
                break
            self._add(part)
            data = self._unpacker.unconsumed_tail or self._unpacker.unused_data
            if self._unpacker.eof:
                self._unpacker = None  # gzip may go on with another member
        if failure:
            raise FeedError(f"{self._place}: {failure}")

    def _made(self, data: bytes) -> Any:
        assert self._window is not None
        is_raw = self._encoding == "deflate" and not self._is_begun and data[0] & 15 != 8
        self._is_begun = True
        return zlib.decompressobj(-15 if is_raw else self._window)

    def _add(self, part: bytes) -> None:
        if len(self.body) + len(part) > self._limit:
            raise too_large(self._place, self._limit)
        self.body += part

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
    async for chunk in answer.content.iter_chunked(_CHUNK):
        unpacking.feed(chunk)
    unpacking.end()
    return bytes(unpacking.body)
