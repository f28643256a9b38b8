"""Messages in the JSON form that the exchange has for them, by what the schema says of it.

``jsonPath`` is the key (with dots: of nested objects; ``..``: no key, what is inside stands for
what is around; ``[]``: the next item of an array), ``jsonValue`` the text of an enum's value or a
set's choice, ``jsonDefaultValue`` what stands for null, and exponents make strings of mantissas.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from sbe_codegen.runtime.decode.texts import DEEPEST
from sbe_codegen.runtime.errors import MalformedMessage

from .. import spot_sbe

_EVENTS = range(600, 700)
_WITH_NULLS = range(100, 300)  # information and market data; elsewhere what is null is left out
_KLINES = 203
_TIME = "utcTimestampUs"
_NULL_ANYWHERE = "commissionAsset"  # null in the JSON of events too
_ABSENT = object()


def to_json(message: Any, *, time_unit: str = "ms") -> str:
    """The JSON text that the exchange would have sent for ``message``, of `spot_sbe`.

    REST responses and user-data events; ``time_unit`` is "ms", as it is unless asked otherwise, or
    "us". Numbers that JSON has as strings are strings here. Raises TypeError for anything else, and
    DecodeError where a message inside is damaged.
    """
    return json.dumps(json_value(message, time_unit=time_unit), ensure_ascii=False)


def json_value(message: Any, *, time_unit: str = "ms") -> Any:
    """The same as plain Python objects."""
    return _value(message, time_unit, 0)


def _value(message: Any, time_unit: str, depth: int) -> Any:
    if time_unit not in ("ms", "us"):
        raise ValueError(f"time_unit is 'ms' or 'us', not {time_unit!r}")
    if type(message) not in spot_sbe.MESSAGES.values():
        raise TypeError(f"a message of spot_sbe has a JSON form, not {type(message).__name__}")
    is_event = message.TEMPLATE_ID in _EVENTS
    writer = _Writer(time_unit, message.TEMPLATE_ID not in _WITH_NULLS, depth)
    values = message.to_dict()
    result = writer.level(type(message)._ELEMENTS, values, ())
    if message.TEMPLATE_ID == _KLINES:
        for kline in result:
            kline.append("0")  # an item that JSON has and says to ignore
    if not is_event:
        return result
    name = type(message).__name__.removesuffix("Event")
    result = {"e": name[:1].lower() + name[1:]} | result
    subscription = result.pop("subscriptionId", None)
    if subscription is None:
        return result
    return {"subscriptionId": subscription, "event": result}


class _Writer:
    def __init__(self, time_unit: str, omit_null: bool, depth: int) -> None:
        self.time_unit = time_unit
        self.omit_null = omit_null
        self.depth = depth  # of messages inside messages

    def level(
        self, elements: Sequence[Any], values: Mapping[str, Any], outer: tuple[Any, ...]
    ) -> Any:
        """A message or an entry: an object, an array, or what its only part is."""
        scopes = (values, *outer)
        exponents = {e.facts["exponent"]["field"] for e in elements if "exponent" in e.facts} | {
            e.name for e in elements if e.facts.get("type_name", "").startswith("exponent")
        }
        result: dict[str, Any] = {}
        items: list[Any] = []
        for element in elements:
            if element.name in exponents:
                continue
            facts = element.facts
            value = self.value(element, values[element.name], scopes)
            path = facts.get("metadata", {}).get("jsonPath", element.schema_name)
            if value is _ABSENT:
                continue
            if path == "..":
                return value
            if path == "[]":
                items.append(value)
                continue
            *parents, key = path.split(".")
            target = result
            for parent in parents:
                target = target.setdefault(parent, {})
            target[key] = value
        return items or result

    def value(self, element: Any, value: Any, scopes: tuple[Any, ...]) -> Any:
        facts = element.facts
        metadata = facts.get("metadata", {})
        if "elements" in facts:
            entries = [self.level(facts["elements"], entry, scopes) for entry in value]
            is_left_out = not entries and metadata.get("jsonOmitNull") == "true"
            return _ABSENT if is_left_out else entries
        if facts.get("embedded") and value:
            if self.depth >= DEEPEST:
                raise MalformedMessage(f"messages inside messages go {DEEPEST} deep at most")
            return _value(spot_sbe.decode(value), self.time_unit, self.depth + 1)
        if value is None or value == b"":
            return self.null(facts, metadata.get("jsonDefaultValue"))
        kind = facts.get("kind")
        if kind in ("enum", "set"):
            return self.named(facts, value)
        if "exponent" in facts:
            levels, name = facts["exponent"]["levels"], facts["exponent"]["field"]
            exponent = scopes[levels][name]
            return None if exponent is None else f"{Decimal(value).scaleb(exponent):f}"
        if facts.get("type_name") == _TIME:
            return value // 1000 if self.time_unit == "ms" else value
        if isinstance(value, float):
            return f"{value:.3f}"
        return value

    def null(self, facts: Mapping[str, Any], default: str | None) -> Any:
        if default is None:
            is_kept = not self.omit_null or facts["schema_name"] == _NULL_ANYWHERE
            return None if is_kept or facts["schema_name"] == "subscriptionId" else _ABSENT
        if facts.get("kind") == "number" and "exponent" not in facts and facts["type"] != "float":
            return int(default)
        if facts.get("kind") == "enum" and default in ("true", "false"):
            return default == "true"
        return default

    def named(self, facts: Mapping[str, Any], value: Any) -> Any:
        """A name, or names; what the schema has no word for stays the number it is."""
        if isinstance(value, list):
            return [self.named(facts, each) for each in value]
        if isinstance(value, bool):
            return value
        found = facts["values"].get(value)
        if found is None:
            return value
        return found.get("jsonValue") or _upper(value)


def _upper(name: str) -> str:
    words = "".join(f"_{c}" if c.isupper() else c for c in name)
    return words.lstrip("_").upper()
