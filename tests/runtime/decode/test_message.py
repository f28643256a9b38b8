"""Message objects: attributes, views, copies, and what they refuse."""

from __future__ import annotations

import copy
import pickle
from decimal import Decimal
from types import ModuleType

import numpy as np
import pytest
import vectors

import binance_sbe
from binance_sbe import (
    BestBidAskStreamEvent,
    DepthDiffStreamEvent,
    DepthSnapshotStreamEvent,
    MalformedMessage,
    TradesStreamEvent,
    decode,
    spot_stream,
)


def test_best_bid_ask_has_the_published_values() -> None:
    message = decode(vectors.BEST_BID_ASK)
    assert isinstance(message, BestBidAskStreamEvent)
    assert message.event_time == 1735689600000123
    assert message.book_update_id == 400900217
    assert (message.bid_price_float, message.bid_qty_float) == (94123.45, 0.3121)
    assert message.ask_price_decimal == Decimal("94123.46")
    assert message.ask_qty_decimal == Decimal("0.40660000")
    assert (message.symbol, message.symbol_bytes) == ("BTCUSDT", b"BTCUSDT")
    assert (message.version, message.encoded_length) == (0, 66)
    assert message.astuple() == (
        1735689600000123, 400900217, -2, -8, 9412345, 31210000, 9412346, 40660000, "BTCUSDT",
    )  # fmt: skip


def test_unpack_is_decode_and_astuple_in_one_step() -> None:
    for name, frame in vectors.ALL.items():
        message = getattr(binance_sbe, name)
        assert message.unpack(frame) == message.decode(frame).astuple()
        assert message.unpack(bytearray(b"xy" + frame), 2) == message.unpack(frame)
    damaged = vectors.BEST_BID_ASK.replace(b"BTCUSDT", b"BTC\xffSDT")
    with pytest.raises(MalformedMessage, match="offset 62"):
        BestBidAskStreamEvent.unpack(damaged)


def test_trades_have_the_published_values() -> None:
    message = TradesStreamEvent.decode(vectors.TRADES)
    assert message.transact_time == 1735689600000100
    assert message.trades.tolist() == [(12345, 9412345, 100000000, 1)]
    assert message.trades_float["price"].tolist() == [94123.45]
    assert message.trades_float["qty"].tolist() == [1.0]
    assert message.to_dict() == {
        "event_time": 1735689600000123,
        "transact_time": 1735689600000100,
        "price_exponent": -2,
        "qty_exponent": -8,
        "trades": [
            {
                "id": 12345,
                "price": 9412345,
                "qty": 100000000,
                "is_buyer_maker": True,
                "is_best_match": True,
            }
        ],
        "symbol": "BTCUSDT",
    }


def test_depth_messages_have_the_published_values() -> None:
    diff = DepthDiffStreamEvent.decode(vectors.DEPTH_DIFF)
    assert (diff.first_book_update_id, diff.last_book_update_id) == (157, 160)
    assert diff.bids.tolist() == [(9412345, 0)]
    assert diff.asks.shape == (0,)
    snapshot = DepthSnapshotStreamEvent.decode(vectors.DEPTH_SNAPSHOT)
    assert snapshot.bids.tolist() == [(9412345, 31210000)]
    assert snapshot.asks_float.tolist() == [(94123.46, 0.4066)]


def test_a_newer_senders_surplus_is_stepped_over() -> None:
    message = DepthSnapshotStreamEvent.decode(vectors.NEWER_SNAPSHOT)
    assert message.version == 1
    assert message.bids.tolist() == [(9412345, 31210000)]
    assert message.bids.strides == (18,)
    assert message.bids.dtype == DepthSnapshotStreamEvent.BIDS_DTYPE
    assert message.asks.shape == (0,)
    assert message.symbol == "BTCUSDT"
    assert message.encoded_length == len(vectors.NEWER_SNAPSHOT)


def test_the_class_knows_its_layout() -> None:
    assert BestBidAskStreamEvent.TEMPLATE_ID == 10001
    assert BestBidAskStreamEvent.BLOCK_LENGTH == BestBidAskStreamEvent.DTYPE.itemsize == 50
    assert BestBidAskStreamEvent.DTYPE.fields["bid_price"][1] == 18
    assert TradesStreamEvent.TRADES_DTYPE.itemsize == 25
    assert list(spot_stream.MESSAGES) == [10000, 10001, 10002, 10003]
    assert (spot_stream.SCHEMA_ID, spot_stream.SCHEMA_VERSION) == (1, 0)
    assert (spot_stream.PACKAGE, spot_stream.BYTE_ORDER) == ("spot_stream", "littleEndian")
    assert spot_stream.BoolEnum.TRUE == 1


