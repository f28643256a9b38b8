"""Random schemas, random values: what the oracle encodes is decoded, in every version."""

from __future__ import annotations

import math
from fractions import Fraction
from types import ModuleType
from typing import Any
from xml.etree.ElementTree import Element

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from inspected import check_whole
from oracle import Block, Extra, Kind, Schema, local, same, snake
from random_schema import SEEDS, conventions, has_counts
from strategies import messages, versions

from sbe_codegen.runtime.errors import DecodeError, MalformedMessage, TruncatedMessage
from sbe_codegen.runtime.framing import PacketLayout, Packets

surplus = st.binary(max_size=5)
Drawn = tuple[str, int, dict[str, Any]]


def draw_message(schema: Schema, data: st.DataObject) -> Drawn:
    name = data.draw(st.sampled_from(sorted(schema.messages)))
    return name, data.draw(versions(schema)), data.draw(messages(schema, name))


@given(st.data())
def test_what_is_encoded_is_decoded(
    random_module: tuple[ModuleType, Schema], data: st.DataObject
) -> None:
    module, schema = random_module
    name, version, values = draw_message(schema, data)
    more = data.draw(surplus) if version == schema.version else b""
    frame = schema.encode(name, values, version, more if schema.has_lengths else b"", more)
    message = module.decode(frame)
    expected = schema.expected(name, values, version)
    assert same(message.to_dict(), expected)
    assert list(message.to_dict()) == list(expected)
    assert message.version == version
    assert message.encoded_length == len(frame)
    check_whole(module, frame)
    assert same_tuple(type(message).unpack(b"+" + frame, 1), message.astuple())
    assert repr(message).startswith(f"{name}(")
    check_level(message, schema, schema.messages[name], values, version, [expected])
    # What is of one row is not that of another: there are others around.
    others = data.draw(messages(schema, name)), data.draw(versions(schema))
    other = schema.encode(name, *others)
    table = module.decode_many([frame, other, frame])[type(message)]
    assert table.records["frame"].tolist() == [0, 1, 2]
    views = [message, module.decode(other), message]
    check_table(table, views, schema.messages[name], schema)
    columns = table.columns()
    check_columns(columns, table.columns("raw"), table, views, schema.messages[name])
    arrow = arrow_of(columns)
    if arrow is None:
        return
    arrow.validate(full=True)
    check_arrow(table, views, schema.messages[name], schema)
    assert arrow.num_rows == len(columns.to_pandas()) == 3


def arrow_of(columns: Any) -> Any:
    """``columns.to_arrow()``; None where it rightly refuses a time of day that is in no day."""
    try:
        return columns.to_arrow()
    except MalformedMessage as error:
        *groups, name = str(error.element).split(".")
        while groups and groups[0] in columns.groups:
            columns = columns.groups[groups.pop(0)]
        assert columns[".".join([*groups, name])].max() >= 86_400_000
        return None


def same_tuple(one: Any, other: Any) -> bool:
    def plain(value: Any) -> Any:
        return value.tolist() if isinstance(value, np.ndarray) else value

    return len(one) == len(other) and all(
        same(plain(a), plain(b)) for a, b in zip(one, other, strict=True)
    )


