"""Events in plain objects, as lines of JSON have them."""

from __future__ import annotations

from collections.abc import Iterator
from operator import itemgetter
from typing import Any

from sbe_codegen.runtime.tables.results import Batch

from ..api.decimals import decimal
from ..venue.streams import KINDS

KIND_OF: dict[type, str] = {kind.message: name for name, kind in KINDS.items()}


def events_of(batch: Batch) -> list[dict[str, Any]]:
    """The events of a batch in the order of their arrival, in plain objects.

    Times are as they are (us, and ns of arrival), prices and quantities are str.
    """
    return [event for _, event in sorted(numbered_events(batch), key=itemgetter(0))]


def numbered_events(batch: Batch) -> Iterator[tuple[int, dict[str, Any]]]:
    """The same in any order, with the number of the frame in the batch."""
    for message, table in batch.tables.items():
        groups = table.groups
        for i, row in enumerate(table.records):
            yield int(row["frame"]), _event(KIND_OF[message], row, groups, table, i)


def _event(kind: str, row: Any, groups: Any, table: Any, i: int) -> dict[str, Any]:
    symbol = table.symbols[row["symbol"]]
    exponents = {"price": int(row["price_exponent"]), "qty": int(row["qty_exponent"])}
    event: dict[str, Any] = {"stream": f"{symbol.lower()}@{kind}", "symbol": symbol}
    enums = _ENUMS[table.message]
    for name in row.dtype.names:
        if name not in ("frame", "symbol", "price_exponent", "qty_exponent"):
            event[name] = _plain(name, row[name].item(), exponents, enums)
    for name, group in groups.items():
        columns = group.records.dtype.names
        entries = [
            {
                key: _plain(key, value, exponents, enums)
                for key, value in zip(columns, each, strict=True)
            }
            for each in group[i].tolist()
        ]
        event[name] = entries if kind == "trade" else [[*each.values()] for each in entries]
    return event


def _enums_of(message: Any) -> dict[str, dict[int, Any]]:
    """Of each enum of a message: what its numbers are in plain objects, as `to_dict` has them."""
    found: dict[str, dict[int, Any]] = {}
    inner = [e for each in message._ELEMENTS for e in each.facts.get("elements", ())]
    for element in (*message._ELEMENTS, *inner):
        if element.facts.get("kind") == "enum" and "constant" not in element.facts:
            labels = element.facts["labels"]
            is_bool = set(labels.values()) == {"False", "True"}
            plain = {n: name == "True" if is_bool else name for n, name in labels.items()}
            found[element.name] = {**plain, element.facts["null"]: None}
    return found


_ENUMS = {kind.message: _enums_of(kind.message) for kind in KINDS.values()}


def _plain(name: str, value: Any, exponents: dict[str, int], enums: dict[str, Any]) -> Any:
    if name in enums:
        return enums[name].get(value, value)
    exponent = exponents.get(name.rpartition("_")[2])
    return value if exponent is None else decimal(value, exponent)
