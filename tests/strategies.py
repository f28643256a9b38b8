"""hypothesis strategies for the values of a message of an oracle Schema."""

from __future__ import annotations

import re
from typing import Any
from xml.etree.ElementTree import Element

from hypothesis import strategies as st
from oracle import Block, Field, Kind, Schema, local, snake

_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
Values = st.SearchStrategy[Any]


def versions(schema: Schema, since: int = 0) -> st.SearchStrategy[int]:
    """Of senders: that of the schema where headers have none."""
    return st.integers(since if schema.has_versions else schema.version, schema.version)


def numbers(code: str, size: int) -> Values:
    if code in "fd":
        return st.floats(allow_nan=False, width=32 if code == "f" else 64)
    low = -(2 ** (8 * size - 1)) if code in "bhiq" else 0
    return st.integers(low, low + 2 ** (8 * size) - 1)


def kind_values(kind: Kind, optional: bool) -> Values:
    values: Values
    if kind.tag == "composite":
        members = {m.name: kind_values(m.kind, m.optional) for m in kind.members if m.kind.size}
        values = st.fixed_dictionaries(members)
        return st.one_of(values, st.none()) if members and kind.may_be_null(optional) else values
    if kind.tag == "text":
        return texts(kind)
    if kind.tag == "array":
        one = numbers(kind.code, kind.size // max(1, kind.length))
        return st.lists(one, min_size=kind.length, max_size=kind.length)
    if kind.tag == "mantissa":
        return st.one_of(st.none(), st.integers(1 - 2**127, 2**127 - 1), st.integers(-99, 99))
    if kind.tag == "set":
        return numbers(kind.code, kind.size)
    if kind.tag == "char":
        values = st.characters(max_codepoint=255)
    elif kind.tag == "enum":
        known = st.sampled_from(sorted(kind.labels))
        return st.one_of(known, known, st.none(), numbers(kind.code, kind.size))
    else:
        values = numbers(kind.code, kind.size)
    return st.one_of(values, st.none()) if optional else values


def texts(kind: Kind) -> Values:
    charset = kind.charset or "latin-1"
    most = {None: 0xFF, "US-ASCII": 0x7F}.get(kind.charset, 0xFFF)
    alphabet = st.characters(min_codepoint=1, max_codepoint=most, exclude_categories=["Cs"])
    return st.text(alphabet, max_size=kind.length).filter(
        lambda text: len(text.encode(charset)) <= kind.length
    )


def field_values(field: Field) -> Values:
    """Exponents are never the null number: in tables it is null, if they were added later."""
    values = kind_values(field.kind, field.optional)
    is_exponent = re.fullmatch(r"e\d+x\d+_value", field.name)
    return values.filter(lambda value: value != field.kind.null) if is_exponent else values


def block_values(block: Block) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(
        {field.name: field_values(field) for field in block.fields if field.size}
    )


def level(schema: Schema, node: Element, entries: int) -> st.SearchStrategy[dict[str, Any]]:
    parts: dict[str, Values] = {}
    for child in node:
        key = snake(child.get("name", ""))
        if local(child) == "group":
            parts[key] = st.lists(level(schema, child, 2), max_size=entries)
        elif local(child) == "data":
            parts[key] = _TEXT if schema.charset(child) else st.binary(max_size=12)
    return st.tuples(block_values(Block(schema, node)), st.fixed_dictionaries(parts)).map(
        lambda pair: pair[0] | pair[1]
    )


def messages(schema: Schema, name: str) -> st.SearchStrategy[dict[str, Any]]:
    return level(schema, schema.messages[name], 4)
