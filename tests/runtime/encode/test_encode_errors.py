"""What can't be written is an EncodeError with field, value and why, and nothing is written."""

from __future__ import annotations

import inspect
import pickle
from decimal import Decimal
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import vectors

from binance_sbe import EncodeError, UnknownName, decode, spot_stream

Best: Any = spot_stream.BestBidAskStreamEvent
Trades: Any = spot_stream.TradesStreamEvent
Diff: Any = spot_stream.DepthDiffStreamEvent
BEST: dict[str, Any] = decode(vectors.BEST_BID_ASK).to_dict()
TRADES: dict[str, Any] = decode(vectors.TRADES).to_dict()
DIFF: dict[str, Any] = decode(vectors.DEPTH_DIFF).to_dict()
TRADE: dict[str, Any] = TRADES["trades"][0]

SCHEMA = """<s:messageSchema xmlns:s="http://fixprotocol.io/2016/sbe" xmlns:x="urn:x" package="bad"
  id="7" version="3" byteOrder="bigEndian">
<types>
<composite name="messageHeader"><type name="blockLength" primitiveType="uint16"/>
  <type name="templateId" primitiveType="uint16"/><type name="schemaId" primitiveType="uint16"/>
  <type name="version" primitiveType="uint16"/></composite>
<composite name="groupSizeEncoding"><type name="blockLength" primitiveType="uint16"/>
  <type name="numInGroup" primitiveType="uint8" maxValue="2"/></composite>
<composite name="text"><type name="length" primitiveType="uint8" maxValue="4"/>
  <type name="varData" primitiveType="uint8" length="0" characterEncoding="ASCII"/></composite>
<composite name="blob"><type name="length" primitiveType="uint8"/>
  <type name="varData" primitiveType="uint8" length="0"/></composite>
<type name="few" primitiveType="uint8" minValue="3" maxValue="9"/>
<type name="maybe" primitiveType="uint16" presence="optional" nullValue="7"/>
<type name="share" primitiveType="double" minValue="0" maxValue="1"/>
<type name="single" primitiveType="float" presence="optional"/>
<type name="tag" primitiveType="char" length="3"/>
<type name="utf" primitiveType="char" length="4" characterEncoding="UTF-8" presence="optional"/>
<type name="letter" primitiveType="char"/>
<type name="three" primitiveType="int16" length="3"/>
<type name="always" primitiveType="uint8" presence="constant">5</type>
<enum name="side" encodingType="uint8"><validValue name="Buy">1</validValue>
  <validValue name="SellShort">2</validValue></enum>
<enum name="other" encodingType="uint8"><validValue name="One">1</validValue></enum>
<set name="flags" encodingType="uint8"><choice name="first">0</choice>
  <choice name="last">7</choice></set>
<composite name="pair"><type name="a" primitiveType="int32" presence="optional"/>
  <type name="b" primitiveType="uint8"/></composite>
</types>
<s:message name="All" id="1">
  <field name="few" id="1" type="few"/><field name="maybe" id="2" type="maybe"/>
  <field name="share" id="3" type="share"/><field name="single" id="4" type="single"/>
  <field name="tag" id="5" type="tag"/><field name="utf" id="6" type="utf"/>
  <field name="letter" id="7" type="letter"/><field name="three" id="8" type="three"/>
  <field name="always" id="9" type="always"/><field name="side" id="10" type="side"/>
  <field name="flags" id="11" type="flags"/><field name="pair" id="12" type="pair"/>
  <field name="exponents" id="13" type="uint64"/>
  <field name="newer" id="14" type="int8" sinceVersion="2"/>
  <group name="parts" id="20"><field name="x" id="1" type="int16"/>
    <group name="inner" id="21"><field name="y" id="1" type="few"/></group></group>
  <group name="late" id="22" sinceVersion="2"><field name="z" id="1" type="int8"/></group>
  <data name="text" id="30" type="text"/><data name="blob" id="31" type="blob" sinceVersion="3"/>
</s:message>
</s:messageSchema>"""
GOOD: dict[str, Any] = {
    "few": 3, "maybe": 8, "share": 0.5, "single": 0.25, "tag": "abc", "utf": "é", "letter": "x",
    "three": [1, -2, 3], "side": "Buy", "flags": ["last"], "pair": {"a": 1, "b": 2},
    "exponents": 2**64 - 2, "newer": -1, "parts": [{"x": 1, "inner": [{"y": 4}]}], "late": [],
    "text": "abcd", "blob": b"\xff",
}  # fmt: skip
MISSING = object()


