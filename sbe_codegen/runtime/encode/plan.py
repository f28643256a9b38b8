"""What encodes a message class, made of what its attributes say of themselves.

The declarations that decoding goes by are the only ones: each descriptor's ``facts`` are what the
generated module declared of its element. This runs once for each class, when it is first used.
"""

from __future__ import annotations

import enum
import math
import struct
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from ..decode.elements import ConstantField
from ..decode.field_formats import NUMPY
from ..decode.names import free
from ..decode.validation import first_outside
from .composites import CompositeSlot
from .levels import Group, Level
from .refusals import refusal, unknown_label
from .scaled import Scaling
from .slots import (
    SIZES,
    CharSlot,
    CodedSlot,
    ConstantSlot,
    EnumSlot,
    FloatSlot,
    IntSlot,
    Slot,
)
from .vardata import Data

Facts = Mapping[str, Any]


class Planner:
    """Makes the levels of the messages of one module, whose enums are in ``module``."""

    def __init__(self, order: str, module: str, version: int, has_lengths: bool) -> None:
        self.big = order == ">"
        self.has_lengths = has_lengths  # of root blocks, in the header
        self.module = module
        self.version = version

    def message(self, message: Any) -> Level:
        level = self.level(message._ELEMENTS, message._LAYOUT.block, message._LAYOUT.groups)
        level.is_implied = not self.has_lengths
        return level

    def level(self, elements: Sequence[Any], layout: Any, inner: Mapping[str, Any]) -> Level:
        fields, groups, data = [], [], []
        scales: dict[str, Facts] = {}
        floats: list[str] = []
        for each in elements:
            facts = each.facts
            if "count_at" in facts:
                found = inner[facts["name"]]
                level = self.level(facts["elements"], found.block, found.groups)
                groups.append(Group(facts, self.big, level))
                values = (s.is_value and s.ending == "float" for s in level.derived.values())
                if any(values) or found.block.partly_scaled:
                    floats.append(facts["name"])
            elif "length_at" in facts:
                data.append(Data(facts, self.big))
            else:
                fields.append(self.slot(each))
                if "exponent" in facts:
                    scales[facts["name"]] = facts["exponent"]
        taken = {each.facts["name"] for each in elements}
        composites = {each.name: each for each in fields if isinstance(each, CompositeSlot)}
        derived = {}
        for ending in ("float", "decimal"):
            for name, exponent in scales.items():
                negated = bool(exponent.get("negated"))
                scaling = Scaling(name, ending, exponent["field"], exponent["levels"], negated)
                derived[free(f"{name}_{ending}", taken)] = scaling
            for name, (mantissa, power) in layout.decimals.items():
                members = mantissa["name"], power["name"]
                given_as = free(f"{name}_{ending}", taken)
                derived[given_as] = Scaling(name, ending, members=members)
                composites[name].derived.append(given_as)
        for name in floats:
            derived[free(f"{name}_float", taken)] = Scaling(name, "float")
        return Level(tuple(fields), tuple(groups), tuple(data), layout, derived, self.version)

    def slot(self, element: Any, optional: bool = False) -> Slot:
        """Of a field or a member; ``optional`` where the composite around is null by its null."""
        facts = element.facts
        if isinstance(element, ConstantField):
            labels = facts.get("labels", {})
            value = facts["constant"]
            values = [labels.get(value, value), facts.get("members", {}).get(value, value), value]
            if set(labels.values()) == {"False", "True"}:
                values[:2] = [values[0] == "True"] * 2
            return ConstantSlot(facts, tuple(values))
        if facts["kind"] == "composite":
            return self._composite(facts, optional or bool(facts.get("optional")))
        if facts.get("null_is_value") and not optional:
            facts = {name: value for name, value in facts.items() if name != "null"}
            if facts["type"] not in ("float", "double"):
                low, high = bounds(facts["type"])
                facts["null"] = low or high
        return getattr(self, f"_{facts['kind']}")(facts)  # type: ignore[no-any-return]

    def _number(self, facts: Facts) -> Slot:
        if facts["type"] in ("float", "double"):
            null = facts.get("null", math.nan)
            order, code = ">" if self.big else "<", "f" if facts["type"] == "float" else "d"
            return FloatSlot(facts, self.big, struct.pack(order + code, null))
        low, high = limits(facts)
        return IntSlot(facts, self.big, facts["null"], low, high)

    def _enum(self, facts: Facts) -> Slot:
        low, high = bounds(facts["type"])
        if facts["null"] == low:
            low += 1
        if facts["null"] == high:
            high -= 1
        return EnumSlot(facts, self.big, facts["null"], low, high, self.module)

    def _char(self, facts: Facts) -> Slot:
        return CharSlot(facts)

    def _set(self, facts: Facts) -> Slot:
        size = SIZES[facts["type"]]
        order = "big" if self.big else "little"
        absent = bytes(size) if facts.get("optional") else None
        labels = {label: 1 << bit for bit, label in facts["labels"].items()}
        for name, member in facts["flags"].__members__.items():
            labels.setdefault(name, int(member))
        names = list(facts["labels"].values())
        named_null = facts.get("named_null")  # in a required field it is a value like any other
        if named_null is not None:
            labels.setdefault(named_null[1], named_null[0])

        def coded(value: Any) -> bytes:
            bits = bits_of(value, labels, names, facts["flags"])
            if not 0 <= bits < 1 << 8 * size:
                raise refusal("", value, f"the set has {8 * size} bits")
            return bits.to_bytes(size, order)  # type: ignore[arg-type]

        return CodedSlot(facts, size, None, absent, coded)

    def _text(self, facts: Facts) -> Slot:
        length, optional = facts["length"], bool(facts.get("optional"))
        encoding = facts.get("encoding") or "latin-1"

        def coded(value: Any) -> bytes:
            if not isinstance(value, str):
                raise refusal("", value, f"a str is needed, not {type(value).__name__}")
            if "\0" in value:
                raise refusal("", value, "NUL ends the text: it can't be part of it")
            if optional and not value:
                raise refusal("", value, "no characters stand for null; give None")
            try:
                made = value.encode(encoding)
                if made.decode(encoding) != value:
                    raise refusal("", value, f"{encoding} has no such text")
            except UnicodeError as error:
                raise refusal("", value, f"{encoding} has no such text ({error})") from None
            if len(made) > length:
                why = f"{len(made)} bytes in {encoding}, and there is room for {length}"
                raise refusal("", value, why)
            return made.ljust(length, b"\0")

        blank = bytes(length) if optional else None
        slot = CodedSlot(facts, length, blank, blank, coded)
        slot.is_text = _text_test(encoding)
        return slot

    def _array(self, facts: Facts) -> Slot:
        length, primitive = facts["length"], facts["type"]
        dtype = np.dtype((">" if self.big else "<") + NUMPY[primitive])
        null = facts.get("null", math.nan)
        nulls = np.full(length, null, dtype).tobytes()

        def coded(value: Any) -> bytes:
            made = array_bytes(value, length, dtype, primitive)
            bad = first_outside(np.frombuffer(made, dtype).tolist(), facts)
            if bad is not None:
                raise refusal(f"[{bad[0]}]", value[bad[0]], bad[1])
            return made

        absent = nulls if facts.get("optional") else None
        slot = CodedSlot(facts, len(nulls), None, absent, coded)
        slot.facts_null = nulls
        return slot

    def _mantissa(self, facts: Facts) -> Slot:
        length, order = facts["length"], "big" if self.big else "little"
        most = 2 ** (8 * length - 1) - 1
        null = (-most - 1).to_bytes(length, order, signed=True)

        def coded(value: Any) -> bytes:
            try:
                number = int(value.__index__())
            except (AttributeError, TypeError):
                kind = type(value).__name__
                raise refusal("", value, f"a whole number is needed, not {kind}") from None
            if not -most <= number <= most:
                raise refusal("", value, f"outside {-most} to {most}")
            return number.to_bytes(length, order, signed=True)  # type: ignore[arg-type]

        absent = null if facts.get("optional") else None
        slot = CodedSlot(dict(facts) | {"big": self.big}, length, null, absent, coded)
        slot.facts_null = null
        return slot

    def _composite(self, facts: Facts, optional: bool) -> Slot:
        sent = next((each for each in facts["elements"] if "offset" in each.facts), None)
        members = tuple(self.slot(each, optional and each is sent) for each in facts["elements"])
        size = facts["size"]
        nothing = bytearray(size)
        for each in members:
            if each.size:
                nothing[each.offset : each.offset + each.size] = null_bytes(each)
        first = next((each for each in members if each.size), None)
        may = first is not None and may_be_null(first, optional)
        slot = CompositeSlot(facts, size, bytes(nothing) if may else None, members,
                             first if may else None)  # fmt: skip
        return slot


