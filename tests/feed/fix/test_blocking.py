"""The FIX session without asyncio, against a local exchange in another thread."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from binance_sbe import fix_sbe, sync
from binance_sbe.books.fix import follow_blocking
from binance_sbe.errors import FixError, LogonRefused, SubscriptionRefused, Unreachable
from binance_sbe.simulator import Exchange
from binance_sbe.simulator.fix import FixAcceptor


@pytest.fixture(scope="module")
def acceptor() -> Iterator[FixAcceptor]:
    started, found = threading.Event(), []

    async def serve() -> None:
        stop = asyncio.Event()
        async with Exchange(["btcusdt"], rate=500) as exchange, FixAcceptor(exchange) as made:
            found.extend((made, asyncio.get_running_loop(), stop))
            started.set()
            await stop.wait()

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    assert started.wait(20)
    made, loop, stop = found
    yield made
    loop.call_soon_threadsafe(stop.set)
    thread.join()


def connected(acceptor: FixAcceptor, role: Any = "market_data", **options: Any) -> Any:
    given = {"url": acceptor.url, "api_key": "k", "private_key": acceptor.key,
             "ssl": acceptor.tls.client}  # fmt: skip
    return sync.fix_connect(role, **(given | options))


def test_books_follow_the_market(acceptor: FixAcceptor) -> None:
    with connected(acceptor, timeout=20) as session:
        ids, cut = [], 0
        for book in follow_blocking(session, "btcusdt", depth=50):
            assert (book.symbol, book.state) == ("BTCUSDT", "live")
            assert 0 < len(book.bids(50)) <= 50
            ids.append(book.update_id)
            if len(ids) == 20:
                acceptor.inflict("cut")
                cut = session.sessions_count
            if len(ids) > 40 and session.sessions_count > cut:
                break
        assert ids == sorted(set(ids))
        assert session.is_live
        session.subscribe("btcusdt", kinds="book_ticker")
        with pytest.raises(ValueError, match="ticker of btcusdt"):
            next(follow_blocking(session, "btcusdt"))
        session.unsubscribe("btcusdt", kinds="book_ticker")
        rest = follow_blocking(session, "btcusdt")
    with pytest.raises(RuntimeError, match="this is closed"):
        next(rest)
    assert session.is_closed
    assert book.state == "stale"


def test_books_end_when_another_thread_closes_and_tell_of_silence(acceptor: FixAcceptor) -> None:
    with connected(acceptor) as session:
        books = follow_blocking(session, "btcusdt")
        next(books)
        threading.Timer(0.3, session.close).start()
        assert len(list(books)) > 0
    with connected(acceptor, timeout=0.3) as session:
        books = follow_blocking(session, "btcusdt")
        next(books)
        session.unsubscribe("btcusdt", kinds="depth")
        with pytest.raises(TimeoutError, match=r"nothing came within 0.3 s"):
            list(books)


def test_time_outs_and_interrupts_end_no_iteration(acceptor: FixAcceptor) -> None:
    """What came is handed over once, however often who waits for it begins anew."""
    with connected(acceptor, timeout=0.002) as session:
        session.subscribe("btcusdt", kinds="trade")
        seen: list[int] = []
        late = 0
        while len(seen) < 400 or not late:
            try:
                for message in session:
                    seen += message.md_entries["trade_id"].tolist()
                    if len(seen) > 400:
                        break
                else:
                    raise AssertionError("the iteration has ended")
            except TimeoutError:
                late += 1
        assert seen == list(range(seen[0], seen[0] + len(seen)))
        waiting = session._begun(session._fetched(session._connection))  # of who was interrupted
        session.timeout = 20
        more = [next(iter(session)) for _ in range(50)]
        assert waiting.done()
        ids = [number for each in more for number in each.md_entries["trade_id"].tolist()]
        assert ids == list(range(seen[-1] + 1, seen[-1] + 1 + len(ids)))


def test_messages_batches_and_questions(acceptor: FixAcceptor) -> None:
    with connected(acceptor) as session:
        assert [each.symbol for each in session.instruments().related_sym] == ["BTCUSDT"]
        assert session.limits().limit_indicators is not None
        session.subscribe("btcusdt")
        assert len(session.streams) == 3
        kinds = set()
        for message in session:
            kinds.add(type(message))
            if len(kinds) == 4:
                break
        sizes = []
        for batch in session.batches(max_messages=20, max_delay=5):
            sizes.append(batch.frame_count)
            if len(sizes) == 3:
                break
        assert sizes == [20] * 3
        few = next(iter(session.batches(max_delay=0)))
        assert 1 <= few.frame_count < 1000
        count = 0

        def handler(message: Any) -> None:
            nonlocal count
            count += 1
            if count == 100:
                raise LookupError("enough")

        with pytest.raises(LookupError, match="enough"):
            session.run(handler)
        with pytest.raises(SubscriptionRefused, match="-1121"):
            session.subscribe("nope", kinds="depth")
        session.unsubscribe("btcusdt")
        assert (session.ledger.holes, session.repeated, session.sessions_count) == ([], 0, 1)
    for ask in (session.limits, lambda: next(iter(session))):
        with pytest.raises(RuntimeError, match="this is closed"):
            ask()


def test_waiting_ends_by_the_time_and_by_another_thread(acceptor: FixAcceptor) -> None:
    with connected(acceptor, timeout=0.2) as session:
        with pytest.raises(TimeoutError, match=r"nothing came within 0.2 s"):
            next(iter(session))
        session.timeout = None
        threading.Timer(0.2, session.close).start()
        assert list(session) == []


def test_orders_go_out_and_answers_come(acceptor: FixAcceptor) -> None:
    with connected(acceptor, "order_entry", timeout=10) as session:
        session.send(
            fix_sbe.NewOrderSingle, price_exponent=-2, qty_exponent=-8, ord_type="Market",
            side="Sell", cl_ord_id="x", symbol="BTCUSDT",
        )  # fmt: skip
        assert next(iter(session)).cl_ord_id == "x"
        session._loop.call_soon_threadsafe(session._connection._link._hang_up)
        with pytest.raises(FixError, match="without a Logout"):
            next(iter(session))


def test_what_can_not_be_opened_leaves_no_thread(acceptor: FixAcceptor) -> None:
    before = threading.active_count()
    with (
        pytest.raises(LogonRefused, match="Signature"),
        connected(acceptor, private_key=Ed25519PrivateKey.generate()),
    ):
        pass
    with pytest.raises(Unreachable), connected(acceptor, url="tcp+tls://127.0.0.1:1"):
        pass
    assert threading.active_count() == before
    with pytest.raises(ValueError, match="timeout is a positive"):
        connected(acceptor, timeout=0)
    with pytest.raises(TypeError, match="no option 'proxy'"):
        connected(acceptor, proxy="x")
    session = connected(acceptor)
    with pytest.raises(RuntimeError, match="not open"):
        session.limits()
    with session, pytest.raises(RuntimeError, match="opened once"):
        session.__enter__()
