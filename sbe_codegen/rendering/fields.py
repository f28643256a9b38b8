"""Fields as C: accessors, columns of table rows, and how one gets into the other."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from .. import ir, limits, names
from ..primitives import Primitive
from ..runtime.decode.names import free
from .source import Source, code, hexadecimal, real
from .specs import Specs

VERBS = ("parse", "walk", "append", "take", "unpack", "tuple", "write")


@dataclass(frozen=True)
class Leaf:
    """One accessor: of a field, or of a member of a composite. ``column`` is its path in a row."""

    accessor: str
    column: str
    returns: Source
    read: str
    offset: int
    since: int
    null: Source
    encoding: ir.Encoding


class FieldRenderer:
    def __init__(self, module: ir.Module) -> None:
        self.module = module
        self.order = "be" if module.big_endian else "le"
        self.numpy_order = ">" if module.big_endian else "<"
        self.budget = limits.Budget()
        self.composites = self.field_composites()
        self.specs = Specs(module, self.composites, self.numpy_order, self.composite_key)
        # The names that the generated module has.
        self.claimed = {each.name for each in module.messages} | set(module.enum_and_set_names())
        self.claimed |= {self.alias(each) for each in module.enums}
        self.claimed |= {self.alias(each) for each in module.sets}
        # The functions of each message; those of the interface first, which keep their names.
        self.functions = {
            (verb, message.name): self.claim(f"{verb}_{message.name}")
            for verb in VERBS
            for message in module.messages
        }

    def alias(self, made: ir.Enum | ir.Set) -> str:
        """The schema's own spelling, with a small first letter, if it can be a name here too."""
        name = made.schema_name
        is_own = made.name == names.type_name(name) != name and names.is_identifier(name)
        taken = {each.name for each in self.module.messages}
        return name if is_own and names.class_name(name) == name and name not in taken else ""

    def field_composites(self) -> list[ir.Composite]:
        """The composites that are types of fields, members before what they are in."""
        result: list[ir.Composite] = []

        def visit(fields: Sequence[ir.Field]) -> None:
            for field in fields:
                self.budget.check(field.place)
                composite = field.encoding.composite
                if composite is not None and composite not in result:
                    visit(composite.members)
                    result.append(composite)

        for message in self.module.messages:
            for level in ir.levels(message):
                visit(level.block.fields)
        visit(self.module.header.composite.members)
        return result

    def claim(self, name: str) -> str:
        """A name in the generated C interface: ``_`` is appended where another has it."""
        made = free(f"{name}_" if names.is_of_module(name) else name, self.claimed)
        self.claimed.add(made)
        return made

    def load(self, primitive: Primitive) -> str:
        return f"load_{primitive.name}_{self.order}"

    def number(self, member: ir.Field) -> Source:
        """A member of the framing that begins at ``at``, as an expression."""
        if member.encoding.constant is not None:
            return code("{}", member.encoding.constant)
        return code("{}(at + {})", self.load(member.encoding.primitive), member.offset)

    def member(self, member: ir.Field) -> Source:
        """The same as a ``sbe_member``."""
        if member.encoding.constant is not None:
            return code("sbe_member(-2, {})", member.encoding.constant)
        form = "SBE_{} + SBE_BIG" if self.module.big_endian else "SBE_{}"
        kind = code(form, member.encoding.primitive.name.upper())
        return code("sbe_member({}, {})", kind, member.offset)

    # accessors

    def leaves(
        self,
        fields: Sequence[ir.Field],
        path: str,
        column: str = "",
        base: int = 0,
        since: int = 0,
    ) -> list[Leaf]:
        result = []
        for field in fields:
            self.budget.check(field.place)
            accessor, place = f"{path}_{field.name}", f"{column}{field.c_name}"
            newest = max(since, field.since)
            offset = base + field.offset
            encoding = field.encoding
            if encoding.composite is not None:
                members = encoding.composite.wire_fields
                result += self.leaves(members, accessor, f"{place}.", offset, newest)
                continue
            is_array = encoding.is_array
            result.append(
                Leaf(
                    self.claim(accessor),
                    place,
                    code("const uint8_t*" if is_array else "{}", encoding.primitive.c_type),
                    "" if is_array else self.load(encoding.primitive),
                    offset,
                    newest,
                    code("NULL") if is_array else _c_null(encoding),
                    encoding,
                )
            )
        return result

    # rows of tables

    def row_composites(self) -> list[ir.Composite]:
        return [each for each in self.composites if each.size]

    def composite_row(self, composite: ir.Composite) -> str:
        return f"sbe_row_{self.composites.index(composite)}_{composite.name}"

    def composite_key(self, composite: ir.Composite) -> str:
        """The schema's name, and where several inline ones have it, a number too."""
        self.budget.check(composite.place)
        same = [each for each in self.composites if each.schema_name == composite.schema_name]
        number = same.index(composite)
        return f"{composite.schema_name}#{number}" if number else composite.schema_name

    def column(self, field: ir.Field) -> dict[str, Any]:
        """A member of a row's C struct."""
        self.budget.check(field.place)
        encoding = field.encoding
        if encoding.composite is not None:
            return {
                "c_type": self.composite_row(encoding.composite),
                "declarator": struct_member(field.c_name),
            }
        declarator = struct_member(field.c_name)
        if encoding.is_array:
            declarator = code("{}[{}]", declarator, encoding.length)
        return {"c_type": encoding.primitive.c_type, "declarator": declarator}

    def copies(self, leaves: Sequence[Leaf], target: Source, arguments: Source) -> list[Source]:
        """The statements that fill a row."""
        result = []
        for leaf in leaves:
            to = code("{}.{}", target, leaf.column)
            value = code("{}({})", leaf.accessor, arguments)
            encoding, size = leaf.encoding, leaf.encoding.primitive.size
            if encoding.kind == "mantissa":
                size, big = encoding.length, int(self.module.big_endian)
                form = "sbe_copy_mantissa(<void*>{}, {}, {}, {})"
                result.append(code(form, to, value, size, big))
            elif encoding.is_array:
                swap = int(self.module.big_endian and size > 1)
                null = _null_bits(encoding)
                form = "sbe_copy_items(<void*>{}, {}, {}, {}, {}, {})"
                result.append(code(form, to, value, encoding.length, size, swap, null))
            else:
                result.append(code("{} = {}", to, value))
        return result

    def is_native(self, block: ir.Block) -> bool:
        """Whether the entry on the wire is byte for byte the aligned struct of its table rows."""
        size, _, is_same = _c_layout(block.wire_fields)
        return is_same and size == block.length and size > 0


