"""What of an oracle's values is canonical: of which a decoder shows all that is in the frame."""

from __future__ import annotations

from typing import Any
from xml.etree.ElementTree import Element

from oracle import Block, Kind, Schema, local, snake

NEWEST = 2**32  # a version that has every member


def canonical(schema: Schema, message: str, values: dict[str, Any]) -> dict[str, Any]:
    """The values, in which a composite whose first member is null is null as a whole."""
    return _level(schema, schema.messages[message], values)


def _level(schema: Schema, node: Element, values: dict[str, Any]) -> dict[str, Any]:
    result = dict(values)
    for field in Block(schema, node).fields:
        if field.size and field.kind.tag == "composite":
            result[field.name] = _value(field.kind, values[field.name], field.optional)
    for child in node:
        if local(child) == "group":
            name = snake(child.get("name", ""))
            result[name] = [_level(schema, child, entry) for entry in values[name]]
    return result


def _value(kind: Kind, value: Any, optional: bool) -> Any:
    if value is None or kind.expected_composite(value, optional, NEWEST) is None:
        return None
    return {
        member.name: _value(member.kind, value[member.name], member.optional)
        if member.kind.tag == "composite"
        else value[member.name]
        for member in kind.members
        if member.kind.size
    }
