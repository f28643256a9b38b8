"""Several schemas on one wire: each frame goes to the decoder of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import combinations, pairwise
from types import ModuleType
from typing import Any, Literal

import numpy as np

from .errors import DecodeError, SchemaMismatch, UnknownName
from .framing.packets import Loss, PacketLayout
from .tables.inputs import as_run, checked_offsets
from .tables.numbered import Numbered, numbered, renumbered
from .tables.results import Batch
from .tables.symbols import Symbols, checked

Choose = Callable[[Any, int], ModuleType | None]
Versioned = tuple[ModuleType, range]


@dataclass(frozen=True)
class DispatchedBatch(Mapping[ModuleType, Batch]):
    """A Batch for each module that frames came for, in the order in which the modules were given.

    In all of them ``frame`` is the index in the whole input. ``unknown`` are the errors of frames
    for which there is no module, with their ``frame``; so rows, rejected ones and unknown ones are
    together the frames that were given. ``losses`` is what of packets is in no frame.
    """

    batches: dict[ModuleType, Batch]
    frame_count: int
    unknown: list[DecodeError] = field(default_factory=list)
    losses: tuple[Loss, ...] = ()

    def __getitem__(self, module: ModuleType) -> Batch:
        try:
            return self.batches[module]
        except KeyError:
            known = ", ".join(each.__name__ for each in self.batches) or "none"
            raise UnknownName(f"no frame was of {module!r} (of these were some: {known})") from None

    def __iter__(self) -> Iterator[ModuleType]:
        return iter(self.batches)

    def __len__(self) -> int:
        return len(self.batches)


class Dispatcher:
    """Decodes frames of several schemas, each by the module of its own.

    ``modules`` are generated modules. A frame goes to the one with its schema id. Where several
    have the same, they differ in version: the frame goes to the oldest of those that are not older
    than it, or to the newest; or each is given as ``(module, range of versions)``, and then no
    other versions go there. All must have the same header. ``choose(frame, offset)`` replaces all
    of this: it returns the module, or None where there is none.

    Raises ValueError where it can't be told which of them a frame is for.
    """

    def __init__(
        self,
        modules: Iterable[ModuleType | Versioned],
        choose: Choose | None = None,
        *,
        layout: PacketLayout | None = None,
    ) -> None:
        pairs = [_versioned(each) for each in modules]
        if not pairs:
            raise ValueError("modules is empty: a dispatcher needs at least one")
        self.modules = tuple(dict.fromkeys(module for module, _ in pairs))
        self.layout = layout
        self._by_id: dict[int, list[tuple[ModuleType, range | None]]] = {}
        self._choose = choose
        if choose is None:
            self._check(pairs)

    def _check(self, pairs: list[tuple[ModuleType, range | None]]) -> None:
        first = self.modules[0]
        for module in self.modules[1:]:
            if _header(module) != _header(first):
                raise ValueError(
                    f"{module.__name__} has another message header than {first.__name__}: say "
                    f"with choose=function(frame, offset) which module a frame is for"
                )
        for module, versions in pairs:
            self._by_id.setdefault(module.SCHEMA_ID, []).append((module, versions))
        sent = {each.name for each in first.Header._ELEMENTS if "constant" not in each.facts}
        is_told = {
            "schema_id": len(self._by_id) == 1,
            "version": all(len(found) == 1 for found in self._by_id.values()),
        }
        for member, is_one in is_told.items():
            if member not in sent and not is_one:
                raise ValueError(
                    f"headers have no {member} here, which would say what module a frame is for: "
                    "say it with choose=function(frame, offset)"
                )
        for schema_id, found in self._by_id.items():
            found.sort(key=lambda each: each[0].SCHEMA_VERSION)
            for (one, versions), (other, others) in combinations(found, 2):
                alike = one.SCHEMA_VERSION == other.SCHEMA_VERSION
                if alike if None in (versions, others) else _overlap(versions, others):
                    raise ValueError(
                        f"{one.__name__} and {other.__name__} are both for schema {schema_id}, "
                        f"version {other.SCHEMA_VERSION}: give ranges of versions, or choose="
                    )

    def module_of(self, frame: Any, offset: int = 0) -> ModuleType:
        """The module for the frame whose header is at ``frame[offset]``.

        Raises SchemaMismatch where there is none, TruncatedMessage for less than a header.
        """
        if self._choose is not None:
            chosen = self._choose(frame, offset)
            if chosen is None:
                raise SchemaMismatch("choose has no module for this frame", offset=offset)
            if chosen not in self.modules:
                raise ValueError(f"choose gave {chosen!r}, which is none of the modules")
            return chosen
        header = self.modules[0].decode_header(frame, offset)
        found = self._by_id.get(header.schema_id, ())
        for module, versions in found:
            if versions is not None and header.version in versions:
                return module
        open_ended = [module for module, versions in found if versions is None]
        if open_ended:
            return next(
                (each for each in open_ended if header.version <= each.SCHEMA_VERSION),
                open_ended[-1],
            )
        known = ", ".join(_described(*each) for all_ in self._by_id.values() for each in all_)
        raise SchemaMismatch(
            f"no module for schema {header.schema_id}, version {header.version} "
            f"(there are {known})",
            offset=offset,
            template_id=header.template_id,
            available=header.schema_id,
        )

    def decode(self, frame: Any, offset: int = 0) -> Any:
        """The message whose header is at ``frame[offset]``, by its module's `decode`."""
        return self.module_of(frame, offset).decode(frame, offset)

    def decode_many(
        self,
        frames: Any,
        on_error: Literal["raise", "collect"] = "raise",
        *,
        symbols: Symbols | None = None,
    ) -> DispatchedBatch:
        """The frames, in all forms that `decode_many` of a module takes, but one: a buffer without
        offsets says nothing of where the next message begins.

        With ``on_error="raise"`` the first bad frame in the order of the modules raises, and before
        it the first that is for none. ``symbols`` has the dictionaries of texts of all modules, as
        for `decode_many` of one: without it each table has codes of its own.
        """
        checked(symbols)
        if not isinstance(on_error, str) or on_error not in ("raise", "collect"):
            raise ValueError(f"on_error is 'raise' or 'collect', not {on_error!r}")
        given = numbered(frames, self.layout or self._layout(), self._end, on_error)
        if given is None:
            listed = _listed(frames)
            given = Numbered(listed, {"frame": np.arange(len(listed), dtype=np.int64)})
        indices: dict[ModuleType, list[int]] = {module: [] for module in self.modules}
        unknown: list[DecodeError] = []
        for i, frame in enumerate(given.frames):
            try:
                indices[self.module_of(frame)].append(i)
            except DecodeError as error:
                error.frame = i
                renumbered(error, given.columns["frame"])
                if on_error == "raise":
                    raise
                unknown.append(error)
        batches = {
            module: module.decode_many(_some(given, found), on_error, symbols=symbols)
            for module, found in indices.items()
            if found
        }
        return DispatchedBatch(batches, len(given.frames), unknown, given.losses)

    def _layout(self) -> PacketLayout | None:
        """That of the first module whose conventions have one."""
        found = (
            next(iter(m.MESSAGES.values()))._SCHEMA.packets for m in self.modules if m.MESSAGES
        )
        return next((each for each in found if each is not None), None)

    def _end(self, buffer: Any, offset: int) -> int:
        with suppress(DecodeError):
            return offset + int(self.decode(buffer, offset).encoded_length)
        return len(buffer)


