"""Fields as C: accessors, columns of table rows, and how one gets into the other."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from .. import ir
from ..primitives import Primitive
from ..runtime.names import free


@dataclass(frozen=True)
class Leaf:
    """One accessor: of a field, or of a member of a composite. ``column`` is its path in a row."""

    accessor: str
    column: str
    returns: str
    read: str
    offset: int
    since: int
    null: str
    encoding: ir.Encoding


class FieldRenderer:
    def __init__(self, module: ir.Module) -> None:
        self.module = module
        self.order = "be" if module.big_endian else "le"
        self.numpy_order = ">" if module.big_endian else "<"
        self.composites = _field_composites(module)
        # The names that the generated module has.
        self.claimed = {each.name for each in module.messages} | set(module.enum_and_set_names())
        verbs = (
            "walk", "parse", "append", "open", "free", "take_header_of", "take", "tuple",
            "float_tuple", "write",
        )  # fmt: skip
        self.claimed |= {f"{verb}_{message.name}" for verb in verbs for message in module.messages}

    def claim(self, name: str) -> str:
        """A name in the generated C interface: ``_`` is appended where another has it."""
        made = free(name, self.claimed)
        self.claimed.add(made)
        return made

    def load(self, primitive: Primitive) -> str:
        return f"load_{primitive.name}_{self.order}"

    def number(self, member: ir.Field) -> str:
        """A member of the framing that begins at ``at``, as an expression."""
        if member.encoding.constant is not None:
            return str(member.encoding.constant)
        return f"{self.load(member.encoding.primitive)}(at + {member.offset})"

    def member(self, member: ir.Field) -> str:
        """The same as a ``sbe_member``."""
        if member.encoding.constant is not None:
            return f"sbe_member(-2, {member.encoding.constant})"
        big = " + SBE_BIG" if self.module.big_endian else ""
        code = f"SBE_{member.encoding.primitive.name.upper()}{big}"
        return f"sbe_member({code}, {member.offset})"

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
                    "const uint8_t*" if is_array else encoding.primitive.c_type,
                    "" if is_array else self.load(encoding.primitive),
                    offset,
                    newest,
                    "NULL" if is_array else _c_null(encoding),
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
        same = [each for each in self.composites if each.schema_name == composite.schema_name]
        number = same.index(composite)
        return f"{composite.schema_name}#{number}" if number else composite.schema_name

    def column(self, field: ir.Field) -> dict[str, str]:
        """A member of a row's C struct."""
        encoding = field.encoding
        if encoding.composite is not None:
            return {
                "c_type": self.composite_row(encoding.composite),
                "declarator": field.c_name,
            }
        size = f"[{encoding.length}]" if encoding.is_array else ""
        return {"c_type": encoding.primitive.c_type, "declarator": f"{field.c_name}{size}"}

    def copies(self, leaves: Sequence[Leaf], target: str, arguments: str) -> list[str]:
        """The statements that fill a row."""
        result = []
        for leaf in leaves:
            to, value = f"{target}.{leaf.column}", f"{leaf.accessor}({arguments})"
            encoding, size = leaf.encoding, leaf.encoding.primitive.size
            if encoding.kind == "mantissa":
                big = int(self.module.big_endian)
                result.append(f"sbe_copy_mantissa(<void*>{to}, {value}, {encoding.length}, {big})")
            elif encoding.is_array:
                swap = int(self.module.big_endian and size > 1)
                null = _null_bits(encoding)
                items = f"{encoding.length}, {size}, {swap}, {null}"
                result.append(f"sbe_copy_items(<void*>{to}, {value}, {items})")
            else:
                result.append(f"{to} = {value}")
        return result

    def is_native(self, block: ir.Block) -> bool:
        """Whether the entry on the wire is byte for byte the aligned struct of its table rows."""
        size, _, is_same = _c_layout(block.wire_fields)
        return is_same and size == block.length and size > 0


def _field_composites(module: ir.Module) -> list[ir.Composite]:
    """The composites that are types of fields, members before what they are in."""
    result: list[ir.Composite] = []

    def visit(fields: Sequence[ir.Field]) -> None:
        for field in fields:
            composite = field.encoding.composite
            if composite is not None and composite not in result:
                visit(composite.members)
                result.append(composite)

    for message in module.messages:
        for level in ir.levels(message):
            visit(level.block.fields)
    visit(module.header.composite.members)
    return result


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


def _null_bits(encoding: ir.Encoding) -> str:
    if encoding.kind == "text":
        return "0"
    if encoding.primitive.is_float:
        code = "f" if encoding.primitive.size == 4 else "d"
        value = float("nan") if encoding.null is None else float(encoding.null)
        return f"0x{int.from_bytes(struct.pack('<' + code, value), 'little'):X}ULL"
    return _whole_bits(encoding)


def _c_null(encoding: ir.Encoding) -> str:
    if encoding.kind == "set":
        return "0"
    if encoding.null is None:
        return "NAN"
    if encoding.primitive.is_float:
        return f"<{encoding.primitive.c_type}>{float(encoding.null)!r}"
    return f"<{encoding.primitive.c_type}>{_whole_bits(encoding)}"


def _whole_bits(encoding: ir.Encoding) -> str:
    assert encoding.null is not None
    return f"0x{int(encoding.null) & ((1 << (8 * encoding.primitive.size)) - 1):X}ULL"
