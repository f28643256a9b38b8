"""Sentences of refusals: they name what was given, and what they promise is possible."""

from __future__ import annotations

import struct
from datetime import UTC, datetime
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from small import plain, schema

from binance_sbe import BestBidAskStreamEvent, EncodeError, decode_many, spot_stream

VALUES = {
    "event_time": 1, "book_update_id": 2, "price_exponent": -2, "qty_exponent": -8, "bid_price": 1,
    "bid_qty": 2, "ask_price": 3, "ask_qty": 4, "symbol": "X",
}  # fmt: skip
TYPES = """<composite name="fixed"><type name="mantissa" primitiveType="int64"/>
  <type name="exponent" primitiveType="int8" presence="constant">-9</type></composite>
<type name="charNull" primitiveType="char" presence="optional" nullValue="0"/>
<enum name="Mode" encodingType="charNull"><validValue name="Auto">A</validValue></enum>
<enum name="Named" encodingType="char"><validValue name="Nothing">&#48;</validValue></enum>"""


@pytest.fixture(scope="module")
def module(compiled: Any) -> ModuleType:
    fields = plain("price", 1, "fixed") + plain("letter", 2, "charNull") + plain("mode", 3, "Mode")
    fields += plain("side", 4, "side")
    text = schema(f"<message name='M' id='1'>{fields}</message>", TYPES)
    made: ModuleType = compiled("refused_values", text)
    return made


def refused(**given: Any) -> EncodeError:
    values = {name: value for name, value in VALUES.items() if f"{name}_float" not in given}
    with pytest.raises(EncodeError) as caught:
        BestBidAskStreamEvent.encode(**values | given)
    return caught.value


@pytest.mark.parametrize(
    ("value", "exponent", "why"),
    [
        (1e300, -2, "it is too large for exponent -2; no exponent would do"),
        (1e130, 100, "with exponent 100 its mantissa is 1000000000000000000000000000000, outside "
         "-9223372036854775807 to 9223372036854775807; exponent 127 would do"),
        (1e130, 127, ""),
        (1e150, 127, "with exponent 127 its mantissa is 100000000000000000000000, outside "
         "-9223372036854775807 to 9223372036854775807; no exponent would do"),
        (1.5e-200, -2, "10^-2 is too coarse for it; no exponent would do"),
        (0.125, -2, "10^-2 is too coarse for it; exponent -3 would do"),
    ],
)  # fmt: skip
def test_an_exponent_that_would_do_can_be_sent(value: float, exponent: int, why: str) -> None:
    if not why:
        values = {name: each for name, each in VALUES.items() if name != "bid_price"}
        values |= {"price_exponent": exponent, "bid_price_float": value}
        assert BestBidAskStreamEvent.encode(**values)
        return
    found = refused(bid_price_float=value, price_exponent=exponent)
    assert (found.field, found.value) == ("bid_price_float", value)
    assert found.why == why or found.why.partition("; ")[2] == why.partition("; ")[2]


def test_a_constant_exponent_is_not_offered_in_another_size(module: ModuleType) -> None:
    given = {"letter": None, "mode": None, "side": "Buy"}
    for value in (1e-12, 1e12):
        with pytest.raises(EncodeError) as caught:
            module.M.encode(**given, price_float=value)
        assert "would do" not in caught.value.why
        assert caught.value.field == "price_float"


@pytest.mark.parametrize("value", [float("nan"), None])
def test_null_of_a_required_field_is_refused_under_the_name_that_was_given(
    module: ModuleType, value: float | None
) -> None:
    found = refused(bid_price_float=value)
    assert found.field == "bid_price_float"
    assert found.value is value
    assert found.why == "the field is required, and never null"
    with pytest.raises(EncodeError) as caught:
        module.M.encode(letter=None, mode=None, side="Buy", price_float=value)
    assert (caught.value.field, caught.value.value) == ("price_float", value)


@pytest.mark.parametrize(
    ("name", "value"),
    [("letter", "\0"), ("letter", "0"), ("mode", 0), ("mode", 48), ("side", 0), ("side", None)],
)
def test_what_stands_for_null_is_no_value_of_chars(
    module: ModuleType, name: str, value: Any
) -> None:
    values = {"price_float": 1.0, "letter": "a", "mode": "Auto", "side": "Buy"}
    with pytest.raises(EncodeError) as caught:
        module.M.encode(**values | {name: value})
    assert caught.value.field == name
    frame = module.M.encode(**values | {"letter": None, "mode": None})
    message = module.decode(frame)
    assert (message.letter, message.mode) == (None, None)
    assert module.M.encode(**message.to_dict()) == frame


