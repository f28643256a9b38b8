"""Every message of the two big schemas: null and not, empty and not, older, newer and damaged."""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import Any
from xml.etree.ElementTree import Element

import pytest
from hypothesis import given
from hypothesis import strategies as st
from oracle import Block, Kind, Schema, local, same, snake
from strategies import messages

from binance_sbe import (
    DecodeError,
    MalformedMessage,
    SchemaMismatch,
    TruncatedMessage,
    UnknownTemplate,
    fix_sbe,
    spot_sbe,
)
from sbe_codegen.cli import main as codegen_main

SCHEMAS = Path(__file__).parent.parent.parent / "schemas"
SPOT = Schema(SCHEMAS / "spot_3_5.xml", "optional")
FIX = Schema(SCHEMAS / "spot-fixsbe-1_1.xml", "optional")
MODULES = {SPOT: spot_sbe, FIX: fix_sbe}
ALL = [(schema, name) for schema in (SPOT, FIX) for name in schema.messages]
each_message = pytest.mark.parametrize(("schema", "name"), ALL, ids=[name for _, name in ALL])

# 3:5 as published: template id -> bytes of the root block.
BLOCKS = {
    **{1: 25, 2: 21, 3: 37, 4: 25, 5: 14, 6: 23, 7: 8, 8: 25, 9: 8, 10: 8, 11: 8, 12: 9, 13: 32},
    **{14: 8, 15: 8, 16: 8, 17: 8, 18: 8, 19: 8, 20: 8, 21: 9, 22: 33, 50: 3, 51: 26, 52: 26},
    **{53: 26, 54: 0, 100: 18, 101: 0, 102: 8, 103: 0, 104: 0, 105: 0, 200: 10, 201: 2, 202: 2},
    **{203: 2, 204: 25, 205: 182, 207: 106, 209: 9, 211: 34, 213: 126, 215: 106, 206: 0, 208: 0},
    **{210: 0, 212: 0, 214: 0, 216: 0, 217: 17, 218: 17, 219: 2, 300: 24, 301: 154, 302: 154},
    **{303: 0, 304: 163, 305: 137, 306: 0, 307: 2, 308: 0, 309: 19, 310: 21, 311: 21, 312: 21},
    **{313: 19, 314: 0, 315: 60, 316: 0, 317: 145, 400: 64, 401: 0, 402: 0, 403: 0, 404: 0},
    **{405: 108, 500: 0, 501: 0, 502: 0, 504: 0, 503: 2, 505: 10, 600: 122, 601: 27, 602: 10},
    **{603: 282, 604: 27, 606: 29, 607: 18, 610: 8, 999: 0},
}
FIX_BLOCKS = {
    **{
        96: 22,
        97: 86,
        98: 281,
        99: 76,
        100: 2,
        101: 17,
        102: 20,
        103: 1,
        104: 15,
        105: 17,
        106: 21,
    },
    **{120: 0, 121: 0, 198: 31, 200: 1, 201: 0, 202: 4, 203: 5, 204: 10, 205: 10, 206: 10, 207: 18},
    **{20001: 0, 20002: 0, 20003: 13, 20004: 0, 20008: 14, 20009: 6, 20100: 0},
}


def test_root_blocks_are_as_long_as_published() -> None:
    for module, blocks in ((spot_sbe, BLOCKS), (fix_sbe, FIX_BLOCKS)):
        found = {number: message.BLOCK_LENGTH for number, message in module.MESSAGES.items()}
        assert found == blocks
        for message in module.MESSAGES.values():
            assert message.DTYPE.itemsize == message.BLOCK_LENGTH


def value_of(kind: Kind, optional: bool, null: bool, seed: int) -> Any:
    """A value that differs from field to field."""
    if null and (optional or kind.tag in ("enum", "mantissa")):
        return None
    if kind.tag == "enum":
        return sorted(kind.labels)[seed % len(kind.labels)]
    if kind.tag == "set":
        return sum(1 << bit for bit in sorted(kind.labels)[: 1 + seed % len(kind.labels)])
    if kind.tag == "mantissa":
        return (-1) ** seed * (2**100 + seed)
    if kind.tag == "array":
        return [(seed + i) % 256 for i in range(kind.length)]
    low = -1 if kind.code in "bhiq" else 1
    return float(seed % 7) if kind.code in "fd" else low * (1 + seed % 100)


def values_of(
    schema: Schema, node: Element, null: bool, entries: int, seed: int = 1
) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for i, field in enumerate(Block(schema, node).fields):
        if field.size:
            result[field.name] = value_of(field.kind, field.optional, null, seed + i)
    for i, child in enumerate(node):
        name = snake(child.get("name", ""))
        if local(child) == "group":
            result[name] = [
                values_of(schema, child, null, entries, seed + 10 * j) for j in range(entries)
            ]
        elif local(child) == "data":
            text = "" if null else f"text {seed + i} \u4e2d"
            result[name] = text if schema.charset(child) else text.encode()
    return result