def _some(given: Numbered, found: list[int]) -> Numbered:
    columns = {name: column[found] for name, column in given.columns.items()}
    return Numbered([given.frames[i] for i in found], columns)


def _listed(frames: Any) -> list[Any]:
    run = as_run(frames)
    if run is None:
        return list(frames)
    if run[1] is None:
        raise TypeError(
            "one buffer without offsets can't be dispatched: give a list of frames, or offsets"
        )
    view = memoryview(run[0]).cast("B")
    bounds = checked_offsets(run[1], len(view)).tolist()
    return [view[begin:end] for begin, end in pairwise(bounds)]


def _versioned(given: Any) -> tuple[ModuleType, range | None]:
    module, versions = given if isinstance(given, tuple) and len(given) == 2 else (given, None)
    if not hasattr(module, "SCHEMA_ID") or not hasattr(module, "decode_header"):
        raise TypeError(f"{module!r} is no module of decoders, nor one with a range of versions")
    if versions is not None and (not isinstance(versions, range) or versions.step != 1):
        raise TypeError(f"versions of {module.__name__} are a range, not {versions!r}")
    return module, versions


def _overlap(one: range | None, other: range | None) -> bool:
    assert one is not None
    assert other is not None
    return max(one.start, other.start) < min(one.stop, other.stop)


def _described(module: ModuleType, versions: range | None) -> str:
    which = module.SCHEMA_VERSION if versions is None else f"{versions.start}-{versions.stop - 1}"
    return f"{module.SCHEMA_ID}:{which}"


def _header(module: ModuleType) -> tuple[Any, ...]:
    """Where its numbers are, to compare."""
    members = [
        (each.name, each.facts.get("type"), each.facts.get("offset"))
        for each in module.Header._ELEMENTS
    ]
    return module.BYTE_ORDER, module.HEADER_SIZE, *members
