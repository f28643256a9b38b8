"""What groups and var data that only a newer sender has are taken to look like.

Headers and dimensions may count them (SBE 1.0, "Message schema extension"); what they are made of
is not said. They are taken to be made as the known ones of the same level, or, where it has none,
as others of the message and of the schema are.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from . import alike, ir

Level = ir.Message | ir.Group


class Unknown(NamedTuple):
    """None where the schema has nothing of the kind: such elements can't be stepped over."""

    dimension: ir.Dimension | None
    data: ir.VarData | None


def counts(header: ir.Header, level: Level) -> tuple[ir.Field | None, ir.Field | None]:
    """The members that count groups and var data of ``level``, where there are such."""
    source = header if isinstance(level, ir.Message) else level.dimension
    return source.group_count, source.data_count


def of_level(module: ir.Module, message: ir.Message, level: Level) -> Unknown:
    """How unknown elements of ``level``, which is ``message`` or a group in it, are read."""
    if level.data:
        data: ir.VarData | None = level.data[-1].var_data
    else:
        data = first_data([message]) or module.usual_data
    if level.groups:
        return Unknown(level.groups[-1].dimension, data)
    return Unknown(own_dimension(level) or module.usual_dimension, data)


def own_dimension(level: Level) -> ir.Dimension | None:
    return level.dimension if isinstance(level, ir.Group) else None


def first_data(messages: Iterable[ir.Message]) -> ir.VarData | None:
    """The type of the first var data in some messages."""
    found = (data.var_data for m in messages for level in ir.levels(m) for data in level.data)
    return next(found, None)


def newer_than(module: ir.Module) -> int:
    """The least version whose counts are looked at: 0 where headers have no version."""
    return 0 if "version" in module.header.implied else module.version + 1


def fits(taken: Unknown, added: ir.Group | ir.Data) -> bool:
    """Whether something is made as it is taken to be, with all that is in it."""
    if isinstance(added, ir.Data):
        return taken.data is not None and alike.length(taken.data) == alike.length(added.var_data)
    known = taken.dimension
    if known is None or alike.dimension(known) != alike.dimension(added.dimension):
        return False
    if (added.groups and known.group_count is None) or (added.data and known.data_count is None):
        return False
    inner: list[ir.Group | ir.Data] = [*added.groups, *added.data]
    return all(fits(taken, each) for each in inner)