def test_decode_header_reads_any_schemas_header() -> None:
    header = spot_stream.decode_header(b"xx" + vectors.NEWER_SNAPSHOT, 2)
    assert header == (21, 10002, 1, 1)
    assert (header.block_length, header.template_id) == (21, 10002)
    assert spot_stream.decode_header(bytes([1, 0, 2, 0, 9, 0, 3, 0])).schema_id == 9


def test_a_message_may_lie_anywhere_in_a_buffer() -> None:
    whole = b"".join(vectors.ALL.values())
    offset, names = 0, []
    while offset < len(whole):
        message = decode(whole, offset)
        names.append(type(message).__name__)
        offset += message.encoded_length
    assert names == list(vectors.ALL)


@pytest.mark.parametrize("frame", vectors.ALL.values(), ids=vectors.ALL)
def test_copies_and_pickles_own_their_bytes(frame: bytes) -> None:
    buffer = bytearray(b"..." + frame + b"left over")
    message = decode(buffer, 3)
    copies = [copy.copy(message), copy.deepcopy(message), pickle.loads(pickle.dumps(message))]
    assert bytes(message) == frame
    before = message.to_dict()
    buffer[3 + len(frame) - 1] ^= 1
    for each in copies:
        assert type(each) is type(message)
        assert each.to_dict() == before
        assert each != message
    assert all(each == copies[0] and hash(each) == hash(copies[0]) for each in copies)


def test_messages_are_equal_by_class_and_bytes() -> None:
    one, other = decode(vectors.TRADES), decode(bytearray(vectors.TRADES))
    assert one == other
    assert one != decode(vectors.DEPTH_DIFF)
    assert one != vectors.TRADES
    with pytest.raises(TypeError, match="may change"):
        hash(other)


def test_messages_match_in_match_statements() -> None:
    match decode(vectors.BEST_BID_ASK):
        case BestBidAskStreamEvent(symbol="BTCUSDT", bid_price=price):
            assert price == 9412345
        case _:
            pytest.fail("no match")
    match decode(vectors.DEPTH_DIFF):
        case DepthDiffStreamEvent(_, first, last):
            assert (first, last) == (157, 160)


def test_a_repr_has_floats_beside_mantissas() -> None:
    text = repr(decode(vectors.BEST_BID_ASK))
    assert "bid_price=9412345 (94123.45), bid_qty=31210000 (0.3121), " in text
    assert "event_time=1735689600000123, book_update_id=" in text


def test_a_repr_cuts_what_is_long() -> None:
    symbol = b"<" * 255
    text = repr(decode(vectors.BEST_BID_ASK[:-8] + bytes([len(symbol)]) + symbol))
    assert text.endswith(f"symbol={'<' * 80!r}... (255 characters))")
    damaged = b"\xff" * 255
    text = repr(decode(vectors.BEST_BID_ASK[:-8] + bytes([len(damaged)]) + damaged))
    assert text.endswith(f"symbol={damaged[:80]!r}... (255 bytes))")


def test_repr_is_one_short_line() -> None:
    text = repr(decode(vectors.DEPTH_DIFF))
    assert text == (
        "DepthDiffStreamEvent(event_time=1735689600000123, first_book_update_id=157, "
        "last_book_update_id=160, price_exponent=-2, qty_exponent=-8, bids=<1 entries>, "
        "asks=<0 entries>, symbol='BTCUSDT')"
    )


def test_attributes_are_read_only_and_documented() -> None:
    message = decode(vectors.BEST_BID_ASK)
    with pytest.raises(AttributeError, match="read-only"):
        message.bid_price = 1
    with pytest.raises(AttributeError):
        message.anything = 1
    assert "int64 at byte 18" in BestBidAskStreamEvent.bid_price.__doc__
    assert "Microseconds" in BestBidAskStreamEvent.event_time.__doc__


def test_only_decode_makes_messages() -> None:
    with pytest.raises(TypeError, match="BestBidAskStreamEvent.decode"):
        BestBidAskStreamEvent()
    empty = BestBidAskStreamEvent.__new__(BestBidAskStreamEvent)
    for look in (
        lambda: empty.bid_price, lambda: empty.symbol, lambda: empty.block, lambda: bytes(empty),
        empty.astuple, empty.to_dict, lambda: empty.version, lambda: repr(empty),
        lambda: empty == empty, lambda: hash(empty), lambda: pickle.dumps(empty),
    ):  # fmt: skip
        with pytest.raises(TypeError, match="not made by decode"):
            look()