def check_level(
    view: Any, schema: Schema, node: Element, values: dict[str, Any], version: int,
    scopes: list[dict[str, Any]],
) -> None:  # fmt: skip
    """A message or entry: its block, arrays of its flat groups, scaled values; entries inside."""
    block = Block(schema, node)
    check_array(view.block, [values], block, version)
    assert view.block.dtype == type(view).DTYPE
    assert type(view).DTYPE.itemsize == block.length
    elements = [getattr(view, key) for key in scopes[0]]
    groups = {snake(c.get("name", "")) for c in node if local(c) == "group"}
    assert same_tuple(
        view.astuple(),
        [e for e, key in zip(elements, scopes[0], strict=True) if key not in groups],
    )
    for field in scaled_fields(schema, node, scopes):
        exact = field.value(scopes)
        assert getattr(view, f"{field.name}_float") == (None if exact is None else nearest(exact))
        decimal = getattr(view, f"{field.name}_decimal")
        assert decimal is None if exact is None else Fraction(decimal) == exact
    for child in node:
        name = snake(child.get("name", ""))
        if local(child) == "data":
            check_data(view, name, child, values, version)
        if local(child) != "group":
            continue
        group = getattr(view, name)
        entries = values[name] if int(child.get("sinceVersion", 0)) <= version else []
        assert len(group) == len(entries) == len(scopes[0][name])
        if any(local(inner) in ("group", "data") for inner in child):
            for i, entry in enumerate(entries):
                inner = [scopes[0][name][i], *scopes]
                assert same(group[i].to_dict(), inner[0])
                check_level(group[i], schema, child, entry, version, inner)
            assert [bytes(each) for each in group] == [bytes(each) for each in group[:]]
        else:
            check_array(group, entries, Block(schema, child), version)
            assert group.dtype == getattr(type(view), f"{name.upper()}_DTYPE")
            check_floats(view, name, schema, child, scopes)


def nearest(exact: Fraction) -> float:
    try:
        return float(exact)
    except OverflowError:
        return float("inf") if exact > 0 else float("-inf")


def check_data(view: Any, name: str, node: Element, values: dict[str, Any], version: int) -> None:
    raw = getattr(view, f"{name}_bytes")
    if version < int(node.get("sinceVersion", 0)):
        assert raw is None
    else:
        content = values[name]
        charset = "gb18030" if node.get("type") == "gbk16" else "utf-8"
        assert raw == (content.encode(charset) if isinstance(content, str) else content)


def check_array(array: Any, entries: list[Any], block: Block, version: int) -> None:
    """Every column byte for byte as encoded; nulls where an older sender has no such field."""
    assert len(array) == len(entries)
    for field in block.fields:
        if not field.size:
            assert array.dtype.names is None or field.name not in array.dtype.names
            continue
        for i, entry in enumerate(entries):
            wanted = field.kind.shown(entry[field.name], field.since, version)
            assert array[field.name][i : i + 1].tobytes() == wanted


def check_floats(
    view: Any, name: str, schema: Schema, node: Element, scopes: list[dict[str, Any]]
) -> None:
    fields = scaled_fields(schema, node, [{}, *scopes])
    known = {field.name for field in fields}
    partly = [field for field in Block(schema, node).fields
              if field.name not in known and field.size and has_decimals(field.kind)]  # fmt: skip
    if not (fields or partly):
        assert not hasattr(view, f"{name}_float")
        return
    floats = getattr(view, f"{name}_float")
    for field in partly:
        for row, entry in zip(floats[field.name], scopes[0][name], strict=True):
            check_inner_floats(row, field.kind, entry[field.name])
    for field in fields:
        assert floats.dtype[field.name] == np.float64
        for value, entry in zip(floats[field.name].tolist(), scopes[0][name], strict=True):
            exact = field.value([entry, *scopes])
            assert np.isnan(value) if exact is None else value == nearest(exact)


def is_decimal(kind: Kind) -> bool:
    return {member.name for member in kind.members} == {"mantissa", "exponent"}


def has_decimals(kind: Kind) -> bool:
    """Whether a type is a decimal, or a composite with one in it."""
    return is_decimal(kind) or any(has_decimals(member.kind) for member in kind.members)


def check_inner_floats(row: Any, kind: Kind, value: dict[str, Any] | None) -> None:
    """The decimals inside a composite; what is in one that is null counts for nothing."""
    for member in kind.members if value is not None else ():
        if not member.kind.size or not has_decimals(member.kind):
            continue
        inner = value[member.name] if value is not None else None
        if not is_decimal(member.kind):
            check_inner_floats(row[member.name], member.kind, inner)
            continue
        exact = None if inner is None else scaled(inner["mantissa"], inner["exponent"], False)
        found = float(row[member.name])
        assert np.isnan(found) if exact is None else found == nearest(exact)


