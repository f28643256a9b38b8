"""Runs in an environment that has nautilus_trader: reads a catalog, and prints what is in it.

``python nautilus_run.py DIR INSTRUMENT`` prints JSON.
"""

import json
import sys

import nautilus_trader
from nautilus_trader.model.book import OrderBook
from nautilus_trader.model.enums import BookType
from nautilus_trader.model.identifiers import InstrumentId
from nautilus_trader.persistence.catalog import ParquetDataCatalog


def main(path: str, name: str) -> None:
    catalog = ParquetDataCatalog(path)
    instrument = InstrumentId.from_str(name)
    found = {"version": nautilus_trader.__version__}
    found["quotes"] = [
        [
            str(q.bid_price),
            str(q.ask_price),
            str(q.bid_size),
            str(q.ask_size),
            q.ts_event,
            q.ts_init,
        ]
        for q in catalog.quote_ticks(instrument_ids=[name])
    ]
    found["trades"] = [
        [str(t.price), str(t.size), t.aggressor_side.name, str(t.trade_id), t.ts_event, t.ts_init]
        for t in catalog.trade_ticks(instrument_ids=[name])
    ]
    book = OrderBook(instrument, BookType.L2_MBP)
    found["books"] = []
    for delta in catalog.order_book_deltas(instrument_ids=[name]):
        book.apply_delta(delta)
        if delta.flags & 128 and not delta.flags & 32:
            sides = [
                [[str(level.price), str(level.orders()[0].size)] for level in side]
                for side in (book.bids(), book.asks())
            ]
            found["books"].append([delta.sequence, *sides])
    found["depths"] = [
        [
            d.sequence,
            [[str(o.price), str(o.size)] for o in d.bids if o.size.as_double() > 0],
            [[str(o.price), str(o.size)] for o in d.asks if o.size.as_double() > 0],
        ]
        for d in catalog.order_book_depth10(instrument_ids=[name])
    ]
    print(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