@pytest.mark.parametrize("null", [False, True], ids=["set", "null"])
@pytest.mark.parametrize("entries", [0, 2], ids=["empty", "entries"])
@each_message
def test_every_message_decodes_in_every_version(
    schema: Schema, name: str, entries: int, null: bool
) -> None:
    module = MODULES[schema]
    template = int(schema.messages[name].get("id", 0))
    oldest = 1 if schema is SPOT and template == 317 else 0
    values = values_of(schema, schema.messages[name], null, entries)
    for version in range(oldest, schema.version + 2):
        more = b"new" if version > schema.version else b""
        frame = schema.encode(name, values, version, more, more)
        message = module.decode(frame)
        assert type(message) is module.MESSAGES[template]
        assert same(message.to_dict(), schema.expected(name, values, version))
        assert message.encoded_length == len(frame)
        assert len(module.decode_many([frame, frame])[type(message)]) == 2
        repr(message)
        message.astuple()


@each_message
def test_every_message_is_refused_at_every_cut(schema: Schema, name: str) -> None:
    frame = schema.encode(name, values_of(schema, schema.messages[name], False, 1))
    for size in range(len(frame)):
        with pytest.raises(TruncatedMessage):
            MODULES[schema].decode(frame[:size])


@pytest.mark.fuzz
@pytest.mark.parametrize("schema", [SPOT, FIX], ids=["spot", "fix"])
@given(st.data())
def test_any_values_round_trip_and_damage_is_refused(schema: Schema, data: st.DataObject) -> None:
    module = MODULES[schema]
    name = data.draw(st.sampled_from(sorted(schema.messages)))
    values = data.draw(messages(schema, name))
    frame = schema.encode(name, values)
    assert same(module.decode(frame).to_dict(), schema.expected(name, values))
    damaged = bytearray(frame)
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, len(frame) - 1))] = data.draw(st.integers(0, 255))
    look_at(module, bytes(damaged))


def look_at(module: ModuleType, frame: bytes) -> None:
    """Everything that a frame has to show; anything but a DecodeError is a failure."""
    batch = module.decode_many([frame], on_error="collect")
    try:
        message = module.decode(frame)
    except DecodeError as error:
        assert type(batch.errors[0]) is type(error)
        return
    assert len(batch) == 1
    with suppress(DecodeError):  # text that is none, or bytes that are no message
        message.to_dict(embedded=True)


@pytest.mark.parametrize("version", range(5))
def test_frames_of_older_schemas_decode_by_the_newest(published: Path, version: int) -> None:
    """What 3:0 to 3:4 encode, 3:5 decodes: what they lack is None, what they have is there."""
    old = Schema(published / f"spot_3_{version}.xml", "optional")
    count = 0
    for name, node in old.messages.items():
        template = int(node.get("id", 0))
        if template not in spot_sbe.MESSAGES or (template, version) == (317, 0):
            continue
        values = values_of(old, node, False, 2)
        message = spot_sbe.decode(old.encode(name, values))
        assert type(message).__name__ == name
        agree(message.to_dict(), old.expected(name, values))
        count += 1
    assert count > 70


RENAMED = {"logged_on_api_key": "api_key"}  # 3:0 -> 3:1, the same on the wire


def agree(ours: Any, theirs: dict[str, Any]) -> None:
    for key, value in ours.items():
        if key not in theirs and RENAMED.get(key) not in theirs:
            assert value in (None, [])
            continue
        other = theirs[key] if key in theirs else theirs[RENAMED[key]]
        if isinstance(value, list) and value and isinstance(value[0], dict):
            assert len(value) == len(other)
            for one, two in zip(value, other, strict=True):
                agree(one, two)
        else:
            assert same(value, other), key


@pytest.mark.parametrize(
    ("ours", "family"),
    [
        ("stream_1_0.xml", r"stream_(\d+)_(\d+)\.xml"),
        ("spot_3_5.xml", r"spot_(\d+)_(\d+)\.xml"),
        ("spot-fixsbe-1_1.xml", r"spot-fixsbe-(\d+)_(\d+)\.xml"),
    ],
)
def test_the_newest_file_that_is_published_is_ours(
    published: Path, ours: str, family: str, capsys: pytest.CaptureFixture[str]
) -> None:
    found = {}
    for path in published.iterdir():
        match = re.fullmatch(family, path.name)
        if match:
            found[int(match[1]), int(match[2])] = path
    newest = found[max(found)]
    code = codegen_main(["diff", str(SCHEMAS / ours), str(newest)])
    assert (code, capsys.readouterr().out) == (0, ""), f"{newest.name} has what {ours} has not"