@pytest.fixture(scope="module")
def module(compiled: Any) -> ModuleType:
    made: ModuleType = compiled("bad", SCHEMA)
    return made


def changed(values: dict[str, Any], **other: Any) -> dict[str, Any]:
    return {k: v for k, v in (values | other).items() if v is not MISSING}


def test_the_good_values_are_good(module: ModuleType) -> None:
    message = module.decode(module.All.encode(**GOOD))
    assert message.to_dict() == GOOD | {"always": 5}
    assert message.encode(**message.to_dict()) == bytes(message)


# The field in the error is the first unless there is another.
BAD: list[tuple[str, Any, str] | tuple[str, Any, str, str]] = [
    ("few", 2, "outside 3 to 9"),
    ("few", 10, "outside 3 to 9"),
    ("few", 2**80, "outside 3 to 9"),
    ("few", -1, "outside 3 to 9"),
    ("few", "4", "whole number"),
    ("few", 4.0, "whole number"),
    ("few", Decimal(4), "whole number"),
    ("few", b"4", "whole number"),
    ("few", [4], "whole number"),
    ("few", None, "required"),
    ("few", MISSING, "a value is needed"),
    ("maybe", 7, "stands for null; give None"),
    ("maybe", 65535, "outside"),
    ("share", 1.5, "outside"),
    ("share", -0.5, "outside"),
    ("share", float("nan"), "null"),
    ("share", "0.5", "a number is needed"),
    ("share", Decimal("0.1"), "exactly"),
    ("share", 2**2000, "can't hold it"),
    ("single", 0.1, "four bytes"),
    ("single", 1e300, "four bytes"),
    ("single", float("nan"), "give None"),
    ("tag", "abcd", "room for 3"),
    ("tag", "a\0b", "NUL"),
    ("tag", "€", "no such text"),
    ("tag", b"abc", "a str is needed"),
    ("tag", None, "required"),
    ("utf", "ééé", "6 bytes"),
    ("utf", "\ud800", "no such text"),
    ("utf", "", "give None"),
    ("letter", "xy", "one character"),
    ("letter", "", "one character"),
    ("letter", "€", "one byte"),
    ("letter", "\0", "null"),
    ("letter", 120, "one character"),
    ("three", [1, 2], "3 numbers"),
    ("three", 5, "3 numbers"),
    ("three", "123", "3 numbers"),
    ("three", [1, 2, 2**15], "outside", "three[2]"),
    ("three", [1, None, 2], "whole number", "three[1]"),
    ("three", None, "no null|required"),
    ("always", 6, "always 5"),
    ("always", None, "always 5"),
    ("side", "buy", "did you mean 'Buy'"),
    ("side", "Nothing", "it has Buy, SellShort"),
    ("side", 255, "null"),
    ("side", 256, "outside"),
    ("side", True, "other names"),
    ("side", None, "required"),
    ("flags", ["frist"], "did you mean 'first'"),
    ("flags", 256, "8 bits"),
    ("flags", [8], "8 bits"),
    ("flags", [64], "a bit"),
    ("flags", -1, "8 bits"),
    ("flags", "first", "a list of names"),
    ("flags", True, "a list of names"),
    ("flags", None, "no null|required"),
    ("pair", {"a": 1}, "needed", "pair.b"),
    ("pair", {"a": 1, "b": 2, "c": 3}, "no such name", "pair.c"),
    ("pair", {"a": None, "b": 2}, "give None"),
    ("pair", 5, "a dict"),
    ("exponents", 2**64 - 1, "stands for null"),
    ("newer", None, "required"),
    ("parts", [{"x": 1}] * 3, "allows 2"),
    ("parts", [{"x": 1}, {"y": 2}], "no such name", "parts[1].y"),
    ("parts", [{"x": 1, "inner": [{"y": 3}, {"y": 1}]}], "outside", "parts[0].inner[1].y"),
    ("parts", [5], "a dict", "parts[0]"),
    ("parts", {"x": 1}, "a list of dicts"),
    ("parts", iter([]), "a list of dicts"),
    ("parts", None, "a list of dicts"),
    ("parts", np.zeros(1, [("x", "i2")]), "a list of dicts"),
    ("late", 5, "a list of dicts"),
    ("late", np.zeros(1), "structured array"),
    ("late", np.zeros((1, 1), [("z", "i1")]), "structured array"),
    ("late", np.ma.zeros(1, [("z", "i1")]), "plain array"),
    ("late", np.zeros(1, [("w", "i1")]), "no such name", "late.w"),
    ("late", np.zeros(1, [("z", "f8")]), "needed", "late[].z"),
    ("late", np.array([(300,)], [("z", "i4")]), "can't hold", "late[0].z"),
    ("late", np.array([(-128,)], [("z", "i1")]), "null", "late[0].z"),
    ("late", np.zeros(3, [("z", "i1")]), "allows 2"),
    ("text", "abcde", "allows 4"),
    ("text", "é", "no such text"),
    ("text", b"\xff", "not ascii text"),
    ("text", 5, "a str is needed"),
    ("text", None, "never null"),
    ("text", MISSING, "a value is needed"),
    ("blob", "abc", "bytes are needed"),
    ("blob", 5, "bytes are needed"),
    ("blob", b"x" * 255, "allows 254"),
    ("fwe", 1, "did you mean 'few'"),
    ("buffer", 1, "no such name"),
    ("version", 4, "versions 0 to 3"),
    ("version", "1", "whole number"),
    ("exponents_", "best", "'fit'", "exponents"),
]


