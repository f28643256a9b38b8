"""Events in plain objects."""

from __future__ import annotations

from typing import Any

import pytest
from feeds import trade

from binance_sbe import spot_stream
from binance_sbe.commands.events import events_of
from binance_sbe.simulator.encoder import encode
from binance_sbe.simulator.events import BestBidAsk, Depth, Diff, Trade, Trades


def batch_of(*frames: bytes) -> Any:
    return spot_stream.decode_many(list(frames), on_error="collect")


EVENTS = [
    Trades("BTCUSDT", -2, -8, 5, 4, (Trade(1, 9412345, 10**8, True), Trade(2, 5, 5, False))),
    BestBidAsk("ETHUSDT", -2, -8, 6, 7, (330001, 10**8), (330002, 5)),
    Depth("BTCUSDT", -2, -8, 8, 9, ((100, 1), (99, 2)), ((101, 3),)),
    Diff("BTCUSDT", 0, 1, 8, 9, 10, ((100, 0),), ()),
]


def test_events_are_plain_objects_in_the_order_of_their_arrival() -> None:
    order = [1, 3, 0, 2]
    batch = batch_of(*(encode(EVENTS[i]) for i in order), b"x")
    found = events_of(batch)
    for event in found:
        assert event.pop("received_ns", 0) == 0
    expected: list[dict[str, Any]] = [
        {"stream": "btcusdt@trade", "symbol": "BTCUSDT", "event_time": 5, "transact_time": 4,
         "trades": [
             {"id": 1, "price": "94123.45", "qty": "1.00000000", "is_buyer_maker": True},
             {"id": 2, "price": "0.05", "qty": "0.00000005", "is_buyer_maker": False}]},
        {"stream": "ethusdt@bestBidAsk", "symbol": "ETHUSDT", "event_time": 6,
         "book_update_id": 7, "bid_price": "3300.01", "bid_qty": "1.00000000",
         "ask_price": "3300.02", "ask_qty": "0.00000005"},
        {"stream": "btcusdt@depth20", "symbol": "BTCUSDT", "event_time": 8,
         "book_update_id": 9, "bids": [["1.00", "0.00000001"], ["0.99", "0.00000002"]],
         "asks": [["1.01", "0.00000003"]]},
        {"stream": "btcusdt@depth", "symbol": "BTCUSDT", "event_time": 8,
         "first_book_update_id": 9, "last_book_update_id": 10, "bids": [["100", "0"]],
         "asks": []},
    ]  # fmt: skip
    assert found == [expected[i] for i in order]


@pytest.mark.parametrize(("value", "plain"), [(0, False), (1, True), (255, None), (7, 7)])
def test_an_enum_is_plain_where_there_is_a_word_for_it(value: int, plain: Any) -> None:
    frame = bytearray(trade(5))
    frame[8 + 18 + 6 + 24] = value
    (event,) = events_of(batch_of(bytes(frame)))
    found = event["trades"][0]["is_buyer_maker"]
    assert (found, type(found)) == (plain, type(plain))
