"""Names of a schema that would meet in the generated module: found before anything is generated."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from . import ir, names
from .errors import Place, SchemaError

_Claim = tuple[str, str, Place]  # the generated name, what wants it, and where that stands


def find(module: ir.Module) -> list[SchemaError]:
    """A fault for each name that two things would have."""
    faults: list[SchemaError] = []

    def claim(claims: Iterator[_Claim]) -> None:
        seen: dict[str, str] = {}
        for name, owner, place in claims:
            if name in seen:
                sentence = (
                    f"the generated name '{name}' is taken by {seen[name]}: rename one of them"
                )
                faults.append(SchemaError(*place, owner, sentence))
            seen.setdefault(name, f"'{owner}'")

    claim(_module_names(module))
    for composite in module.composites:
        claim(
            (m.name, f"{composite.schema_name}.{m.schema_name}", m.place) for m in composite.members
        )
    for message in module.messages:
        for level, path in _paths(message):
            claim(_attributes(level, path))
    return faults


def _paths(message: ir.Message) -> Iterator[tuple[ir.Message | ir.Group, str]]:
    def inside(
        level: ir.Message | ir.Group, path: str
    ) -> Iterator[tuple[ir.Message | ir.Group, str]]:
        yield level, path
        for group in level.groups:
            yield from inside(group, f"{path}.{group.schema_name}")

    return inside(message, message.schema_name)


def _module_names(module: ir.Module) -> Iterator[_Claim]:
    named: list[ir.Enum | ir.Set] = [*module.enums, *module.sets]
    for made in named:
        yield made.name, made.schema_name, made.place
    for message in module.messages:
        yield from _level_names(message, message.name, message.name, message.schema_name)
        for verb in ("walk", "parse", "append", "open", "take_header_of", "tuple"):
            yield f"{verb}_{message.name}", message.schema_name, message.place


def _level_names(
    level: ir.Message | ir.Group, path: str, prefix: str, owner: str
) -> Iterator[_Claim]:
    if isinstance(level, ir.Message):
        yield level.name, owner, level.place
        yield f"{prefix}Frame", owner, level.place
    elif not level.is_flat:
        yield f"{prefix}Entry", owner, level.place
    yield f"{prefix}Row", owner, level.place
    yield f"take_{path}", owner, level.place
    yield from _accessors(level.block.fields, path, owner)
    for group in level.groups:
        yield from _level_names(
            group,
            f"{path}_{group.name}",
            f"{prefix}{names.type_name(group.schema_name)}",
            f"{owner}.{group.schema_name}",
        )


def _accessors(fields: Sequence[ir.Field], path: str, owner: str) -> Iterator[_Claim]:
    for field in fields:
        place = f"{owner}.{field.schema_name}"
        yield f"{path}_{field.name}", place, field.place
        if field.encoding.composite is not None:
            members = field.encoding.composite.members
            yield from _accessors(members, f"{path}_{field.name}", place)


def _attributes(level: ir.Message | ir.Group, path: str) -> Iterator[_Claim]:
    """The attributes of a message or entry, those that are derived after those that are not."""
    derived: list[_Claim] = []
    for field in level.block.fields:
        owner = f"{path}.{field.schema_name}"
        yield field.name, owner, field.place
        if field.exponent:
            derived.append((f"{field.name}_float", owner, field.place))
            derived.append((f"{field.name}_decimal", owner, field.place))
    for group in level.groups:
        owner = f"{path}.{group.schema_name}"
        yield group.name, owner, group.place
        if group.is_flat and any(field.exponent for field in group.block.fields):
            derived.append((f"{group.name}_float", owner, group.place))
    for data in level.data:
        owner = f"{path}.{data.schema_name}"
        yield data.name, owner, data.place
        derived.append((f"{data.name}_bytes", owner, data.place))
        if data.var_data.is_embedded:
            derived.append((f"{data.name}_message", owner, data.place))
    yield from derived