def test_a_descriptor_of_one_class_does_not_read_another() -> None:
    with pytest.raises(TypeError, match="not an attribute of TradesStreamEvent"):
        BestBidAskStreamEvent.__dict__["ask_qty"].__get__(decode(vectors.TRADES), None)
    with pytest.raises(TypeError):
        BestBidAskStreamEvent.__dict__["ask_qty"].__get__(5, int)


def test_text_that_is_not_utf8_fails_only_where_it_is_read() -> None:
    frame = vectors.BEST_BID_ASK.replace(b"BTCUSDT", b"BTC\xffSDT")
    message = decode(frame)
    assert message.symbol_bytes == b"BTC\xffSDT"
    assert message.bid_price == 9412345
    for look in (lambda: message.symbol, message.astuple, message.to_dict):
        with pytest.raises(MalformedMessage, match="offset 62") as caught:
            look()
        assert caught.value.offset == 62
        assert caught.value.template_id == 10001
        assert caught.value.message == "BestBidAskStreamEvent"
    assert "symbol=b'BTC\\xffSDT'" in repr(message)
    assert pickle.loads(pickle.dumps(message)) == message


def test_symbols_may_be_any_utf8() -> None:
    name = "币安456"
    content = name.encode()
    frame = vectors.BEST_BID_ASK[:-8] + bytes([len(content)]) + content
    for _ in range(2):
        assert decode(frame).symbol == name
    assert binance_sbe.decode_many([frame])[BestBidAskStreamEvent].symbols == [name]


def test_a_repeated_text_is_never_mistaken_for_another() -> None:
    names = [n for size in range(20) for n in ("A" * size, "A" * size + "B", "B" + "A" * size)]
    for _ in range(3):
        for name in names:
            content = name.encode()
            frame = vectors.BEST_BID_ASK[:-8] + bytes([len(content)]) + content
            assert decode(frame).symbol == name
            assert decode(frame).astuple()[-1] == name


def test_an_unknown_bool_is_its_number_and_null_is_none() -> None:
    for raw, shown in ((0, False), (1, True), (7, 7), (255, None)):
        frame = bytearray(vectors.TRADES)
        frame[8 + 18 + 6 + 24] = raw
        entry = decode(frame).to_dict()["trades"][0]
        assert entry["is_buyer_maker"] == shown
        assert type(entry["is_buyer_maker"]) is type(shown)
        assert decode(frame).trades["is_buyer_maker"].tolist() == [raw]


SCHEMA = """<messageSchema package="p" id="5" version="4">
<types>
<composite name="messageHeader"><type name="blockLength" primitiveType="uint16"/>
<type name="templateId" primitiveType="uint16"/><type name="schemaId" primitiveType="uint16"/>
<type name="version" primitiveType="uint16"/></composite>
<composite name="groupSizeEncoding"><type name="blockLength" primitiveType="uint16"/>
<type name="numInGroup" primitiveType="uint16"/></composite>
<composite name="latin"><type name="length" primitiveType="uint8"/>
<type name="varData" primitiveType="char" length="0" characterEncoding="ISO-8859-1"/></composite>
<enum name="side" encodingType="char"><validValue name="Buy">B</validValue>
<validValue name="NonRepresentable">~</validValue></enum>
<enum name="yes" encodingType="uint8"><validValue name="False">0</validValue>
<validValue name="True">1</validValue></enum>
</types>
<message name="Order" id="1" description="An order">
<field name="version" id="1" type="uint8"/>
<field name="class" id="2" type="side"/>
<field name="isOpen" id="3" type="yes" presence="optional"/>
<field name="alwaysSell" id="9" type="side" presence="constant" valueRef="side.NonRepresentable"/>
<field name="scale" id="4" type="int8" presence="optional"/>
<field name="price" id="5" type="int64" presence="optional" xmlns:m="urn:m" m:exponent="scale"/>
<field name="double" id="6" type="double" sinceVersion="4"/>
</message>
<message name="Scaled" id="3"><field name="e" id="1" type="int8"/><group name="levels" id="2">
<field name="p" id="1" type="int64" xmlns:m="urn:m" m:exponent="e"/>
<field name="q" id="2" type="int64" sinceVersion="4" xmlns:m="urn:m" m:exponent="e"/></group>
<data name="note" id="3" type="latin"/></message>
<message name="Padded" id="4" blockLength="16"><field name="a" id="1" type="int64"/></message>
<message name="Later" id="2"><group name="legs" id="1">
<field name="ratio" id="1" type="int32" sinceVersion="4"/></group></message>
</messageSchema>"""


