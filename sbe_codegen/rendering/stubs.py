"""What a type checker is told: the types of attributes."""

from __future__ import annotations

from typing import Any

from .. import ir, names
from ..runtime.decode.names import free
from ..runtime.decode.times import datetime_name
from .source import Source, code, joined
from .tuples import has_decimals, is_scaled

_ROWS = code("NDArray[np.void]")
_GROUP = code("Sequence[Mapping[str, Any] | Any] | NDArray[np.void] | None")
_BLOCK = {"name": "block", "type": _ROWS}


def message(source: ir.Message) -> dict[str, Any]:
    elements: list[ir.Field | ir.Data] = [*source.block.fields, *source.data]
    return {
        "match_args": joined(" ", (code('"{}",', field.name) for field in source.block.fields)),
        "tuple_names": joined(", ", (each.name for each in elements)),
        "tuple_types": joined(", ", map(_type, elements)) or code("()"),
        "float_types": _float_types(elements),
        "flat_groups": [group.name for group in source.groups if group.is_flat],
        "properties": [_BLOCK, *_properties(source, source)],
        "entries": list(_entries(source, source)),
        "values": _values(source),
        "into": [free(name, _names(source)) for name in ("buffer", "offset")],
    }


def _names(source: ir.Message) -> list[str]:
    """What `encode` calls the elements; its options keep off these names."""
    names = [field.name for field in source.block.fields]
    names += [group.name for group in source.groups]
    return names + [each.name for each in source.data]


def _values(source: ir.Message) -> list[dict[str, Any]]:
    """What `encode` takes by name, in its order: each may be left out, or given in another way."""
    names = _names(source)
    result: list[dict[str, Any]] = []
    scaled: list[tuple[str, Source]] = []
    for field in source.block.fields:
        result.append({"name": field.name, "type": _given(field)})
        if is_scaled(field):
            scaled.append((f"{field.name}_float", code("float | None")))
            scaled.append((f"{field.name}_decimal", code("Decimal | int | str | None")))
    for group in source.groups:
        result.append({"name": group.name, "type": _GROUP})
        if any(map(has_decimals, group.block.fields)):
            scaled.append((f"{group.name}_float", _GROUP))
    for each in source.data:
        text, other = code("str | Buffer | None"), code("Buffer | BaseMessage | None")
        result.append({"name": each.name, "type": text if each.var_data.charset else other})
    result += [{"name": free(name, names), "type": kind} for name, kind in scaled]
    result.append({"name": free("version", names), "type": code("int | None")})
    result.append({"name": free("exponents", names), "type": code('Literal["fit"] | None')})
    return result


def _given(field: ir.Field) -> Source:
    """What `encode` takes for a field; None where it is optional, or its sender has none."""
    encoding = field.encoding
    if encoding.enum is not None:
        if encoding.enum.is_bool:
            return code("{} | bool | str | int | None", encoding.enum.name)
        return code("{} | str | int | None", encoding.enum.name)
    if encoding.set is not None:
        return code("{} | int | Sequence[str | int] | None", encoding.set.name)
    if encoding.kind == "composite":
        return code("Mapping[str, Any] | Any")
    if encoding.kind == "array":
        return code("Sequence[float] | NDArray[Any] | None")
    if encoding.kind in ("text", "char"):
        return code("str | None")
    if encoding.kind == "number" and encoding.primitive.is_float:
        return code("float | None")
    return code("int | str | None" if field.is_constant else "int | None")


def _float_types(elements: list[ir.Field | ir.Data]) -> Source:
    """Those of ``astuple_float``; empty where there are no mantissas."""
    if not any(map(is_scaled, elements)):
        return code("")
    types = (
        _scaled_type("float", each)
        if isinstance(each, ir.Field) and is_scaled(each)
        else _type(each)
        for each in elements
    )
    return joined(", ", types)


def _scaled_type(name: str, field: ir.Field) -> Source:
    is_null = bool(field.optional or field.since or field.encoding.kind == "mantissa")
    if field.exponent is not None:
        is_null = is_null or field.exponent.is_null
    elif field.encoding.composite is not None and field.encoding.composite.decimal is not None:
        is_null = is_null or any(m.optional or m.since for m in field.encoding.composite.decimal)
    return code("{} | None" if is_null else "{}", name)


def _entry_class(source: ir.Message, group: ir.Group) -> str:
    return f"_{source.name}_{group.name}_{names.entry_name(group.schema_name)}"


def _entries(source: ir.Message, level: ir.Message | ir.Group) -> list[dict[str, Any]]:
    """The classes of entries; a type checker knows them under private names."""
    result: list[dict[str, Any]] = []
    for group in level.groups:
        if not group.is_flat:
            result += _entries(source, group)
            result.append(
                {
                    "name": _entry_class(source, group),
                    "properties": [_BLOCK, *_properties(source, group)],
                }
            )
    return result


def _properties(source: ir.Message, level: ir.Message | ir.Group) -> list[dict[str, Any]]:
    result = []
    scaled = []
    taken = {field.name for field in level.block.fields}
    taken |= {group.name for group in level.groups} | {each.name for each in level.data}
    for field in level.block.fields:
        result.append({"name": field.name, "type": of_field(field)})
        if is_scaled(field):
            for ending, made in (("float", "float"), ("decimal", "Decimal")):
                name = free(f"{field.name}_{ending}", taken)
                scaled.append({"name": name, "type": _scaled_type(made, field)})
        if is_time(field):
            name = free(datetime_name(field.name), taken)
            kind = code("_datetime | None" if field.optional or field.since else "_datetime")
            scaled.append({"name": name, "type": kind})
    result += scaled
    for group in level.groups:
        if not group.is_flat:
            kind = code("Entries[{}]", _entry_class(source, group))
            result.append({"name": group.name, "type": kind})
            continue
        result.append({"name": group.name, "type": _ROWS})
        if any(map(has_decimals, group.block.fields)):
            result.append({"name": free(f"{group.name}_float", taken), "type": _ROWS})
    for each in level.data:
        result.append({"name": each.name, "type": _type(each)})
        kind = code("bytes | None" if each.since or each.may_end else "bytes")
        result.append({"name": free(f"{each.name}_bytes", taken), "type": kind})
        if each.var_data.is_embedded:
            result.append({"name": free(f"{each.name}_message", taken), "type": "Any"})
    return result


def is_time(field: ir.Field) -> bool:
    """Whether it has an attribute that is a datetime."""
    time = field.time
    return time is not None and time.kind == "timestamp" and time.member is None


def _type(element: ir.Field | ir.Data) -> Source:
    if isinstance(element, ir.Field):
        return of_field(element)
    is_null = element.since or element.may_end or element.var_data.empty_is_null
    made = "str" if element.var_data.charset else "bytes"
    return code("{} | None" if is_null else "{}", made)


def of_field(field: ir.Field) -> Source:
    """The Python type of a field's attribute."""
    encoding = field.encoding
    form = "{} | None" if field.optional or field.since else "{}"
    if encoding.enum is not None:
        name = "bool" if encoding.enum.is_bool else encoding.enum.name
        return code(form if field.is_constant else "{} | int | None", name)
    if encoding.set is not None:
        return code(form, encoding.set.name)
    if encoding.kind == "composite":
        return code("Any")
    if encoding.kind == "mantissa":
        return code("int | None")
    if encoding.kind == "array":
        return code(form, code("NDArray[Any]"))
    if encoding.kind in ("text", "char"):
        return code(form, "str")
    return code(form, "float" if encoding.primitive.is_float else "int")
