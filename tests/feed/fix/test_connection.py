"""FIX over TLS on loopback: what comes, what takes over, and what is missing is in the ledger."""

from __future__ import annotations

import asyncio
import logging
import random
import ssl
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from binance_sbe import fix, fix_sbe
from binance_sbe.api import fix_session
from binance_sbe.api.fix_wire import Now
from binance_sbe.books.fix import follow
from binance_sbe.errors import (
    FixError,
    LogonRefused,
    MissingKey,
    SlowConsumer,
    SubscriptionRefused,
    Unreachable,
)
from binance_sbe.feed import successive
from binance_sbe.feed.fix import link as links
from binance_sbe.feed.fix import sessions
from binance_sbe.simulator import Exchange
from binance_sbe.simulator.events import BestBidAsk, Diff, Trades
from binance_sbe.simulator.fix import FAULTS, FixAcceptor

Work = Callable[[FixAcceptor, dict[str, Any]], Awaitable[None]]
SYMBOLS = ["btcusdt", "ethusdt"]
ORDER = {"price_exponent": -2, "qty_exponent": -8, "ord_type": "Limit", "side": "Buy",
         "cl_ord_id": "a", "symbol": "BTCUSDT"}  # fmt: skip


def run(work: Work, rate: float = 500.0, seconds: float = 40.0, **options: Any) -> None:
    async def main() -> None:
        async with (
            Exchange(SYMBOLS, rate=rate) as exchange,
            FixAcceptor(exchange, **options) as acceptor,
        ):
            await work(acceptor, where(acceptor))

    asyncio.run(asyncio.wait_for(main(), seconds))


def where(acceptor: FixAcceptor) -> dict[str, Any]:
    return {
        "url": acceptor.url, "api_key": "k", "private_key": acceptor.key,
        "ssl": acceptor.tls.client,
    }  # fmt: skip


def test_market_data_come_as_messages_and_as_batches() -> None:
    async def work(acceptor: FixAcceptor, options: dict[str, Any]) -> None:
        async with fix.connect(**options) as session:
            await session.subscribe("BTCUSDT", depth=10)
            await session.subscribe("ethusdt", kinds=["trade"])
            assert len(session.streams) == 4
            seen = []
            async for message in session:
                seen.append(message)
                if len(seen) == 300:
                    break
            snapshots = [m for m in seen if isinstance(m, fix_sbe.MarketDataSnapshot)]
            assert [len(m.md_entries_bids) for m in snapshots] == [1, 10]
            assert {m.symbol for m in seen} == {"BTCUSDT", "ETHUSDT"}
            of_eth = {type(m).__name__ for m in seen if m.symbol == "ETHUSDT"}
            assert of_eth == {"MarketDataIncrementalTrade"}
            sizes = []
            async for batch in session.batches(max_messages=50, max_delay=5):
                sizes.append(batch.frame_count)
                table = batch[fix_sbe.MarketDataIncrementalTrade]
                assert table.records["received_ns"].min() > 1e18
                if len(sizes) == 3:
                    break
            assert sizes == [50] * 3
            await session.unsubscribe("btcusdt", "ethusdt")
            assert session.streams == []
            await session.limits()  # which is asked after that
            assert acceptor.peers[0].subscriptions == {}
        assert not session.ledger.holes

    run(work)


def test_questions_are_answered() -> None:
    async def work(acceptor: FixAcceptor, options: dict[str, Any]) -> None:
        async with fix.connect(**options) as session:
            assert len((await session.instruments()).related_sym) == 2
            one = await session.instruments("ethusdt")
            assert [each.symbol for each in one.related_sym] == ["ETHUSDT"]
            assert (await session.limits()).limit_indicators is not None
            with pytest.raises(FixError, match=r"rejected a request: Invalid symbol. .code -1121"):
                await session.instruments("nope")
            with pytest.raises(SubscriptionRefused, match=r"fix:nope@depth.*-1121.*Invalid symbol"):
                await session.subscribe("nope", "btcusdt", kinds="depth")
            assert session.streams == [("BTCUSDT", "depth")]
            await session.subscribe("nope", kinds="trade")
            async for message in session:
                if isinstance(message, fix_sbe.MarketDataRequestReject):
                    break
            assert session.streams == [("BTCUSDT", "depth")]
            assert repr(session).endswith("live, 1 streams>")

    run(work)


