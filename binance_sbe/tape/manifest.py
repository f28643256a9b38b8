"""The list of a recording's files, which spares a look into each of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from .disk import DISK, Disk
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
    """Entries by the name of the file; none where there is no manifest that can be understood."""
    try:
        found = json.loads((directory / NAME).read_bytes())
        if found["version"] != _VERSION:
            return {}
        return {entry["name"]: entry for entry in found["files"] if isinstance(entry["name"], str)}
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return {}


def write(directory: Path, entries: dict[str, dict[str, Any]], disk: Disk = DISK) -> None:
    """Raises OSError."""
    files = [entries[name] for name in sorted(entries)]
    text = json.dumps({"version": _VERSION, "files": files}, indent=1) + "\n"
    disk.replace(directory / NAME, text.encode())


def note(directory: Path, entry: dict[str, Any], disk: Disk = DISK) -> None:
    """Adds or replaces the entry of one file. Others may do so at the same time."""
    with disk.lock(directory):
        entries = read(directory)
        entries[entry["name"]] = entry
        write(directory, entries, disk)