class Scaled:
    """A field that has a float: by an attribute, by a convention, or as a composite of both."""

    def __init__(self, name: str, exponent: str | None, negated: bool) -> None:
        self.name, self.exponent, self.negated = name, exponent, negated

    def value(self, scopes: list[dict[str, Any]]) -> Fraction | None:
        """What it stands for, among the values of its block and of those around it."""
        found = scopes[0][self.name]
        if self.exponent is None:
            return None if found is None else scaled(found["mantissa"], found["exponent"], False)
        return scaled(found, find(scopes, self.exponent), self.negated)


def scaled_fields(schema: Schema, node: Element, scopes: list[dict[str, Any]]) -> list[Scaled]:
    """Those of a message or a group; of the blocks around only the names are needed."""
    negated = conventions(schema.id - 100)["exponent"] == "decimals"
    fields = {field.name: field for field in Block(schema, node).fields}
    known = [set(fields), *(set(scope) for scope in scopes[1:])]
    result = []
    for child in node if fields else ():
        name = snake(child.get("name", ""))
        if local(child) != "field":
            continue
        kind = fields[name].kind
        wanted = [child.get("{urn:x}exponent")]
        if name.endswith("_tied"):
            wanted = ["tie_value"]
        elif name.endswith("_by_name"):
            wanted = [name.replace("_by_name", "_power")]
        exponent = snake(wanted[0] or "")
        if is_decimal(kind):
            result.append(Scaled(name, None, False))
        elif any(exponent in names for names in known):
            result.append(Scaled(name, exponent, negated))
    return result


def find(scopes: list[dict[str, Any]], name: str) -> Any:
    return next(scope[name] for scope in scopes if name in scope)


def scaled(mantissa: int | None, exponent: int | None, negated: bool) -> Fraction | None:
    if mantissa is None or exponent is None:
        return None
    return Fraction(mantissa) * Fraction(10) ** (-exponent if negated else exponent)


def check_table(table: Any, views: list[Any], node: Element, schema: Schema) -> None:
    """A table's rows, its groups' and so on, against the messages or entries they are of."""
    assert len(table.records) == len(views)
    for field in Block(schema, node).fields:
        if field.size:
            for row, view in zip(table.records[field.name], views, strict=True):
                assert same(row.tolist(), view.block[field.name][0].tolist())
    for child in node:
        name = snake(child.get("name", ""))
        if local(child) == "group":
            group = table.groups[name]
            ends = np.cumsum([0, *(len(getattr(view, name)) for view in views)])
            assert group.offsets.tolist() == ends.tolist()
            if any(local(inner) in ("group", "data") for inner in child):
                check_table(group, [e for v in views for e in getattr(v, name)], child, schema)
            else:
                wire = [row for view in views for row in getattr(view, name).tolist()]
                assert same(group.records.tolist(), wire)
        elif local(child) == "data" and name in (table.records.dtype.names or ()):
            codes = table.records[name].tolist()
            texts = [None if c == 2**32 - 1 else table.dictionary(name)[c] for c in codes]
            assert texts == [getattr(view, name) for view in views]
        elif local(child) == "data":
            found = [table.data[name][row] for row in range(len(views))]
            assert found == [getattr(view, name) or b"" for view in views]


