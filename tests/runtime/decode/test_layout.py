"""Blocks and rows as numpy sees them: offsets, byte orders, alignment, and absent fields."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from sbe_codegen.runtime.decode.field_formats import CompositeTable, FieldFormats
from sbe_codegen.runtime.decode.layout import BlockLayout, TableLayout, ToFloats, null_for


def field(name: str, kind: str, type_: str, offset: int, since: int = 0, **more: Any) -> Any:
    return {
        "name": name, "schema_name": name, "kind": kind, "type": type_, "type_name": type_,
        "offset": offset, "since": since,
    } | more  # fmt: skip


INNER = {"name": "Inner", "size": 7, "fields": [
    field("x", "number", "int16", 0, null=-32768), field("c", "number", "int8", 0, constant=3),
    field("t", "text", "char", 3, length=2), field("y", "array", "uint16", 5, length=1, null=65535),
]}  # fmt: skip
HOLLOW = {"name": "Hollow", "size": 0, "fields": [field("c", "number", "int8", 0, constant=3)]}
FIELDS = [
    field("a", "number", "uint8", 0, null=255),
    field("always", "number", "uint8", 1, constant=9),
    field("hollow", "composite", "", 1, named="hollow"),
    field("b", "number", "int64", 3, since=2, null=-5),
    field("d", "number", "double", 11, since=2),
    field("n", "number", "float", 19, since=2, null=1.5),
    field("in", "composite", "", 23, since=3, named="inner"),
    field("m", "mantissa", "uint8", 30, since=3, length=3, null=-(2**23),
          exponent={"field": "a", "levels": 0}),
    field("s", "set", "uint16", 33, since=3),
    field("e", "enum", "uint16", 35, since=3, null=7),
    field("c", "char", "char", 37, since=3, null=65),
    field("l", "array", "int32", 38, since=3, length=2, null=-1),
]  # fmt: skip
BLOCK = {"block_length": 50, "fields": FIELDS}


def layout(order: str, spec: Any = BLOCK) -> BlockLayout:
    types = {"inner": CompositeTable(INNER), "hollow": CompositeTable(HOLLOW)}
    return BlockLayout(spec, FieldFormats(order, types))


@pytest.mark.parametrize("order", ["<", ">"])
def test_a_block_lies_on_the_wire_as_it_is_declared(order: str) -> None:
    made = layout(order)
    names = ("a", "b", "d", "n", "in", "m", "s", "e", "c", "l")
    assert made.dtype.names == names
    assert [made.dtype.fields[name][1] for name in names] == [  # type: ignore[index]
        0, 3, 11, 19, 23, 30, 33, 35, 37, 38
    ]  # fmt: skip
    assert (made.dtype.itemsize, made.length, made.since) == (50, 50, 3)
    kinds = {name: made.dtype[name] for name in names}
    assert kinds["b"] == np.dtype(f"{order}i8")
    assert kinds["in"].fields["y"] == (np.dtype((f"{order}u2", (1,))), 5)  # type: ignore[index]
    assert (kinds["in"].itemsize, kinds["in"].names) == (7, ("x", "t", "y"))
    assert (kinds["c"], kinds["l"].shape, kinds["m"].shape) == (np.dtype("S1"), (2,), (3,))
    assert made.mantissas == {"m": {"field": "a", "levels": 0}}
    assert made.constants == {"always": 9}


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("prefix", [(), ("frame",), ("frame", "received_ns")])
def test_a_row_is_naturally_aligned_and_of_this_machine(
    order: str, prefix: tuple[str, ...]
) -> None:
    made = layout(order).row_dtype(prefix, ("text",))
    assert made.names is not None
    assert made.names[: len(prefix)] == prefix
    assert made.names[-1] == "text"
    assert made.isalignedstruct
    assert made["in"].isalignedstruct
    assert (made["b"], made["text"]) == (np.dtype("=i8"), np.dtype("=u4"))
    assert [made[name] for name in prefix] == [np.dtype("=i8")] * len(prefix)
    assert made["in"].fields["y"] == (np.dtype(("=u2", (1,))), 4)  # type: ignore[index]


def test_a_row_of_nothing_takes_a_byte() -> None:
    empty = {"block_length": 0, "fields": []}
    made = layout("<", empty)
    assert (made.row_dtype((), ()).itemsize, made.row_dtype((), ()).names) in [(1, None), (1, ())]
    assert (made.row_dtype(("frame",), ()).itemsize, made.since) == (8, 0)
    assert made.dtype.itemsize == 0


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("version", [0, 1, 2, 3])
def test_what_a_sender_does_not_have_is_null(order: str, version: int) -> None:
    made = layout(order)
    whole = np.zeros(2, made.dtype)
    whole["a"], whole["b"], whole["d"], whole["n"] = 1, 2, 3, 4
    whole["in"]["x"], whole["m"], whole["s"], whole["l"] = 5, 6, 7, 8
    older = made.older_dtype(version, 50)
    known = [each["name"] for each in made.fields if each["since"] <= version]
    assert older.names == tuple(known)
    assert older.itemsize == 50
    found = made.filled(whole.view(older))
    assert found.dtype == made.dtype
    assert found["a"].tolist() == [1, 1]
    assert found["b"].tolist() == [2 if version >= 2 else -5] * 2
    assert np.isnan(found["d"]).tolist() == [version < 2] * 2
    assert found["n"].tolist() == [4.0 if version >= 2 else 1.5] * 2
    if version >= 3:
        assert found["in"]["x"].tolist() == [5, 5]
        assert found["l"].tolist() == [[8, 8]] * 2
        return
    assert found["in"]["x"].tolist() == [-32768] * 2
    assert found["in"]["y"].tolist() == [[65535]] * 2
    assert found["in"]["t"].tolist() == [b""] * 2
    null = [0x80, 0, 0] if order == ">" else [0, 0, 0x80]
    assert found["m"].tolist() == [null, null]
    assert (found["s"].tolist(), found["e"].tolist()) == ([0, 0], [7, 7])
    assert (found["c"].tolist(), found["l"].tolist()) == ([b"A", b"A"], [[-1, -1]] * 2)


@pytest.mark.parametrize(
    ("kind", "more", "version", "null"),
    [
        ("number", {"null": 9}, 0, None), ("number", {"null": 9, "optional": True}, 0, 9),
        ("number", {"null": 9, "since": 2}, 0, 9), ("number", {"null": 9, "since": 2}, 1, 9),
        ("number", {"null": 9, "since": 2}, 2, None),
        ("enum", {"null": 9, "optional": True}, 0, None),
        ("set", {"optional": True}, 0, None),
    ],
)  # fmt: skip
def test_a_number_has_a_null_where_it_may_be_absent(
    kind: str, more: Any, version: int, null: int | None
) -> None:
    assert null_for(field("a", kind, "uint8", 0) | more, version) == null


# floats


MANTISSAS = [
    field("e", "number", "int8", 0, null=-128, optional=True),
    field("p", "number", "int32", 1, null=-(2**31), optional=True,
          exponent={"field": "e", "levels": 0}),
    field("q", "number", "uint64", 5, null=2**64 - 1, exponent={"field": "out", "levels": 1}),
    field("w", "mantissa", "uint8", 13, null=-(2**23), length=3,
          exponent={"field": "e", "levels": 0}),
    field("k", "number", "int16", 16, null=-32768, exponent={"field": "fixed", "levels": 0}),
    field("fixed", "number", "int8", 18, constant=-1),
    field("rest", "number", "uint16", 18, null=65535),
]  # fmt: skip


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("outer", [-3, None])
def test_floats_are_scaled_by_exponents_in_and_around_the_group(
    order: str, outer: int | None
) -> None:
    made = layout(order, {"block_length": 20, "fields": MANTISSAS})
    big = "big" if order == ">" else "little"
    group = np.zeros(3, made.dtype)
    group["e"] = [-2, -128, 1]
    group["p"] = [150, 150, -(2**31)]
    group["q"] = [2**64 - 1, 5000, 0]
    for i, number in enumerate((-(2**23), 7, -7)):
        group["w"][i] = np.frombuffer(number.to_bytes(3, big, signed=True), np.uint8)  # type: ignore[arg-type]
    group["k"], group["rest"] = [15, -15, 0], [1, 2, 3]
    floats = ToFloats(made, [(1, None)])(group, {(1, "out"): outer}, 0)
    assert floats.dtype.names == ("e", "p", "q", "w", "k", "rest")
    assert floats.dtype.isalignedstruct
    assert floats["rest"].dtype == np.dtype("=u2")
    nan = float("nan")
    assert repr(floats["p"].tolist()) == repr([1.5, nan, nan])
    assert repr(floats["w"].tolist()) == repr([nan, nan, -70.0])
    assert repr(floats["q"].tolist()) == repr(
        [float(2**64 - 1) / 1000, 5.0, 0.0] if outer else [nan] * 3
    )
    assert floats["k"].tolist() == [1.5, -1.5, 0.0]
    assert floats["rest"].tolist() == [1, 2, 3]
    assert floats["e"].tolist() == [-2, -128, 1]


def test_a_table_has_columns_for_texts_and_none_for_bytes() -> None:
    spec = BLOCK | {"data": [
        {"name": "t", "encoding": "utf-8"}, {"name": "raw", "encoding": None},
        {"name": "u", "encoding": "ascii"},
    ]}  # fmt: skip
    inner = TableLayout({"data": []}, layout("<", {"block_length": 2, "fields": FIELDS[:1]}), {})
    made = TableLayout(spec, layout("<"), {"inner": inner})
    assert (made.dictionaries, made.encodings, made.blobs) == (
        ["t", "u"],
        ["utf-8", "ascii"],
        ["raw"],
    )
    names = made.row_dtype(("frame",)).names
    assert names is not None
    assert (names[0], names[-2:]) == ("frame", ("t", "u"))
    assert made.row_dtype(("frame",)) is made.row_dtype(("frame",))
    assert made.row_sizes() == [made.row_dtype().itemsize, 1]
