"""The folder of compiled modules: what may be loaded from it, and how modules get into it.

Loading a module runs it. So the folder is refused if others could have put one there. A module is a
folder with the extension and its checksum; it is made beside its place, under a lock, and renamed,
so that what has its name is whole. The checksum says so too: what a full disk or a power failure
has cut is made anew, since the dynamic loader may crash on it.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

_BUILDING = "building-"
_CHECKSUM = "checksum"


def directory() -> Path:
    """Where compiled modules are kept: SBE_CODEGEN_CACHE, or the user's cache."""
    given = os.environ.get("SBE_CODEGEN_CACHE")
    if given:
        return Path(given).expanduser()
    home = os.environ.get("XDG_CACHE_HOME")
    return (Path(home) if home else Path.home() / ".cache") / "sbe-codegen"


def module_file(name: str, make: Callable[[Path], Path]) -> Path:
    """The extension of the module ``name``: as it is kept, or as ``make`` compiles it now.

    ``make`` is given an empty folder whose content is kept, with another around it whose is not,
    and returns the extension that it made there. Other processes wait meanwhile; `loading` lets one
    thread in. Raises PermissionError for a folder that can't be trusted, and OSError where nothing
    can be written.
    """
    place = directory()
    place.mkdir(mode=0o700, parents=True, exist_ok=True)
    place = Path(os.path.realpath(place))
    _trust(place)
    found = _whole(place / name)
    if found is None:
        with _locked(place / f"{name}.lock", wait=True):
            found = _whole(place / name)
            if found is None:
                _clean(place)
                found = _made(place, name, make)
    return found


def _trust(path: Path) -> None:
    """PermissionError where others than this user and root own what is there, or may write to it.

    Nor may anybody put another in its place: of the folders around, those that all may write to are
    sticky, as /tmp is.
    """
    found = path.lstat()
    if found.st_uid not in (os.geteuid(), 0):
        why = f"it belongs to another user (uid {found.st_uid})"
    elif found.st_mode & 0o022:
        why = f"others may write to it (chmod go-w '{path}', if all that is in it is yours)"
    else:
        why = ""
        for each in path.parents:
            mode = each.stat().st_mode
            if mode & stat.S_IWOTH and not mode & stat.S_ISVTX:
                why = f"all may rename it, as '{each}' is not sticky"
    if why:
        sentence = f"compiled modules can't be kept in '{path}': {why}"
        raise PermissionError(f"{sentence}; SBE_CODEGEN_CACHE says where else")


def _whole(folder: Path) -> Path | None:
    """The extension in ``folder``, if it is there as it was made."""
    file = folder / f"{folder.name}{EXTENSION_SUFFIXES[0]}"
    try:
        if (folder / _CHECKSUM).read_text("ascii") != _checksum(file):
            return None
    except (OSError, ValueError):
        return None
    _trust(folder)
    _trust(file)
    return file


def _checksum(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _made(place: Path, name: str, make: Callable[[Path], Path]) -> Path:
    final = place / name
    scratch = Path(tempfile.mkdtemp(prefix=f"{_BUILDING}{name}.", dir=place))
    _made_now.add(scratch)
    try:
        module = scratch / "module"
        module.mkdir(mode=0o700)
        file = make(module)
        file.chmod(0o600)
        (module / _CHECKSUM).write_text(_checksum(file), "ascii")
        if os.path.lexists(final):  # and is not whole
            final.rename(scratch / "damaged")
        with suppress(OSError):  # where nothing can be locked, another may have been faster
            module.rename(final)
    finally:
        _made_now.discard(scratch)
        shutil.rmtree(scratch, ignore_errors=True)
    found = _whole(final)
    if found is None:
        raise OSError(f"'{final}' is not what was written there: is the disk full, or failing?")
    return found


def _clean(place: Path) -> None:
    """Removes what compilers that were killed have left: nobody has their locks any more."""
    for each in set(place.glob(f"{_BUILDING}*.*")) - _made_now:
        name = each.name.removeprefix(_BUILDING).rpartition(".")[0]
        with suppress(OSError), _locked(place / f"{name}.lock", wait=False):
            shutil.rmtree(each)


_held: set[Path] = set()  # the locks of this process, which it may take again
_made_now: set[Path] = set()  # the folders that it is building in, which are no leftovers


@contextmanager
def _locked(path: Path, wait: bool) -> Iterator[None]:
    """One at a time; OSError if ``wait`` is false and it can't be had at once.

    Where files can't be locked, several may compile, and one wins. What is there is not written to,
    and no link is followed.
    """
    if path in _held:
        yield
        return
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    try:
        lock = os.open(path, flags, 0o600)
    except OSError as error:
        if path.is_symlink():
            raise PermissionError(f"'{path}' is a link, and no lock: remove it") from None
        raise error
    _held.add(path)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except OSError:
            if not wait:
                raise
        yield
    finally:
        _held.discard(path)
        with suppress(OSError):
            fcntl.flock(lock, fcntl.LOCK_UN)  # a child that was forked meanwhile has it too
        os.close(lock)
