"""The files of a tape that are open while it is read."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from pathlib import Path

from .mapping import GRANULARITY, Mapping

WINDOW = 16 << 20  # bytes of a file that are mapped at a time, or as many as one batch has


class Held:
    """A file that is open until nobody reads in it any more."""

    _window: tuple[int, Mapping] | None = None  # where in the file it begins

    def __init__(self, path: Path) -> None:
        self.fd = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
        found = os.fstat(self.fd)
        self.identity = found.st_dev, found.st_ino
        self.size = found.st_size
        self._lock = threading.Lock()

    def __del__(self) -> None:
        if hasattr(self, "fd"):
            os.close(self.fd)

    def read(self, at: int, size: int) -> bytes:
        """So many bytes, or those that there are."""
        parts: list[bytes] = []
        while size > 0 and (part := self._part(at, min(size, 1 << 30))):
            if len(part) == size and not parts:
                return part
            parts.append(part)
            at += len(part)
            size -= len(part)
        return b"".join(parts)

    def mapped(self, at: int, size: int) -> memoryview | None:
        """The same where it lies; None where the file has become shorter since it was opened.

        It is good as long as somebody has it. A file that is made shorter while it is looked at
        ends the process, as with any map: who may meet that reads instead.
        """
        if os.fstat(self.fd).st_size < self.size:
            return None
        window = self._window
        if window is None or not 0 <= at - window[0] <= len(window[1]) - size:
            begin = at - at % GRANULARITY
            length = min(max(WINDOW, at + size - begin), self.size - begin)
            self._window = window = begin, Mapping(self.fd, begin, length)
        return window[1].part(at - window[0], size)

    def _part(self, at: int, size: int) -> bytes:
        if hasattr(os, "pread"):
            return os.pread(self.fd, size, at)
        with self._lock:
            os.lseek(self.fd, at, os.SEEK_SET)
            return os.read(self.fd, size)


class Pool:
    """The files of a tape that are open: a few of them, those that were read last.

    ``maps`` says whether they may be mapped.
    """

    def __init__(self, maps: bool = True, most: int = 8) -> None:
        self.maps = maps
        self._most = most
        self._lock = threading.Lock()
        self._held: OrderedDict[Path, Held] = OrderedDict()
        self.is_closed = False

    def held(self, path: Path) -> Held:
        """Raises OSError, and ValueError once the pool is closed."""
        with self._lock:
            if self.is_closed:
                raise ValueError("the tape is closed")
            found = self._held.get(path) or Held(path)
            self._held[path] = found
            self._held.move_to_end(path)
            while len(self._held) > self._most:
                self._held.popitem(last=False)
            return found

    def close(self) -> None:
        with self._lock:
            self.is_closed = True
            self._held.clear()