def test_what_is_no_mapping_no_table_and_no_offset_is_said_in_short() -> None:
    with pytest.raises(TypeError, match=r"takes a mapping of its values, not list"):
        spot_stream.encode(BestBidAskStreamEvent, [1])
    frame = BestBidAskStreamEvent.encode(**VALUES)
    table = decode_many([frame])[BestBidAskStreamEvent]
    arrow = table.to_arrow()
    with pytest.raises(TypeError, match=r"^encode_many of \w+ takes its Table, not Table$"):
        spot_stream.encode_many(BestBidAskStreamEvent, arrow)
    with pytest.raises(TypeError, match="its Table, not one of BestBidAskStreamEvent"):
        spot_stream.encode_many(spot_stream.TradesStreamEvent, table)
    buffer = bytearray(200)
    for offset in (2**70, -(2**70), 2**63, -1, 199):
        with pytest.raises(EncodeError, match="the buffer has 200") as caught:
            BestBidAskStreamEvent.encode_into(buffer, offset, **VALUES)
        assert (caught.value.field, caught.value.value) == ("offset", offset)
    assert buffer == bytes(200)


@pytest.mark.parametrize("count", [*range(1, 20), 31, 32, 33, 100, 201])
def test_a_level_that_may_not_be_written_is_found_wherever_it_is(count: int) -> None:
    """Levels are looked at several at a time, and by the widest loads that the processor has."""
    diff = spot_stream.DepthDiffStreamEvent
    rng = np.random.default_rng(count)
    good = np.zeros(count, diff.BIDS_DTYPE)
    good["price"], good["qty"] = rng.integers(0, 2**63, (2, count))

    def encoded(bids: np.ndarray[Any, Any]) -> bytes:
        return diff.encode(
            event_time=1, first_book_update_id=1, last_book_update_id=2, price_exponent=-2,
            qty_exponent=-8, bids=bids, asks=bids[:0], symbol="B",
        )  # fmt: skip

    assert spot_stream.decode(encoded(good)).bids.tobytes() == good.tobytes()
    for at in range(count):
        for name in ("price", "qty"):
            bad = good.copy()
            bad[name][at] = -(2**63)
            with pytest.raises(EncodeError, match=rf"bids\[{at}\]\.{name} = -9223372036854775808"):
                encoded(bad)
            bad[name][at] += 1  # the least that may be written
            assert spot_stream.decode(encoded(bad)).bids[name][at] == 1 - 2**63


@pytest.fixture(scope="module")
def arrays(compiled: Any) -> ModuleType:
    types = """<type name="few" primitiveType="uint8" length="3" minValue="2" maxValue="9"/>
<type name="floats" primitiveType="double" length="2" maxValue="1.5"/>
<type name="four" primitiveType="char" length="4"/>"""
    group = '<group name="g" id="9"><field name="t" id="1" type="four"/></group>'
    fields = plain("few", 1, "few") + plain("floats", 2, "floats") + plain("t", 3, "four")
    text = schema(f"<message name='M' id='1'>{fields}{group}</message>", types)
    made: ModuleType = compiled("refused_arrays", text)
    return made


@pytest.mark.parametrize(
    ("given", "path", "why"),
    [
        ({}, "", ""),
        ({"few": [2, 9, 255]}, "", ""),  # an item may be null
        ({"few": [2, 9, 10]}, "few[2]", "above 9, the maxValue"),
        ({"few": [1, 9, 10]}, "few[0]", "below 2, the minValue"),
        ({"floats": [float("nan"), -1e9]}, "", ""),
        ({"floats": [0.0, 1.75]}, "floats[1]", "above 1.5, the maxValue"),
    ],
)
def test_items_of_arrays_have_the_limits_of_their_type(
    arrays: ModuleType, given: dict[str, Any], path: str, why: str
) -> None:
    plain_values = {"few": [2, 3, 4], "floats": [0.5, 1.5], "t": "ab", "g": []}
    if not path:
        message = arrays.decode(arrays.M.encode(**plain_values | given))
        assert message.validate() == []
        return
    with pytest.raises(EncodeError) as caught:
        arrays.M.encode(**plain_values | given)
    assert (caught.value.field, caught.value.why) == (path, why)
    name, index = path[:-1].split("[")
    frame = bytearray(arrays.M.encode(**plain_values))
    kind, at = {"few": ("B", 8), "floats": ("<d", 11)}[name]
    struct.pack_into(kind, frame, at + struct.calcsize(kind) * int(index), given[name][int(index)])
    (found,) = arrays.decode(bytes(frame)).validate()
    assert (found.path, found.sentence) == (name, f"[{index}] is {why}")


