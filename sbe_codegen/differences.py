"""What changed between two versions of a schema, and whom it breaks.

``breaking``: a decoder of one misreads, or refuses, what a sender of the other writes.
``additive``: decoders of either read frames of both, by the version rules (SBE 1.0, "Message schema
extension").
``cosmetic``: the bytes are the same, and mean the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from . import alike, ir, unknown
from .changes import Change as Change
from .changes import Named, Severity, differs, members, metadata, named
from .layouts import time_of, type_of
from .unknown import Level


def find(old: ir.Module, new: ir.Module) -> list[Change]:
    """All changes: those of the schema, of its types, then of messages by template id."""
    return [*_schema(old, new), *_types(old, new), *_messages(old, new)]


def _types(old: ir.Module, new: ir.Module) -> Iterator[Change]:
    """Of enums and sets: those of the same fields, or with a name that nothing else has."""
    pairs: dict[tuple[int, int], tuple[str, Named, Named]] = {}
    for pair in _pairs(old, new):
        pairs.setdefault((id(pair[1]), id(pair[2])), pair)
    for kind in ("enums", "sets"):
        before: tuple[Named, ...] = getattr(old, kind)
        after: tuple[Named, ...] = getattr(new, kind)
        for each in after:
            name = each.schema_name
            of_name = [one for one in before if one.schema_name == name]
            is_alone = sum(other.schema_name == name for other in after) == 1
            found = [(path, one) for path, one, other in pairs.values() if other is each]
            if not found and is_alone and len(of_name) == 1:  # no message uses it
                found = [(name, of_name[0])]
            for path, one in found:
                yield from members(one, each, name if is_alone and len(found) == 1 else path)


def _pairs(old: ir.Module, new: ir.Module) -> Iterator[tuple[str, Named, Named]]:
    """(path of the first field, old, new) of enums and sets of one name that fields have."""
    after = {message.template_id: message for message in new.messages}
    for message in old.messages:
        if message.template_id in after:
            other = after[message.template_id]
            yield from _level_pairs(message, other, other.schema_name)


def _level_pairs(old: Level, new: Level, path: str) -> Iterator[tuple[str, Named, Named]]:
    kept = _kept(old.block, new.block)
    for field in old.block.fields:
        if field.schema_name in kept:
            other = kept[field.schema_name]
            place = f"{path}.{other.schema_name}"
            yield from _encoding_pairs(field.encoding, other.encoding, place)
    for one, group in zip(old.groups, new.groups, strict=False):
        yield from _level_pairs(one, group, f"{path}.{group.schema_name}")


def _encoding_pairs(
    old: ir.Encoding, new: ir.Encoding, path: str
) -> Iterator[tuple[str, Named, Named]]:
    before, after = old.enum or old.set, new.enum or new.set
    if before and after and before.schema_name == after.schema_name:
        yield path, before, after
    if old.composite and new.composite:
        for one in old.composite.members:
            other = new.composite.member(one.schema_name)
            if other is not None:
                place = f"{path}.{other.schema_name}"
                yield from _encoding_pairs(one.encoding, other.encoding, place)


def _schema(old: ir.Module, new: ir.Module) -> Iterator[Change]:
    yield from differs("breaking", "schema", "schema_id", old.schema_id, new.schema_id)
    yield from differs("breaking", "schema", "big_endian", old.big_endian, new.big_endian)
    yield from differs("cosmetic", "schema", "package", old.package, new.package)
    if new.version < old.version:
        sentence = f"version goes back from {old.version} to {new.version}"
        yield Change("breaking", "schema", sentence)
    before, after = (alike.wire(m.header.composite.members) for m in (old, new))
    if before != after:
        yield Change("breaking", old.header.composite.schema_name, "the message header changed")


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

    @property
    def is_version_sent(self) -> bool:
        """Whether frames say of which version they are: else each reader takes its own."""
        return not self.module.header.version.is_constant

    def knows_length(self, level: Level) -> bool:
        """Whether it is told how long a block is: else it takes it to be as long as its own."""
        source = self.module.header if isinstance(level, ir.Message) else level.dimension
        return source.block_length is not None and not source.block_length.is_constant

    def steps_over(self, level: Level, new: Level, added: ir.Group | ir.Data) -> bool:
        """Whether it gets past what ``new`` has at the end of the groups, or data, of ``level``."""
        groups, data = unknown.counts(self.module.header, level)
        counted = groups if isinstance(added, ir.Group) else data
        if counted is None:  # it does not look for more, and takes it for what it looks for next
            sought = level.data if data is None else new.data
            is_last = isinstance(added, ir.Data) or not sought
            return isinstance(level, ir.Message) and is_last
        return unknown.fits(unknown.of_level(self.module, self.message, level), added)


def _level(old: Level, new: Level, path: str, reader: _Reader) -> Iterator[Change]:
    yield from _block(old.block, new.block, path, reader, reader.knows_length(old))
    yield from _metadata_differs(path, old.metadata, new.metadata)
    yield from differs("cosmetic", path, "deprecated", old.deprecated, new.deprecated)
    # Old and new elements by place, since that is what the wire goes by.
    names = {each.schema_name for each in new.groups}
    for one, other in zip(old.groups, new.groups, strict=False):
        yield from _group(one, other, path, reader, names)
    for group in old.groups[len(new.groups) :]:
        yield Change("breaking", f"{path}.{group.schema_name}", "the group is gone")
    for group in new.groups[len(old.groups) :]:
        yield _added_end("group", group, path, reader, reader.steps_over(old, new, group))
    names = {each.schema_name for each in new.data}
    for first, second in zip(old.data, new.data, strict=False):
        yield from _data(first, second, path, names)
    for data in old.data[len(new.data) :]:
        yield Change("breaking", f"{path}.{data.schema_name}", "the data is gone")
    for data in new.data[len(old.data) :]:
        yield _added_end("data", data, path, reader, reader.steps_over(old, new, data))


def _metadata_differs(
    path: str, old: Mapping[str, str], new: Mapping[str, str]
) -> Iterator[Change]:
    if dict(old) != dict(new):
        yield Change("cosmetic", path, metadata(old, new))


def _added_end(
    what: str, each: ir.Group | ir.Data, path: str, reader: _Reader, can_skip: bool
) -> Change:
    """What a level has after all that it had. Where frames may end before it, older ones do."""
    place = f"{path}.{each.schema_name}"
    if each.may_end and can_skip:
        return Change("additive", place, f"a new {what}, which frames may end before")
    return _added(place, what, each.since, reader, can_skip)


def _added(path: str, what: str, since: int, reader: _Reader, can_skip: bool) -> Change:
    if since <= reader.version:
        sentence = (
            f"a new {what} without a sinceVersion above {reader.version}: older frames lack it"
        )
        return Change("breaking", path, sentence)
    if not reader.is_version_sent:
        sentence = f"a new {what}, and headers do not say which frames are older and lack it"
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
    yield from differs("breaking", place, "sinceVersion", old.since, new.since)
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
    yield from differs("breaking", place, "sinceVersion", old.since, new.since)
    yield from _metadata_differs(place, old.metadata, new.metadata)


# blocks


def _kept(old: ir.Block, new: ir.Block) -> dict[str, ir.Field]:
    """By old names, what became of fields: of that name, or else new in the same place, alike."""
    before = {field.schema_name for field in old.fields}
    after = {field.schema_name: field for field in new.fields}
    fresh = {f.offset: f for f in new.fields if f.schema_name not in before and f.size}
    result = {}
    for field in old.fields:
        name = field.schema_name
        heir = fresh.get(field.offset) if field.size else None
        if name in after:
            result[name] = after[name]
        elif heir is not None and alike.wire([heir])[0][1:] == alike.wire([field])[0][1:]:
            result[name] = heir
    return result


def _block(
    old: ir.Block, new: ir.Block, path: str, reader: _Reader, is_sent: bool
) -> Iterator[Change]:
    kept = _kept(old, new)
    for field in old.fields:
        name = field.schema_name
        if name not in kept:
            yield Change("breaking", f"{path}.{name}", "is gone")
            continue
        other = kept[name]
        if other.schema_name != name:
            yield Change("cosmetic", f"{path}.{name}", f"is called {other.schema_name} now")
        yield from _field(field, other, f"{path}.{other.schema_name}", reader)
    end = max((field.end for field in old.fields if field.size), default=0)
    known = {field.schema_name for field in kept.values()}
    for field in new.fields:
        if field.schema_name in known:
            continue
        place = f"{path}.{field.schema_name}"
        if not field.size:
            yield Change("additive", place, f"a new constant, {field.encoding.constant!r}")
        elif field.offset < end:
            sentence = f"is new at byte {field.offset}, before the end of what was there ({end})"
            yield Change("breaking", place, sentence)
        else:
            what = f"{type_of(field.encoding)} at byte {field.offset}"
            yield _added(place, what, field.since, reader, True)
    if new.length != old.length:  # padding may come and go, where its length is sent
        severity: Severity = "additive" if is_sent and new.length >= end else "breaking"
        yield Change(severity, path, f"the block was {old.length} bytes, is {new.length}")


def _grown(old: ir.Field, new: ir.Field, path: str, reader: _Reader) -> list[Change] | None:
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
        _added(f"{path}.{each.schema_name}", "member", each.since, reader, True)
        for each in after.wire_fields[len(one) :]
    ]


def _field(old: ir.Field, new: ir.Field, path: str, reader: _Reader) -> Iterator[Change]:
    if old.is_constant or new.is_constant:
        yield from _constant(old, new, path)
        return
    if old.offset != new.offset:
        yield Change("breaking", path, f"was at byte {old.offset}, is at {new.offset}")
    grown = _grown(old, new, path, reader)
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
    yield from differs("cosmetic", path, "id", old.id, new.id)
    yield from _meaning(old, new, path, old.optional and new.optional)
    if is_same:
        yield from named(old.encoding, new.encoding, path)
    if is_same or grown is not None:
        yield from _inner(old, new, path)
    yield from _metadata_differs(path, old.metadata, new.metadata)


def _constant(old: ir.Field, new: ir.Field, path: str) -> Iterator[Change]:
    before, after = old.encoding.constant, new.encoding.constant
    if before != after:
        yield Change("breaking", path, f"the constant was {before!r}, is {after!r}")
    else:
        yield from named(old.encoding, new.encoding, path)


def _meaning(old: ir.Field, new: ir.Field, path: str, has_null: bool) -> Iterator[Change]:
    """What the same bytes mean, of a field or of a member of a composite."""
    yield from differs("breaking", path, "sinceVersion", old.since, new.since)
    if old.exponent != new.exponent:
        yield Change("breaking", path, "is scaled by another exponent")
    if old.optional != new.optional:
        now, whose = ("optional", "new") if new.optional else ("required", "old")
        sentence = f"is {now} now: {whose} senders' null is a number to others"
        yield Change("breaking", path, sentence)
    elif has_null:
        yield from differs("breaking", path, "null", old.encoding.null, new.encoding.null)
    if old.time != new.time:
        severity: Severity = "cosmetic" if None in (old.time, new.time) else "breaking"
        yield Change(severity, path, f"was {_time(old.time)}, is {_time(new.time)}")


def _time(time: ir.Time | None) -> str:
    if time is None:
        return "no time"
    return f"a {time_of(time)}"


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
            yield from named(one.encoding, other.encoding, place)
            yield from _inner(one, other, place)
    for other in after.members:
        if other.is_constant and before.member(other.schema_name) is None:
            place = f"{path}.{other.schema_name}"
            yield Change("additive", place, f"a new constant, {other.encoding.constant!r}")