@pytest.mark.parametrize("role", ["order_entry", "drop_copy"])
def test_other_roles_send_and_receive_any_message(role: Any) -> None:
    async def work(acceptor: FixAcceptor, options: dict[str, Any]) -> None:
        async with fix.connect(role, **options) as session:
            number = await session.send(fix_sbe.NewOrderSingle, **ORDER)
            ack = await anext(aiter(session))
            assert isinstance(ack, fix_sbe.ExecutionReportAck)
            assert ack.cl_ord_id == "a"
            number = await session.send(
                fix_sbe.OrderCancelRequest, symbol="BTCUSDT", cl_ord_id="b", order_id=1
            )
            reject = await anext(aiter(session))
            assert (type(reject), reject.ref_seq_num) == (fix_sbe.Reject, number)
            acceptor.inflict("news")
            assert isinstance(await anext(aiter(session)), fix_sbe.News)
            with pytest.raises(FixError, match="ended the session: going away"):
                await anext(aiter(session))
            with pytest.raises(FixError, match="ended the session"):
                await session.send(fix_sbe.NewOrderSingle, **ORDER)
        assert session.sessions_count == 1

    run(work)


def test_a_session_that_ends_is_followed_by_another_before_it_does() -> None:
    async def work(acceptor: FixAcceptor, options: dict[str, Any]) -> None:
        truth = Truth(acceptor)
        async with fix.connect(**options) as session:
            await session.subscribe(*SYMBOLS)
            seen = Seen()
            async for message in session:
                seen.take(message)
                if seen.count == 200:
                    acceptor.inflict("news")
                if session.sessions_count == 2 and len(acceptor.peers) == 1 and seen.count > 1500:
                    break
            assert session.repeated > 0
            seen.check(truth, session)
            assert not session.ledger.holes

    run(work)


# chaos


class Truth:
    """All ids that the market made, by stream."""

    def __init__(self, acceptor: FixAcceptor) -> None:
        self.spans: dict[str, list[tuple[int, int]]] = {}
        acceptor._exchange.listeners.append(self._note)

    def _note(self, event: Any) -> None:
        name = event.symbol.lower()
        match event:
            case Trades():
                spans = [(each.id, each.id) for each in event.trades]
                self.spans.setdefault(f"fix:{name}@trade", []).extend(spans)
            case Diff():
                span = event.first_update_id, event.last_update_id
                self.spans.setdefault(f"fix:{name}@depth", []).append(span)
            case BestBidAsk():
                span = event.update_id, event.update_id
                self.spans.setdefault(f"fix:{name}@book_ticker", []).append(span)


class Seen:
    """What a program saw."""

    def __init__(self) -> None:
        self.count = 0
        self.spans: dict[str, list[tuple[int, int]]] = {}

    def take(self, message: Any) -> None:
        self.count += 1
        name = message.symbol.lower()
        match message:
            case fix_sbe.MarketDataIncrementalTrade():
                ids = message.md_entries["trade_id"].tolist()
                self.spans.setdefault(f"fix:{name}@trade", []).extend((i, i) for i in ids)
            case fix_sbe.MarketDataIncrementalDepth():
                span = message.first_book_update_id, message.last_book_update_id
                self.spans.setdefault(f"fix:{name}@depth", []).append(span)
            case fix_sbe.MarketDataIncrementalBookTicker():
                span = message.last_book_update_id, message.last_book_update_id
                self.spans.setdefault(f"fix:{name}@book_ticker", []).append(span)

    def check(self, truth: Truth, session: fix.Connection) -> None:
        """Nothing twice, nothing invented, and what is missing is in a hole."""
        holes: dict[str, list[tuple[int, int]]] = {}
        for hole in session.ledger.holes:
            holes.setdefault(hole.stream, []).append((hole.last_before + 1, hole.first_after - 1))
        for stream, spans in self.spans.items():
            assert spans == sorted(set(spans)), stream
            true = truth.spans[stream]
            assert set(spans) <= set(true), stream
            if stream.endswith("book_ticker"):
                continue
            expected = [span for span in true if spans[0] <= span <= spans[-1]]
            missing = [span for span in expected if span not in set(spans)]
            for first, last in missing:
                inside = [low <= first and last <= high for low, high in holes.get(stream, [])]
                assert any(inside), (stream, first, last)
            for low, high in holes.get(stream, []):
                assert not [s for s in spans if s[0] <= high and s[1] >= low], (stream, low, high)


@pytest.mark.parametrize("seed", [1, pytest.param(2, marks=pytest.mark.long)])
def test_after_every_fault_the_truth_is_what_came_and_what_the_ledger_says(
    seed: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL, "binance_sbe")
    monkeypatch.setattr(successive, "FIRST_PAUSE", 0.05)
    monkeypatch.setattr(successive, "STABLE_SECONDS", 0.2)
    monkeypatch.setattr(sessions, "_SETTLE_SECONDS", 0.2)
    faults = [fault for fault in FAULTS if fault != "silence"] * 2
    random.Random(seed).shuffle(faults)

    async def work(acceptor: FixAcceptor, options: dict[str, Any]) -> None:
        truth = Truth(acceptor)
        async with fix.connect(**options) as session:
            await session.subscribe(*SYMBOLS)
            seen = Seen()
            due = asyncio.get_running_loop().time() + 0.5
            left = list(faults)
            while True:
                message = await anext(aiter(session))
                seen.take(message)
                now = asyncio.get_running_loop().time()
                if now >= due:
                    if not left:
                        break
                    due = now + 0.7
                    acceptor.inflict(left.pop())
            seen.check(truth, session)
            assert session.sessions_count > 5
            assert session.ledger.holes
            assert session.damaged

    run(work, seed=seed)