def test_what_is_behind_the_nul_of_a_text_is_padding(arrays: ModuleType) -> None:
    """Some senders do not clear it: their frames are whole, and can be written again."""
    values = {"few": [2, 3, 4], "floats": [0.5, 1.5], "t": "abcz", "g": [{"t": "abcz"}]}
    frame = arrays.M.encode(**values).replace(b"abcz", b"ab\0z")
    message = arrays.decode(frame)
    assert (message.t, message.to_dict()["g"], message.validate()) == ("ab", [{"t": "ab"}], [])
    again = arrays.decode(message.replace(few=[5, 5, 5]))
    assert again.to_dict() == message.to_dict() | {"few": [5, 5, 5]}
    made, offsets = arrays.encode_many(arrays.M, arrays.decode_many([frame])[arrays.M])
    assert arrays.decode(bytes(made), int(offsets[0])).to_dict() == message.to_dict()


NOTHING = """<composite name="wideDims"><type name="blockLength" primitiveType="uint16"/>
<type name="numInGroup" primitiveType="uint16"/></composite>"""


def test_a_frame_has_no_more_empty_entries_than_decoding_takes(compiled: Any) -> None:
    """Entries without fields, or whose fields an older version lacks."""
    late = '<field name="x" id="9" type="uint8" sinceVersion="1"/>'
    flat = f'<group name="flat" id="2" dimensionType="wideDims">{late}</group>'
    deep = f'<group name="deep" id="3" dimensionType="wideDims">{flat}</group>'
    text = schema(f"<message name='M' id='1'>{flat}{deep}</message>", NOTHING)
    module = compiled("empty_entries", text)

    def made(flat: int, deep: list[int], version: int) -> bytes:
        groups = [{"flat": [{}] * count} for count in deep]
        if version:
            groups = [{"flat": [{"x": 1}] * count} for count in deep]
        each = {"x": 1} if version else {}
        return bytes(module.M.encode(flat=[each] * flat, deep=groups, version=version))

    for counts in ((1024, []), (1000, [20, 0, 4]), (0, [512, 512])):
        message = module.decode(made(*counts, version=0))
        assert [len(entry.flat) for entry in message.deep] == counts[1]
    for flat_count, deep_counts, path in (
        (1025, [], "flat"), (1000, [20, 5], "deep[1].flat"), (0, [2000], "deep[0].flat"),
    ):  # fmt: skip
        with pytest.raises(EncodeError, match="a frame has 1024 at most") as caught:
            made(flat_count, deep_counts, version=0)
        assert caught.value.field == path
        module.decode(made(flat_count, deep_counts, version=1))


def test_a_refusal_says_how_a_value_is_given(module: ModuleType) -> None:
    good = {"price_float": 1.5, "letter": "x", "mode": "Auto", "side": "Buy"}
    module.M.encode(**good)
    for name, value, why in (
        ("side", "B", "the enum has no such name; did you mean 'Buy'?"),
        ("side", "X", "the enum has no such name; it has Buy"),
        ("mode", "A", "the enum has no such name; did you mean 'Auto'?"),
        ("price", (1, -9), "a dict of its members is needed, or a number as price_float or "
         "price_decimal"),
    ):  # fmt: skip
        given = {key: each for key, each in good.items() if not key.startswith(name)}
        with pytest.raises(EncodeError) as caught:
            module.M.encode(**given | {name: value})
        assert caught.value.why == why


@pytest.mark.parametrize(
    ("semantic", "said"),
    [("UTCTimestamp' timeUnit='millisecond", ": ms since 1970 in UTC"),
     ("UTCTimeOnly' timeUnit='second", ": s since midnight"),
     ("LocalMktDate", ": days since 1970 in UTC"), ("Price", "")],
)  # fmt: skip
def test_a_datetime_is_answered_with_the_unit(compiled: Any, semantic: str, said: str) -> None:
    field = f"<field name='t' id='1' type='uint32' semanticType='{semantic}'/>"
    text = schema(f"<message name='M' id='1'>{field}</message>")
    module = compiled(f"time_{len(semantic)}", text)
    with pytest.raises(EncodeError) as caught:
        module.M.encode(t=datetime(2026, 1, 2, tzinfo=UTC))
    assert caught.value.why == f"a whole number is needed, not datetime{said}"