@pytest.mark.parametrize("case", BAD, ids=[f"{case[0]}-{i}" for i, case in enumerate(BAD)])
def test_what_cannot_be_written(module: ModuleType, case: Any) -> None:
    name, value, why = case[:3]
    values = changed(GOOD, **{name: value})
    buffer = bytearray(b"\xaa" * 200)
    for encode in (module.All.encode, lambda **v: module.encode(1, v),
                   lambda **v: module.All.encode_into(buffer, 3, **v),
                   module.decode(module.All.encode(**GOOD)).replace):  # fmt: skip
        if value is MISSING and encode == module.decode(module.All.encode(**GOOD)).replace:
            continue
        if value is MISSING and getattr(encode, "__name__", "") == "replace":
            continue
        if name == "buffer" and encode is not module.All.encode:
            continue
        with pytest.raises(EncodeError, match=why) as raised:
            encode(**values)
        error = raised.value
        assert error.field == (case[3] if len(case) > 3 else name)
        assert str(error).startswith("All: ")
        assert error.why in str(error)
        assert str(pickle.loads(pickle.dumps(error))) == str(error)
    assert buffer == b"\xaa" * 200


@pytest.mark.parametrize(("name", "value"), [("newer", 1), ("late", [{"z": 1}]), ("blob", b"")])
def test_what_an_older_sender_does_not_have(module: ModuleType, name: str, value: Any) -> None:
    older = changed(GOOD, newer=MISSING, late=MISSING, blob=MISSING)
    frame = module.All.encode(version=1, **older)
    message = module.decode(frame)
    assert message.version == 1
    assert (message.newer, len(message.late), message.blob) == (None, 0, None)
    assert message.replace() == frame
    for wrong in (value, 5, "x"):
        with pytest.raises(EncodeError, match="version 1") as raised:
            module.All.encode(version=1, **older | {name: wrong})
        assert raised.value.field == name