def test_a_silent_exchange_is_left_for_another() -> None:
    async def work(acceptor: FixAcceptor, options: dict[str, Any]) -> None:
        async with fix.connect(**options, heartbeat=5) as session:
            await session.subscribe("btcusdt", kinds="trade")
            assert session._link is not None
            session._link.session.heartbeat = 0  # a second of silence is late then
            acceptor.inflict("silence")
            async for _ in session:
                if session.sessions_count == 2:
                    break

    run(work)


def test_books_follow_the_market_through_faults(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(successive, "FIRST_PAUSE", 0.05)
    monkeypatch.setattr(successive, "STABLE_SECONDS", 0.2)

    async def work(acceptor: FixAcceptor, options: dict[str, Any]) -> None:
        markets = acceptor._exchange.markets
        known: dict[tuple[str, int], Any] = {}

        def note(event: Any) -> None:
            if isinstance(event, Diff):
                market = markets[event.symbol.lower()]
                known[event.symbol, event.last_update_id] = market.depth(0, 10)

        acceptor._exchange.listeners.append(note)
        async with fix.connect(**options) as session:
            count = compared = 0
            async for book in follow(session, *SYMBOLS):
                count += 1
                true = known.get((book.symbol, book.update_id))
                if true is not None:
                    compared += 1
                    assert [tuple(each) for each in book.bids(10).tolist()] == list(true.bids)
                    assert [tuple(each) for each in book.asks(10).tolist()] == list(true.asks)
                assert book.state == "live"
                if count in (40, 120):
                    acceptor.inflict("cut")
                    given = book
                if count == 80:
                    acceptor.inflict("news")
                if count == 250:
                    break
            assert compared > 150
            assert session.sessions_count >= 3
        assert given.state == "stale"
        assert str(given.reason).startswith("there is no session")
        async with fix.connect(**options) as session:
            await session.subscribe("btcusdt", kinds="book_ticker")
            with pytest.raises(ValueError, match="the book ticker of btcusdt"):
                await anext(follow(session, "btcusdt"))

    run(work)


# who is refused, and bad input


def test_a_logon_that_is_refused_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    async def work(acceptor: FixAcceptor, options: dict[str, Any]) -> None:
        wrong = options | {"private_key": Ed25519PrivateKey.generate()}
        with pytest.raises(LogonRefused, match=r"Signature.*not valid. .code -1022"):
            await opened(wrong)
        with pytest.raises(LogonRefused, match=r"Invalid API-key.*code -2015"):
            await opened(options | {"api_key": "other-key"})
        async with fix.connect(**options, sender="same"):
            with pytest.raises(LogonRefused, match="SenderCompId"):
                await opened(options | {"sender": "same"})
        late = links.time.time_ns() // 1000 - 180_000_000
        monkeypatch.setattr(links, "now", lambda: Now(links.time.monotonic(), late))
        with pytest.raises(LogonRefused, match=r"recvWindow.*this clock is 1[78]\d\.\d s behind"):
            await opened(options)
        assert acceptor.peers == []

    run(work, api_keys=["k"])


async def opened(options: dict[str, Any]) -> None:
    async with fix.connect(**options):
        pass


def test_a_schema_that_goes_is_said(caplog: pytest.LogCaptureFixture) -> None:
    async def work(acceptor: FixAcceptor, options: dict[str, Any]) -> None:
        async with fix.connect(**options) as session:
            assert session.is_deprecated

    run(work, is_deprecated=True)
    assert "will give up schema 1:1: install a newer binance-sbe" in caplog.text


def test_the_exchange_has_to_be_who_it_says() -> None:
    async def work(acceptor: FixAcceptor, options: dict[str, Any]) -> None:
        with pytest.raises(Unreachable, match="CERTIFICATE_VERIFY_FAILED"):
            await opened(options | {"ssl": None})
        named = options["url"].replace("127.0.0.1", "localhost")
        await opened(options | {"url": named})
        with pytest.raises(LogonRefused, match="closed the connection|out of step"):
            await opened(options | {"url": options["url"].replace("tcp+tls", "tcp")})

    run(work)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b"", "closed the connection without an answer"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n" * 3, "out of step"),
        (b"\x14\0\0\0\x50\xeb" + bytes(14), "closed the connection|out of step"),
        (bytes(2000), "out of step"),
    ],
)
def test_a_server_that_is_none_is_told_apart(answer: bytes, said: str) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(answer)
        writer.close()

    async def main() -> None:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(LogonRefused, match=said):
            await opened({"url": f"tcp://127.0.0.1:{port}", "api_key": "k",
                          "private_key": Ed25519PrivateKey.generate()})  # fmt: skip
        server.close()

    asyncio.run(asyncio.wait_for(main(), 20))