def check_columns(columns: Any, raw: Any, table: Any, views: list[Any], node: Element) -> None:
    """Columns against the table that they are of, floats against the attributes of messages."""
    for name, column in raw.items():
        rows = table.records
        for part in name.split("."):
            rows = rows[part]
        assert column.flags.c_contiguous
        assert column.flags.aligned
        assert column.dtype == rows.dtype
        assert same(column.tolist(), rows.tolist())
    for name, column in columns.items():
        if name in raw and not (views and hasattr(type(views[0]), f"{name}_float")):
            assert same(column.tolist(), raw[name].tolist())
            continue
        wanted = [float_at(view, name, column[i]) for i, view in enumerate(views)]
        assert same(column.tolist(), with_nulls(column, raw, name, wanted))
    for child in node:
        name = snake(child.get("name", ""))
        if local(child) == "group":
            inner = columns.groups[name], raw.groups[name], table.groups[name]
            assert inner[0].offsets is inner[2].offsets
            if any(local(each) in ("group", "data") for each in child):
                check_columns(*inner, [e for v in views for e in getattr(v, name)], child)
            elif views and hasattr(views[0], f"{name}_float"):
                rows = [row for v in views for row in getattr(v, f"{name}_float")]
                plain = getattr(type(views[0]), f"{name.upper()}_DTYPE")
                for each in rows[0].dtype.names if rows else ():
                    if rows[0].dtype[each] == np.float64 and plain[each].newbyteorder("=") != "f8":
                        wanted = [row[each].tolist() for row in rows]
                        wanted = with_nulls(inner[0][each], inner[1], each, wanted)
                        assert same(inner[0][each].tolist(), wanted)


def float_at(view: Any, path: str, otherwise: float) -> float:
    """What the attribute of a path gives; the same as the column in a composite that is null."""
    *around, name = path.split(".")
    for part in around:
        view = getattr(view, part)
        if view is None:
            return otherwise
    value = getattr(view, f"{name}_float")
    return math.nan if value is None else value


def with_nulls(column: Any, raw: Any, name: str, wanted: list[Any]) -> list[Any]:
    """Of a field that was added later, the null value itself is taken for null in tables."""
    absent = np.zeros(len(column), bool)
    for each in (name, f"{name}.exponent"):
        part = raw[each] if each in raw or f"{each}.mantissa" in raw else None
        if part is not None and part.dtype.kind in "iu" and part.ndim == 1:
            limits = np.iinfo(part.dtype)
            null = limits.min if part.dtype.kind == "i" else limits.max
            absent |= np.isnan(column) & (part == null)
    return [math.nan if absent[i] else each for i, each in enumerate(wanted)]


TIMES = {
    "stamp": (pa.timestamp("ns", "UTC"), 1), "utcTimestampMs": (pa.timestamp("ms", "UTC"), 1),
    "atDay": (pa.date32(), 1), "atClock": (pa.time64("us"), 1000),
}  # fmt: skip


def check_arrow(table: Any, views: list[Any], node: Element, schema: Schema) -> None:
    """Nulls and times in Arrow, and texts as strings, against the attributes of messages."""
    arrow = table.to_arrow()
    strings = table.columns(texts="string", times="datetime64")
    types = {snake(c.get("name", "")): c.get("type", "") for c in node if local(c) == "field"}
    for field in Block(schema, node).fields:
        name, kind = field.name, field.kind
        values = [getattr(view, name) for view in views]
        if types[name] == "stampUs":
            assert arrow.schema.field(name).type == pa.timestamp("us", "UTC")
            values = [None if value is None else value.time for value in values]
            found = arrow.column(name).cast(pa.int64()).to_pylist()
            null = kind.members[0].kind.null
            assert found == [None if value == null else value for value in values]
            assert strings[name].dtype == "M8[us]"
        has_no_null = kind.tag == "set" and kind.null_label is None
        if not field.size or kind.tag in ("composite", "array", "mantissa") or has_no_null:
            continue
        column = arrow.column(name)
        time, factor = TIMES.get(types[name], (None, 1))
        if name.endswith("_at_ms"):
            time = pa.timestamp("ms", "UTC")
        for value, there in zip(values, column.is_valid().to_pylist(), strict=True):
            if hasattr(views[0], f"{name}_float"):
                continue
            is_no_time = time is not None and value == kind.null  # where it may not be null, too
            assert not there if value is None else there or field.since > 0 or is_no_time
        if time is not None:
            assert column.type == time
            width = pa.int32() if time == pa.date32() else pa.int64()
            for value, found in zip(values, column.cast(width).to_pylist(), strict=True):
                assert found in (None, None if value is None else value * factor)
            assert strings[name].dtype.kind == ("m" if factor == 1000 else "M")
        if kind.tag in ("char", "text"):
            shown = [(value or "").rstrip("\0") for value in values]
            found = strings[name].tolist()
            assert all(a == b or (field.since and not a) for a, b in zip(found, shown, strict=True))