def struct_member(c_name: str) -> Source:
    """How a C struct declares a member: C has it under a name that no header has as a macro."""
    return code('{0} "sbe_{0}"', c_name)


def _c_layout(fields: Sequence[ir.Field]) -> tuple[int, int, bool]:
    """Size and alignment of the C struct of ``fields``, and whether it is as on the wire."""
    position, widest, is_same = 0, 1, True
    for field in fields:
        if field.encoding.composite is not None:
            size, align, is_inner = _c_layout(field.encoding.composite.wire_fields)
            is_same = is_same and is_inner and size == field.size
        else:
            size, align = field.size, field.encoding.primitive.size
        position += -position % align
        is_same = is_same and position == field.offset
        position += size
        widest = max(widest, align)
    return position + -position % widest, widest, is_same


def _null_bits(encoding: ir.Encoding) -> Source:
    if encoding.kind == "text":
        return code("0")
    if encoding.primitive.is_float:
        letter = "f" if encoding.primitive.size == 4 else "d"
        value = float("nan") if encoding.null is None else float(encoding.null)
        return hexadecimal(int.from_bytes(struct.pack("<" + letter, value), "little"))
    return _whole_bits(encoding)


def _c_null(encoding: ir.Encoding) -> Source:
    if encoding.kind == "set" and encoding.null is None:
        return code("0")
    if encoding.null is None:
        return code("NAN")
    if encoding.primitive.is_float:
        return code("<{}>{}", encoding.primitive.c_type, real(float(encoding.null)))
    return code("<{}>{}", encoding.primitive.c_type, _whole_bits(encoding))


def _whole_bits(encoding: ir.Encoding) -> Source:
    assert encoding.null is not None
    return hexadecimal(int(encoding.null) & ((1 << (8 * encoding.primitive.size)) - 1))
