"""What a tape wants of a file system, in one place, so that tests can break it."""

from __future__ import annotations

import contextlib
import errno
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
        """A new file, which must not exist, for `is_written`; its descriptor."""
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        if fcntl is not None:
            with contextlib.suppress(OSError):  # file systems without locks
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return fd

    def is_written(self, path: Path) -> bool:
        """Whether somebody, here or in another process, has made the file and not closed it yet."""
        if fcntl is None:
            return False
        try:
            fd = os.open(path, os.O_RDONLY)
        except OSError:
            return False
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            return error.errno in (errno.EWOULDBLOCK, errno.EACCES)
        finally:
            os.close(fd)
        return False

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
