"""Where an archive is written to: a directory, or whatever else fsspec has a URL for.

A file appears under its name when it is whole, or not at all.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from sbe_codegen.extras import imported

from ..errors import LakeError

_WHOLE_ON_CLOSE = frozenset({"s3", "s3a", "gs", "gcs", "abfs", "az"})  # stores of objects
TEMPORARY = ".tmp"  # files that end so were not finished, and are none


class Store:
    """Files below one place, by their names with ``/``; it is pickled as its URL."""

    def __init__(self, url: str | os.PathLike[str]) -> None:
        self.url = os.fspath(url)
        is_url = "://" in self.url or self.url.startswith(("memory:", "file:"))
        self._fs: Any = None
        if is_url:
            fsspec = imported("fsspec", f"{self.url!r}, which is a URL,", "lake")
            self._fs, self.root = fsspec.core.url_to_fs(self.url)
            if "file" in _protocols(self._fs):
                self._fs = None
        else:
            self.root = self.url

    def __reduce__(self) -> tuple[Any, ...]:
        return Store, (self.url,)

    def __repr__(self) -> str:
        return f"Store({self.url!r})"

    @property
    def is_local(self) -> bool:
        return self._fs is None

    @property
    def filesystem(self) -> Any:
        """The fsspec file system; None for a directory of this machine."""
        return self._fs

    def place(self, name: str) -> str:
        """Where a file is: a path of the file system."""
        return f"{self.root.rstrip('/')}/{name}"

    @contextmanager
    def writing(self, name: str) -> Iterator[BinaryIO]:
        """A file to write to, which takes its name when the block has ended well.

        Raises OSError, and then nothing is left of it.
        """
        place = self.place(name)
        if self._fs is None:
            with self._writing_here(Path(place)) as file:
                yield file
            return
        is_whole = not _WHOLE_ON_CLOSE.isdisjoint(_protocols(self._fs))
        wanted = place if is_whole else f"{place}.{secrets.token_hex(4)}{TEMPORARY}"
        self._fs.makedirs(place.rpartition("/")[0], exist_ok=True)
        file = self._fs.open(wanted, "wb")
        try:
            yield file
            file.close()
        except BaseException:
            with contextlib.suppress(Exception):  # what went wrong first is told
                if is_whole:
                    file.discard()
                else:
                    file.close()
                    self._fs.rm(wanted)
            raise
        if not is_whole:
            self._fs.mv(wanted, place)

    @contextmanager
    def _writing_here(self, path: Path) -> Iterator[BinaryIO]:
        path.parent.mkdir(parents=True, exist_ok=True)
        other = path.with_name(f".{path.name}.{secrets.token_hex(4)}{TEMPORARY}")
        try:
            with other.open("xb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            other.replace(path)
        except BaseException as error:
            with contextlib.suppress(OSError):
                other.unlink()
            if isinstance(error, OSError) and error.filename is None:
                error.filename = os.fspath(path)  # what is full is the disk of this file
            raise
        directory = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)

    def rename(self, name: str, other: str) -> None:
        """Gives a file that is whole another name."""
        if self._fs is None:
            Path(self.place(name)).replace(self.place(other))
        else:
            self._fs.mv(self.place(name), self.place(other))

    def write(self, name: str, content: bytes) -> None:
        with self.writing(name) as file:
            file.write(content)

    def read(self, name: str) -> bytes | None:
        """What is in a file; None where there is none."""
        try:
            if self._fs is None:
                return Path(self.place(name)).read_bytes()
            found: bytes = self._fs.cat_file(self.place(name))
            return found
        except FileNotFoundError:
            return None
        except OSError as error:
            raise LakeError(f"{self.place(name)}: {error.strerror or error}") from None

    def opened(self, name: str) -> Any:
        """A file to read from."""
        if self._fs is None:
            return Path(self.place(name)).open("rb")
        return self._fs.open(self.place(name), "rb")

    def size(self, name: str) -> int | None:
        """Bytes of a file; None where there is none."""
        try:
            if self._fs is None:
                return Path(self.place(name)).stat().st_size
            return int(self._fs.size(self.place(name)))
        except FileNotFoundError:
            return None

    def names(self, below: str = "") -> list[str]:
        """The names of all files, in order; those that were not finished are none."""
        if self._fs is None:
            root = Path(self.place(below)) if below else Path(self.root)
            found = [p for p in root.rglob("*") if p.is_file()] if root.is_dir() else []
            names = [p.relative_to(self.root).as_posix() for p in found]
        else:
            top = self.place(below) if below else self.root
            prefix = self._fs._strip_protocol(self.root).rstrip("/") + "/"
            names = [each.removeprefix(prefix) for each in self._fs.find(top)]
        return sorted(name for name in names if not name.endswith(TEMPORARY))

    def remove(self, name: str) -> None:
        """Removes a file, if it is there, and directories that are empty then."""
        with contextlib.suppress(FileNotFoundError):
            if self._fs is not None:
                self._fs.rm_file(self.place(name))
                return
            path = Path(self.place(name))
            path.unlink()
            for parent in path.parents:
                if parent == Path(self.root):
                    break
                try:
                    parent.rmdir()
                except OSError:
                    break

    def remove_root(self) -> None:
        """Removes the directory itself with what is empty in it; URLs have none."""
        if self._fs is None:
            shutil.rmtree(self.root, ignore_errors=True)

    def sweep(self, parts: Iterable[str] | None = None) -> None:
        """Removes what writers left that were killed: all of it, or of files that begin so."""
        begins = None if parts is None else tuple(parts)

        def is_left(name: str) -> bool:
            return name.endswith(TEMPORARY) and (
                begins is None or name.removeprefix(".").startswith(begins)
            )

        if self._fs is None:
            for path in Path(self.root).rglob(f"*{TEMPORARY}"):
                if is_left(path.name):
                    path.unlink(missing_ok=True)
            return
        for each in self._fs.find(self.root) if self._fs.exists(self.root) else []:
            if is_left(each.rpartition("/")[2]):
                self._fs.rm_file(each)


def _protocols(fs: Any) -> set[str]:
    return {fs.protocol} if isinstance(fs.protocol, str) else set(fs.protocol)
