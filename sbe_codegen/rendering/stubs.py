"""What a type checker is told: the types of attributes."""

from __future__ import annotations

from typing import Any

from .. import ir, names
from ..runtime.names import free


def message(source: ir.Message) -> dict[str, Any]:
    elements: list[ir.Field | ir.Data] = [*source.block.fields, *source.data]
    return {
        "match_args": "".join(f'"{field.name}", ' for field in source.block.fields).strip(),
        "tuple_names": ", ".join(each.name for each in elements),
        "tuple_types": ", ".join(map(_type, elements)) or "()",
        "float_types": _float_types(elements),
        "flat_groups": [group.name for group in source.groups if group.is_flat],
        "properties": [{"name": "block", "type": "NDArray[np.void]"}, *_properties(source, source)],
        "entries": list(_entries(source, source)),
    }


def _float_types(elements: list[ir.Field | ir.Data]) -> str:
    """Those of ``astuple_float``; empty where there are no mantissas."""
    if not any(isinstance(each, ir.Field) and each.exponent for each in elements):
        return ""
    return ", ".join(
        _float_type(each) if isinstance(each, ir.Field) and each.exponent else _type(each)
        for each in elements
    )


def _float_type(field: ir.Field) -> str:
    is_null = field.optional or field.since or field.encoding.kind == "mantissa"
    return "float | None" if is_null else "float"


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
                    "properties": [
                        {"name": "block", "type": "NDArray[np.void]"},
                        *_properties(source, group),
                    ],
                }
            )
    return result


def _properties(source: ir.Message, level: ir.Message | ir.Group) -> list[dict[str, str]]:
    result = []
    scaled = []
    taken = {field.name for field in level.block.fields}
    taken |= {group.name for group in level.groups} | {each.name for each in level.data}
    for field in level.block.fields:
        result.append({"name": field.name, "type": of_field(field)})
        if field.exponent:
            kind = _float_type(field)
            scaled.append({"name": free(f"{field.name}_float", taken), "type": kind})
            kind = kind.replace("float", "Decimal")
            scaled.append({"name": free(f"{field.name}_decimal", taken), "type": kind})
    result += scaled
    for group in level.groups:
        if not group.is_flat:
            kind = f"Entries[{_entry_class(source, group)}]"
            result.append({"name": group.name, "type": kind})
            continue
        result.append({"name": group.name, "type": "NDArray[np.void]"})
        if any(field.exponent for field in group.block.fields):
            result.append({"name": free(f"{group.name}_float", taken), "type": "NDArray[np.void]"})
    for each in level.data:
        none = " | None" if each.since else ""
        result.append({"name": each.name, "type": _type(each)})
        result.append({"name": free(f"{each.name}_bytes", taken), "type": "bytes" + none})
        if each.var_data.is_embedded:
            result.append({"name": free(f"{each.name}_message", taken), "type": "Any"})
    return result


def _type(element: ir.Field | ir.Data) -> str:
    if isinstance(element, ir.Field):
        return of_field(element)
    none = " | None" if element.since or element.var_data.empty_is_null else ""
    return ("str" if element.var_data.charset else "bytes") + none


def of_field(field: ir.Field) -> str:
    """The Python type of a field's attribute."""
    encoding = field.encoding
    none = " | None" if field.optional or field.since else ""
    if encoding.enum is not None:
        if encoding.enum.is_bool:
            return "bool" + none if field.is_constant else "bool | int | None"
        name = encoding.enum.name
        return name + none if field.is_constant else f"{name} | int | None"
    if encoding.set is not None:
        return encoding.set.name + none
    if encoding.kind == "composite":
        return "Any"
    if encoding.kind == "mantissa":
        return "int | None"
    if encoding.kind == "array":
        return "NDArray[Any]" + none
    if encoding.kind in ("text", "char"):
        return "str" + none
    return ("float" if encoding.primitive.is_float else "int") + none