def test_enums_and_sets_in_every_way(module: ModuleType) -> None:
    frame = module.All.encode(**GOOD)
    for side in (module.Side.BUY, "BUY", "Buy", 1, np.uint8(1)):
        assert module.All.encode(**GOOD | {"side": side}) == frame
    for flags in (module.Flags.LAST, 128, [7], [module.Flags.LAST], {"last"}, ("LAST",)):
        assert module.All.encode(**GOOD | {"flags": flags}) == frame
    for wrong in (module.Other.ONE, module.Flags.LAST):
        with pytest.raises(EncodeError):
            module.All.encode(**GOOD | {"side": wrong, "flags": module.Flags(0)} | (
                {} if wrong is module.Other.ONE else {"side": "Sell"}))  # fmt: skip
    assert module.decode(module.All.encode(**GOOD | {"side": 99})).side == 99


@pytest.mark.parametrize("arguments", [(1,), ({},), (1, 2, 3)])
def test_values_go_by_name(arguments: Any) -> None:
    with pytest.raises(TypeError, match="by name"):
        Best.encode(*arguments)


def test_buffers() -> None:
    size = len(vectors.BEST_BID_ASK)
    buffer = bytearray(size + 2)
    for offset in (3, -1, size, 2**40):
        with pytest.raises(EncodeError, match="buffer has") as raised:
            Best.encode_into(buffer, offset, **BEST)
        assert raised.value.field == "offset"
    assert buffer == bytes(size + 2)
    assert Best.encode_into(offset=2, buffer=buffer, **BEST) == size
    assert buffer[2:] == vectors.BEST_BID_ASK
    for _ in range(2):  # the names of the call before are remembered, whoever was called
        with pytest.raises(EncodeError, match="no such name"):
            Best.encode(offset=1, **BEST)
        assert Best.encode_into(buffer, offset=1, **BEST) == size
        assert buffer[1:-1] == vectors.BEST_BID_ASK
    for wrong in (bytes(100), "text", None, 5, np.zeros((9, 9))[:, ::2]):
        with pytest.raises((TypeError, BufferError, ValueError)):
            Best.encode_into(wrong, 0, **BEST)
    with pytest.raises(TypeError, match="needs a buffer"):
        Best.encode_into(**BEST)
    with pytest.raises(TypeError, match="two values"):
        Best.encode_into(buffer, buffer=buffer, **BEST)
    with pytest.raises(TypeError):
        Best.encode_into(buffer, "0", **BEST)


def test_an_array_may_lie_in_the_memory_that_is_written() -> None:
    levels = np.array([(i, -i) for i in range(20)], Diff.BIDS_DTYPE)
    wanted = Diff.encode(**DIFF | {"bids": levels.copy(), "asks": levels[::-1].copy()})
    for shift in (0, 1, 38, 100, 400):
        buffer = bytearray(2000)
        inside = np.frombuffer(buffer, Diff.BIDS_DTYPE, 20, 100)
        inside[:] = levels
        size = Diff.encode_into(buffer, shift, **DIFF | {"bids": inside, "asks": inside[::-1]})
        assert buffer[shift : shift + size] == wanted


@pytest.mark.parametrize("view", [slice(None), slice(None, None, 2), slice(None, None, -1),
                                  slice(0, 0), slice(3, 4)])  # fmt: skip
