"""What an archive has, and of which tapes: one record a unit, and what they are together."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sbe_codegen.version import __version__

from ..errors import LakeError
from ..venue.streams import KINDS
from .options import TOOLS, Options
from .store import Store
from .tables import NAMES

if TYPE_CHECKING:
    from .plan import Unit

FOLDER = "_manifest"  # readers of archives leave names with _ alone
ARCHIVE = f"{FOLDER}/archive.json"
_VERSION = 1
_CONTINUES = {NAMES[kind.name] for kind in KINDS.values() if not kind.ids_jump}


@dataclass(frozen=True)
class Part:
    """One file. ``symbols`` is by symbol: rows, first id, last id, time of the first arrival (ns).

    ``flagged`` counts events before which ids are missing.
    """

    path: str
    kind: str
    date: str
    rows: int
    events: int
    flagged: int
    symbols: dict[str, list[int]]


@dataclass
class Record:
    """What came of one unit."""

    unit: str
    tape: str
    recording: str
    first: int  # batches of the file, the last one exclusive
    last: int
    first_ns: int
    mark: str  # `Unit.mark`
    run_up: int  # batches that were read before
    options: str  # `Options.mark`
    frames: int = 0
    rejected: int = 0  # frames that are no messages
    duplicates: dict[str, int] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    parts: list[Part] = field(default_factory=list)

    @classmethod
    def of(cls, unit: Unit, options: Options) -> Record:
        """That of a unit of which nothing is done."""
        span = unit.span
        return cls(
            unit.name, span.path, unit.recording, span.first, span.last, unit.first_ns, unit.mark,
            unit.run_up_size, options.mark,
        )  # fmt: skip

    def place_in(self, folder: str) -> str:
        """Where it is written to."""
        return f"{folder}/unit-{self.unit}.json"

    def write(self, store: Store, folder: str = FOLDER) -> None:
        """Notes that the unit is done: its files are there."""
        told = vars(self) | {"parts": [vars(part) for part in self.parts]}
        place = self.place_in(folder)
        store.write(place, json.dumps(told, separators=(",", ":")).encode())

    @classmethod
    def read(cls, store: Store, place: str) -> Record | None:
        """None where there is none that can be understood: the unit is done again."""
        try:
            found = json.loads(store.read(place) or b"")
            parts = [Part(**each) for each in found.pop("parts")]
            return cls(**found, parts=parts)
        except (ValueError, TypeError, AttributeError, KeyError):
            return None

    def is_of(self, unit: Unit, options: Options) -> bool:
        """Whether it is of just these batches, with this account, and of these options.

        A run-up may have become shorter, where older files were removed.
        """
        same = (self.mark, self.options, self.recording) == (
            unit.mark,
            options.mark,
            unit.recording,
        )
        return same and self.run_up >= unit.run_up_size


@dataclass(frozen=True)
class Seam:
    """Ids of a stream that do not go on from one file to the next, and no hole says so.

    ``is_overlap``: ids come again; else they are missing.
    """

    kind: str
    symbol: str
    last_before: int
    first_after: int
    before: str
    after: str

    @property
    def is_overlap(self) -> bool:
        return self.first_after <= self.last_before

    def __str__(self) -> str:
        what = "come again" if self.is_overlap else "are missing"
        return (
            f"{self.kind} of {self.symbol}: ids {what} between {self.last_before} (the last of "
            f"{self.before}) and {self.first_after} (the first of {self.after}), without a hole"
        )


@dataclass
class Manifest:
    """What `convert` gives. ``failures`` is by unit why it was not converted."""

    url: str
    options: dict[str, Any]
    records: list[Record]
    failures: dict[str, str] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)  # units that are not done, by name
    seams: list[Seam] = field(default_factory=list)
    others: list[str] = field(default_factory=list)  # files of holes, sessions, or of a tool
    damage: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)  # on files that are whole
    book_rows: int = 0

    @property
    def is_whole(self) -> bool:
        """All units are done, and nothing of the tapes was damaged; of a shard: all of its own."""
        return not self.problems

    @property
    def problems(self) -> list[str]:
        """What is not in the archive, in sentences."""
        found = [why for _, why in sorted(self.failures.items())]
        found += [problem for record in self.records for problem in record.problems]
        if self.missing:
            found.append(
                f"{len(self.missing)} units were not done, such as {self.missing[0]}: there is no "
                f"record of them in {self.url} (workers must be able to write there)"
            )
        return list(dict.fromkeys(found + self.damage))

    @property
    def files(self) -> list[str]:
        if self.options["format"] in TOOLS:
            return sorted(self.others)
        return sorted([p.path for r in self.records for p in r.parts] + self.others)

    @property
    def rows(self) -> dict[str, int]:
        """Rows by kind, but for those of the account: `hole` and `session`."""
        found: dict[str, int] = {}
        for record in self.records:
            for part in record.parts:
                found[part.kind] = found.get(part.kind, 0) + part.rows
        return found | ({"book": self.book_rows} if self.book_rows else {})

    @property
    def frames(self) -> int:
        return sum(record.frames for record in self.records)

    @property
    def rejected(self) -> int:
        """Frames that are no messages: they have no rows."""
        return sum(record.rejected for record in self.records)

    @property
    def duplicates(self) -> int:
        """Events that had come before, by another connection."""
        return sum(sum(record.duplicates.values()) for record in self.records)

    def __repr__(self) -> str:
        rows = ", ".join(f"{count} {kind}" for kind, count in self.rows.items()) or "no rows"
        state = "" if self.is_whole else f", {len(self.problems)} problems"
        return f"<Manifest of {self.url}: {rows}{state}>"

    def written(self, store: Store, not_done: Iterable[str] = ()) -> Manifest:
        """Writes it, for people and other programs: `convert` itself goes by the records.

        ``not_done`` are units and files, those of other shards included.
        """
        left = sorted({*self.missing, *self.failures, *not_done})
        told = {
            "version": _VERSION,
            "product": f"binance-sbe {__version__}",
            "options": self.options,
            "is_whole": self.is_whole and not left,
            "rows": self.rows,
            "frames": self.frames,
            "rejected": self.rejected,
            "duplicates": self.duplicates,
            "units": len(self.records),
            "not_done": left,
            "problems": self.problems,
            "seams": [str(seam) for seam in self.seams],
            "remarks": self.remarks,
            "files": self.files,
        }
        store.write(ARCHIVE, json.dumps(told, indent=1).encode())
        return self


def known_files(store: Store) -> list[str]:
    """The files that the archive has: those of units that are done, and what else is noted."""
    told = json.loads(store.read(ARCHIVE) or b"{}").get("files", [])
    known = {name for name in told if unit_of(name) is None}  # of others the records know more
    known.update(part.path for record in records(store) for part in record.parts)
    for name in store.names(FOLDER):
        if name.startswith(f"{FOLDER}/files"):
            known.update(_files_in(store.read(name) or b"{}"))
    return sorted(known)


def _files_in(content: bytes) -> Iterable[str]:
    try:
        return [name for job in json.loads(content)["jobs"] for name in job["files"]]
    except (ValueError, KeyError, AttributeError, TypeError):
        return []


def files_of(store: Store) -> list[str]:
    """All files that are there of the archive, also what an interrupted conversion has left."""
    try:
        known = set(known_files(store))
    except (ValueError, AttributeError):
        known = set()
    return [n for n in store.names() if n in known or n.startswith(("kind=", "_stage"))]


_UNIT = re.compile(r".*/part-([0-9a-f]{8}-[0-9]{4,}-[0-9]{6,})-[0-9]+\.[a-z.]+")


def unit_of(name: str) -> str | None:
    """The unit that a file is of, by its name; None for one of no unit."""
    found = _UNIT.fullmatch(name)
    return found and found[1]


def archive_options(store: Store) -> dict[str, Any] | None:
    """The options of the archive that is there; None where none is."""
    content = store.read(ARCHIVE)
    if content is None:
        return None
    try:
        found: dict[str, Any] = json.loads(content)["options"]
        found["format"]  # without which nothing of it can be read
    except (ValueError, KeyError, TypeError):
        raise LakeError(f"{store.place(ARCHIVE)}: not the manifest of an archive") from None
    return found


def records(store: Store, folder: str = FOLDER) -> list[Record]:
    """Those of all units that were ever done, by time."""
    found = [
        Record.read(store, name)
        for name in store.names(folder)
        if name.startswith(f"{folder}/unit-")
    ]
    return sorted((r for r in found if r is not None), key=lambda r: (r.first_ns, r.unit))


def seams(found: Iterable[Record], holes: Mapping[str, Any]) -> list[Seam]:
    """Where ids do not go on over the edges of files, workers and days.

    ``holes`` is by stream the ascending first ids behind holes: what these explain is none.
    """
    latest: dict[tuple[str, str], tuple[int, str]] = {}
    result = []
    for record in found:
        for part in sorted(record.parts, key=lambda each: each.date):
            if part.kind not in _CONTINUES:
                continue
            for symbol, (_, first, last, _) in part.symbols.items():
                key = part.kind, symbol
                before = latest.get(key)
                if before is not None and first != before[0] + 1:
                    stream = f"{symbol.lower()}@{part.kind}"
                    known = holes.get(stream, ())
                    if first not in known:
                        seam = Seam(part.kind, symbol, before[0], first, before[1], part.path)
                        result.append(seam)
                latest[key] = last, part.path
    return result
