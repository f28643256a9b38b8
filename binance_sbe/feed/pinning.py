"""The processor that a thread runs on."""

from __future__ import annotations

import contextlib
import os
import threading
import warnings


class Pin:
    """This thread runs on one CPU until `undo`; ``before`` is where it ran.

    ValueError for a CPU that this process does not have.
    """

    def __init__(self, cpu: int) -> None:
        if not hasattr(os, "sched_setaffinity"):
            raise ValueError("cpu: this system has no way to pin a thread")
        self.before = os.sched_getaffinity(0)
        if cpu not in self.before:
            has = ", ".join(map(str, sorted(self.before)))
            raise ValueError(f"cpu: there is no CPU {cpu} for this process: it has {has}")
        self._thread = threading.get_native_id()
        os.sched_setaffinity(0, {cpu})

    def undo(self) -> None:
        with contextlib.suppress(ProcessLookupError):  # the thread has ended
            os.sched_setaffinity(self._thread, self.before)


def warn_of_spinning() -> None:
    """RuntimeWarning where a thread that never sleeps would have no core to itself."""
    has = (
        os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else range(os.cpu_count() or 1)
    )
    if len(has) < 2:
        warnings.warn(
            "spin=True takes a whole core, and this process has one only: whatever sends the "
            "events, and the rest of this program, wait for it",
            RuntimeWarning,
            stacklevel=3,
        )
