"""Files for other tools, each read by the tool itself or by what it reads with."""

from __future__ import annotations

import csv
import gzip
import json
import subprocess
from bisect import bisect_right
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from market_tape import MS, Market, market
from tool_environments import python_with

from binance_sbe import LakeError, lake
from binance_sbe.lake.hft_rows import DTYPE, EXCH, LOCAL
from binance_sbe.lake.tools import hftbacktest, npz
from binance_sbe.lake.tools.hftbacktest import Settling, settled
from binance_sbe.simulator.events import BestBidAsk, Depth, Diff, Trades

HERE = Path(__file__).parent
SYMBOL = "BTCUSDT"


def converted(made: Market, path: Path, form: Any, **options: Any) -> Any:
    done = lake.convert(made.tape(path / "tape"), path / "out", format=form, **options)
    assert done.is_whole, done.problems
    assert not [each for each in (path / "out").iterdir() if each.name.startswith("_stage")]
    return done


def of_symbol(made: Market, kind: Any, symbol: str = SYMBOL) -> list[Any]:
    return [each for each in made.of(kind) if each[0].symbol == symbol]


def books_of(
    made: Market, symbol: str = SYMBOL
) -> list[tuple[int, dict[int, int], dict[int, int]]]:
    """After each diff: its last id, and the book that plain dicts keep from the first snapshot on.

    Only those between which and the last hole before them there is a snapshot.
    """
    snapshots = made.snapshots.get(symbol, [])
    found = []
    bids: dict[int, int] = {}
    asks: dict[int, int] = {}
    begun: int | None = None
    latest: int | None = None
    for event, _, _ in of_symbol(made, Diff, symbol):
        if latest is not None and event.first_update_id > latest + 1:
            begun = event.first_update_id
        latest = event.last_update_id
        for book, levels in ((bids, event.bids), (asks, event.asks)):
            for price, qty in levels:
                book.pop(price, None)
                if qty:
                    book[price] = qty
        if any((begun or 0) - 1 <= s <= latest for s in snapshots):
            found.append((latest, dict(bids), dict(asks)))
    return found


# hftbacktest


def hft(made: Market, path: Path) -> Any:
    done = converted(made, path, "hftbacktest")
    assert f"{SYMBOL}_20270115.npz" in done.files
    return np.load(path / "out" / f"{SYMBOL}_20270115.npz")["data"]


@pytest.mark.parametrize("seed", range(3))
def test_hftbacktest_has_every_row_in_the_order_of_both_clocks(seed: int, tmp_path: Path) -> None:
    made = market(seed, lines=2, holes=4)
    rows = hft(made, tmp_path)
    assert rows.dtype == DTYPE
    assert rows.dtype.itemsize == 64
    for flag, clock in ((EXCH, "exch_ts"), (LOCAL, "local_ts")):
        mine = rows[(rows["ev"] & np.uint64(flag)) != 0]
        assert (np.diff(mine[clock]) >= 0).all()
        kinds = mine["ev"] & np.uint64(0xFF)
        trades = [t for e, _, _ in of_symbol(made, Trades) for t in e.trades]
        found = mine[kinds == 2]
        assert sorted(found["px"].tolist()) == sorted(t.price / 100 for t in trades)
        levels = [x for e, _, _ in of_symbol(made, Diff) for x in (*e.bids, *e.asks)]
        assert (kinds == 1).sum() == len(levels)
        is_sell = (found["ev"] & np.uint64(1 << 28)) != 0
        assert is_sell.sum() == sum(t.is_buyer_maker for t in trades)
        snapshots = (kinds == 4).sum()
        assert bool(snapshots) == bool(made.snapshots.get(SYMBOL))