def test_a_message_with_another_layout_is_refused(published: Path) -> None:
    old = Schema(published / "spot_3_0.xml", "optional")
    name = next(n for n, node in old.messages.items() if node.get("id") == "317")
    for entries in (0, 2):
        frame = old.encode(name, values_of(old, old.messages[name], False, entries))
        with pytest.raises(SchemaMismatch, match="version 0 of it has another layout.*schema 3:0"):
            spot_sbe.decode(frame)
        batch = spot_sbe.decode_many([frame], on_error="collect")
        assert isinstance(batch.errors[0], SchemaMismatch)


def test_a_message_that_was_removed_is_explained(published: Path) -> None:
    old = Schema(published / "spot_3_2.xml", "optional")
    name = next(n for n, node in old.messages.items() if node.get("id") == "608")
    frame = old.encode(name, values_of(old, old.messages[name], False, 1))
    with pytest.raises(UnknownTemplate, match="TPlusFilterLockEvent is in version 2 only"):
        spot_sbe.decode(frame)


def test_real_frames_decode_in_full(captures: Path) -> None:
    position, response = (
        (captures / f"{name}.sbe").read_bytes()
        for name in ("outbound_account_position_event_1", "web_socket_response_1")
    )
    message = spot_sbe.decode(position)
    assert (message.version, message.encoded_length) == (2, len(position))
    assert [b.asset for b in message.balances] == ["BTC", "BNB", "USDT"]
    assert [str(b.free_decimal) for b in message.balances][1] == "2.8E-7"
    assert [b.free_float for b in message.balances] == [1.0, 2.8e-7, 50000.0]
    assert message.subscription_id is None
    message = spot_sbe.decode(response)
    assert message.encoded_length == len(response)
    assert (message.status, message.id, len(message.rate_limits)) == (200, "ws-place", 3)
    order = message.result_message
    assert (type(order).__name__, order.symbol) == ("NewOrderFullResponse", "BTCUSDT")
    assert order.price_float == 60000.0
    assert order.expiry_reason is None  # of a later version
    assert message.to_dict(embedded=True)["result"] == order.to_dict()
    assert message.to_dict()["result"] == bytes(order)


def test_wide_mantissas_are_ints() -> None:
    name = "KlinesResponse"
    values = values_of(SPOT, SPOT.messages[name], False, 3)
    values["klines"][1]["volume"] = None
    values["qty_exponent"] = -8
    message = spot_sbe.decode(SPOT.encode(name, values))
    assert message.to_dict()["klines"][0]["volume"] == values["klines"][0]["volume"]
    assert message.to_dict()["klines"][1]["volume"] is None
    floats = message.klines_float["volume"]
    assert floats[0] == values["klines"][0]["volume"] / 10**8
    assert floats[1] != floats[1]
    name = "TickerSymbolFullResponse"
    values = values_of(SPOT, SPOT.messages[name], False, 0) | {
        "qty_exponent": -2,
        "volume": -(2**90),
    }
    message = spot_sbe.decode(SPOT.encode(name, values))
    assert message.volume == -(2**90)
    assert str(message.volume_decimal) == "-12379400392853802748991242.24"
    assert message.volume_float == -(2**90) / 100


def test_a_damaged_message_inside_does_not_harm_the_one_around() -> None:
    values: dict[str, Any] = {"sbe_schema_id_version_deprecated": 0, "status": 200, "id": "1"}
    values |= {"rate_limits": [], "result": b"\x12\x00"}
    message = spot_sbe.decode(SPOT.encode("WebSocketResponse", values))
    assert message.result == b"\x12\x00"
    with pytest.raises(TruncatedMessage) as caught:
        _ = message.result_message
    assert caught.value.offset == message.encoded_length - 2
    values["result"] = b""
    message = spot_sbe.decode(SPOT.encode("WebSocketResponse", values))
    assert message.result_message is None


def test_messages_inside_messages_have_a_depth_limit() -> None:
    frame = b""
    for _ in range(12):
        values = {"sbe_schema_id_version_deprecated": 0, "status": 1, "id": "", "rate_limits": []}
        frame = SPOT.encode("WebSocketResponse", values | {"result": frame})
    message: Any = spot_sbe.decode(frame)
    with pytest.raises(MalformedMessage, match="8 deep at most"):
        message.to_dict(embedded=True)
    for _ in range(8):
        message = message.result_message
    with pytest.raises(MalformedMessage, match="8 deep at most"):
        _ = message.result_message
