"""The bytes of a frame one element after the other, each with its path and its value.

The walk goes over the declarations of the compiled modules by itself, since a damaged frame is
never a message object.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

from .decode.field_formats import NUMPY
from .decode.texts import DEEPEST
from .decode.times import PER_SECOND
from .inspected_values import is_null, text_of_value

_DEEPEST_GROUPS = 32  # unknown groups in unknown groups, as far as the decoder follows them


@dataclass(frozen=True)
class Row:
    """Bytes from ``offset`` to ``end``, the path of what they are, and its value as text."""

    offset: int
    end: int
    path: str
    value: str


class _More(NamedTuple):
    """Groups and data behind the known ones; ``facts`` are how they are read."""

    groups: int
    data: int
    facts: Mapping[str, Any]


class _Cut(Exception):
    """The frame ends inside an element; what is left of it has been shown."""


class Walk:
    def __init__(
        self,
        content: bytes,
        start: int,
        module: ModuleType,
        end: int | None = None,
        depth: int = 0,
    ) -> None:
        self.end = len(content) if end is None else end
        self.depth = depth
        self.content = content
        self.position = start
        self.version = sys.maxsize  # of the frame: members that it lacks take no bytes
        self.module = module
        self.order = ">" if module.BYTE_ORDER == "bigEndian" else "<"

    def rows(self) -> Iterator[Row]:
        """As far as the frame goes; what does not fit its place is shown as it is."""
        try:
            yield from self.message()
        except _Cut:
            if self.position < self.end:
                yield Row(self.position, self.end, "(cut)", "")

    def take(self, size: int) -> int:
        """The offset of the next ``size`` bytes."""
        at = self.position
        if size > self.end - at:
            raise _Cut
        self.position = at + size
        return at

    def number(self, at: int, place: Sequence[int]) -> int:
        """A number of the framing, at ``place`` (offset, size, and the value of a constant one)."""
        if len(place) == 3:
            return place[2]
        data = self.content[at + place[0] : at + place[0] + place[1]]
        return int.from_bytes(data, "little" if self.order == "<" else "big")

    def message(self) -> Iterator[Row]:
        at = self.position
        for element in self.module.Header._ELEMENTS:
            facts = element.facts
            if "constant" in facts:
                continue
            before = self.position
            self.take(at + facts["offset"] + self.size(facts) - before)
            if at + facts["offset"] > before:
                yield Row(before, at + facts["offset"], "(padding)", "")
            yield from self.field(facts, at, "", {}, ())
        if self.end - at < self.module.HEADER_SIZE:
            raise _Cut
        header = self.module.decode_header(self.content, at)  # what is implied as well
        if at + self.module.HEADER_SIZE > self.position:
            yield Row(self.position, at + self.module.HEADER_SIZE, "(padding)", "")
        self.take(at + self.module.HEADER_SIZE - self.position)
        message = self.module.MESSAGES.get(header.template_id)
        if message is None or header.schema_id != self.module.SCHEMA_ID:
            if self.position < self.end:
                yield Row(self.position, self.end, "(not known here)", "")
                self.position = self.end
            return
        root = self.take(header.block_length)
        self.version = header.version
        spec = self.module.Header._SPEC
        more = self.more(message._ELEMENTS, message._UNKNOWN, at, spec)
        yield from self.level(message._ELEMENTS, root, header.block_length, "", (), more)

    def level(
        self,
        elements: Sequence[Any],
        at: int,
        length: int,
        path: str,
        outer: tuple[Mapping[str, Any], ...],
        more: _More,
    ) -> Iterator[Row]:
        """A block of ``length`` bytes at ``at``, then groups and data, and what is not known."""
        values: dict[str, Any] = {}
        scopes = (values, *outer)
        end = at
        for element in elements:
            facts = element.facts
            if "kind" not in facts or "constant" in facts or facts["since"] > self.version:
                continue
            offset = at + facts["offset"]
            begin = min(offset, at + length)
            if begin > end:
                yield Row(end, begin, f"{path}(padding)", "")
            end = offset + self.size(facts)
            if end > at + length:  # an error, and what is behind the block is shown as well
                end = at + length
                if begin < end:
                    yield Row(begin, end, f"{path}{facts['schema_name']}", "(cut)")
                break
            yield from self.field(facts, at, path, values, scopes)
        if end < at + length:
            yield Row(end, at + length, f"{path}(more)", "padding, or fields of a newer schema")
        sent = [e.facts for e in elements if e.facts["since"] <= self.version]
        for facts in sent:
            if "count_at" in facts:
                yield from self.group(facts, path, scopes)
        yield from self.unknown(more.groups, 0, more.facts, path)
        for facts in sent:
            if "length_at" in facts:
                yield from self.data(facts, path)
        yield from self.unknown(0, more.data, more.facts, path)

    def group(self, facts: Mapping[str, Any], path: str, scopes: tuple[Any, ...]) -> Iterator[Row]:
        at = self.take(facts["dimensions"])
        stride = self.number(at, facts["block_length_at"])
        count = self.number(at, facts["count_at"])
        name = f"{path}{facts['schema_name']}"
        yield Row(at, self.position, name, f"{count} entries with blocks of {stride}")
        more = self.more(facts["elements"], facts.get("unknown"), at, facts)
        for i in range(count):
            before = self.position
            block = self.take(stride)
            inner = f"{name}[{i}]."
            yield from self.level(facts["elements"], block, stride, inner, scopes, more)
            if self.position == before:
                yield Row(before, before, inner, f"and {count - i - 1} more without any bytes")
                return

    def more(
        self,
        elements: Sequence[Any],
        facts: Mapping[str, Any] | None,
        at: int,
        counts: Mapping[str, Any],
    ) -> _More:
        """What a newer sender has more than ``elements``, by its counts, which are at ``at``."""
        if facts is None or self.version < facts["newer"]:
            return _More(0, 0, {})
        known = Counter(place for e in elements for place in ("count_at", "length_at")
                        if place in e.facts)  # fmt: skip
        groups, data = self.counted(at, counts)
        return _More(groups - known["count_at"], data - known["length_at"], facts)

    def counted(self, at: int, counts: Mapping[str, Any]) -> tuple[int, int]:
        """The numbers of groups and of data at ``at``; 0 where that is not counted."""
        groups, data = (
            self.number(at, counts[name]) if name in counts else 0
            for name in ("groups_at", "data_at")
        )
        return groups, data

    def unknown(
        self, groups: int, data: int, facts: Mapping[str, Any], path: str, depth: int = 0
    ) -> Iterator[Row]:
        """So many groups and data that the schema does not know, as the decoder steps over them."""
        if depth > _DEEPEST_GROUPS or (groups > 0 and "dimensions" not in facts):
            raise _Cut
        for i in range(groups):
            at = self.take(facts["dimensions"])
            stride = self.number(at, facts["block_length_at"])
            count = self.number(at, facts["count_at"])
            inner = self.counted(at, facts)
            name = f"{path}(unknown group {i + 1})"
            yield Row(at, self.position, name, f"{count} entries with blocks of {stride}")
            if inner == (0, 0):
                if count * stride:
                    yield Row(self.take(count * stride), self.position, f"{name} entries", "")
                continue
            for j in range(count):
                entry = f"{name}[{j}]"
                if stride:
                    yield Row(self.take(stride), self.position, entry, "")
                yield from self.unknown(*inner, facts, f"{entry}.", depth + 1)
        if data > 0 and "prefix" not in facts:
            raise _Cut
        for i in range(data):
            at = self.take(facts["prefix"])
            length = self.number(at, facts["length_at"])
            name = f"{path}(unknown data {i + 1})"
            yield Row(at, self.position, f"{name} length", str(length))
            if length:
                yield Row(self.take(length), self.position, name, "")

    def data(self, facts: Mapping[str, Any], path: str) -> Iterator[Row]:
        name = f"{path}{facts['schema_name']}"
        at = self.take(facts["prefix"])
        length = self.number(at, facts["length_at"])
        yield Row(at, self.position, f"{name} length", str(length))
        at = self.take(length)
        content = self.content[at : at + length]
        if facts.get("embedded") and length and self.depth < DEEPEST:
            inner = Walk(self.content, at, self.module, self.position, self.depth + 1)
            for row in inner.rows():
                yield Row(row.offset, row.end, f"{name} > {row.path}", row.value)
                at = max(at, row.end)
            if at < self.position:
                yield Row(at, self.position, f"{name} > (left over)", "")
        elif length:
            encoding = facts["encoding"]
            value = repr(content.decode(encoding, "backslashreplace")) if encoding else "bytes"
            yield Row(at, self.position, name, value)

    def field(
        self,
        facts: Mapping[str, Any],
        at: int,
        path: str,
        values: dict[str, Any],
        scopes: tuple[Mapping[str, Any], ...],
    ) -> Iterator[Row]:
        offset, size = at + facts["offset"], self.size(facts)
        name = f"{path}{facts['schema_name']}"
        if facts["kind"] == "composite":
            end = offset
            mantissa, inner = self.decimal(facts, offset)
            time = self.time(facts, offset)
            for member in self.sent(facts):
                told = dict(member)
                begin = offset + told["offset"]
                if begin > end:
                    yield Row(end, begin, f"{name}.(padding)", "")
                end = begin + self.size(told)
                if told["name"] == mantissa:
                    told["exponent"] = {"field": "", "levels": 0}
                if time is not None and told["name"] == facts["time"]["member"]:
                    told["time"] = time
                yield from self.field(told, offset, f"{name}.", {}, (inner,))
            return
        value = self.value(facts, self.content[offset : offset + size])
        values[facts["name"]] = None if is_null(facts, value) else value
        yield Row(offset, offset + size, name, text_of_value(facts, value, scopes))

    def decimal(self, facts: Mapping[str, Any], at: int) -> tuple[str | None, dict[str, int]]:
        """The mantissa of a composite that is a decimal, and its exponent, by no name."""
        if "decimal" not in facts:
            return None, {}
        mantissa, exponent = facts["decimal"]
        power = self.member(facts, exponent, at)
        return mantissa, {} if power is None else {"": power}

    def time(self, facts: Mapping[str, Any], at: int) -> dict[str, Any] | None:
        """What the number of a composite that is a time is, by the unit that it has."""
        time = facts.get("time")
        if time is None or "unit_member" not in time:
            return None
        power = self.member(facts, time["unit_member"], at)
        unit = next((unit for unit, n in PER_SECOND.items() if n == 10 ** (power or 0)), None)
        return {"kind": time["kind"], "unit": unit} if unit and power is not None else None

    def member(self, facts: Mapping[str, Any], name: str, at: int) -> Any:
        """The value of a member of a composite; None where it is null, or not sent."""
        (told,) = (each.facts for each in facts["elements"] if each.facts["name"] == name)
        if "constant" in told or told.get("since", 0) > self.version:
            return told.get("constant")
        begin = at + told["offset"]
        value = self.value(told, self.content[begin : begin + self.size(told)])
        return None if is_null(told, value) else value

    def sent(self, facts: Mapping[str, Any]) -> list[Mapping[str, Any]]:
        """The members of a composite that take bytes in this frame."""
        members = (each.facts for each in facts["elements"])
        return [
            each
            for each in members
            if "constant" not in each and each.get("since", 0) <= self.version
        ]

    def size(self, facts: Mapping[str, Any]) -> int:
        if facts["kind"] == "composite":
            return max((f["offset"] + self.size(f) for f in self.sent(facts)), default=0)
        return np.dtype(NUMPY[facts["type"]]).itemsize * int(facts.get("length", 1))

    def value(self, facts: Mapping[str, Any], data: bytes) -> Any:
        kind = facts["kind"]
        if kind == "text":
            return data
        if kind == "mantissa":
            return int.from_bytes(data, "little" if self.order == "<" else "big", signed=True)
        values = np.frombuffer(data, self.order + NUMPY[facts["type"]]).tolist()
        return values if kind == "array" else values[0]
