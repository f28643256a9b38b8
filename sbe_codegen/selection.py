"""Some messages of a schema, and what they refer to: what is not needed is not compiled."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from difflib import get_close_matches

from . import ir
from .errors import UnknownName


def only(module: ir.Module, wanted: Iterable[str | int]) -> ir.Module:
    """The module with the messages that ``wanted`` names, by name or template id, in its order.

    Enums, sets, dimensions and kinds of var data are those that these messages and the header
    use. All names stay what they are in the whole. The messages that are left out are in
    ``removed``, so that the error for a frame of one says why it is unknown. Raises UnknownName
    for what is no message of the schema, ValueError where nothing is wanted.
    """
    names = _named(module, wanted)
    messages = tuple(each for each in module.messages if each.schema_name in names)
    levels = [level for message in messages for level in ir.levels(message)]
    types = _Types()
    types.add(module.header.composite.members)
    for level in levels:
        types.add(level.block.fields)
    dimensions = [level.dimension for level in levels if isinstance(level, ir.Group)]
    var_data = [data.var_data for level in levels for data in level.data]
    left_out = {
        each.template_id: f"{each.name} was left out when this module was compiled"
        for each in module.messages
        if each.schema_name not in names
    }
    return replace(
        module,
        enums=tuple(each for each in module.enums if each in types.enums),
        sets=tuple(each for each in module.sets if each in types.sets),
        dimensions=tuple(each for each in module.dimensions if each in dimensions),
        var_data=tuple(each for each in module.var_data if each in var_data),
        messages=messages,
        removed={**module.removed, **left_out},
    )


def _named(module: ir.Module, wanted: Iterable[str | int]) -> set[str]:
    """The schema's names of the messages that are wanted."""
    if isinstance(wanted, str):
        raise TypeError(f"messages is a list of names or template ids, not the text {wanted!r}")
    # A number is an id; a text is a name of the schema, or else of the module, or else an id.
    by_id = {each.template_id: each.schema_name for each in module.messages}
    by_name = {str(number): name for number, name in by_id.items()}
    by_name |= {each.name: each.schema_name for each in module.messages}
    by_name |= {each.schema_name: each.schema_name for each in module.messages}
    found = set()
    for key in wanted:
        name = by_name.get(key) if isinstance(key, str) else by_id.get(key)
        if name is None:
            names = [each.schema_name for each in module.messages]
            close = get_close_matches(str(key), names, 1)
            guess = f": did you mean '{close[0]}'?" if close else f" (it has {_listed(names)})"
            raise UnknownName(f"schema {module.package} has no message '{key}'{guess}")
        found.add(name)
    if not found:
        raise ValueError("messages is empty: name at least one, or leave it out for all of them")
    return found


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - 20} more" if len(names) > 20 else ""
    return ", ".join(names[:20]) + more


class _Types:
    """The enums and sets that fields use, in composites as well."""

    def __init__(self) -> None:
        self.enums: list[ir.Enum] = []
        self.sets: list[ir.Set] = []

    def add(self, fields: Sequence[ir.Field]) -> None:
        for field in fields:
            encoding = field.encoding
            if encoding.enum is not None:
                self.enums.append(encoding.enum)
            if encoding.set is not None:
                self.sets.append(encoding.set)
            if encoding.composite is not None:
                self.add(encoding.composite.members)