@pytest.fixture(scope="module")
def orders(compiled) -> ModuleType:  # type: ignore[no-untyped-def]
    return compiled("orders", SCHEMA)


def order(side: int, is_open: int, scale: int, price: int) -> bytes:
    body = bytes([7, side, is_open]) + scale.to_bytes(1, "little", signed=True)
    body += price.to_bytes(8, "little", signed=True)
    return bytes([20, 0, 1, 0, 5, 0, 4, 0]) + body + bytes(8)


def test_enums_bools_and_nulls_read_as_python_values(orders: ModuleType) -> None:
    message = orders.decode(order(ord("B"), 1, -3, -1500))
    assert message.class_ is orders.Side.BUY
    assert message.is_open is True
    assert message.always_sell is orders.Side.NON_REPRESENTABLE
    assert (message.price_float, message.price_decimal) == (-1.5, Decimal("-1.500"))
    assert message.version == 4
    assert message.version_ == 7
    assert message.double == 0.0
    unknown = orders.decode(order(ord("Z"), 9, -3, -1500))
    assert (unknown.class_, unknown.is_open) == (ord("Z"), 9)
    assert unknown.to_dict()["class_"] == ord("Z")
    null = orders.decode(order(0, 255, -128, -(2**63)))
    assert (null.class_, null.is_open, null.scale, null.price) == (None,) * 4
    assert (null.price_float, null.price_decimal) == (None, None)
    half = orders.decode(order(0, 255, -128, 5))
    assert (half.price, half.price_float, half.price_decimal) == (5, None, None)


def test_an_older_block_is_a_copy_with_nulls(orders: ModuleType) -> None:
    frame = bytes([12, 0, 1, 0, 5, 0, 3, 0]) + order(ord("B"), 1, -3, -1500)[8:20]
    message = orders.decode(frame)
    assert message.double is None
    assert message.to_dict()["double"] is None
    assert np.isnan(message.block["double"][0])
    assert message.block["price"].tolist() == [-1500]
    assert message.block.base is None or message.block.flags.owndata
    padded = bytes([20, 0, 1, 0, 5, 0, 3, 0]) + order(ord("B"), 1, -3, -1500)[8:]
    assert orders.decode(padded).double is None


def test_entries_that_take_no_bytes_are_null_and_few(orders: ModuleType) -> None:
    def frame(version: int, length: int, count: int) -> bytes:
        header = [0, 2, 5, version, length, count]
        return b"".join(number.to_bytes(2, "little") for number in header)

    message = orders.decode(frame(3, 0, 3))
    assert message.to_dict() == {"legs": [{"ratio": None}] * 3}
    assert message.legs["ratio"].tolist() == [-(2**31)] * 3
    assert orders.decode_many([frame(3, 0, 1024)])[orders.Later].groups["legs"].offsets[-1] == 1024
    for wrong in (frame(3, 0, 1025), frame(3, 0, 65535), frame(4, 0, 1), frame(4, 3, 1)):
        with pytest.raises(MalformedMessage, match="legs at offset 12"):
            orders.decode(wrong)


def test_mantissas_that_an_older_sender_lacks_are_nan(orders: ModuleType) -> None:
    head = bytes([1, 0, 3, 0, 5, 0, 3, 0, 0xFE, 8, 0, 1, 0])
    frame = head + (150).to_bytes(8, "little") + b"\x01\xe9"
    message = orders.decode(frame)
    assert message.levels_float["p"].tolist() == [1.5]
    assert np.isnan(message.levels_float["q"]).all()
    assert message.to_dict()["levels"] == [{"p": 150, "q": None}]


def test_text_has_the_encoding_that_the_schema_gives(orders: ModuleType) -> None:
    frame = bytes([1, 0, 3, 0, 5, 0, 4, 0, 0xFE, 16, 0, 0, 0]) + b"\x01\xe9"
    assert orders.decode(frame).note == "é"
    assert orders.decode_many([frame])[orders.Scaled].dictionary("note") == ["é"]


def test_padding_may_be_left_out_and_then_the_block_is_a_copy(orders: ModuleType) -> None:
    whole = bytes([16, 0, 4, 0, 5, 0, 4, 0]) + (7).to_bytes(8, "little") + bytes(8)
    assert orders.decode(whole).block.base is whole
    bare = orders.decode(bytes([8]) + whole[1:16])
    assert (bare.a, bare.block["a"].tolist(), bare.block.flags.owndata) == (7, [7], True)
    assert "lacks padding" in orders.Padded.block.__doc__