def test_a_server_that_says_nothing_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fix_session, "LOGON_SECONDS", 0.3)

    async def main() -> None:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read()
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        options = {"api_key": "k", "private_key": Ed25519PrivateKey.generate()}
        with pytest.raises(LogonRefused, match=r"no answer to the logon within 0.3 s"):
            await opened(options | {"url": f"tcp://127.0.0.1:{port}"})
        with pytest.raises(Unreachable, match=r"no connection within 0.2 s"):
            await opened(options | {"url": f"tcp+tls://127.0.0.1:{port}", "open_timeout": 0.2})
        server.close()
        with pytest.raises(Unreachable, match="127.0.0.1:1: "):
            await opened(options | {"url": "tcp+tls://127.0.0.1:1"})

    asyncio.run(asyncio.wait_for(main(), 20))


def test_who_is_too_slow_is_told_and_gets_what_there_was() -> None:
    async def work(acceptor: FixAcceptor, options: dict[str, Any]) -> None:
        async with fix.connect(**options, max_queue=50) as session:
            await session.subscribe(*SYMBOLS)
            await asyncio.sleep(1)
            for _ in range(50):
                await anext(aiter(session))
            with pytest.raises(SlowConsumer, match="make max_queue larger"):
                await anext(aiter(session))

    run(work)


def test_one_consumer_at_a_time_and_an_end_for_who_waits() -> None:
    async def work(acceptor: FixAcceptor, options: dict[str, Any]) -> None:
        session = fix.connect(**options)
        with pytest.raises(RuntimeError, match="not open"):
            aiter(session)
        with pytest.raises(RuntimeError, match="not open"):
            await session.limits()
        async with session:
            waiting = asyncio.create_task(anext(aiter(session), None))
            await asyncio.sleep(0.05)
            with pytest.raises(RuntimeError, match="one consumer"):
                await anext(aiter(session))
            await session.close()
            assert await waiting is None
        with pytest.raises(RuntimeError, match="closed"):
            await session.subscribe("btcusdt")
        with pytest.raises(RuntimeError, match="opened once"):
            await session.__aenter__()
        assert acceptor.peers == []
        with pytest.raises(TypeError, match="async"), fix.connect(**options):
            pass

    run(work)


@pytest.mark.parametrize(
    ("given", "error", "said"),
    [
        ({"role": "orders"}, ValueError, "role 'orders' is not one of market_data"),
        ({"environment": "moon"}, ValueError, "environment"),
        ({"url": "https://h:1"}, ValueError, r"tcp\+tls:// or tcp:// with a host"),
        ({"api_key": ""}, MissingKey, "needs an API key"),
        ({"private_key": b"x"}, MissingKey, "no PEM"),
        ({"open_timeout": 0}, ValueError, "open_timeout"),
        ({"reply_timeout": "1"}, ValueError, "reply_timeout"),
        ({"max_queue": 0}, ValueError, "max_queue"),
        ({"heartbeat": 1}, ValueError, "heartbeat"),
        ({"sender": "too long a name"}, ValueError, "sender"),
        ({"ssl": True}, TypeError, "ssl"),
        ({"local_addr": "x"}, TypeError, "local_addr"),
    ],
)
def test_wrong_arguments_are_refused(
    given: dict[str, Any], error: type[Exception], said: str
) -> None:
    good: dict[str, Any] = {"api_key": "k", "private_key": Ed25519PrivateKey.generate()}
    with pytest.raises(error, match=said):
        fix.connect(**good | given)


def test_wrong_arguments_of_methods_are_refused() -> None:
    async def work(acceptor: FixAcceptor, options: dict[str, Any]) -> None:
        async with fix.connect(**options) as session:
            for ask, said in (
                (session.subscribe("btc usdt"), "not a symbol"),
                (session.subscribe(), "at least one symbol"),
                (session.subscribe("btcusdt", kinds="trades"), "kind 'trades' is not one of"),
                (session.subscribe("btcusdt", kinds=[]), "at least one kind"),
                (session.subscribe("btcusdt", depth=1), "depth is 2 to 5000"),
                (session.instruments("a b"), "not a symbol"),
                (session.send(fix_sbe.Logon), "does not send a Logon"),
                (session.send("x"), "does not send a x"),
                (anext(session.batches(max_messages=0)), "max_messages"),
            ):
                with pytest.raises(ValueError, match=said):
                    await ask
        assert isinstance(acceptor.tls.client, ssl.SSLContext)

    run(work)
