"""`astuple`: the statements that put each value into its place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .. import ir
from .fields import FieldRenderer, Leaf

_Element = ir.Field | ir.Data
# What refers to a frame, or may be large, is not in tuples that are kept for reuse.
_HELD = frozenset({"composite", "array"})


class TupleRenderer(FieldRenderer):
    def tuples(self, message: ir.Message, leaves: Sequence[Leaf]) -> dict[str, Any]:
        """The forms of the tuple: raw, and with floats where the message has mantissas."""
        elements: list[_Element] = [*message.block.fields, *message.data]
        accessors = {leaf.column: leaf.accessor for leaf in leaves}
        is_kept = not any(map(_is_held, elements))
        number = message.template_id
        puts = [
            self.put(i, f"ELEMENTS_{number}, {i}", each, accessors)
            for i, each in enumerate(elements)
        ]
        forms: list[dict[str, Any]]
        forms = [{"function": f"tuple_{message.name}", "shelf": f"SHELF_{number}", "puts": puts}]
        if any(field.exponent for field in message.block.fields):
            scaled = [
                self.put_float(i, f"FLOATS_{number}, {i}", message.block, each, accessors)
                if isinstance(each, ir.Field) and each.exponent
                else puts[i]
                for i, each in enumerate(elements)
            ]
            shelf = f"FLOAT_SHELF_{number}"
            function = f"float_tuple_{message.name}"
            forms.append({"function": function, "shelf": shelf, "puts": scaled})
        for form in forms:  # descriptors may run Python code
            form["copies"] = any("read_element" in put for put in form["puts"])
        return {
            "tuples": [form | {"is_kept": is_kept} for form in forms],
            "shelves": [form["shelf"] for form in forms],
        }

    def put(self, i: int, where: str, element: _Element, accessors: Mapping[str, str]) -> str:
        """Plain numbers come straight from the block, all else by its descriptor."""
        read = f"read_element({where}, root, owner)"
        if isinstance(element, ir.Data):
            data = element.var_data
            if data.charset == "utf-8" and not element.since and not data.empty_is_null:
                read = f"read_text({where}, &frame.{element.c_name}, root, owner)"
            return f"sbe_put(values, {i}, {read})"
        if not _is_plain(element):
            return f"sbe_put(values, {i}, {read})"
        value = f"{accessors[element.c_name]}(frame)"
        if element.encoding.primitive.is_float:
            return f"sbe_put_float(values, {i}, {value})"
        if element.size == 1:
            return f"sbe_put(values, {i}, byte_int({value}))"
        verb = "sbe_put_uint" if element.encoding.primitive.name == "uint64" else "sbe_put_int"
        return f"{verb}(values, {i}, {value})"

    def put_float(
        self, i: int, where: str, block: ir.Block, mantissa: ir.Field, accessors: Mapping[str, str]
    ) -> str:
        assert mantissa.exponent is not None
        named = [each for each in block.fields if each.name == mantissa.exponent.field]
        if mantissa.exponent.levels == 0 and _is_plain(mantissa) and named:
            power = named[0].encoding.constant
            if power is None and _is_plain(named[0]):
                power = f"{accessors[named[0].c_name]}(frame)"
            if power is not None and mantissa.encoding.primitive.name != "uint64":
                value = f"{accessors[mantissa.c_name]}(frame)"
                return f"put_scaled(values, {i}, {value}, {power})"
        return f"sbe_put(values, {i}, read_element({where}, root, owner))"


def _is_plain(field: ir.Field) -> bool:
    """Whether every frame has a number there."""
    is_number = field.encoding.kind == "number" and not field.is_constant
    return is_number and not field.optional and not field.since


def _is_held(element: _Element) -> bool:
    if isinstance(element, ir.Data):
        return not element.var_data.charset
    return element.encoding.kind in _HELD