def limits(facts: Facts) -> tuple[int, int]:
    """What a number may be: the schema's range, or what the type leaves beside its null."""
    low, high = bounds(facts["type"])
    low, high = (low, high - 1) if low == 0 else (low + 1, high)
    return int(facts.get("min", low)), int(facts.get("max", high))


def bounds(primitive: str) -> tuple[int, int]:
    """The least and the largest number that the bytes can hold."""
    bits = 8 * SIZES[primitive]
    if primitive.startswith("int"):
        return -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
    return 0, 2**bits - 1


def may_be_null(slot: Any, optional: bool) -> bool:
    """Whether a composite that begins with this member is null where this is."""
    kind = slot.facts["kind"]
    if kind == "composite":
        inner = next((each for each in slot.members_of_it if each.size), None)
        return inner is not None and may_be_null(inner, optional)
    return kind not in ("array", "set") and (optional or bool(slot.facts.get("optional")))


def null_bytes(slot: Any) -> bytes:
    """What a member is on the wire where the composite around it is null."""
    kind = slot.facts["kind"]
    if kind == "composite":
        made = bytearray(slot.size)
        for each in slot.members_of_it:
            if each.size:
                made[each.offset : each.offset + each.size] = null_bytes(each)
        return bytes(made)
    if kind in ("array", "mantissa"):
        return bytes(slot.facts_null)
    if kind in ("text", "set"):
        return bytes(slot.size)
    return bytes(slot.null_number())


