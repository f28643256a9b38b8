"""The list of a recording's files, which tells when one of them is gone."""

from __future__ import annotations

import contextlib
import errno
import json
from collections import Counter
from pathlib import Path
from typing import Any

from ..errors import TapeError
from .disk import DISK, Disk
from .entry import FRAME
from .reading import TapeReader
from .rows import SUFFIX
from .tape_file import TapeFile

NAME = "manifest.json"
_VERSION = 1


def entry(file: TapeFile, recording: str, number: int, is_closed: bool) -> dict[str, Any]:
    """What the list says of a file."""
    return {
        "name": file.path.name,
        "recording": recording,
        "file": number,
        "size": file.size,
        "is_closed": is_closed,
        "rows": file.rows,
        "kinds": file.kinds,
        "first_ns": file.first_ns,
        "last_ns": file.last_ns,
    }


def read(directory: Path) -> dict[str, dict[str, Any]]:
    """Entries by the name of the file; none where there is no manifest that can be understood.

    An entry that does not say what it should is left out, whatever it says.
    """
    return _understood(directory)[1]


def _understood(directory: Path) -> tuple[Any, dict[str, dict[str, Any]]]:
    """The version of the manifest, None where there is none, and the entries of one of ours."""
    version = None
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError, RecursionError):
        found = json.loads((directory / NAME).read_bytes())
        version = found["version"]
        if version == _VERSION:
            return version, {each["name"]: each for each in found["files"] if _is_entry(each)}
    return version, {}


def _to_renew(directory: Path) -> dict[str, dict[str, Any]]:
    """As `read`; OSError where a newer release has written it: it may say more than is known."""
    version, entries = _understood(directory)
    if type(version) is int and version > _VERSION:
        why = f"it is of version {version}, and this release writes {_VERSION}: it is left as it is"
        raise OSError(errno.EEXIST, why, str(directory / NAME))
    return entries


def _is_entry(entry: Any) -> bool:
    return (
        isinstance(entry, dict)
        and isinstance(entry.get("name"), str)
        and isinstance(entry.get("recording", ""), str)
        and isinstance(entry.get("is_closed", False), bool)
        and _is_number(entry.get("file", 0))
        and isinstance(entry.get("kinds", {}), dict)
        and all(map(_is_number, entry.get("kinds", {}).values()))
    )


def _is_number(value: Any) -> bool:
    return type(value) is int and 0 <= value < 2**63


def frames_of(entry: dict[str, Any]) -> int:
    """How many frames a file had when its entry was written."""
    found: int = entry.get("kinds", {}).get(FRAME, 0)
    return found


def renew(directory: Path, disk: Disk = DISK) -> None:
    """Writes it anew, from the files that are there. Raises OSError.

    What it says of files that are gone stays, since nothing else tells of them; but for those that
    were set aside because nothing of them could be kept.
    """
    with disk.lock(directory):
        entries = {
            name: entry
            for name, entry in _to_renew(directory).items()
            if not (directory / f"{name}.damaged").exists()
        }
        for path in sorted(filter(Path.is_file, directory.glob(f"*{SUFFIX}"))):
            with contextlib.suppress(TapeError):
                entries[path.name] = _looked_up(TapeReader(path))
        _write(directory, entries, disk)


def _looked_up(reader: TapeReader) -> dict[str, Any]:
    told = reader.entries
    kinds: Counter[str] = Counter()
    for each in told:
        kinds.update(each["kinds"])
    return {
        "name": reader.name,
        "recording": reader.recording,
        "file": reader.number,
        "size": reader.size,
        "is_closed": reader.has_footer,
        "rows": sum(each["rows"] for each in told),
        "kinds": dict(kinds),
        "first_ns": min((each["first_ns"] for each in told), default=None),
        "last_ns": max((each["last_ns"] for each in told), default=None),
    }


def _write(directory: Path, entries: dict[str, dict[str, Any]], disk: Disk = DISK) -> None:
    """Raises OSError."""
    files = [entries[name] for name in sorted(entries)]
    text = json.dumps({"version": _VERSION, "files": files}, indent=1) + "\n"
    disk.replace(directory / NAME, text.encode())


def note(directory: Path, entry: dict[str, Any], disk: Disk = DISK) -> None:
    """Adds or replaces the entry of one file. Others may do so at the same time."""
    with disk.lock(directory):
        entries = _to_renew(directory)
        entries[entry["name"]] = entry
        _write(directory, entries, disk)
