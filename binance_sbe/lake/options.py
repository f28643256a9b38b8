"""What an archive is to be like; the same for every part of it, and kept in its manifest."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from ..errors import LakeError
from .numbers import NUMBERS
from .tables import LEVELS, NAMES

TABLES = ("parquet", "arrow", "csv")  # formats that are the archive itself
STREAMS_OF_FRAMES = ("jsonl", "pcapng")  # those that have the frames, in the order of their arrival
TOOLS = ("tardis", "hftbacktest", "nautilus")
FORMATS = (*TABLES, *STREAMS_OF_FRAMES, *TOOLS)
ALWAYS = ("hole", "session")  # kinds that every archive of tables has
KINDS = (*NAMES.values(), "snapshot", "book", *ALWAYS)
DEFAULT_KINDS = (*NAMES.values(), "snapshot")
ROWS = 122_880  # of a group, which is what DuckDB reads at a time
_MOST_LEVELS = 5000
_OF_TOOLS = {"nautilus": {"precisions"}}


@dataclass(frozen=True)
class Options:
    """Checked when they are made. ``book_every`` is in microseconds; 0: whenever it has changed."""

    format: str = "parquet"
    numbers: str = "float64"
    scale: int = 8
    levels: str = "flat"
    kinds: tuple[str, ...] = DEFAULT_KINDS
    partition_by: str | None = None
    book_levels: int = 10
    book_every: int = 1_000_000
    rows: int = 2 * ROWS
    compression: str | None = "zstd"
    tool: Mapping[str, Any] = field(default_factory=dict)  # options of a tool's format

    def __post_init__(self) -> None:
        for name, known in (("format", FORMATS), ("numbers", NUMBERS), ("levels", LEVELS)):
            if getattr(self, name) not in known:
                said = ", ".join(known)
                raise LakeError(f"{name} is one of {said}, not {getattr(self, name)!r}")
        if self.partition_by not in (None, "symbol"):
            raise LakeError(f"partition_by is 'symbol' or None, not {self.partition_by!r}")
        if not 0 <= self.scale <= 18:
            raise LakeError(f"scale is from 0 to 18, not {self.scale}")
        if not 1 <= self.book_levels <= _MOST_LEVELS:
            raise LakeError(f"book_levels is from 1 to {_MOST_LEVELS}, not {self.book_levels}")
        if self.book_every < 0:
            raise LakeError("book_every is a time, or 0 for every change")
        if self.rows < 1:
            raise LakeError(f"rows is at least 1, not {self.rows}")
        if not self.kinds:
            raise LakeError(f"kinds is empty: name some of {', '.join(KINDS)}")
        for kind in self.kinds:
            if kind not in KINDS:
                raise LakeError(f"there is no kind {kind!r}; kinds are {', '.join(KINDS)}")
        self._check_together()

    def _check_together(self) -> None:
        """Options that contradict."""
        given = self.format
        unknown = set(self.tool) - _OF_TOOLS.get(given, set())
        if unknown:
            known = ", ".join(sorted(_OF_TOOLS.get(given, set()))) or "none of its own"
            raise TypeError(f"{sorted(unknown)[0]!r} is no option of {given}, which has {known}")
        if given == "csv" and self.levels == "nested":
            raise LakeError("csv has no lists: levels='nested' is for parquet and arrow")
        if given in TABLES:
            return
        if self.numbers != "float64":
            raise LakeError(f"numbers is for {', '.join(TABLES)}: {given} says how it has them")
        if self.levels != "flat":
            raise LakeError(f"levels is for parquet and arrow, not for {given}")
        if self.partition_by is not None:
            raise LakeError(f"partition_by is for {', '.join(TABLES)}, not for {given}")

    @classmethod
    def of(cls, kinds: Iterable[str] | None = None, **given: Any) -> Options:
        """``kinds`` in any order, each once; None: all but the kept book."""
        if kinds is None:
            return cls(**given)
        if isinstance(kinds, str):
            raise TypeError(f"kinds are given one by one, not as the str {kinds!r}")
        wanted = set(kinds)
        form = given.get("format", cls.format)
        if form in (*TOOLS, "pcapng"):
            raise LakeError(f"kinds is for {', '.join(TABLES)} and jsonl: {form} has what it knows")
        if form == "jsonl" and not wanted <= {*NAMES.values()}:
            which = sorted(wanted - {*NAMES.values()})[0]
            raise LakeError(
                f"jsonl has what came of the streams, {', '.join(NAMES.values())}, and no {which!r}"
            )
        known = [kind for kind in KINDS if kind in wanted]
        return cls(kinds=(*known, *sorted(wanted - {*KINDS})), **given)

    def as_json(self) -> dict[str, Any]:
        """As it comes back from JSON."""
        found: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        return found

    @property
    def mark(self) -> str:
        """The same for the same options."""
        text = json.dumps(self.as_json(), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]
