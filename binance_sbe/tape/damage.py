"""What is wrong between the batches of a file, or within one."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Damage:
    """Bytes of a file that are no batch, or a batch that is not as it was written.

    ``rows`` and ``frames`` (SBE messages) are lost with it, None where nothing tells how many.
    """

    file: str
    begin: int
    end: int
    why: str
    rows: int | None
    frames: int | None

    def __str__(self) -> str:
        lost = "frames that nobody can count" if self.frames is None else f"{self.frames} frames"
        return f"{self.file}: bytes {self.begin} to {self.end}: {self.why}; {lost} are lost"
