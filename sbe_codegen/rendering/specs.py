"""What a generated module declares at import, as JSON: `runtime.decode.declare` reads it.

Hundreds of fields are of one type, with one sentence of documentation. What two or more have in
common is written once, in a list of the module, and ``like`` is its number there: so Cython, the C
compiler, the wheel and each import have less to read.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from .. import ir, names, unknown

_Aliases = Callable[[ir.Enum | ir.Set], str]

_OWN = ("name", "schema_name", "offset", "exponent")  # all else may be that of many fields


class Specs:
    """The declarations of a module. ``order`` is numpy's for its byte order, and ``key_of`` is what
    tells its composites apart."""

    def __init__(
        self,
        module: ir.Module,
        composites: Iterable[ir.Composite],
        order: str,
        key_of: Callable[[ir.Composite], str],
    ) -> None:
        self._module = module
        self._order = order
        self._key_of = key_of
        blocks = [module.header.composite.members, *(each.members for each in composites)]
        blocks += [
            level.block.fields for message in module.messages for level in ir.levels(message)
        ]
        counts = Counter(self._likeness(self._field(each)) for block in blocks for each in block)
        common = [text for text, count in counts.items() if count > 1]
        self._numbers = {text: number for number, text in enumerate(common)}

    def likenesses(self) -> str:
        """The list of what fields have in common."""
        return _listed(self._numbers)

    def message(self, source: ir.Message) -> str:
        head = {
            "name": source.schema_name,
            "template_id": source.template_id,
            "order": self._order,
            "since": max(source.since, source.layout_since),
        }
        return self._level(source, source, head, " ")

    def composite(self, source: ir.Composite) -> str:
        head = {"key": self._key_of(source), "name": source.name, "size": source.size}
        if source.decimal:
            head["decimal"] = [member.name for member in source.decimal]
        return _json(head, "", fields=self._lines(source.members, " "))

    def header(self, source: ir.Header) -> str:
        length = source.block_length
        head = {
            "order": self._order,
            "size": source.size,
            "block_length_at": [0, 0] if length is None else _place(length),
            "template_id_at": _place(source.template_id),
            "schema_id_at": _place(source.schema_id),
            "version_at": _place(source.version),
        }
        lines = self._lines(source.composite.members, " ")
        return _json(head | _counts(source), "", fields=lines)

    def _level(
        self, message: ir.Message, source: unknown.Level, head: dict[str, Any], indent: str
    ) -> str:
        head = head | {"block_length": source.block.length} | self._unknown(message, source)
        head |= _facts(source)
        inner = indent + "  "
        return _json(
            head,
            indent,
            fields=self._lines(source.block.fields, inner),
            groups=(inner + self._group(message, group, inner) for group in source.groups),
            data=(inner + json.dumps(_data(each)) for each in source.data),
        )

    def _group(self, message: ir.Message, source: ir.Group, indent: str) -> str:
        head = {
            "name": source.name,
            "schema_name": source.schema_name,
            "since": source.since,
            **_dimensions(source.dimension),
            "most": _most(source.dimension.count),
        }
        if source.may_end:
            head["may_end"] = True
        if source.dimension.has_counts:
            head["counted"] = True
        if not source.is_flat:
            head["entry"] = names.entry_name(source.schema_name)
        return self._level(message, source, head, indent)

    def _unknown(self, message: ir.Message, level: unknown.Level) -> dict[str, Any]:
        """Where the parts of what only newer senders have are, if something counts that."""
        if unknown.counts(self._module.header, level) == (None, None):
            return {}
        dimension, data = unknown.of_level(self._module, message, level)
        result: dict[str, Any] = {"newer": unknown.newer_than(self._module)}
        if dimension is not None:
            result |= _dimensions(dimension)
        if data is not None:
            result |= _lengths(data)
        return {"unknown": result}

    def _lines(self, fields: Iterable[ir.Field], indent: str) -> Iterator[str]:
        for field in fields:
            made = self._field(field)
            number = self._numbers.get(self._likeness(made))
            if number is not None:
                made = {key: made[key] for key in _OWN if key in made} | {"like": number}
            yield indent + json.dumps(made)

    @staticmethod
    def _likeness(made: dict[str, Any]) -> str:
        return json.dumps({key: value for key, value in made.items() if key not in _OWN})

    def _field(self, source: ir.Field) -> dict[str, Any]:
        encoding = source.encoding
        result: dict[str, Any] = {
            "name": source.name,
            "schema_name": source.schema_name,
            "kind": encoding.kind,
            "type_name": source.type_name,
            "since": source.since,
        }
        if encoding.kind != "composite":
            result["type"] = encoding.primitive.name
        if encoding.is_array:
            result["length"] = encoding.length
        if encoding.constant is not None:
            result["constant"] = encoding.constant
        else:
            result["offset"] = source.offset
        if encoding.null is not None and encoding.kind != "text":
            result["null"] = encoding.null
        is_optional = source.optional or encoding.presence == "optional"
        if (
            encoding.kind == "number"
            and not is_optional
            and encoding.null != encoding.primitive.null
        ):
            result["null_is_value"] = True  # of a member: it counts where its composite is optional
        if source.optional:
            result["optional"] = True
        if encoding.minimum is not None:
            result["min"] = encoding.minimum
        if encoding.maximum is not None:
            result["max"] = encoding.maximum
        if encoding.charset:
            result["encoding"] = encoding.charset
        named = encoding.enum or encoding.set
        if named:
            result["named"] = named.name
        if encoding.composite:
            result["named"] = self._key_of(encoding.composite)
        if source.exponent:
            result["exponent"] = {"field": source.exponent.field, "levels": source.exponent.levels}
            if source.exponent.negated:
                result["exponent"]["negated"] = True
        if source.time:
            time = source.time
            parts = {"member": time.member, "unit_member": time.unit_member} if time.member else {}
            result["time"] = {"kind": time.kind, "unit": time.unit, **parts}
        return result | _facts(source)


def _place(member: ir.Field) -> list[int]:
    """Offset and size of a number of the framing; a constant one has no size, but its value."""
    constant = member.encoding.constant
    return [member.offset, member.size] + ([int(constant)] if constant is not None else [])


def _most(member: ir.Field) -> int:
    """The largest number that a count or a length may be: what null is made of is none."""
    maximum = member.encoding.maximum
    return int(maximum if maximum is not None else member.encoding.primitive.maximum or 0)


def _counts(source: ir.Header | ir.Dimension) -> dict[str, list[int]]:
    """Where the numbers of groups and of var data are said, where they are."""
    places = {"groups_at": source.group_count, "data_at": source.data_count}
    return {name: _place(member) for name, member in places.items() if member is not None}


def _dimensions(source: ir.Dimension) -> dict[str, Any]:
    """Where the numbers of a group are, and how many bytes they take."""
    return {
        "dimensions": source.size,
        "block_length_at": _place(source.block_length),
        "count_at": _place(source.count),
        **_counts(source),
    }


def _lengths(source: ir.VarData) -> dict[str, Any]:
    """Where the length of var data is, and how many bytes are in front of it."""
    return {"prefix": source.data_offset, "length_at": _place(source.length)}


def _facts(source: ir.Message | ir.Group | ir.Data | ir.Field) -> dict[str, Any]:
    result: dict[str, Any] = {}
    if source.metadata:
        result["metadata"] = dict(source.metadata)
    if source.deprecated is not None:
        result["deprecated"] = source.deprecated
    if source.description:
        result["doc"] = source.description
    return result


def _data(source: ir.Data) -> dict[str, Any]:
    result: dict[str, Any] = {
        "name": source.name,
        "schema_name": source.schema_name,
        "since": source.since,
        "encoding": source.var_data.charset,
        **_lengths(source.var_data),
        "most": _most(source.var_data.length),
    }
    if source.var_data.empty_is_null:
        result["empty_is_null"] = True
    if source.var_data.is_embedded:
        result["embedded"] = True
    if source.may_end:
        result["may_end"] = True
    return result | _facts(source)


def enums(made: Iterable[ir.Enum], alias_of: _Aliases) -> str:
    """One on each line, as `runtime.decode.enumerations` reads it."""
    return _listed(
        json.dumps(
            _named(each, alias_of)
            | {
                "nulls": each.nulls,
                "is_bool": each.is_bool,
                "members": [_member(value) for value in each.values],
            }
        )
        for each in made
    )


def sets(made: Iterable[ir.Set], alias_of: _Aliases) -> str:
    """The same of sets."""
    return _listed(
        json.dumps(
            _named(each, alias_of)
            | {"members": [_member(choice) for choice in each.choices]}
            | ({"null": _member(each.null)} if each.null else {})
        )
        for each in made
    )


def _named(made: ir.Enum | ir.Set, alias_of: _Aliases) -> dict[str, Any]:
    head = {"name": made.name, "schema_name": made.schema_name, "type": made.primitive.name}
    alias = alias_of(made)
    return head | ({"alias": alias} if alias else {})


def _member(value: ir.Value) -> list[Any]:
    metadata = [dict(value.metadata)] if value.metadata else []
    return [value.name, value.value, value.schema_name, *metadata]


def _listed(lines: Iterable[str]) -> str:
    """A JSON list with an item on each line."""
    made = ",\n".join(lines)
    return f"[\n{made}\n]" if made else "[]"


def _json(head: dict[str, Any], indent: str, **lists: Iterable[str]) -> str:
    """A JSON object: ``head`` on one line, then each list with one item a line."""
    text = json.dumps(head)[:-1]
    for key, items in lists.items():
        joined = ",\n".join(items)
        text += f',\n{indent}"{key}": [\n{joined}]' if joined else f',\n{indent}"{key}": []'
    return text + "}"
