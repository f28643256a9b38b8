"""The exchange's side of a FIX session, without I/O: bytes and events of the market in, bytes out.

It has no order book of its own and fills no order: a NewOrderSingle is acknowledged, no more.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Container, Mapping
from typing import TYPE_CHECKING, Any

from sbe_codegen.runtime.errors import DecodeError

from .. import fix_sbe
from ..api.fix import Splitter
from ..api.fix_wire import Now, name_of, on_the_wire, signed_text
from ..errors import FramingError
from .events import BestBidAsk, Depth, Diff, Trades
from .fix_keys import is_signed
from .market import Market

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

RECV_WINDOW_MICROS = 5_000_000
_MOST_STREAMS = 1000


class Peer:
    """``is_closed`` says that the connection is to end once what `to_send` gives is written.

    ``key`` checks signatures. ``senders`` are names that other sessions have.
    """

    def __init__(
        self,
        markets: Mapping[str, Market],
        key: Ed25519PublicKey,
        api_keys: Container[str] | None,
        senders: Callable[[], Container[str]],
        is_deprecated: bool = False,
    ) -> None:
        self.is_closed = False
        self.is_live = False
        self.sender = ""
        self.subscriptions: dict[str, tuple[frozenset[str], str]] = {}
        self.received: list[Any] = []  # what a client sent within its session
        self.next_out = self.next_in = 1
        self._markets = markets
        self._key, self._api_keys, self._senders = key, api_keys, senders
        self._is_deprecated = is_deprecated
        self._target = ""
        self._heartbeat = 30.0
        self._last_in = self._last_out = 0.0
        self._is_tested = False
        self._splitter = Splitter()
        self._outgoing = bytearray()

    # out

    def to_send(self) -> bytes:
        made = bytes(self._outgoing)
        self._outgoing.clear()
        return made

    def write(self, message: bytes, now: Now) -> None:
        self._outgoing += on_the_wire(message, self.next_out, now.micros)
        self.next_out += 1
        self._last_out = now.seconds

    def garbage(self, content: bytes) -> None:
        """Bytes that are no message."""
        self._outgoing += content

    def end(self, text: str, now: Now) -> None:
        self.write(fix_sbe.Logout.encode(text=text or None), now)
        self.is_closed, self.is_live = True, False

    def news(self, now: Now) -> None:
        headline = "Your connection is about to be closed. Please reconnect."
        self.write(fix_sbe.News.encode(headline=headline), now)

    def _reject(self, number: int, reason: str, code: int, text: str, kind: str, now: Now) -> None:
        message = fix_sbe.Reject.encode(
            ref_seq_num=number, session_reject_reason=reason, error_code=code, text=text,
            ref_msg_type=kind or None,
        )  # fmt: skip
        self.write(message, now)

    # in

    def receive(self, data: bytes, now: Now) -> None:
        try:
            for frame in self._splitter.feed(data):
                if not self.is_closed:
                    self._take(frame, now)
        except FramingError as error:
            self.end(f"framing: {error}"[:200], now)

    def _take(self, frame: bytes, now: Now) -> None:
        header = fix_sbe.decode_header(frame)
        if header.seq_num != self.next_in:
            self.end(f"MsgSeqNum {header.seq_num}, expected {self.next_in}", now)
            return
        self.next_in += 1
        self._last_in, self._is_tested = now.seconds, False
        try:
            message = fix_sbe.decode(frame)
        except DecodeError as error:
            self._reject(header.seq_num, "Other", -1152, str(error)[:200], "", now)
            if not self.is_live:
                self.is_closed = True
            return
        if self.is_live:
            self._in_session(message, header, now)
        else:
            self._log_on(message, header, now)

    def _log_on(self, message: Any, header: Any, now: Now) -> None:
        wrong = self._wrong(message, header, now)
        if wrong is not None:
            reason, code, text = wrong
            self._reject(header.seq_num, reason, code, text, "A", now)
            self.end(text, now)
            return
        self._heartbeat = float(message.heart_bt_int)
        self.is_live = True
        self.sender = message.sender_comp_id
        answer = fix_sbe.LogonAck.encode(
            encrypt_method=0,
            heart_bt_int=message.heart_bt_int,
            sbe_schema_id_version_deprecated=self._is_deprecated,
            uuid=secrets.token_hex(8),
        )
        self.write(answer, now)

    def _wrong(self, message: Any, header: Any, now: Now) -> tuple[str, int, str] | None:
        """Why a first message does not begin a session."""
        if not isinstance(message, fix_sbe.Logon):
            return "Other", -1152, f"the first message is a {name_of(message)}, not a Logon"
        if not 5 <= message.heart_bt_int <= 60:
            return "ValueIsIncorrect", -1102, "HeartBtInt (108) is 5 to 60"
        if not message.reset_seq_num_flag:
            return "ValueIsIncorrect", -1102, "ResetSeqNumFlag (141) is Y"
        if self._api_keys is not None and message.username not in self._api_keys:
            return "Other", -2015, "Invalid API-key, IP, or permissions for action."
        window = message.recv_window or RECV_WINDOW_MICROS
        if not -1_000_000 <= now.micros - header.sending_time <= window:
            text = "Timestamp for this request is outside of the recvWindow."
            return "SendingTimeAccuracyProblem", -1021, text
        if not self._is_signed(message, header):
            return "SignatureProblem", -1022, "Signature for this request is not valid."
        if message.sender_comp_id in self._senders():
            return "ValueIsIncorrect", -1182, "SenderCompId (49) is in use by another session"
        return None

    def _is_signed(self, message: Any, header: Any) -> bool:
        text = signed_text(
            message.sender_comp_id, message.target_comp_id, header.seq_num, header.sending_time
        )
        return is_signed(self._key, message.raw_data, text)

    def _in_session(self, message: Any, header: Any, now: Now) -> None:
        match message:
            case fix_sbe.Heartbeat():
                pass
            case fix_sbe.TestRequest():
                self.write(fix_sbe.Heartbeat.encode(test_req_id=message.test_req_id or None), now)
            case fix_sbe.Logout():
                self.end("", now)
            case fix_sbe.Logon():
                self.end("already logged on", now)
            case fix_sbe.MarketDataRequest():
                self._market_data(message, now)
            case fix_sbe.InstrumentListRequest():
                self._instruments(message, header.seq_num, now)
            case fix_sbe.LimitQuery():
                self.write(fix_sbe.LimitResponse.encode(req_id=message.req_id), now)
            case fix_sbe.NewOrderSingle():
                self.received.append(message)
                ack = fix_sbe.ExecutionReportAck.encode(
                    **ack_of(message, len(self.received), now.micros)
                )
                self.write(ack, now)
            case _:
                self.received.append(message)
                text = f"the local exchange has no answer to a {name_of(message)}"
                self._reject(header.seq_num, "Other", -1000, text, "", now)

    def _market_data(self, message: Any, now: Now) -> None:
        identity = message.md_req_id
        if message.subscription_request_type == fix_sbe.SubscriptionRequestType.UNSUBSCRIBE:
            self.subscriptions.pop(identity, None)
            return
        symbols = [each.symbol for each in message.related_sym]
        refused = self._refused(identity, symbols)
        if refused is not None:
            reason, code, text = refused
            answer = fix_sbe.MarketDataRequestReject.encode(
                md_req_rej_reason=reason, error_code=code, md_req_id=identity, text=text
            )
            self.write(answer, now)
            return
        types = set(message.md_entry_types["md_entry_type"].tolist())
        depth = message.market_depth or 0
        kind = (
            "trade"
            if types == {fix_sbe.MdEntryType.TRADE}
            else ("book_ticker" if depth == 1 else "depth")
        )
        self.subscriptions[identity] = frozenset(symbols), kind
        if kind != "trade":
            for symbol in symbols:
                self.write(snapshot(self._markets[symbol.lower()].depth(0, depth)), now)

    def _refused(self, identity: str, symbols: list[str]) -> tuple[str | None, int, str] | None:
        if identity in self.subscriptions:
            return "DuplicateMdReqId", -1183, "MDReqID (262) is in use"
        if len(self.subscriptions) >= _MOST_STREAMS:
            return "TooManySubscriptions", -1190, "too many subscriptions"
        for symbol in symbols:
            if symbol.lower() not in self._markets:
                return None, -1121, f"Invalid symbol: {symbol}"
        return None if symbols else (None, -1102, "NoRelatedSym (146) is 0")

    def _instruments(self, message: Any, number: int, now: Now) -> None:
        symbol = message.symbol
        if symbol and symbol.lower() not in self._markets:
            self._reject(number, "ValueIsIncorrect", -1121, "Invalid symbol.", "x", now)
            return
        found = [self._markets[symbol.lower()]] if symbol else list(self._markets.values())
        entries = [
            {
                "price_exponent": each.price_exponent, "qty_exponent": each.qty_exponent,
                "min_price_increment": 1, "min_qty_increment": 1,
                "symbol": each.symbol, "currency": "USDT",
            }
            for each in found
        ]  # fmt: skip
        answer = fix_sbe.InstrumentList.encode(
            related_sym=entries, instrument_req_id=message.instrument_req_id
        )
        self.write(answer, now)

    # the market, and time

    def publish(self, event: Trades | BestBidAsk | Depth | Diff, now: Now) -> None:
        """An event of the market, if it is subscribed to."""
        if not self.is_live:
            return
        kind = {Trades: "trade", BestBidAsk: "book_ticker", Diff: "depth"}.get(type(event))
        for symbols, wanted in self.subscriptions.values():
            if wanted == kind and event.symbol in symbols:
                self.write(increment(event), now)

    def tick(self, now: Now) -> None:
        """Heartbeats, and the end of clients that say nothing."""
        if not self.is_live:
            return
        if now.seconds - self._last_in > 2 * self._heartbeat + 2:
            self.end("no sign of life", now)
        elif now.seconds - self._last_in > self._heartbeat + 1 and not self._is_tested:
            self._is_tested = True
            self.write(fix_sbe.TestRequest.encode(test_req_id=secrets.token_hex(4)), now)
        elif now.seconds - self._last_out >= self._heartbeat:
            self.write(fix_sbe.Heartbeat.encode(), now)


def snapshot(depth: Depth) -> bytes:
    """A MarketDataSnapshot."""
    return fix_sbe.MarketDataSnapshot.encode(
        last_book_update_id=depth.update_id,
        price_exponent=depth.price_exponent,
        qty_exponent=depth.qty_exponent,
        md_entries_bids=_levels(depth.bids),
        md_entries_asks=_levels(depth.asks),
        symbol=depth.symbol,
    )


def increment(event: Any) -> bytes:
    """An event as an increment; a quantity of 0 is null, which deletes the level."""
    head = {
        "price_exponent": event.price_exponent, "qty_exponent": event.qty_exponent,
        "symbol": event.symbol,
    }  # fmt: skip
    if isinstance(event, Trades):
        entries = [
            {
                "trade_id": each.id, "md_entry_px": each.price, "md_entry_size": each.qty,
                "aggressor_side": "Sell" if each.is_buyer_maker else "Buy",
            }
            for each in event.trades
        ]  # fmt: skip
        return fix_sbe.MarketDataIncrementalTrade.encode(
            transact_time=event.transact_time, md_entries=entries, **head
        )
    if isinstance(event, BestBidAsk):
        return fix_sbe.MarketDataIncrementalBookTicker.encode(
            last_book_update_id=event.update_id,
            md_entries_bids=_levels([event.bid]),
            md_entries_asks=_levels([event.ask]),
            **head,
        )
    return fix_sbe.MarketDataIncrementalDepth.encode(
        first_book_update_id=event.first_update_id,
        last_book_update_id=event.last_update_id,
        md_entries_bids=_levels(event.bids),
        md_entries_asks=_levels(event.asks),
        **head,
    )


def _levels(levels: Any) -> list[dict[str, int | None]]:
    return [{"md_entry_px": price, "md_entry_size": qty or None} for price, qty in levels]


def ack_of(order: Any, number: int, micros: int) -> dict[str, Any]:
    """The values of an ExecutionReportAck: the order is new, and will never be filled."""
    return {
        "order_id": number, "transact_time": micros, "exec_type": "New", "ord_status": "New",
        "cl_ord_id": order.cl_ord_id, "symbol": order.symbol,
    }  # fmt: skip