@pytest.mark.fuzz
@given(st.data())
def test_every_shorter_frame_is_refused(
    random_module: tuple[ModuleType, Schema], data: st.DataObject
) -> None:
    module, schema = random_module
    name, version, values = draw_message(schema, data)
    frame = schema.encode(name, values, version)
    end = appended(schema, name, values, version, frame)
    sizes = range(len(frame)) if len(frame) < 500 else data.draw(
        st.lists(st.integers(0, len(frame) - 1), min_size=50, max_size=50)
    )  # fmt: skip
    for size in sizes:
        if size == end:
            continue  # that is a whole frame: see below
        with pytest.raises((TruncatedMessage, MalformedMessage)):
            module.decode(frame[:size])


def appended(
    schema: Schema, name: str, values: dict[str, Any], version: int, frame: bytes
) -> int | None:
    """Where a frame ends without the data that only conventions say may be absent."""
    if not [c for c in schema.messages[name] if c.get("name") == "appendedNote"]:
        return None
    return len(frame) - len(values["appended_note"].encode()) - 1


@given(st.data())
def test_what_conventions_say_was_appended_may_be_absent(
    random_module: tuple[ModuleType, Schema], data: st.DataObject
) -> None:
    module, schema = random_module
    names = sorted(
        name
        for name, node in schema.messages.items()
        if [c for c in node if c.get("name") == "appendedNote"]
    )
    assume(names)
    name, version = data.draw(st.sampled_from(names)), data.draw(versions(schema))
    values = data.draw(messages(schema, name))
    frame = schema.encode(name, values, version)
    cut = frame[: appended(schema, name, values, version, frame)]
    expected = schema.expected(name, values, version) | {"appended_note": None}
    message = module.decode(cut)
    assert same(message.to_dict(), expected)
    assert message.appended_note_bytes is None
    assert message.encoded_length == len(cut)
    table = module.decode_many([cut, frame])[type(message)]
    arrow = arrow_of(table.columns())
    if arrow is not None:
        assert arrow.column("appended_note").to_pylist() == [None, values["appended_note"]]


@st.composite
def layouts(draw: st.DrawFn) -> PacketLayout:
    """A layout whose numbers lie anywhere, and not in one another."""

    def places(names: list[str], sizes: list[int]) -> tuple[dict[str, Any], int]:
        at, found = 0, {}
        for name in draw(st.permutations(names)):
            if draw(st.booleans()):
                at += draw(st.integers(0, 3))
                found[name] = at, draw(st.sampled_from(sizes))
                at += found[name][1]
        return found, at + draw(st.integers(0, 3))

    of_packet, header = places(["sequence", "time", "count"], [2, 4, 8])
    of_message, message_header = places(["length"], [4, 8])
    return PacketLayout(
        header=header, message_header=message_header, **of_packet, **of_message,
        length_includes_header=draw(st.booleans()),
        time_unit=draw(st.sampled_from(["s", "ms", "us", "ns"])),
        byte_order=draw(st.sampled_from(["big", "little"])),
    )  # fmt: skip


def packet(layout: PacketLayout, numbers: dict[str, int], found: list[bytes]) -> bytes:
    """A packet with these messages, by the words of `PacketLayout` alone."""

    def put(target: bytearray, place: Any, value: int) -> None:
        if place is not None:
            begin, size = place
            target[begin : begin + size] = value.to_bytes(size, layout.byte_order)

    made = bytearray(b"?" * layout.header)
    for name, value in (numbers | {"count": len(found)}).items():
        put(made, getattr(layout, name), value)
    for each in found:
        head = bytearray(b"!" * layout.message_header)
        more = layout.message_header if layout.length_includes_header else 0
        put(head, layout.length, len(each) + more)
        made += head + each
    return bytes(made)


