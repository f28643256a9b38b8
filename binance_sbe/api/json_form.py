"""Messages in the JSON form that the exchange has for them, by what the schema says of it.

Those of streams, whose schema says nothing of JSON, are made in `json_stream`; of the others
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

from .. import spot_sbe, spot_stream
from .json_stream import Digits, stream_events

_EVENTS = range(600, 700)
_WITH_NULLS = range(100, 300)  # information and market data; elsewhere what is null is left out
_KLINES = 203
_TIME = "utcTimestampUs"
_NULL_ANYWHERE = "commissionAsset"  # null in the JSON of events too
_ABSENT = object()


def to_json(message: Any, *, time_unit: str = "ms", digits: Digits = None) -> str:
    """The JSON text that the exchange would have sent for ``message``.

    Messages of `spot_sbe` (REST responses, user-data events) and of `spot_stream`. ``time_unit`` is
    "ms", as it is unless asked otherwise, or "us". Numbers that JSON has as strings are strings
    here. JSON streams send an event for each trade: so a message of several trades is as many lines
    of text, and one without trades is no text.

    ``digits`` is for messages of streams: how many digits prices and quantities have after the
    point, as one number, as two, or by symbol; by default as many as the exponents of the message
    give. Raises TypeError for anything else, DecodeError where a message inside is damaged, or the
    symbol is not UTF-8, and ValueError where ``digits`` would leave out a digit other than 0.
    """
    if _is_of_a_stream(message):
        events = stream_events(message, time_unit=time_unit, digits=digits)
        return "\n".join(json.dumps(each, ensure_ascii=False) for each in events)
    if digits is not None:
        raise TypeError("digits are for messages of streams; the others have their exponents'")
    return json.dumps(json_value(message, time_unit=time_unit), ensure_ascii=False)


def json_value(message: Any, *, time_unit: str = "ms", digits: Digits = None) -> Any:
    """The same as plain Python objects. A message of trades is a list of events, one a trade."""
    if _is_of_a_stream(message):
        events = stream_events(message, time_unit=time_unit, digits=digits)
        return events if isinstance(message, spot_stream.TradesStreamEvent) else events[0]
    if digits is not None:
        raise TypeError("digits are for messages of streams; the others have their exponents'")
    return _value(message, time_unit, 0)


def _is_of_a_stream(message: Any) -> bool:
    return type(message) in spot_stream.MESSAGES.values()


def _value(message: Any, time_unit: str, depth: int) -> Any:
    if time_unit not in ("ms", "us"):
        raise ValueError(f"time_unit is 'ms' or 'us', not {time_unit!r}")
    if type(message) not in spot_sbe.MESSAGES.values():
        name = type(message).__name__
        raise TypeError(f"a message of spot_stream or spot_sbe has a JSON form, not {name}")
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