def test_arrays_are_what_lists_are(view: slice) -> None:
    levels = np.array([(i * 7 - 20, 2**40 + i) for i in range(9)], Diff.BIDS_DTYPE)[view]
    rows = [{"price": p, "qty": q} for p, q in levels.tolist()]
    wanted = Diff.encode(**DIFF | {"bids": rows})
    swapped = levels.astype([("qty", ">i8"), ("price", ">i8")])
    renamed = np.zeros(len(levels), [("price", "i8"), ("qty", "u8")])
    renamed["price"], renamed["qty"] = levels["price"], levels["qty"]
    swapped["price"], swapped["qty"] = levels["price"], levels["qty"]
    for same in (levels, levels.copy(), swapped, renamed, levels):
        assert Diff.encode(**DIFF | {"bids": same}) == wanted


def test_renamed_columns_of_a_dtype_that_is_known_are_seen() -> None:
    levels = np.array([(1, 2)], Diff.BIDS_DTYPE)
    first = Diff.encode(**DIFF | {"bids": levels})
    levels.dtype.names = ("qty", "price")
    second = Diff.encode(**DIFF | {"bids": levels})
    levels.dtype.names = ("price", "qty")
    assert decode(first).bids.tolist() == [(1, 2)]
    assert decode(second).bids.tolist() == [(2, 1)]


class Nasty:
    """A number whose conversion runs code of somebody else."""

    def __init__(self, action: Any) -> None:
        self.action = action

    def __index__(self) -> int:
        self.action()
        return 5


def test_values_that_change_others_while_they_are_read() -> None:
    entries: list[Any] = []
    entries += [{"price": Nasty(entries.clear), "qty": 1}, {"price": 2, "qty": 3}]
    assert len(decode(Diff.encode(**DIFF | {"bids": entries})).bids) == 2
    entry: dict[str, Any] = {}
    entry |= {"price": Nasty(entry.clear), "qty": 10**12}
    assert decode(Diff.encode(**DIFF | {"bids": [entry]})).bids.tolist() == [(5, 10**12)]
    buffer = bytearray(200)

    def resize() -> None:
        buffer.extend(bytes(100_000))

    values = BEST | {"bid_price": Nasty(resize)}
    assert Best.encode_into(buffer, 0, **values) == len(vectors.BEST_BID_ASK)
    inner = {"price": 1, "qty": Nasty(lambda: Diff.encode(**DIFF))}
    assert len(Diff.encode(**DIFF | {"asks": [inner] * 3})) > 0
    levels = np.zeros(500, Diff.BIDS_DTYPE)
    shrinking = [{"price": 1, "qty": Nasty(lambda: levels.resize(3, refcheck=False))}]
    with pytest.raises(RuntimeError, match="shape"):
        Diff.encode(**DIFF | {"bids": levels, "asks": shrinking})


def test_errors_of_conversions_are_theirs() -> None:
    def fail() -> None:
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        Best.encode(**BEST | {"bid_price": Nasty(fail)})


def test_modules_say_which_messages_there_are() -> None:
    for unknown in (1, "BestBidAskStreamEvent", None, int):
        with pytest.raises(UnknownName, match="10001 BestBidAskStreamEvent"):
            spot_stream.encode(unknown, BEST)


def test_the_signature_has_the_names() -> None:
    names = list(inspect.signature(Best.encode).parameters)
    assert names[:2] == ["event_time", "book_update_id"]
    assert {"bid_price_float", "bid_price_decimal", "version", "exponents"} <= set(names)
    assert list(inspect.signature(Diff.encode_into).parameters)[:2] == ["buffer", "offset"]
    assert "bids_float" in inspect.signature(Diff.encode_into).parameters
    assert "inverse of" in Best.encode.__doc__


def test_a_message_of_a_newer_sender_is_not_cut_in_silence() -> None:
    message = decode(vectors.NEWER_SNAPSHOT)
    with pytest.raises(EncodeError, match="version=0 leaves out"):
        message.replace()
    older = decode(message.replace(version=0))
    assert older.to_dict() == message.to_dict()
