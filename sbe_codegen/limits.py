"""What a schema may take, so that one that was made to hurt is refused in time.

All limits are many times what the largest schemas in use need. Those on files and elements hold
for all files of a schema together, each counted as often as it is included.
"""

from __future__ import annotations

import os
import stat
import time
from pathlib import Path

from .errors import Place, SchemaTooLarge

BYTES = 16 * 2**20  # a hundred times the largest schema in use
FILES = 100
FILES_DEEP = 16  # includes inside includes
ELEMENTS = 200_000
VALUES = 100_000  # of all fields, members of composites counted in each
FAULTS = 1_000  # that are told; one more ends the search
GUESSES = 20  # of what a fault may have meant
NAME = 255  # characters of one
ALIKE = 20  # names at one place that are one name in Python
VERSIONS = 250  # that one block got fields in
SECONDS = 10.0  # of this thread's time on a processor: to read, to resolve, and to render


class Budget:
    """The time, and the values, that are left for a schema."""

    def __init__(self) -> None:
        self.end = time.thread_time() + SECONDS
        self.values = 0

    def check(self, place: Place) -> None:
        """To be called for each element. Raises SchemaTooLarge when the time is over."""
        if time.thread_time() > self.end:
            sentence = f"the schema takes more than {SECONDS:.0f} s to read up to here"
            raise SchemaTooLarge(*place, "", f"{sentence}: it is too large, or made to be slow")

    def spend(self, place: Place, values: int, text: str) -> None:
        """A field of so many values, with ``text`` to say of it. Raises SchemaTooLarge."""
        self.values += values + len(text) // 100
        if self.values > VALUES:
            sentence = f"the fields up to here have more than {VALUES} values, or as many lines"
            raise SchemaTooLarge(*place, "", f"{sentence} of description: no SBE schema does")


def content(path: Path, most: int) -> bytes:
    """At most ``most + 1`` bytes of a regular file; nothing else is opened, or waited for.

    Raises OSError, and ValueError for a path that no file can have.
    """
    if not stat.S_ISREG(path.stat().st_mode):
        raise OSError(0, "it is no regular file")
    # What is in its place by now may be another thing: a pipe would be waited for.
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
    with os.fdopen(os.open(path, flags), "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(0, "it is no regular file")
        return file.read(most + 1)