@pytest.mark.parametrize("seed", range(3))
def test_rows_are_the_same_however_many_are_made_in_one_go(
    seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = market(seed, lines=2, holes=4)
    whole = hft(made, tmp_path / "whole")
    monkeypatch.setattr(hftbacktest, "_STEP", 5)
    monkeypatch.setattr(npz, "_IN_MEMORY", len(whole) * 32)
    assert hft(made, tmp_path / "pieces").tobytes() == whole.tobytes()
    monkeypatch.setattr(hftbacktest, "HELD_NS", 0)  # nothing waits for what is behind it
    monkeypatch.setattr(npz, "_IN_MEMORY", 0)
    at_once = hft(made, tmp_path / "at-once")
    seen, seen_at_once = (rows[(rows["ev"] & np.uint64(LOCAL)) != 0] for rows in (whole, at_once))
    for name in ("local_ts", "px", "qty"):
        assert seen_at_once[name].tobytes() == seen[name].tobytes()
    of_exchange = at_once["exch_ts"][(at_once["ev"] & np.uint64(EXCH)) != 0]
    assert (np.diff(of_exchange) >= 0).all()


clocks = st.lists(st.tuples(st.integers(0, 30), st.integers(0, 3)), max_size=40)


def rows_at(times: list[tuple[int, int]]) -> Any:
    """Rows by local time (the sum of the seconds so far) with times of the exchange."""
    made = np.zeros(len(times), DTYPE)
    made["ev"] = 1 | EXCH | LOCAL
    made["exch_ts"] = [exch for exch, _ in times]
    made["local_ts"] = np.cumsum([step for _, step in times]) + 100
    made["px"] = np.arange(len(times))
    return made


@given(clocks)
def test_rows_are_split_where_the_clocks_disagree_and_only_there(times: Any) -> None:
    given_ = rows_at(times)
    done = settled(given_.copy())
    exch = given_["exch_ts"].tolist()
    for flag, clock in ((EXCH, "exch_ts"), (LOCAL, "local_ts")):
        mine = done[(done["ev"] & np.uint64(flag)) != 0]
        assert (np.diff(mine[clock]) >= 0).all()
        assert sorted(mine["px"].tolist()) == given_["px"].tolist()
        if flag == LOCAL:
            assert mine["px"].tolist() == given_["px"].tolist()
    whole = {row["px"] for row in done if int(row["ev"]) & EXCH and int(row["ev"]) & LOCAL}
    assert whole == {
        i for i, x in enumerate(exch)
        if all(y <= x for y in exch[:i]) and all(y >= x for y in exch[i + 1 :])
    }  # fmt: skip


def test_at_one_time_of_the_exchange_trades_are_first() -> None:
    rows = rows_at([(5, 0), (5, 1), (5, 1), (9, 1)])  # depth, a trade, depth, depth
    rows["ev"][1] = 2 | EXCH | LOCAL
    done = settled(rows.copy())
    for flag, order in ((EXCH, [1, 0, 2, 3]), (LOCAL, [0, 1, 2, 3])):
        assert done["px"][(done["ev"] & np.uint64(flag)) != 0].tolist() == order
    settling = Settling()
    pieces = [part for i in range(4) for part in settling.add(rows[i : i + 1].copy())]
    assert np.concatenate([*pieces, *settling.rest()]).tobytes() == done.tobytes()


def test_pieces_that_end_in_one_time_have_their_trades_first() -> None:
    rows = rows_at([(1, 0), (2, 5), (3, 0), (4, 0), (5, 1)])
    rows["ev"][3] = 2 | EXCH | LOCAL
    for cut in range(6):
        found = np.concatenate(list(hftbacktest.tied(iter([rows[:cut], rows[cut:]]))))
        expected = [0, 3, 1, 2, 4] if cut in (2, 3) else [0, 1, 2, 3, 4]
        assert found["px"].tolist() == expected  # within a piece they are so already


@given(clocks, st.lists(st.integers(1, 10), min_size=1, max_size=8))
def test_rows_that_come_piece_by_piece_are_the_same(times: Any, sizes: list[int]) -> None:
    given_ = rows_at(times)
    settling, found, at = Settling(), [], 0
    for size in [*sizes, len(times)]:
        found += settling.add(given_[at : at + size].copy())
        at += size
    together = np.concatenate([rows_at([]), *found, *settling.rest()])
    assert settling.moved == 0
    assert together.tobytes() == settled(given_.copy()).tobytes()


def test_rows_that_are_later_than_a_minute_are_moved_and_counted() -> None:
    minute = 60 * 10**9
    settling = Settling()
    rows = rows_at([(10, 0), (20, 3 * minute), (5, minute)])
    done = [part for i in range(3) for part in settling.add(rows[i : i + 1].copy())]
    together = np.concatenate([*done, *settling.rest()])
    exch = together[(together["ev"] & np.uint64(EXCH)) != 0]["exch_ts"]
    assert (np.diff(exch) >= 0).all()
    assert settling.moved == 1


@pytest.mark.long
def test_hftbacktest_itself_validates_a_file_and_sees_the_right_best_prices(tmp_path: Path) -> None:
    python = python_with("hftbacktest", "hftbacktest==2.4.4")
    made = market(21, events=1200, holes=0, symbols=(SYMBOL,))
    rows = hft(made, tmp_path)
    step = 100 * MS
    done = subprocess.run(
        [python, str(HERE / "hftbacktest_run.py"), f"{tmp_path}/out/{SYMBOL}_20270115.npz", "0.01",
         str(step), "200"],
        capture_output=True, text=True, timeout=250, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["rows"] == len(rows)
    books = books_of(made)
    known = {last: (bids, asks) for last, bids, asks in books}
    # when each diff could be seen here: not before the one before it
    seen, latest = [], 0
    for event, received, _ in of_symbol(made, Diff):
        latest = max(latest, received)
        if event.last_update_id in known:
            seen.append((latest, event.last_update_id))
    compared = 0
    for now, bid, ask in told["seen"]:
        at = bisect_right(seen, (now, 2**63)) - 1
        if at < 0:
            continue
        bids, asks = known[seen[at][1]]
        if bids and asks:
            assert (round(bid * 100), round(ask * 100)) == (max(bids), min(asks))
            compared += 1
    assert compared > 100


# NautilusTrader


@pytest.mark.long
def test_nautilus_itself_reads_a_catalog(tmp_path: Path) -> None:
    python = python_with("nautilus", "nautilus_trader>=1.221,<2")
    made = market(22, events=600, holes=2)
    converted(made, tmp_path, "nautilus")
    done = subprocess.run(
        [python, str(HERE / "nautilus_run.py"), str(tmp_path / "out"), f"{SYMBOL}.BINANCE"],
        capture_output=True, text=True, timeout=250, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)

    def text(mantissa: int, places: int) -> str:
        return f"{Decimal(mantissa).scaleb(-places):f}"

    latest, quotes = 0, []
    for event, received, _ in of_symbol(made, BestBidAsk):
        latest = max(latest, received)
        quotes.append([text(event.bid[0], 2), text(event.ask[0], 2), text(event.bid[1], 8),
                       text(event.ask[1], 8), event.event_time * 1000, latest])  # fmt: skip
    assert told["quotes"] == quotes
    latest, trades = 0, []
    for event, received, _ in of_symbol(made, Trades):
        latest = max(latest, received)
        for each in event.trades:
            side = "SELLER" if each.is_buyer_maker else "BUYER"
            trades.append([text(each.price, 2), text(each.qty, 8), side, str(each.id),
                           event.transact_time * 1000, latest])  # fmt: skip
    assert told["trades"] == trades
    depths = [
        [
            e.update_id,
            *([[text(p, 2), text(q, 8)] for p, q in side[:10]] for side in (e.bids, e.asks)),
        ]
        for e, _, _ in of_symbol(made, Depth)
    ]
    assert told["depths"] == depths
    expected = {
        last: [
            [[text(p, 2), text(q, 8)] for p, q in sorted(side.items(), reverse=not i)]
            for i, side in enumerate((bids, asks))
        ]
        for last, bids, asks in books_of(made)
    }
    found = {last: sides for last, *sides in told["books"]}
    assert len(expected) > 20
    assert {last: found[last] for last in expected if last in found} == {
        last: sides for last, sides in expected.items() if last in found
    }
    assert len(set(expected) & set(found)) > 20


def test_nautilus_refuses_a_precision_that_loses_digits(tmp_path: Path) -> None:
    tape = market(23, events=60, symbols=(SYMBOL,)).tape(tmp_path / "tape")
    done = lake.convert(tape, tmp_path / "out", format="nautilus", precisions={SYMBOL: (1, 8)})
    assert not done.is_whole
    assert "BTCUSDT: price precision 1" in done.problems[0]
    assert not list((tmp_path / "out").rglob("*.parquet"))
    with pytest.raises(LakeError, match="made with other options"):
        lake.convert(tape, tmp_path / "out", format="nautilus")
    assert lake.convert(tape, tmp_path / "out", format="nautilus", replace=True).is_whole


# Tardis


def lines(path: Path, name: str) -> list[dict[str, str]]:
    with gzip.open(path / "out" / f"binance_{name}_2027-01-15_{SYMBOL}.csv.gz", "rt") as file:
        text = file.read()
    assert "\r" not in text
    return list(csv.DictReader(text.splitlines()))


def test_tardis_has_every_event_by_local_timestamp(tmp_path: Path) -> None:
    made = market(24, lines=2)
    converted(made, tmp_path, "tardis")
    for name in ("trades", "quotes", "incremental_book_L2", "book_snapshot_5", "book_snapshot_25"):
        found = lines(tmp_path, name)
        times = [int(row["local_timestamp"]) for row in found]
        assert times == sorted(times)
        assert {(row["exchange"], row["symbol"]) for row in found} == {("binance", SYMBOL)}
    trades = [
        (str(t.id), "sell" if t.is_buyer_maker else "buy", Decimal(t.price).scaleb(-2),
         Decimal(t.qty).scaleb(-8), e.event_time)
        for e, _, _ in of_symbol(made, Trades) for t in e.trades
    ]  # fmt: skip
    assert trades == [
        (r["id"], r["side"], Decimal(r["price"]), Decimal(r["amount"]), int(r["timestamp"]))
        for r in lines(tmp_path, "trades")
    ]
    quotes = [
        tuple(Decimal(x).scaleb(e) for x, e in ((q.ask[1], -8), (q.ask[0], -2), (q.bid[0], -2),
                                                (q.bid[1], -8)))
        for q, _, _ in of_symbol(made, BestBidAsk)
    ]  # fmt: skip
    names = ("ask_amount", "ask_price", "bid_price", "bid_amount")
    assert quotes == [tuple(Decimal(r[n]) for n in names) for r in lines(tmp_path, "quotes")]
    tops = [
        tuple(
            str(Decimal(x).scaleb(e)) if i < len(side) else ""
            for i in range(5) for side in (d.asks, d.bids)
            for x, e in zip(side[i] if i < len(side) else (0, 0), (-2, -8), strict=True)
        )
        for d, _, _ in of_symbol(made, Depth)
    ]  # fmt: skip
    found = [tuple(row.values())[4:] for row in lines(tmp_path, "book_snapshot_5")]
    assert [[Decimal(x or 0) for x in row] for row in found] == [
        [Decimal(x or 0) for x in row] for row in tops
    ]


def test_tardis_diffs_and_snapshots_keep_the_book(tmp_path: Path) -> None:
    """A book that is kept of the file alone is that of the events."""
    made = market(25, holes=2)
    converted(made, tmp_path, "tardis")
    known = {last: (bids, asks) for last, bids, asks in books_of(made)}
    events = of_symbol(made, Diff)
    bids: dict[str, dict[Decimal, Decimal]] = {"bid": {}, "ask": {}}
    was_snapshot = False
    by_time: dict[int, Any] = {}
    for row in lines(tmp_path, "incremental_book_L2"):
        is_snapshot = row["is_snapshot"] == "true"
        if is_snapshot and not was_snapshot:
            bids = {"bid": {}, "ask": {}}
        was_snapshot = is_snapshot
        price, amount = Decimal(row["price"]), Decimal(row["amount"])
        bids[row["side"]].pop(price, None)
        if amount:
            bids[row["side"]][price] = amount
        by_time[int(row["timestamp"])] = {side: dict(book) for side, book in bids.items()}
    compared = 0
    for event, _, _ in events:
        if event.last_update_id in known and event.event_time in by_time:
            for side, book in zip(("bid", "ask"), known[event.last_update_id], strict=True):
                expected = {Decimal(p).scaleb(-2): Decimal(q).scaleb(-8) for p, q in book.items()}
                assert by_time[event.event_time][side] == expected
            compared += 1
    assert compared > 20


def test_what_was_made_stays_and_what_changed_is_made_again(tmp_path: Path) -> None:
    made = market(29)
    first, second = Market(rows=made.rows[:250]), Market(rows=made.rows[250:])
    tapes = [each.tape(tmp_path / name) for each, name in ((first, "a"), (second, "b"))]
    out = tmp_path / "out"
    lake.convert(tapes[0], out, format="hftbacktest")
    before = {file.name: file.read_bytes() for file in out.glob("*.npz")}
    again = lake.convert(tapes[0], out, format="hftbacktest")
    assert again.is_whole
    assert {file.name: file.read_bytes() for file in out.glob("*.npz")} == before
    (out / again.files[0]).unlink()
    lake.convert(tapes[0], out, format="hftbacktest")
    assert {file.name: file.read_bytes() for file in out.glob("*.npz")} == before
