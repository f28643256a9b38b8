"""How a recording is written, checked once."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from .tape_file import COMPRESSIONS

MEGABYTE = 1 << 20


@dataclass(frozen=True)
class Recording:
    """Where to record, and how: what ``record=`` of `connect` takes beside a plain path.

    - ``path``: the directory, which is made if it is not there. What is in it stays as it is.
    - ``rotate_seconds``, ``rotate_bytes``: a new file begins at each full multiple of so many
      seconds (UTC), and before a file grows beyond so many bytes
    - ``durability``: when what was written is synchronised with the disk: "batch", after each
      batch; seconds, at the latest so long after; "os", when the operating system likes
    - ``batch_rows``, ``batch_seconds``: a batch is written with so many rows, or after so long
    - ``compression``: "zstd" (level 1), "lz4", or None: files that are read where they lie
    - ``memory_limit``: bytes that may wait for the disk; what comes then is not recorded, counted,
      and noted on the tape as a hole of its own
    - ``min_free``: with less free on the disk nothing is written
    - ``on_failure``: whether the feed goes on when the disk fails ("continue"), or ends ("raise")

    ValueError for what can't be.
    """

    path: str | os.PathLike[str]
    rotate_seconds: float = 3600.0
    rotate_bytes: int = 512 * MEGABYTE
    durability: float | Literal["batch", "os"] = 1.0
    batch_rows: int = 2000
    batch_seconds: float = 0.1
    compression: Literal["zstd", "lz4"] | None = "zstd"
    memory_limit: int = 64 * MEGABYTE
    min_free: int = 256 * MEGABYTE
    on_failure: Literal["continue", "raise"] = "continue"

    def __post_init__(self) -> None:
        if not os.fspath(self.path):
            raise ValueError("path is the directory to record into, not an empty text")
        for name in ("rotate_seconds", "batch_seconds"):
            value = getattr(self, name)
            if not (isinstance(value, int | float) and 0.001 <= value < 1e9):
                raise ValueError(f"{name} is a number of seconds, 0.001 at least, not {value!r}")
        if self.durability not in ("batch", "os") and not (
            isinstance(self.durability, int | float) and 0 < self.durability < math.inf
        ):
            raise ValueError(
                f"durability is 'batch', 'os' or a number of seconds, not {self.durability!r}"
            )
        if self.compression not in COMPRESSIONS:
            raise ValueError(f"compression is 'zstd', 'lz4' or None, not {self.compression!r}")
        if self.on_failure not in ("continue", "raise"):
            raise ValueError(f"on_failure is 'continue' or 'raise', not {self.on_failure!r}")
        least = {"rotate_bytes": MEGABYTE, "batch_rows": 1, "memory_limit": MEGABYTE, "min_free": 0}
        for name, most in least.items():
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < most:
                raise ValueError(f"{name} is a whole number, {most} at least, not {value!r}")
        if self.batch_rows > 1_000_000:
            raise ValueError(f"batch_rows is 1,000,000 at most, not {self.batch_rows}")

    @property
    def directory(self) -> Path:
        return Path(self.path)