def bits_of(value: Any, labels: Mapping[str, int], names: Iterable[str], flags: Any) -> int:
    """The bits of a set: of its IntFlag, of an int, or of a list of names and numbers of bits."""
    if isinstance(value, enum.Flag):
        if not isinstance(value, flags):
            raise refusal("", value, f"a member of another set than {flags.__name__}")
        return int(value)
    if isinstance(value, bool):
        raise refusal("", value, "a set is a list of names, its flags or an int")
    if isinstance(value, int | np.integer):
        return int(value)
    if isinstance(value, str | bytes) or not isinstance(value, list | tuple | set | frozenset):
        raise refusal("", value, "a set is a list of names, its flags or an int")
    bits = 0
    for each in value:
        if isinstance(each, str):
            if each not in labels:
                raise unknown_label("", each, names, "set")
            bits |= labels[each]
        elif isinstance(each, enum.Flag):
            bits |= bits_of(each, labels, names, flags)
        elif isinstance(each, int | np.integer) and not isinstance(each, bool):
            if not 0 <= each < 64:
                raise refusal("", each, "a number in the list of a set is that of a bit")
            bits |= 1 << int(each)
        else:
            raise refusal("", each, "a set is a list of names, its flags or an int")
    return bits


def array_bytes(value: Any, length: int, dtype: np.dtype[Any], primitive: str) -> bytes:
    """The items of a fixed array, each of them as it is given."""
    # what has no order, or can be read only once, is no fixed array
    is_ordered = hasattr(type(value), "__len__") and hasattr(type(value), "__getitem__")
    if isinstance(value, str | Mapping) or not is_ordered:
        raise refusal("", value, f"{length} numbers are needed, not {type(value).__name__}")
    try:
        items = list(value)
    except TypeError:
        raise refusal("", value, f"{length} numbers are needed") from None
    if len(items) != length:
        raise refusal("", value, f"{length} numbers are needed, not {len(items)}")
    facts = {"name": "", "since": 0, "type": primitive, "offset": 0, "kind": "number"}
    big = dtype.byteorder == ">"
    made = b""
    low, high = (0, 0) if dtype.kind == "f" else bounds(primitive)
    for i, item in enumerate(items):
        if dtype.kind == "f":
            with np.errstate(all="ignore"):
                try:
                    number = dtype.type(item)
                    # as a Python float: numpy would compare in the precision of the item
                    given = item.item() if isinstance(item, np.generic) else item
                    same = float(number) == given or (number != number and given != given)
                except (TypeError, ValueError, OverflowError):
                    same = False
            if isinstance(item, str) or not same:
                raise refusal(f"[{i}]", item, f"{dtype.name} can't hold it")
            made += np.array(number, dtype).tobytes()
        else:
            slot = _ITEMS.get((primitive, big))
            if slot is None:
                slot = IntSlot(facts, big, high + 1 if low == 0 else low - 1, low, high)
                _ITEMS[primitive, big] = slot
            try:
                made += slot.encoded(item)
            except Exception as error:
                why = getattr(error, "why", None)
                if why is None:
                    raise
                raise refusal(f"[{i}]", item, why) from None
    return made


_ITEMS: dict[tuple[str, bool], Any] = {}


def _text_test(encoding: str) -> Callable[[bytes], bool]:
    def is_text(raw: bytes) -> bool:
        """Whether raw bytes of an array's column are text up to the first NUL, as it is read.

        What is behind that is padding, whatever it is. numpy has no NUL at the end.
        """
        wide = encoding.startswith(("utf-16", "utf-32"))
        try:
            (raw if wide else raw.partition(b"\0")[0]).decode(encoding)
        except UnicodeError:
            return wide and not raw.strip(b"\0")
        return True

    return is_text
