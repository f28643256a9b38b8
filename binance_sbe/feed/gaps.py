"""Times in which something may have been missed that has no ids to tell by."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Gap:
    """From when to when events may have been missed, ns since 1970, and why."""

    started_ns: int
    ended_ns: int
    cause: str
