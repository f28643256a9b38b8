"""What changed between two versions of a schema, and whom it breaks.

``breaking``: a decoder of one misreads, or refuses, what a sender of the other writes.
``additive``: decoders of either read frames of both, by the version rules (SBE 1.0, "Message schema
extension").
``cosmetic``: the bytes are the same, and mean the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

from . import alike, ir, unknown
from .layouts import time_of, type_of

Severity = Literal["breaking", "additive", "cosmetic"]
_Element = TypeVar("_Element", ir.Group, ir.Data)
_Level = ir.Message | ir.Group


@dataclass(frozen=True)
class Change:
    severity: Severity
    path: str
    sentence: str

    def __str__(self) -> str:
        return f"{self.severity}: {self.path}: {self.sentence}"


def find(old: ir.Module, new: ir.Module) -> list[Change]:
    """All changes: those of the schema, of its types, then of messages by template id."""
    return [*_schema(old, new), *_types(old, new), *_messages(old, new)]


def _schema(old: ir.Module, new: ir.Module) -> Iterator[Change]:
    yield from _differs("breaking", "schema", "schema_id", old.schema_id, new.schema_id)
    yield from _differs("breaking", "schema", "big_endian", old.big_endian, new.big_endian)
    yield from _differs("cosmetic", "schema", "package", old.package, new.package)
    if new.version < old.version:
        sentence = f"version goes back from {old.version} to {new.version}"
        yield Change("breaking", "schema", sentence)
    before, after = (alike.wire(m.header.composite.members) for m in (old, new))
    if before != after:
        yield Change("breaking", old.header.composite.schema_name, "the message header changed")


# enums and sets


def _types(old: ir.Module, new: ir.Module) -> Iterator[Change]:
    for kind in ("enums", "sets"):
        before = {each.schema_name: each for each in getattr(old, kind)}
        for each in getattr(new, kind):
            if each.schema_name in before:
                yield from _members(before[each.schema_name], each)


def _members(old: ir.Enum | ir.Set, new: ir.Enum | ir.Set) -> Iterator[Change]:
    path = new.schema_name
    if old.primitive != new.primitive:
        sentence = f"was {old.primitive.name}, is {new.primitive.name}"
        yield Change("breaking", path, sentence)
    yield from _differs("breaking", path, "null", _null(old), _null(new))
    before, after = _by_number(old), _by_number(new)
    names = {value.schema_name for value in after.values()}
    for number, value in before.items():
        place = f"{path}.{value.schema_name}"
        if number not in after:
            moved = next((n for n, v in after.items() if v.schema_name == value.schema_name), None)
            said = f"was {number}, is gone" if moved is None else f"was {number}, is {moved}"
            yield Change("breaking", place, said)
        elif after[number].schema_name != value.schema_name:
            other = after[number].schema_name
            if value.schema_name in names:
                yield Change("breaking", place, f"its number {number} now is {other}")
            else:
                yield Change("cosmetic", place, f"is called {other} now")
        elif dict(after[number].metadata) != dict(value.metadata):
            yield Change("cosmetic", place, _metadata(value.metadata, after[number].metadata))
    known = {value.schema_name for value in before.values()}
    for number, value in after.items():
        if number not in before and value.schema_name not in known:
            yield Change("additive", f"{path}.{value.schema_name}", f"is new, {number}")


def _null(kind: ir.Enum | ir.Set) -> int | None:
    """The number that means nothing; a set has one only where it has a name."""
    if isinstance(kind, ir.Enum):
        return kind.null
    return None if kind.null is None else kind.null.value


def _by_number(kind: ir.Enum | ir.Set) -> dict[int, ir.Value]:
    return {v.value: v for v in (kind.values if isinstance(kind, ir.Enum) else kind.choices)}


def _metadata(old: Mapping[str, str], new: Mapping[str, str]) -> str:
    keys = sorted(key for key in {*old, *new} if old.get(key) != new.get(key))
    return ", ".join(f"{key} was {old.get(key)!r}, is {new.get(key)!r}" for key in keys)


# messages


def _messages(old: ir.Module, new: ir.Module) -> Iterator[Change]:
    before = {message.template_id: message for message in old.messages}
    after = {message.template_id: message for message in new.messages}
    names = {message.schema_name for message in new.messages}
    for template in sorted({*before, *after}):
        if template not in after:
            name = before[template].schema_name
            yield Change("breaking", name, f"template {template} is gone")
        elif template not in before:
            yield Change("additive", after[template].schema_name, f"template {template} is new")
        else:
            one, other = before[template], after[template]
            if one.schema_name != other.schema_name:
                yield _renamed(one.schema_name, other.schema_name, names)
            yield from _level(one, other, other.schema_name, _Reader(old, one))


def _renamed(path: str, name: str, names: set[str]) -> Change:
    """Of what has another name now; ``names`` are all that there are now."""
    if path.rpartition(".")[2] in names:
        return Change("breaking", path, f"{name} is in its place now, and it is elsewhere")
    return Change("cosmetic", path, f"is called {name} now")


@dataclass(frozen=True)
class _Reader:
    """The decoder of the old schema, while it reads one of its messages."""

    module: ir.Module
    message: ir.Message

    @property
    def version(self) -> int:
        return self.module.version

    def knows_length(self, level: _Level) -> bool:
        """Whether it is told how long a block is: else it takes it to be as long as its own."""
        source = self.module.header if isinstance(level, ir.Message) else level.dimension
        return source.block_length is not None and not source.block_length.is_constant

    def steps_over(self, level: _Level, added: ir.Group | ir.Data) -> bool:
        """Whether it gets past something at the end of the groups, or of the data, of ``level``."""
        groups, data = unknown.counts(self.module.header, level)
        counted = groups if isinstance(added, ir.Group) else data
        if counted is None:  # it does not look for more, and gets to what comes next
            is_last = isinstance(added, ir.Data) or not level.data
            return isinstance(level, ir.Message) and is_last
        return unknown.fits(unknown.of_level(self.module, self.message, level), added)


def _level(old: _Level, new: _Level, path: str, reader: _Reader) -> Iterator[Change]:
    version = reader.version
    yield from _block(old.block, new.block, path, version, reader.knows_length(old))
    yield from _metadata_differs(path, old.metadata, new.metadata)
    yield from _differs("cosmetic", path, "deprecated", old.deprecated, new.deprecated)
    # Old and new elements by place, since that is what the wire goes by.
    names = {each.schema_name for each in new.groups}
    for one, other in zip(old.groups, new.groups, strict=False):
        yield from _group(one, other, path, reader, names)
    yield from _ends("group", old.groups, new.groups, path, version, old, reader)
    names = {each.schema_name for each in new.data}
    for first, second in zip(old.data, new.data, strict=False):
        yield from _data(first, second, path, names)
    yield from _ends("data", old.data, new.data, path, version, old, reader)


def _differs(
    severity: Severity, path: str, what: str, before: object, after: object
) -> Iterator[Change]:
    if before != after:
        yield Change(severity, path, f"{what} was {before}, is {after}")


def _metadata_differs(
    path: str, old: Mapping[str, str], new: Mapping[str, str]
) -> Iterator[Change]:
    if dict(old) != dict(new):
        yield Change("cosmetic", path, _metadata(old, new))


def _ends(
    what: str, old: Sequence[_Element], new: Sequence[_Element], path: str, version: int,
    level: _Level, reader: _Reader,
) -> Iterator[Change]:  # fmt: skip
    """What one has after all that the other has."""
    for gone in old[len(new) :]:
        yield Change("breaking", f"{path}.{gone.schema_name}", f"the {what} is gone")
    for each in new[len(old) :]:
        can_skip = reader.steps_over(level, each)
        yield _added(f"{path}.{each.schema_name}", what, each.since, version, can_skip)


def _added(path: str, what: str, since: int, version: int, can_skip: bool) -> Change:
    if since <= version:
        sentence = f"a new {what} without a sinceVersion above {version}: older frames lack it"
        return Change("breaking", path, sentence)
    if not can_skip:
        sentence = f"a new {what} that older decoders can't step over"
        return Change("breaking", path, sentence)
    return Change("additive", path, f"a new {what}, since {since}")


def _group(
    old: ir.Group, new: ir.Group, path: str, reader: _Reader, names: set[str]
) -> Iterator[Change]:
    place = f"{path}.{new.schema_name}"
    if old.schema_name != new.schema_name:
        is_same = alike.wire(old.block.fields) == alike.wire(new.block.fields)
        is_same = is_same and old.schema_name not in names  # else they have changed places
        severity: Severity = "cosmetic" if is_same else "breaking"
        yield Change(severity, place, f"stands where {old.schema_name} was")
        if not is_same:
            return
    if alike.dimension(old.dimension) != alike.dimension(new.dimension):
        yield Change("breaking", place, "the dimensions changed")
    yield from _differs("breaking", place, "sinceVersion", old.since, new.since)
    yield from _level(old, new, place, reader)


def _data(old: ir.Data, new: ir.Data, path: str, names: set[str]) -> Iterator[Change]:
    place = f"{path}.{new.schema_name}"
    if old.schema_name != new.schema_name:
        yield _renamed(f"{path}.{old.schema_name}", new.schema_name, names)
    before, after = old.var_data, new.var_data
    if alike.length(before) != alike.length(after):
        yield Change("breaking", place, "the length is encoded in another way")
    if alike.charset(before.charset) != alike.charset(after.charset):
        yield Change(
            "breaking", place, f"was {before.charset or 'bytes'}, is {after.charset or 'bytes'}"
        )
    yield from _differs("breaking", place, "sinceVersion", old.since, new.since)
    yield from _metadata_differs(place, old.metadata, new.metadata)


# blocks


def _block(
    old: ir.Block, new: ir.Block, path: str, version: int, is_sent: bool
) -> Iterator[Change]:
    after = {field.schema_name: field for field in new.fields}
    before = {field.schema_name: field for field in old.fields}
    fresh = {f.offset: f for f in new.fields if f.schema_name not in before and f.size}
    renamed: set[str] = set()
    for name, field in before.items():
        place = f"{path}.{name}"
        if name in after:
            yield from _field(field, after[name], place, version)
            continue
        heir = fresh.get(field.offset) if field.size else None
        if heir is not None and alike.wire([heir])[0][1:] == alike.wire([field])[0][1:]:
            renamed.add(heir.schema_name)
            yield Change("cosmetic", place, f"is called {heir.schema_name} now")
            yield from _field(field, heir, f"{path}.{heir.schema_name}", version)
        else:
            yield Change("breaking", place, "is gone")
    end = max((field.end for field in old.fields if field.size), default=0)
    for name, field in after.items():
        if name in before or name in renamed:
            continue
        place = f"{path}.{name}"
        if not field.size:
            yield Change("additive", place, f"a new constant, {field.encoding.constant!r}")
        elif field.offset < end:
            sentence = f"is new at byte {field.offset}, before the end of what was there ({end})"
            yield Change("breaking", place, sentence)
        else:
            yield _added(place, f"{type_of(field.encoding)} at byte {field.offset}", field.since,
                         version, True)  # fmt: skip
    if new.length != old.length:  # padding may come and go, where its length is sent
        severity: Severity = "additive" if is_sent and new.length >= end else "breaking"
        yield Change(severity, path, f"the block was {old.length} bytes, is {new.length}")


def _grown(old: ir.Field, new: ir.Field, path: str, version: int) -> list[Change] | None:
    """The members that a composite got at its end; None where that is not what happened to it.

    What comes after it in the block has its own change, if it had to move.
    """
    before, after = old.encoding.composite, new.encoding.composite
    if before is None or after is None:
        return None
    one, other = alike.wire(before.members), alike.wire(after.members)
    if len(other) <= len(one) or other[: len(one)] != one:
        return None
    return [
        _added(f"{path}.{each.schema_name}", "member", each.since, version, True)
        for each in after.wire_fields[len(one) :]
    ]


def _field(old: ir.Field, new: ir.Field, path: str, version: int) -> Iterator[Change]:
    if old.is_constant or new.is_constant:
        yield from _constant(old, new, path)
        return
    if old.offset != new.offset:
        yield Change("breaking", path, f"was at byte {old.offset}, is at {new.offset}")
    grown = _grown(old, new, path, version)
    is_same = alike.wire([old])[0][2:] == alike.wire([new])[0][2:]
    if grown is not None:
        yield from grown
    elif not is_same:
        before, after = type_of(old.encoding), type_of(new.encoding)
        sentence = f"was {before}, is {after}"
        if before == after and old.encoding.composite is not None:
            sentence = f"the members of {before} changed"
        elif before == after:
            sentence = f"{before} is read in another way"
        yield Change("breaking", path, sentence)
    yield from _differs("cosmetic", path, "id", old.id, new.id)
    yield from _meaning(old, new, path, old.optional and new.optional)
    if is_same:
        yield from _named(old.encoding, new.encoding, path)
    if is_same or grown is not None:
        yield from _inner(old, new, path)
    yield from _metadata_differs(path, old.metadata, new.metadata)


def _constant(old: ir.Field, new: ir.Field, path: str) -> Iterator[Change]:
    before, after = old.encoding.constant, new.encoding.constant
    if before != after:
        yield Change("breaking", path, f"the constant was {before!r}, is {after!r}")
    else:
        yield from _named(old.encoding, new.encoding, path)


def _meaning(old: ir.Field, new: ir.Field, path: str, has_null: bool) -> Iterator[Change]:
    """What the same bytes mean, of a field or of a member of a composite."""
    yield from _differs("breaking", path, "sinceVersion", old.since, new.since)
    if old.exponent != new.exponent:
        yield Change("breaking", path, "is scaled by another exponent")
    if old.optional != new.optional:
        now, whose = ("optional", "new") if new.optional else ("required", "old")
        sentence = f"is {now} now: {whose} senders' null is a number to others"
        yield Change("breaking", path, sentence)
    elif has_null:
        yield from _differs("breaking", path, "null", old.encoding.null, new.encoding.null)
    if old.time != new.time:
        severity: Severity = "cosmetic" if None in (old.time, new.time) else "breaking"
        yield Change(severity, path, f"was {_time(old.time)}, is {_time(new.time)}")


def _time(time: ir.Time | None) -> str:
    if time is None:
        return "no time"
    return f"a {time_of(time)}"


def _named(old: ir.Encoding, new: ir.Encoding, path: str) -> Iterator[Change]:
    """An enum or set that is another one now, or a number. What is in it has changes of its own."""
    before, after = old.enum or old.set, new.enum or new.set
    if (before and before.schema_name) == (after and after.schema_name):
        return
    is_same = True
    if before is not None and after is not None:
        one, other = (
            {number: value.schema_name for number, value in _by_number(each).items()}
            for each in (before, after)
        )
        is_same = one.items() <= other.items() and _null(before) == _null(after)
    sentence = f"was {type_of(old)}, is {type_of(new)}"
    yield Change("cosmetic" if is_same else "breaking", path, sentence)


def _inner(old: ir.Field, new: ir.Field, path: str) -> Iterator[Change]:
    """The members of a composite that is the same on the wire, or has more at its end."""
    before, after = old.encoding.composite, new.encoding.composite
    if before is None or after is None:
        return
    has_null = old.optional and new.optional
    for one in before.members:
        other = after.member(one.schema_name)
        place = f"{path}.{one.schema_name}"
        if other is None:
            yield Change("breaking", place, "is gone")
        elif one.is_constant or other.is_constant:
            yield from _constant(one, other, place)
        else:
            yield from _meaning(one, other, place, has_null or (one.optional and other.optional))
            yield from _named(one.encoding, other.encoding, place)
            yield from _inner(one, other, place)
    for other in after.members:
        if other.is_constant and before.member(other.schema_name) is None:
            place = f"{path}.{other.schema_name}"
            yield Change("additive", place, f"a new constant, {other.encoding.constant!r}")
