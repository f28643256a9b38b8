"""What of an oracle's values is canonical: of which a decoder shows all that is in the frame."""

from __future__ import annotations

from typing import Any
from xml.etree.ElementTree import Element

from oracle import Block, Kind, Schema, local, snake

NEWEST = 2**32  # a version that has every member


def canonical(schema: Schema, message: str, values: dict[str, Any]) -> dict[str, Any]:
    """The values, in which a composite whose first member is null is null as a whole.

    Of characters NUL is null as well as the null value that the schema declares, which is written.
    """
    return _level(schema, schema.messages[message], values)


def _level(schema: Schema, node: Element, values: dict[str, Any]) -> dict[str, Any]:
    result = dict(values)
    for field in Block(schema, node).fields:
        if field.size:
            result[field.name] = _value(field.kind, values[field.name], field.optional)
    for child in node:
        if local(child) == "group":
            name = snake(child.get("name", ""))
            result[name] = [_level(schema, child, entry) for entry in values[name]]
    return result


def _value(kind: Kind, value: Any, optional: bool) -> Any:
    if kind.tag in ("char", "enum", "composite") and kind.expected(value, optional, NEWEST) is None:
        return None
    if kind.tag != "composite" or value is None:
        return value
    return {
        member.name: _value(member.kind, value[member.name], member.optional)
        for member in kind.members
        if member.kind.size
    }
