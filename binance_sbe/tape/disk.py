"""What a tape wants of a file system, in one place, so that tests can break it."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

_sync = getattr(os, "fdatasync", os.fsync)


class Disk:
    """Every method raises OSError, as the function of `os` that it stands for."""

    def make_directory(self, path: Path) -> None:
        path.mkdir(parents=True, exist_ok=True)

    def create(self, path: Path, mode: int = 0o644) -> int:
        """A new file, which must not exist; its descriptor."""
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)

    def write(self, fd: int, data: memoryview) -> int:
        """How many bytes were written; not all of them, maybe."""
        return os.write(fd, data)

    def cut(self, fd: int, size: int) -> None:
        os.ftruncate(fd, size)
        os.lseek(fd, size, os.SEEK_SET)

    def sync(self, fd: int) -> None:
        _sync(fd)

    def close(self, fd: int) -> None:
        os.close(fd)

    def remove(self, path: Path) -> None:
        path.unlink()

    def replace(self, path: Path, content: bytes) -> None:
        """The file has this content, or the one before, whatever happens."""
        fresh = path.with_name(f"{path.name}.{os.getpid()}.new")
        try:
            with fresh.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            fresh.replace(path)
        except OSError:
            fresh.unlink(missing_ok=True)
            raise
        self.sync_directory(path.parent)

    def sync_directory(self, path: Path) -> None:
        """A file that was made in it is there after a power cut."""
        if os.name == "nt":
            return
        fd = os.open(path, os.O_RDONLY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)

    def is_there(self, path: Path, fd: int) -> bool:
        """Whether the open file is still the one of that name."""
        try:
            return os.path.samestat(path.stat(), os.fstat(fd))
        except FileNotFoundError:
            return False

    def free(self, path: Path) -> int:
        """Bytes that may still be written there."""
        return shutil.disk_usage(path).free

    @contextlib.contextmanager
    def lock(self, path: Path) -> Iterator[None]:
        """For one process at a time."""
        if fcntl is None:
            yield
            return
        fd = os.open(path, os.O_RDONLY)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            yield
        finally:
            os.close(fd)


DISK = Disk()
