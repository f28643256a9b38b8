"""The golden schema `full`, compiled: values in each form, docs, facts, layouts, violations."""

from __future__ import annotations

import math
import pickle
from decimal import Decimal
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import vectors
from oracle import Schema

from binance_sbe import spot_stream
from sbe_codegen import loading
from sbe_codegen.runtime.errors import ErrorCode, MalformedMessage, SchemaMismatch, UnknownTemplate

GOLDEN = Path(__file__).parent.parent.parent / "golden"
ORACLE = Schema(GOLDEN / "full.xml", "maybe")


@pytest.fixture(scope="module")
def module(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SBE_CODEGEN_CACHE", str(tmp_path_factory.mktemp("cache")))
        if not loading.builder.switches():
            patch.setenv("SBE_BUILD", "debug")
        return loading.load(GOLDEN / "full.xml", conventions=GOLDEN / "full.toml")


VALUES: dict[str, Any] = {
    "exponent": -2, "price": 12345, "maybe": None, "fixed": 123, "unsigned": 2**64 - 1,
    "wide": -(2**100), "optional_exponent": None, "odd": 5, "sent": 83, "is_true": 1, "int": -5,
    "flags": 0x8001, "large": 2**63 + 2, "percent": 50, "ratio": -1.5, "double": 2.5, "letter": "x",
    "tag": "ab", "shorts": [1, -2], "floats": [0.5, 1.5], "doubles": [2.0, 3.0],
    "leg_price": {"value": {"mantissa": 7}, "extra": {"a": 8}, "count": 9},
    "other": {"extra": {"a": 10}}, "upper": 1, "perhaps": {"mantissa": None}, "utf": "\xe9\u4e2d",
    "price_float": 1, "entries_float": 2, "symbol_bytes": 3, "message_message": 4, "class": 77,
    "late": 6, "latest": {"mantissa": -1}, "late_flags": 1, "late_tag": "abcd",
    "late_shorts": [3, 4], "late_price": 150, "late_ratio": 0.25, "late_wide": 7,
    "entries": [{"price": 150, "size": 2, "kind": 1, "more": 0},
                {"price": 250, "size": 3, "kind": 255, "more": 0}],
    "pairs": [{"price": 1, "pair": {"mantissa": 2}}],
    "crooked": [{"flag": 1, "price": 5, "power": 1}, {"flag": 2, "price": None, "power": -1}],
    "padded": [{"p": {"a": 1, "b": 2}}], "gaps": [{"p": {"a": 1, "b": 2}}],
    "mixed": [{"a": 1, "b": 2, "p": {"a": 3}}], "tail": [{"a": 1, "b": 2}],
    "skewed": [{"a": 1, "b": 2, "c": 3, "d": 4}],
    "later": [{"a": 1, "b": 2}], "empty": [{}, {}],
    "parties": [{"role": 1, "amount": 25, "name": "\xe9",
                 "accounts": [{"number": 5, "owner": "me"}], "amounts": [{"amount": 75}]}],
    "symbol": "ABC", "note": "free", "maybe2": "", "message": b"", "more": "text", "rest": b"12",
}  # fmt: skip


def frame(version: int = 5, **changes: Any) -> bytes:
    return ORACLE.encode("Quote", VALUES | changes, version)


def test_everything_is_read_as_the_schema_says(module: ModuleType) -> None:
    message = module.decode(frame())
    expected = ORACLE.expected("Quote", VALUES)
    expected["int_"], expected["class_"] = expected.pop("int"), expected.pop("class")
    expected["maybe2"] = None
    found = message.to_dict()
    assert {name: found[name] for name in sorted(found)} == {
        name: expected[name] for name in sorted(expected)
    }


def test_scaled_values_are_exact_in_each_form(module: ModuleType) -> None:
    message = module.decode(frame())
    assert (message.price_float_, message.price_float) == (123.45, 1)
    assert message.price_decimal == Decimal("123.45")
    assert (message.maybe_float, message.maybe_decimal) == (None, None)
    assert (message.fixed_float, message.fixed_decimal) == (0.0123, Decimal("0.0123"))
    assert message.unsigned_float == float(2**64 - 1) / 100
    assert message.unsigned_decimal == Decimal(2**64 - 1).scaleb(-2)
    assert message.wide_float == -(2**100) / 100
    assert (message.odd_float, message.odd_decimal) == (None, None)  # its exponent is null
    assert module.decode(frame(optional_exponent=1)).odd_float == 50.0
    assert message.late_price_float == 1.5
    floats = dict(zip(module.Quote.__match_args__, message.astuple_float(), strict=False))
    raws = dict(zip(module.Quote.__match_args__, message.astuple(), strict=False))
    scaled = {
        "price": 123.45, "maybe": None, "fixed": 0.0123, "unsigned": float(2**64 - 1) / 100,
        "wide": -(2**100) / 100, "odd": None, "late_price": 1.5, "late_wide": 0.07,
        "perhaps": None, "latest": -0.0001,
    }  # fmt: skip
    for name, value in floats.items():
        if name in scaled:
            assert value == scaled[name], name
        elif not isinstance(value, np.ndarray):
            assert value == raws[name], name
    assert message.entries_float_.tolist() == [(1.5, 2, 1, 0), (2.5, 3, 255, 0)]
    assert message.entries_float == 2
    arrow = module.decode_many([frame(), frame(wide=None)])[module.Quote].to_arrow()
    assert arrow["wide"].to_pylist() == [-(2**100) / 100, None]  # its exponent is never null
    crooked = message.crooked_float["price"].tolist()
    assert crooked[0] == 50.0
    assert math.isnan(crooked[1])
    (party,) = message.parties
    assert (party.amount_float, party.amount_decimal) == (0.25, Decimal("0.25"))
    assert party.amounts_float["amount"].tolist() == [0.75]


@pytest.mark.parametrize("version", range(6))
def test_each_version_lacks_exactly_what_came_later(module: ModuleType, version: int) -> None:
    message = module.decode(frame(version))
    late = {
        "late": (3, 6), "late_side": (5, module.Side.BUY), "late_flags": (5, module.Flags.FIRST),
        "late_tag": (5, "abcd"), "late_price": (5, 150), "late_price_float": (5, 1.5),
        "late_ratio": (5, 0.25), "more": (4, "text"), "more_bytes": (4, b"text"),
        "rest": (5, b"12"), "rest_bytes": (5, b"12"),
    }  # fmt: skip
    for name, (since, value) in late.items():
        assert getattr(message, name) == (value if version >= since else None), name
    assert (message.latest is None) == (message.late_shorts is None) == (version < 5)
    assert len(message.later) == (version >= 2)
    assert message.later["b"].tolist() == ([] if version < 2 else [65535] if version < 4 else [2])
    assert len(message.parties) == (version >= 3)
    assert [party.amount for party in message.parties] == (
        [] if version < 3 else [None] if version < 4 else [25]
    )
    assert message.encoded_length == len(frame(version))
    batch = module.decode_many([frame(version), frame()])
    records = batch[module.Quote].records
    assert records["late"].tolist() == [6 if version >= 3 else 65535, 6]
    assert records["late_flags"].tolist() == [1 if version >= 5 else 0, 1]
    assert records["late_tag"].tolist() == [b"abcd" if version >= 5 else b"", b"abcd"]
    assert records["late_shorts"].tolist() == [[3, 4] if version >= 5 else [-32768] * 2, [3, 4]]
    assert records["latest"]["mantissa"].tolist() == [-1 if version >= 5 else -(2**63), -1]
    assert np.isnan(records["late_ratio"]).tolist() == [version < 5, False]
    wide = (7 if version >= 5 else 2**127).to_bytes(16, "little")
    assert (records["late_wide"][0].tobytes(), message.late_wide) == (
        wide, 7 if version >= 5 else None
    )  # fmt: skip
    for name in ("late", "late_tag", "late_shorts", "latest", "late_ratio", "late_wide"):
        assert message.block[name].tobytes() == records[:1][name].tobytes()


def test_an_entry_keeps_what_is_around_it(module: ModuleType) -> None:
    """Its exponent is that of the message, of which its group has a copy."""
    entry = module.decode(frame(exponent=-2)).parties[0]
    others = [module.decode(frame(exponent=3)).parties for _ in range(50)]
    assert [entry.amount_float, *(each[0].amount_float for each in others)] == [0.25, *[25e3] * 50]


# the header


def test_the_header_is_a_named_tuple_of_all_its_members(module: ModuleType) -> None:
    head = bytearray(frame())
    head[8:14] = b"\x07\x00\x00\xc0\x3fS"
    header = module.decode_header(head)
    assert header._fields == (
        "block_length", "template_id", "schema_id", "version", "part", "part_", "member", "from_"
    )  # fmt: skip
    assert tuple(header) == (ORACLE_LENGTH, 1, 9, 5, 7, 3, 1.5, module.Side.SELL_SHORT)
    assert module.HEADER_SIZE == 14
    with pytest.raises(ValueError, match="Quote|golden") as caught:
        module.decode_header(head[:13])
    assert (caught.value.wanted, caught.value.available) == (14, 13)  # type: ignore[attr-defined]


ORACLE_LENGTH = int.from_bytes(frame()[:2], "little")


# conventions


def test_messages_inside_messages_are_messages(module: ModuleType) -> None:
    inner = ORACLE.encode("echo", {"level": 1, "id": 2, "symbol": "in"})
    message = module.decode(frame(message=inner, rest=b""))
    assert message.message == inner
    assert message.message_message == 4
    assert message.message_message_.to_dict() == {"level": 1, "id": 2, "symbol": "in"}
    assert message.to_dict()["message"] == inner
    assert message.to_dict(embedded=True)["message"] == {"level": 1, "id": 2, "symbol": "in"}
    empty = module.decode(frame(rest=b""))
    assert empty.message_message_ is None
    assert empty.to_dict(embedded=True)["message"] is None
    deep = frame(message=frame(message=inner, rest=b""), rest=b"")
    assert module.decode(deep).to_dict(embedded=True)["message"]["message"]["id"] == 2


@pytest.mark.parametrize("depth", [8, 9])
def test_messages_inside_messages_go_eight_deep(module: ModuleType, depth: int) -> None:
    inner = frame(rest=b"")
    for _ in range(depth):
        inner = frame(message=inner, rest=b"")
    message = module.decode(inner)
    if depth <= 8:
        assert message.to_dict(embedded=True)["message"] is not None
    else:
        with pytest.raises(MalformedMessage, match="messages inside messages go 8 deep at most"):
            message.to_dict(embedded=True)


def test_no_bytes_mean_null_where_the_convention_says_so(module: ModuleType) -> None:
    assert module.decode(frame()).maybe2 is None
    assert module.decode(frame()).maybe2_bytes == b""
    assert module.decode(frame(symbol="")).symbol == ""
    table = module.decode_many([frame(), frame(maybe2="x"), frame()])[module.Quote]
    assert table.records["maybe2"].tolist() == [2**32 - 1, 0, 2**32 - 1]
    assert table.to_arrow()["maybe2"].to_pylist() == [None, "x", None]
    assert table.to_pandas()["maybe2"].isna().tolist() == [True, False, True]


def test_an_older_layout_and_a_removed_message_are_explained(module: ModuleType) -> None:
    values = {"level": 1, "id": 2, "symbol": "s"}
    assert module.decode(ORACLE.encode("echo", values, 3)).id == 2
    old = ORACLE.encode("echo", values, 2)
    with pytest.raises(SchemaMismatch) as caught:
        module.decode(old)
    assert str(caught.value) == (
        "echo: version 2 of it has another layout than later ones: decode it with a module of "
        "schema 9:2"
    )
    gone = bytearray(old)
    gone[2] = 60
    with pytest.raises(UnknownTemplate) as unknown:
        module.decode(gone)
    assert str(unknown.value) == "template 60 is not in schema 9:5: it went with version 4"
    never = bytearray(old)
    never[2] = 61
    with pytest.raises(UnknownTemplate) as unknown:
        module.decode(never)
    assert str(unknown.value) == (
        "template 61 is not in schema 9 (golden.full), which has 1, 2, 70"
    )
    batch = module.decode_many([old, gone, frame()], on_error="collect")
    assert batch.rejected.tolist() == [
        (0, ErrorCode.OTHER_LAYOUT, 0), (1, ErrorCode.UNKNOWN_TEMPLATE, 0)
    ]  # fmt: skip


# what classes say of themselves


DOCS = {
    "exponent": "exponent: int8 at byte 0 of its block. Of prices",
    "late": "late: uint16 at byte {late} of its block. None before version 3.",
    "leg_price": "legPrice: legPrice at byte {leg_price} of its block. A price of a leg",
    "other": "other: other at byte {other} of its block.",
    "tag": "tag: char[4] at byte {tag} of its block. A tag of four letters",
    "four": "four: always -4; takes no bytes.",
    "side": "side: always 'SellShort'; takes no bytes.",
    "venue": "venue: always 'XETR'; takes no bytes.",
    "price_float_": "price x 10^exponent, as the nearest float64.",
    "fixed_decimal": "fixed x 10^four, as an exact Decimal.",
    "symbol": "symbol: utf-8 text; MalformedMessage where it is not.",
    "note": "note: iso8859-1 text; MalformedMessage where it is not. Free text",
    "maybe2": "maybe2: utf-8 text; MalformedMessage where it is not. None where it is empty.",
    "more": "more: utf-8 text; MalformedMessage where it is not. None before version 4.",
    "rest": "rest: bytes. None before version 5.",
    "rest_bytes": "rest as raw bytes.",
    "message_message_": "The message that message is, over the same frame; None where it is empty.",
    "parties": "parties: a sequence of Party objects, which keep the frame alive.",
    "entries_float_": "A copy of entries with price as the nearest float64.",
    "mixed": "mixed: structured array of shape (n,), columns a, b, p. A view over the frame that "
    "keeps it alive; a copy with nulls where the sender's version lacks fields, or its entries "
    "lack padding.",
}


@pytest.mark.parametrize("name", DOCS)
def test_each_attribute_has_its_doc(module: ModuleType, name: str) -> None:
    offsets = {key: place[1] for key, place in module.Quote.DTYPE.fields.items()}
    assert getattr(module.Quote, name).__doc__ == DOCS[name].format(**offsets)


def test_classes_have_docs_facts_and_dtypes(module: ModuleType) -> None:
    quote = module.Quote
    first, second, third = map(str.strip, quote.__doc__.split("\n\n"))
    assert first == 'A quote, with "everything" in it.'
    assert second == f"Template 1, root block of {quote.BLOCK_LENGTH} bytes."
    assert third.startswith("`astuple` gives exponent, price, maybe, ")
    assert third.endswith(", symbol, note, maybe2, message, more, rest.")
    assert module.Empty.__doc__.endswith("`astuple` gives nothing.\n    ")
    assert module.echo.__doc__.startswith("Its name is that of an enum.\n")
    assert module.Empty.__doc__.startswith("Empty of golden.full.\n")
    assert quote.FACTS == {
        "metadata": {"venue": "spot"}, "deprecated": 5, "doc": 'A quote, with "everything" in it.'
    }  # fmt: skip
    assert module.Empty.FACTS == {}
    assert quote.TEMPLATE_ID == 1
    assert quote.DTYPE.itemsize == quote.BLOCK_LENGTH == ORACLE_LENGTH
    assert np.dtype([("a", "<u2"), ("b", "<u2")]) == quote.LATER_DTYPE
    assert quote.MIXED_DTYPE.itemsize == 8
    assert quote.EMPTY_DTYPE.names in (None, ())
    party = type(module.decode(frame()).parties[0])
    assert (party.__name__, party.__doc__, party.__module__) == (
        "Party", "An entry of parties.", module.__name__
    )  # fmt: skip
    assert np.dtype([("role", "u1"), ("amount", "<i8")]) == party.DTYPE
    assert set(module.MESSAGES) == {1, 2, 70}
    assert (module.PACKAGE, module.SCHEMA_ID, module.SCHEMA_VERSION) == ("golden.full", 9, 5)


def test_descriptors_know_the_facts_of_the_schema(module: ModuleType) -> None:
    facts = module.Quote.sent.facts
    assert (facts["type_name"], facts["deprecated"]) == ("side", 4)
    assert facts["metadata"] == {"unit": "none"}
    assert facts["labels"] == {66: "Buy", 83: "SellShort"}
    assert facts["values"] == {"Buy": {"note": "bid"}, "SellShort": {}}
    assert module.Quote.flags.facts["labels"] == {0: "first", 15: "last"}
    assert module.Quote.flags.facts["values"]["first"] == {"note": "lowest"}
    assert [each.name for each in module.Quote.leg_price.facts["elements"]] == [
        "value", "extra", "count"
    ]  # fmt: skip
    assert [each.name for each in module.Quote.crooked.facts["elements"]] == [
        "flag", "price", "power"
    ]  # fmt: skip
    assert [each.name for each in module.Quote.parties.facts["elements"]] == [
        "role", "amount", "accounts", "amounts", "name"
    ]  # fmt: skip
    assert module.Quote.message.facts["metadata"] == {"kind": "nested"}


def test_rows_of_tables_are_aligned_structs(module: ModuleType) -> None:
    table = module.decode_many([frame()])[module.Quote]
    names = [*module.Quote.DTYPE.names, "symbol", "note", "maybe2", "more"]
    assert list(table.records.dtype.names) == ["frame", *names]
    for records in (table.records, *(group.records for group in table.groups.values())):
        if records.dtype.names:
            assert records.dtype.isalignedstruct
    assert table.groups["padded"].records.tolist() == [((1, 2),)]
    assert table.groups["gaps"].records.tolist() == [((1, 2),)]
    assert table.groups["mixed"].records.tolist() == [(1, 2, (3,))]
    assert table.groups["tail"].records.tolist() == [(1, 2)]
    assert table.groups["skewed"].records.tolist() == [(1, 2, 3, 4)]
    assert table.groups["crooked"].records["price"].tolist() == [5, -(2**31)]
    assert len(table.groups["empty"].records) == 2
    assert list(table.data) == ["message", "rest"]
    assert table.data["rest"][0] == b"12"
    empty = module.decode_many([])[module.Quote].data["rest"]
    assert (len(empty), empty.content.tolist(), empty.offsets.tolist()) == (0, [], [0])
    accounts = table.groups["parties"].groups["accounts"]
    assert accounts.dictionary("owner") == ["me"]


# violations


VIOLATIONS: list[tuple[dict[str, Any], list[tuple[str, Any, str]]]] = [
    ({}, []),
    ({"percent": 0}, [("percent", 0, "outside 1 to 100")]),
    ({"percent": 1}, []), ({"percent": 100}, []),
    ({"percent": 101}, [("percent", 101, "outside 1 to 100")]),
    ({"percent": 255}, [("percent", 255, "null in a required field")]),
    ({"exponent": -128}, [("exponent", -128, "null in a required field")]),
    ({"optional_exponent": None}, []),
    ({"wide": None}, []),
    ({"ratio": None}, []),
    ({"double": math.nan}, []),
    ({"late_ratio": math.inf}, []),
    ({"sent": 0}, [("sent", None, "null in a required field")]),
    ({"sent": 90}, [("sent", 90, "90 is no value of the enum")]),
    ({"is_true": 0}, []),
    ({"is_true": 2}, [("is_true", 2, "2 is no value of the enum")]),
    ({"flags": 0x8003}, [("flags", ["first", "last", 1], "bits [1] are no choices of the set")]),
    ({"letter": "\0"}, [("letter", "\0", "null in a required field")]),
    ({"letter": "\x7f"}, []),
    ({"letter": "\xe9"}, [("letter", "\xe9", "not ASCII")]),
    ({"tag": "\xe9"}, [("tag", "\xe9", "not ASCII")]),
    ({"perhaps": {"mantissa": None}}, []),
    ({"other": {"extra": {"a": 2**32 - 1}}},
     [("other.extra.a", 2**32 - 1, "null in a required field")]),
    ({"upper": 9, "percent": 0},
     [("percent", 0, "outside 1 to 100"), ("upper", 9, "9 is no value of the enum")]),
    ({"tail": [{"a": 1, "b": 2}, {"a": 65535, "b": 255}]},
     [("tail[1].a", 65535, "null in a required field"),
      ("tail[1].b", 255, "null in a required field")]),
    ({"parties": [{"role": 255, "amount": 1, "name": "", "amounts": [], "accounts": [
        {"number": 1, "owner": ""}, {"number": 2**32 - 1, "owner": ""}]}]},
     [("parties[0].role", 255, "null in a required field"),
      ("parties[0].accounts[1].number", 2**32 - 1, "null in a required field")]),
    ({"unsigned": 2**64 - 2, "price": -(2**63) + 1, "odd": 2**31 - 1}, []),
]  # fmt: skip
CLEAN = {"unsigned": 1, "large": 2**63, "entries": [{"price": 1, "size": 2, "kind": 1, "more": 0}]}


@pytest.mark.parametrize(("changes", "found"), VIOLATIONS)
def test_violations_are_exactly_these(
    module: ModuleType, changes: dict[str, Any], found: list[tuple[str, Any, str]]
) -> None:
    message = module.decode(frame(**CLEAN | changes))
    assert [tuple(each) for each in message.validate()] == found


def test_what_an_older_sender_lacks_is_no_violation(module: ModuleType) -> None:
    assert module.decode(frame(2, **CLEAN)).validate() == []
    assert [
        each.path for each in module.decode(frame(3, **CLEAN | {"late": 65535})).validate()
    ] == ["late"]


def test_messages_are_plain_data_for_copies(module: ModuleType) -> None:
    message = module.decode(frame())
    again = pickle.loads(pickle.dumps(message))
    assert again == message
    assert again.to_dict() == message.to_dict()


def test_decode_of_a_class_goes_to_other_processes(module: ModuleType) -> None:
    for name in ("decode", "unpack"):
        made = pickle.loads(pickle.dumps(getattr(spot_stream.TradesStreamEvent, name)))
        assert made(vectors.TRADES) == getattr(spot_stream.TradesStreamEvent, name)(vectors.TRADES)
    calls = type(module.Quote.decode.__self__)()  # of no class
    for call in (calls.decode, calls.unpack):
        with pytest.raises(TypeError, match="of no message class"):
            call(vectors.TRADES)
    with pytest.raises(TypeError, match="of no message class"):
        pickle.dumps(calls)


def test_fields_of_one_kind_have_facts_of_their_own(module: ModuleType) -> None:
    assert module.Quote.price.facts["metadata"] == {"exponent": "exponent"}
    module.Quote.price.facts["metadata"]["note"] = "mine"
    others = [each for each in module.Quote._ELEMENTS if each is not module.Quote.price]
    assert not any("note" in each.facts.get("metadata", {}) for each in others)
    del module.Quote.price.facts["metadata"]["note"]