@given(st.data())
def test_packets_of_any_layout_bring_every_message(
    random_module: tuple[ModuleType, Schema], data: st.DataObject
) -> None:
    module, schema = random_module
    layout = data.draw(layouts())
    small = st.integers(0, 2**15 - 1)
    packets, frames, expected = [], [], []
    for i in range(data.draw(st.integers(1, 4))):
        drawn = [draw_message(schema, data) for _ in range(data.draw(st.integers(0, 3)))]
        found = [schema.encode(name, values, version) for name, version, values in drawn]
        numbers = {"sequence": data.draw(small), "time": data.draw(small)}
        packets.append(packet(layout, numbers, found))
        unit = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}[layout.time_unit]
        sequence = -1 if layout.sequence is None else numbers["sequence"]
        time = -1 if layout.time is None else numbers["time"] * unit
        expected += [(len(frames) + k, i, sequence, time) for k in range(len(found))]
        frames += found
    whole = module.decode_many(frames)
    batch = module.decode_many(Packets(packets, layout))
    assert (batch.losses, batch.frame_count, len(batch)) == ((), len(frames), len(frames))
    told = []
    for message, table in whole.tables.items():
        found_rows = batch[message].records
        for name in table.records.dtype.names or ():
            assert repr(found_rows[name].tolist()) == repr(table.records[name].tolist())
        columns = ("frame", "packet", "packet_sequence", "packet_time")
        told += list(zip(*(found_rows[name].tolist() for name in columns), strict=True))
    assert sorted(told) == expected


@pytest.mark.fuzz
@given(st.data())
def test_damaged_frames_are_values_or_decode_errors(
    random_module: tuple[ModuleType, Schema], data: st.DataObject
) -> None:
    module, schema = random_module
    name, version, values = draw_message(schema, data)
    frame = bytearray(schema.encode(name, values, version))
    for _ in range(data.draw(st.integers(1, 4))):
        frame[data.draw(st.integers(0, len(frame) - 1))] = data.draw(st.integers(0, 255))
    batch = module.decode_many([frame], on_error="collect")
    try:
        message = module.decode(frame)
        assert len(batch) == 1
        message.to_dict()
    except MalformedMessage as error:
        assert len(batch) == 1 or type(batch.errors[0]) is type(error)
    except DecodeError as error:
        assert type(batch.errors[0]) is type(error)


@pytest.mark.parametrize(
    "random_module", [each for each in SEEDS if has_counts(each.values[0])], indirect=True
)
@given(st.data())
def test_counts_let_unknown_groups_and_data_be_stepped_over(
    random_module: tuple[ModuleType, Schema], data: st.DataObject
) -> None:
    module, schema = random_module
    assert "numGroups" in [member.get("name") for member in schema.types["messageHeader"]]
    name, _, values = draw_message(schema, data)
    numbers = st.integers(0, 2)
    extra = Extra(data.draw(numbers), data.draw(numbers), data.draw(st.booleans()))
    version = schema.version + 1 if schema.has_versions else schema.version
    frame = schema.encode(name, values, version, b"+", b"+", extra)
    message = module.decode(frame)
    assert message.encoded_length == len(frame)
    shown = [row.path for row in check_whole(module, frame)]
    for what, count in (("group", extra.groups), ("data", extra.data)):
        assert f"(unknown {what} {count + 1})" not in shown
        for number in range(1, count + 1):
            assert f"(unknown {what} {number})" in shown
    expected = schema.expected(name, values, version)
    assert same(message.to_dict(), expected)
    node = schema.messages[name]
    check_level(message, schema, node, values, version, [expected])
    table = module.decode_many([frame, frame])[type(message)]
    check_table(table, [message, message], node, schema)
