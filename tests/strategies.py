"""hypothesis strategies for the values of a message of an oracle Schema."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from oracle import Block, Field, Schema, local, snake

_TEXT = st.text(max_size=12)


def field_values(field: Field) -> st.SearchStrategy[Any]:
    if field.labels:
        known = st.sampled_from(sorted(field.labels))
        low, high = (-(2**15), 2**15 - 1) if field.code == "h" else (0, 255)
        return st.one_of(known, known, st.none(), st.integers(low, high))
    if field.code in "fd":
        value: st.SearchStrategy[Any] = st.floats(
            allow_nan=False, width=32 if field.code == "f" else 64
        )
    else:
        bits = 8 * field.size
        low = -(2 ** (bits - 1)) if field.code in "bhiq" else 0
        value = st.integers(low, low + 2**bits - 1)
    return st.one_of(value, st.none()) if field.optional else value


def block_values(block: Block) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(
        {field.name: field_values(field) for field in block.fields if field.constant is None}
    )


def messages(schema: Schema, name: str) -> st.SearchStrategy[dict[str, Any]]:
    node = schema.messages[name]
    parts: dict[str, st.SearchStrategy[Any]] = {}
    for child in node:
        key = snake(child.get("name", ""))
        if local(child) == "group":
            parts[key] = st.lists(block_values(Block(schema, child)), max_size=4)
        elif local(child) == "data":
            is_text = schema.types[child.get("type", "")][1].get("characterEncoding")
            parts[key] = _TEXT if is_text else st.binary(max_size=12)
    return st.tuples(block_values(Block(schema, node)), st.fixed_dictionaries(parts)).map(
        lambda pair: pair[0] | pair[1]
    )
