"""JSON schemas of the payloads that Binance documents for four of its JSON streams.

Written by hand from the documented fields; https://json-schema.org, draft 2020-12.
"""

from __future__ import annotations

from typing import Any

NUMBER = {"type": "string", "pattern": r"^\d+(\.\d+)?$"}
ID = {"type": "integer", "minimum": 0}
TIME = {"type": "integer", "minimum": 10**12, "maximum": 10**16}
SYMBOL = {"type": "string", "minLength": 1}
LEVELS = {
    "type": "array",
    "items": {"type": "array", "prefixItems": [NUMBER, NUMBER], "minItems": 2, "maxItems": 2},
}


def _payload(**fields: Any) -> dict[str, Any]:
    """An object with exactly these."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": fields,
        "required": list(fields),
        "additionalProperties": False,
    }


TRADE = _payload(
    e={"const": "trade"}, E=TIME, s=SYMBOL, t=ID, p=NUMBER, q=NUMBER, T=TIME,
    m={"type": "boolean"}, M={"type": "boolean"},
)  # fmt: skip
BOOK_TICKER = _payload(u=ID, s=SYMBOL, b=NUMBER, B=NUMBER, a=NUMBER, A=NUMBER)
PARTIAL_DEPTH = _payload(
    lastUpdateId=ID, bids=LEVELS | {"maxItems": 20}, asks=LEVELS | {"maxItems": 20}
)
DEPTH_UPDATE = _payload(
    e={"const": "depthUpdate"}, E=TIME, s=SYMBOL, U=ID, u=ID, b=LEVELS, a=LEVELS
)
