"""An annotated hex dump: every byte of a frame, and what it is, as far as the frame goes.

It walks the declarations of the compiled modules by itself, since a damaged frame is never a
message object; where it stops, the decoder's own error says why.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

from .decode.field_formats import NUMPY
from .decode.texts import DEEPEST
from .decode.times import EPOCH, PER_SECOND
from .errors import DecodeError
from .framing import sofh
from .framing.sofh import SOFH_LENGTH, FramingError
from .hex_text import from_text as from_text
from .tables.columns import time_unit
from .tables.forms import text_of

_NEWER = "a newer sender has more groups or data, which can stand in front of what is known"
_SHOWN = 12  # bytes of one element that are printed


@dataclass(frozen=True)
class Row:
    """Bytes from ``offset`` to ``end``, the path of what they are, and its value as text."""

    offset: int
    end: int
    path: str
    value: str


class Dump(NamedTuple):
    """The lines of a frame, whether it is whole, and where it ends in what was given."""

    lines: list[str]
    is_whole: bool
    end: int


class _Cut(Exception):
    """The frame ends inside an element; what is left of it has been shown."""


def inspect(
    content: bytes, module: ModuleType, splitter: sofh.Splitter | None = None
) -> tuple[list[str], bool]:
    """The lines of the dump of a frame of ``module``, and whether the frame is whole: `dump`."""
    return dump(content, module, splitter)[:2]


def dump(content: bytes, module: ModuleType, splitter: sofh.Splitter | None = None) -> Dump:
    """The dump of a frame of ``module``.

    With ``splitter`` it has a Simple Open Framing Header in front, as that takes it.
    """
    rows: list[Row] = []
    start = 0
    fault: Exception | None = None
    if splitter is not None:
        start = SOFH_LENGTH
        length, encoding = (
            int.from_bytes(content[at:end], splitter.byte_order) for at, end in ((0, 4), (4, 6))
        )
        rows.append(Row(0, 4, "SOFH messageLength", str(length)))
        rows.append(Row(4, 6, "SOFH encodingType", f"0x{encoding:04X}"))
        try:
            if not splitter.feed(content):
                fault = FramingError(f"{len(content)} of {length} bytes of a message", 0)
        except FramingError as error:
            fault = error
    walk = _Walk(content, start, module)
    rows += walk.rows()
    try:
        message = module.decode(content, start)
        end = start + message.encoded_length
        summary = f"{type(message).__name__}, version {message.version}, {end - start} bytes"
        if walk.position < end:
            rows.append(Row(walk.position, end, "(not known here)", _NEWER))
    except DecodeError as error:
        fault, end, summary = error, len(content), ""
    lines = [_line(content, row) for row in rows]
    if fault is not None:
        at = getattr(fault, "offset", None)
        place = sum(row.offset < (len(content) if at is None else at) for row in rows)
        lines.insert(place, f">>> {type(fault).__name__}: {fault}")
    elif end < len(content):
        row = Row(end, len(content), "(left over)", f"{len(content) - end} bytes")
        lines.append(_line(content, row))
    title = f"{'offset':>6}  {'bytes':<{3 * _SHOWN + 6}}  {'field':<34}  value"
    return Dump([title, *lines, *filter(None, [summary])], fault is None, end)


def _line(content: bytes, row: Row) -> str:
    data = content[row.offset : row.end]
    shown = data[:_SHOWN].hex(" ")
    if len(data) > _SHOWN:
        shown += f" +{len(data) - _SHOWN}"
    return f"{row.offset:>6}  {shown:<{3 * _SHOWN + 6}}  {row.path:<34}  {row.value}".rstrip()


class _Walk:
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
        yield from self.level(message._ELEMENTS, root, header.block_length, "", ())

    def level(
        self,
        elements: Sequence[Any],
        at: int,
        length: int,
        path: str,
        outer: tuple[Mapping[str, Any], ...],
    ) -> Iterator[Row]:
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
        for element in elements:
            facts = element.facts
            if facts["since"] > self.version:
                continue
            if "count_at" in facts:
                yield from self.group(facts, path, scopes)
            elif "length_at" in facts:
                yield from self.data(facts, path)

    def group(self, facts: Mapping[str, Any], path: str, scopes: tuple[Any, ...]) -> Iterator[Row]:
        at = self.take(facts["dimensions"])
        stride = self.number(at, facts["block_length_at"])
        count = self.number(at, facts["count_at"])
        name = f"{path}{facts['schema_name']}"
        yield Row(at, self.position, name, f"{count} entries with blocks of {stride}")
        for i in range(count):
            before = self.position
            block = self.take(stride)
            inner = f"{name}[{i}]."
            yield from self.level(facts["elements"], block, stride, inner, scopes)
            if self.position == before:
                yield Row(before, before, inner, f"and {count - i - 1} more without any bytes")
                return

    def data(self, facts: Mapping[str, Any], path: str) -> Iterator[Row]:
        name = f"{path}{facts['schema_name']}"
        at = self.take(facts["prefix"])
        length = self.number(at, facts["length_at"])
        yield Row(at, self.position, f"{name} length", str(length))
        at = self.take(length)
        content = self.content[at : at + length]
        if facts.get("embedded") and length and self.depth < DEEPEST:
            inner = _Walk(self.content, at, self.module, self.position, self.depth + 1)
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
        values[facts["name"]] = value
        yield Row(offset, offset + size, name, _text(facts, value, scopes))

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
        return None if value == told.get("null") else value

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


def date(value: int, unit: str) -> str:
    """A time since 1970 as a date, with all digits of its unit."""
    seconds, fraction = _seconds(value, unit)
    try:
        date = datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return "no date that there is"
    return f"{date:%Y-%m-%d %H:%M:%S}{fraction} UTC"


def _seconds(value: int, unit: str) -> tuple[int, str]:
    """Whole seconds, and the digits of what is left, with their point."""
    per_second = PER_SECOND[unit]
    seconds, rest = divmod(value, per_second)
    places = len(str(per_second)) - 1
    return seconds, f".{rest:0{places}d}" if places else ""


def _day(value: int, unit: str) -> str:
    """Days since 1970 as a date."""
    try:
        return f"{EPOCH + timedelta(days=value):%Y-%m-%d}"
    except OverflowError:
        return "no date that there is"


def _time_of_day(value: int, unit: str) -> str:
    seconds, fraction = _seconds(value, unit)
    if not 0 <= seconds < 86_400:
        return "no time of a day"
    return f"{EPOCH + timedelta(seconds=seconds):%H:%M:%S}{fraction}"


_TIMES = {"date": _day, "time": _time_of_day}


def _text(facts: Mapping[str, Any], value: Any, scopes: tuple[Mapping[str, Any], ...]) -> str:
    kind = facts["kind"]
    is_null = value == facts.get("null") or (isinstance(value, float) and math.isnan(value))
    if facts["type"] == "char" and value == 0:  # of characters NUL means nothing, too
        is_null = facts.get("optional") or 0 not in facts.get("labels", {0: ""})
    if is_null and (facts.get("optional") or kind in ("enum", "mantissa")):
        return f"{value} (null)"
    if kind == "enum":
        return f"{value} {facts['labels'].get(value, '(not in the schema)')}"
    if kind == "set":
        names = [name for bit, name in facts["labels"].items() if value >> bit & 1]
        return f"0x{value:X} {'|'.join(names)}".rstrip()
    if kind == "char":
        return repr(chr(value))
    if kind == "text":
        return repr(text_of(value, facts.get("encoding") or "latin-1"))
    unit = time_unit(facts)
    if unit is not None:
        return f"{value} ({date(value, unit)})"
    time = facts.get("time", {"kind": None})
    if time["kind"] in _TIMES and isinstance(value, int):
        return f"{value} ({_TIMES[time['kind']](value, time['unit'])})"
    if "exponent" in facts:
        exponent = scopes[facts["exponent"]["levels"]].get(facts["exponent"]["field"])
        if exponent is not None and abs(exponent) < 128:
            power = -exponent if facts["exponent"].get("negated") else exponent
            return f"{value} ({Decimal(value).scaleb(power):f})"
    return str(value)
