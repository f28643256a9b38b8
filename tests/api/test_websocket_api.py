"""Frames of the WebSocket API: each field of the envelope, and what stands for unknown words."""

from __future__ import annotations

from typing import Any

import pytest
from test_binance_api import DEPTH, ERROR, encode

from binance_sbe import BinanceError, spot_sbe, websocket_api
from binance_sbe.websocket_api import RateLimit

LIMIT = {"rate_limit_type": 2, "interval": 1, "interval_num": 10, "rate_limit": 50, "current": 7}


def reply(**values: Any) -> websocket_api.Reply:
    given = {"status": 200, "id": "a", "result": DEPTH, "rate_limits": [],
             "sbe_schema_id_version_deprecated": 0}  # fmt: skip
    return websocket_api.unwrap(encode("WebSocketResponse", **given | values))


def test_a_reply_has_all_of_its_envelope() -> None:
    found = reply(rate_limits=[LIMIT, LIMIT | {"rate_limit_type": 77, "interval": 99}])
    assert type(found.message) is spot_sbe.DepthResponse
    assert (found.status, found.id, found.deprecated) == (200, "a", False)
    kinds, intervals = spot_sbe.RateLimitType, spot_sbe.RateLimitInterval
    assert found.rate_limits == (
        RateLimit(kinds(2), intervals(1), 10, 50, 7), RateLimit(77, 99, 10, 50, 7),
    )  # fmt: skip
    assert type(found.rate_limits[0].type) is kinds
    assert type(found.rate_limits[1].interval) is int
    found.raise_for_status()


@pytest.mark.parametrize(("value", "is_deprecated"), [(0, False), (1, True), (None, False)])
def test_a_schema_is_deprecated_where_the_exchange_says_so(
    value: int | None, is_deprecated: bool
) -> None:
    assert reply(sbe_schema_id_version_deprecated=value).deprecated is is_deprecated


def test_an_error_inside_is_raised_when_asked() -> None:
    found = reply(result=ERROR, status=400)
    with pytest.raises(BinanceError, match="-1121: Invalid symbol"):
        found.raise_for_status()
    bare = websocket_api.unwrap(ERROR)
    assert (bare.status, bare.id, bare.rate_limits, bare.deprecated) == (None, None, (), False)
    with pytest.raises(BinanceError):
        bare.raise_for_status()
    empty = reply(result=b"", status=200)
    assert empty.message is None
    empty.raise_for_status()
