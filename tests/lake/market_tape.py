"""A market made by chance, a tape of it, and the rows that an archive of it should have.

What is expected is made of the events themselves, in plain Python: neither the decoders nor numpy
have a part in it.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from taped import START, recorder_at

from binance_sbe.simulator.encoder import encode
from binance_sbe.simulator.events import BestBidAsk, Depth, Diff, Level, Trade, Trades
from binance_sbe.tape.rows import Kind, as_json, with_head

MS = 10**6
SYMBOLS = ("BTCUSDT", "ETHUSDT", "币安USDT")
NAMES = {Trades: "trade", BestBidAsk: "best_bid_ask", Depth: "depth20", Diff: "depth"}
STREAMS = {Trades: "trade", BestBidAsk: "bestBidAsk", Depth: "depth20", Diff: "depth"}
DAY_NS = 86_400 * 10**9
Event = Trades | BestBidAsk | Depth | Diff


def snapshot_answer(update_id: int, bids: Iterable[Level], asks: Iterable[Level]) -> bytes:
    """A DepthResponse of schema 3, version 5, with the exponents -2 and -8."""
    made = struct.pack("<HHHH", 10, 200, 3, 5) + struct.pack("<qbb", update_id, -2, -8)
    for side in (list(bids), list(asks)):
        made += struct.pack("<HI", 16, len(side)) + b"".join(struct.pack("<qq", *x) for x in side)
    return made


@dataclass
class Market:
    """``rows`` are those of the tape; ``came`` is each event once, when and by which connection.

    ``missing`` is by stream the first id behind each hole; ``snapshots`` by symbol their ids.
    """

    rows: list[tuple[int, int, int, bytes]] = field(default_factory=list)
    came: list[tuple[Event, int, int]] = field(default_factory=list)
    missing: dict[str, set[int]] = field(default_factory=dict)
    snapshots: dict[str, list[int]] = field(default_factory=dict)
    books: dict[str, tuple[dict[int, int], dict[int, int]]] = field(default_factory=dict)

    def tape(self, path: Path, **options: Any) -> Path:
        """The directory of a tape with these rows."""
        began = {"at": self.rows[0][0] - MS} if self.rows else {}
        given = {"batch_rows": 50, "batch_seconds": 100.0} | began | options
        recorder = recorder_at(path, **given)
        for at, connection, kind, content in self.rows:
            recorder.tap.put(at, connection, kind, content)
        recorder.close()
        return path

    def of(self, kind: type[Event]) -> list[tuple[Event, int, int]]:
        """The events of one kind, by symbol, event time and id."""
        found = [each for each in self.came if isinstance(each[0], kind)]
        return sorted(found, key=lambda each: (each[0].symbol, each[0].event_time, ids(each[0])[1]))


def ids(event: Event) -> tuple[int, int]:
    match event:
        case Trades():
            return event.trades[0].id, event.trades[-1].id
        case Diff():
            return event.first_update_id, event.last_update_id
    return event.update_id, event.update_id


def market(
    seed: int,
    events: int = 400,
    lines: int = 1,
    holes: int = 3,
    snapshots: bool = True,
    start: int = START,
    step: int = 20 * MS,
    symbols: tuple[str, ...] = SYMBOLS,
) -> Market:
    chance = random.Random(seed)
    made = Market()
    state = {
        s: {
            "trade": chance.randrange(1, 10**9),
            "update": chance.randrange(1, 10**9),
            "price": 10**6,
        }
        for s in symbols
    }
    lost = set(chance.sample(range(events // 4, events), holes)) if holes else set()
    came: list[tuple[int, int, int, bytes]] = []
    pending: dict[str, int] = {}
    for i in range(events):
        symbol = chance.choice(symbols)
        at = start + i * step
        event = _event(
            chance, symbol, state[symbol], at // 1000 - chance.randrange(1000, 5000), made
        )
        stream = f"{symbol.lower()}@{STREAMS[type(event)]}"
        if i in lost and isinstance(event, Trades | Diff):
            pending.setdefault(stream, ids(event)[0] - 1)
            continue
        if stream in pending:
            before, first = pending.pop(stream), ids(event)[0]
            made.missing.setdefault(stream, set()).add(first)
            told = {"stream": stream, "last_before": before, "first_after": first,
                    "started_ns": at - step, "ended_ns": at, "cause": "it was cut"}  # fmt: skip
            came.append((at, 0, int(Kind.HOLE), as_json(told)))
        arrivals = sorted((at + chance.randrange(8 * MS), line) for line in range(1, lines + 1))
        made.came.append((event, *arrivals[0]))
        came += [(when, line, int(Kind.FRAME), encode(event)) for when, line in arrivals]
        if snapshots and isinstance(event, Diff) and chance.random() < 0.1:
            update_id = event.last_update_id
            book = made.books[symbol]
            bids = sorted(book[0].items(), reverse=True)
            answer = snapshot_answer(update_id, bids, sorted(book[1].items()))
            head = {"symbol": symbol.lower(), "limit": 5000, "after": i}
            came.append((at + 9 * MS, 0, int(Kind.SNAPSHOT), with_head(head, answer)))
            made.snapshots.setdefault(symbol, []).append(update_id)
    came.sort(key=lambda row: row[0])
    made.rows = came
    return made


def _event(
    chance: random.Random, symbol: str, state: dict[str, int], time: int, made: Market
) -> Event:
    state["price"] += chance.randrange(-5, 6)
    price, last = state["price"], state["update"]
    state["update"] += chance.randrange(1, 6)
    head = (symbol, -2, -8, time)
    which = chance.randrange(4)
    if which == 0:
        count = chance.randrange(1, 4)
        first = state["trade"] + 1
        state["trade"] += count
        some = tuple(
            Trade(first + k, price + k, chance.randrange(1, 2**52), chance.random() < 0.5)
            for k in range(count)
        )
        return Trades(*head, time - 10, some)
    if which == 1:
        return BestBidAsk(*head, state["update"], (price, chance.randrange(1, 2**52)),
                          (price + 1, chance.randrange(1, 2**52)))  # fmt: skip
    if which == 2:
        side = [(price - k, chance.randrange(1, 2**56)) for k in range(chance.randrange(21))]
        other = [(price + 1 + k, chance.randrange(1, 2**56)) for k in range(chance.randrange(21))]
        return Depth(*head, state["update"], tuple(side), tuple(other))
    bids, asks = made.books.setdefault(symbol, ({}, {}))
    changes: tuple[dict[int, int], dict[int, int]] = ({}, {})
    for _ in range(chance.randrange(6)):
        is_ask = chance.randrange(2)
        level = price + chance.randrange(1, 30) if is_ask else price - chance.randrange(0, 30)
        changes[is_ask][level] = 0 if chance.random() < 0.3 else chance.randrange(1, 10**12)
    for level in [p for p in bids if p > price]:  # the book is never crossed
        changes[0].setdefault(level, 0)
    for level in [p for p in asks if p <= price]:
        changes[1].setdefault(level, 0)
    for book, change in zip((bids, asks), changes, strict=True):
        for level, qty in change.items():
            book.pop(level, None)
            if qty:
                book[level] = qty
    first = state.get("diff", last) + 1
    state["diff"] = state["update"]
    return Diff(*head, first, state["update"], *(tuple(change.items()) for change in changes))


# what is expected


def number(mantissa: int, exponent: int, form: str) -> Any:
    if form == "mantissa":
        return mantissa
    exact = Decimal(mantissa).scaleb(exponent)
    return float(exact) if form == "float64" else exact


def named(name: str, mantissa: int, exponent: int, form: str) -> dict[str, Any]:
    if form != "both":
        return {name: number(mantissa, exponent, form)}
    return {name: number(mantissa, exponent, "float64"), f"{name}_mantissa": mantissa}


def rows(made: Market, kind: type[Event], form: str = "float64", nested: bool = False) -> list[Any]:
    """The rows of one kind, without ``flags``; times are integers."""
    found: list[Any] = []
    for event, received, connection in made.of(kind):
        head = {"symbol": event.symbol, "event_time": event.event_time, "received_time": received}
        tail: dict[str, Any] = {"connection": connection}
        if form in ("mantissa", "both"):
            tail |= {"price_exponent": event.price_exponent, "qty_exponent": event.qty_exponent}
        e = event.price_exponent, event.qty_exponent

        def pair(level: Level, e: tuple[int, int] = e) -> dict[str, Any]:
            return named("price", level[0], e[0], form) | named("qty", level[1], e[1], form)

        match event:
            case Trades():
                for each in event.trades:
                    found.append(
                        head | {"transact_time": event.transact_time, "id": each.id}
                        | pair((each.price, each.qty)) | {"is_buyer_maker": each.is_buyer_maker}
                        | tail
                    )  # fmt: skip
            case BestBidAsk():
                values: dict[str, Any] = {}
                for side, level in (("bid", event.bid), ("ask", event.ask)):
                    values |= named(f"{side}_price", level[0], e[0], form)
                    values |= named(f"{side}_qty", level[1], e[1], form)
                found.append(head | {"book_update_id": event.update_id} | values | tail)
            case Depth() | Diff():
                if isinstance(event, Depth):
                    head |= {"book_update_id": event.update_id}
                else:
                    head |= {
                        "first_book_update_id": event.first_update_id,
                        "last_book_update_id": event.last_update_id,
                    }
                if nested:
                    sides = {n: [pair(x) for x in getattr(event, n)] for n in ("bids", "asks")}
                    found.append(head | sides | tail)
                    continue
                levels = [("bid", i, x) for i, x in enumerate(event.bids)]
                levels += [("ask", i, x) for i, x in enumerate(event.asks)]
                for k, (side, i, level) in enumerate(levels):
                    row = head | {"side": side} | pair(level)
                    row["is_last_in_event"] = k == len(levels) - 1
                    found.append(row | ({"position": i} if isinstance(event, Depth) else {}) | tail)
                if not levels:
                    nothing = dict.fromkeys(pair((0, 0)))
                    row = head | {"side": None, "is_last_in_event": True} | nothing | tail
                    found.append(row | ({"position": None} if isinstance(event, Depth) else {}))
    return found


def flags(made: Market, kind: type[Event]) -> list[int]:
    """The flags of each event of a kind, by brute force."""
    found = []
    latest: dict[str, int] = {}
    holes_behind: dict[str, list[int]] = {}
    for event, _, _ in made.of(kind):
        stream = f"{event.symbol.lower()}@{STREAMS[kind]}"
        first, last = ids(event)
        flag = 0
        before = latest.get(stream)
        behind = made.missing.get(stream, set())
        if any(first <= hole <= last for hole in behind) or (
            kind in (Trades, Diff) and before is not None and first > before + 1
        ):
            flag |= 1
            holes_behind.setdefault(stream, []).append(first)
        if kind is Diff:
            begun = max(holes_behind.get(stream, [0]))
            known = [s for s in made.snapshots.get(event.symbol, []) if begun - 1 <= s <= last]
            flag |= 0 if known else 2
        found.append(flag)
        latest[stream] = last
    return found


def table_rows(table: Any) -> list[Any]:
    """The rows of a pyarrow table, with times as integers."""
    import pyarrow as pa

    for i, name in enumerate(table.schema.names):
        if pa.types.is_timestamp(table.schema.field(name).type):
            table = table.set_column(i, name, table.column(name).cast(pa.int64()))
        elif pa.types.is_dictionary(table.schema.field(name).type):
            kind = table.schema.field(name).type.value_type
            table = table.set_column(i, name, table.column(name).cast(kind))
    found: list[Any] = table.to_pylist()
    return found


def without(found: Iterable[dict[str, Any]], *names: str) -> list[dict[str, Any]]:
    return [{k: v for k, v in row.items() if k not in names} for row in found]
