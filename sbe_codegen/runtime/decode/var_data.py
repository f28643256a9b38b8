"""Attributes of var data: text or bytes, the bytes as they are, and the message that is inside."""

from __future__ import annotations

from collections.abc import Container
from typing import Any

from . import texts
from .field_formats import Spec
from .names import free


def data_attributes(spec: Spec, slot: int, taken: Container[str], schema: Any) -> dict[str, Any]:
    """What a message class, or an entry, has for one var data element."""
    name, schema_name, since = spec["name"], spec["schema_name"], spec["since"]
    encoding, is_null = spec["encoding"], bool(spec.get("empty_is_null"))
    doc = f"{schema_name}: "
    doc += f"{encoding} text; MalformedMessage where it is not." if encoding else "bytes."
    if is_null:
        doc += " None where it is empty."
    if since:
        doc += f" None before version {since}."
    if spec.get("may_end"):
        doc += " None where the frame ends before it."
    if spec.get("doc"):
        doc += f" {spec['doc']}"
    result: dict[str, Any] = {}
    inside = None
    if spec.get("embedded"):
        full = free(f"{name}_message", taken)
        note = f"The message that {name} is, over the same frame; None where it is empty."
        inside = texts.DataMessage(full, schema_name, note, since, slot, schema)
        result[full] = inside
    full = free(f"{name}_bytes", taken)
    note = f"{schema_name} as raw bytes."
    may_end = bool(spec.get("may_end"))
    result[full] = texts.DataBytes(full, schema_name, note, since, slot, may_end)
    head = (name, schema_name, doc, since)
    field = texts.DataField(*head, slot, encoding, is_null, inside, may_end)
    result[name] = field.with_facts(dict(spec))
    return result
