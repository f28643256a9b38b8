"""`astuple`: the statements that put each value into its place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from .. import ir
from .fields import Leaf
from .source import Source, code

_Element = ir.Field | ir.Data
# What refers to a frame, may be large, or is made of a class that can run code when it dies, is not
# in tuples that are kept for reuse. (Members of enums live as long as the module.)
_HELD = frozenset({"composite", "array", "set"})


class _Value(NamedTuple):
    """``read`` makes the local variable of a value, ``put`` puts that into the tuple."""

    read: Source
    put: Source


class TupleRenderer:
    """The tuples of a message. It needs nothing but the message and its accessors."""

    def tuples(
        self, message: ir.Message, leaves: Sequence[Leaf], functions: Mapping[str, str]
    ) -> dict[str, Any]:
        """The forms of the tuple: raw, and with floats where the message has mantissas."""
        elements: list[_Element] = [*message.block.fields, *message.data]
        accessors = {leaf.column: leaf.accessor for leaf in leaves}
        number = message.template_id
        raw = [
            self.value(i, code("sbe_elements_{}, {}", number, i), each, accessors)
            for i, each in enumerate(elements)
        ]
        forms = [(functions["tuple"], f"sbe_kept_{number}", raw)]
        if any(map(is_scaled, message.block.fields)):
            scaled = [
                self.scaled(i, code("sbe_floats_{}, {}", number, i), message.block, each, accessors)
                if isinstance(each, ir.Field) and is_scaled(each)
                else raw[i]
                for i, each in enumerate(elements)
            ]
            forms.append((functions["float_tuple"], f"sbe_kept_floats_{number}", scaled))
        kept_forms = [
            not any(map(_is_held, elements)),
            not any(_is_held(each) and not is_scaled(each) for each in elements),
        ]
        return {
            "tuples": [
                {
                    "function": function,
                    "kept": kept,
                    "reads": [value.read for value in values],
                    "puts": [value.put for value in values],
                    "is_kept": is_kept,
                    # descriptors may run Python code
                    "copies": any("read_element" in value.read for value in values),
                }
                for (function, kept, values), is_kept in zip(forms, kept_forms, strict=False)
            ],
            "kept_tuples": [kept for _, kept, _ in forms],
        }

    def value(
        self, i: int, where: Source, element: _Element, accessors: Mapping[str, str]
    ) -> _Value:
        """Plain numbers come straight from the block, all else by its descriptor."""
        if isinstance(element, ir.Data):
            data = element.var_data
            is_there = not element.since and not element.may_end and not data.empty_is_null
            if data.charset == "utf-8" and is_there:
                form = "read_text({}, &frame.{}, root, owner)"
                return _object(i, code(form, where, element.c_name))
        elif _is_plain(element):
            primitive = element.encoding.primitive
            accessor = accessors[element.c_name]
            read = code("cdef {} v{} = {}(frame)", primitive.c_type, i, accessor)
            if primitive.is_float:
                return _Value(read, code("sbe_put_float(values, {0}, v{0})", i))
            if element.size == 1:
                return _Value(read, code("sbe_put(values, {0}, byte_int(v{0}))", i))
            verb = "sbe_put_uint" if primitive.name == "uint64" else "sbe_put_int"
            return _Value(read, code("{1}(values, {0}, v{0})", i, verb))
        return _object(i, code("read_element({}, root, owner)", where))

    def scaled(
        self,
        i: int,
        where: Source,
        block: ir.Block,
        mantissa: ir.Field,
        accessors: Mapping[str, str],
    ) -> _Value:
        if mantissa.exponent is None:
            return self.decimal(i, where, mantissa, accessors)
        named = [each for each in block.fields if each.name == mantissa.exponent.field]
        if mantissa.exponent.levels == 0 and _is_plain(mantissa) and named:
            power: ir.Constant | None = named[0].encoding.constant
            if power is None and _is_plain(named[0]):
                power = code("{}(frame)", accessors[named[0].c_name])
            if power is not None and mantissa.exponent.negated:
                power = code("-({})", power)
            if power is not None and mantissa.encoding.primitive.name != "uint64":
                value = code("scaled({}(frame), {})", accessors[mantissa.c_name], power)
                put = code("sbe_put_float(values, {0}, v{0})", i)
                return _Value(code("cdef double v{} = {}", i, value), put)
        return _object(i, code("read_element({}, root, owner)", where))

    def decimal(
        self, i: int, where: Source, field: ir.Field, accessors: Mapping[str, str]
    ) -> _Value:
        """The float of a composite of mantissa and exponent."""
        assert field.encoding.composite is not None
        assert field.encoding.composite.decimal is not None
        mantissa, exponent = field.encoding.composite.decimal
        power: ir.Constant | None = exponent.encoding.constant
        if power is None and _is_plain(exponent):
            power = code("{}(frame)", accessors[f"{field.c_name}.{exponent.c_name}"])
        good = power is not None and mantissa.encoding.primitive.name != "uint64"
        if good and _is_plain(mantissa) and not field.optional and not field.since:
            number = accessors[f"{field.c_name}.{mantissa.c_name}"]
            value = code("scaled({}(frame), {})", number, power)
            put = code("sbe_put_float(values, {0}, v{0})", i)
            return _Value(code("cdef double v{} = {}", i, value), put)
        return _object(i, code("read_element({}, root, owner)", where))


def is_scaled(element: _Element) -> bool:
    """Whether there is a float of it: a mantissa with an exponent, or a composite of both."""
    if isinstance(element, ir.Data):
        return False
    composite = element.encoding.composite
    return element.exponent is not None or (composite is not None and composite.decimal is not None)


def has_decimals(field: ir.Field) -> bool:
    """Whether there is a float of it or of a member, however deep."""
    composite = field.encoding.composite
    members = () if composite is None else composite.members
    return is_scaled(field) or any(map(has_decimals, members))


def _object(i: int, value: Source) -> _Value:
    return _Value(code("v{} = {}", i, value), code("sbe_put(values, {0}, v{0})", i))


def _is_plain(field: ir.Field) -> bool:
    """Whether every frame has a number there."""
    is_number = field.encoding.kind == "number" and not field.is_constant
    return is_number and not field.optional and not field.since


def _is_held(element: _Element) -> bool:
    if isinstance(element, ir.Data):
        return not element.var_data.charset
    return element.encoding.kind in _HELD
