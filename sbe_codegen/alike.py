"""What two schemas must have in common for the bytes of one to be read by decoders of the other.

Each function makes something to be compared: equal means that the bytes are read alike.
"""

from __future__ import annotations

from collections.abc import Sequence

from . import ir


def wire(fields: Sequence[ir.Field]) -> list[tuple[object, ...]]:
    """What the bytes of fields are: name, offset, and the type as far as bytes go."""
    result: list[tuple[object, ...]] = []
    for field in fields:
        if not field.size:
            continue
        encoding = field.encoding
        inner = wire(encoding.composite.members) if encoding.composite else ()
        kind = "composite" if encoding.composite else encoding.primitive.name
        is_text = encoding.kind in ("text", "mantissa", "set")
        result.append(
            (field.schema_name, field.offset, kind, encoding.length, field.size, is_text,
             charset(encoding.charset or "ascii"), tuple(inner))
        )  # fmt: skip
    return result


def charset(name: str | None) -> str | None:
    """The same for all in which a byte is a character: they are read in one way."""
    return "latin-1" if name in ("ascii", "iso8859-1") else name


def dimension(source: ir.Dimension) -> tuple[object, ...]:
    """Of the numbers in front of the entries of a group."""
    counts = [each for each in (source.group_count, source.data_count) if each is not None]
    members = [source.block_length, source.count, *counts]
    constants = [each.encoding.constant for each in members]
    return source.size, constants, *wire(members)


def length(data: ir.VarData) -> tuple[object, ...]:
    """Of what is in front of the bytes of var data."""
    return data.data_offset, data.length.encoding.constant, *wire([data.length])
