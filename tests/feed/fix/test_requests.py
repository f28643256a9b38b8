"""What a snapshot over FIX is of: snapshots name their symbol, and come in the order asked for."""

from __future__ import annotations

import asyncio
from collections import defaultdict

from hypothesis import given
from hypothesis import strategies as st

from binance_sbe import fix_sbe
from binance_sbe.feed.fix.account import KINDS, TRADE
from binance_sbe.feed.fix.requests import Key, Requests

KEYS = [(symbol, kind) for symbol in ("BTCUSDT", "ETHUSDT") for kind in KINDS]
SUBSCRIBED = st.lists(st.sampled_from(KEYS), unique=True)


def of(key: Key) -> fix_sbe.MarketDataSnapshot:
    kind = fix_sbe.MarketDataSnapshot
    return kind.decode(
        kind.encode(
            price_exponent=-2, qty_exponent=-8, last_book_update_id=1, symbol=key[0],
            md_entries_bids=[], md_entries_asks=[],
        )
    )  # fmt: skip


@given(keys=SUBSCRIBED, rest=st.data())
def test_snapshots_of_a_symbol_are_of_its_kinds_in_the_order_asked_for(
    keys: list[Key], rest: st.DataObject
) -> None:
    async def main() -> None:
        requests = Requests()
        answers = {}
        expected: dict[str, list[str]] = defaultdict(list)
        for number, (symbol, kind) in enumerate(keys):
            identity = requests.new_id()
            answers[symbol, kind] = requests.wait_for(identity, number)
            requests.subscribed((symbol, kind), identity, number)
            if kind != TRADE:
                expected[symbol].append(kind)
        while any(expected.values()):
            symbol = rest.draw(st.sampled_from([each for each in expected if expected[each]]))
            kind = expected[symbol].pop(0)
            message = of((symbol, kind))
            assert not answers[symbol, kind].done()
            assert requests.snapshot(message) == kind
            assert answers[symbol, kind].result() is message
        for symbol, kind in keys:
            assert answers[symbol, kind].done() == (kind != TRADE)
            assert requests.snapshot(of((symbol, kind))) is None

    asyncio.run(main())
