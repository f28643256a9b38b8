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
    """What is read into a variable, of a C type or (empty) an object, and what puts it there."""

    c_type: str
    value: Source
    verb: str
    is_byte: bool = False

    def read(self, name: str) -> Source:
        """The statement that declares a variable, and sets it."""
        target = code("cdef {} {}", self.c_type, name) if self.c_type else code("{}", name)
        return code("{} = {}", target, self.value)

    def put(self, i: int, name: str) -> Source:
        variable = code("byte_int({})", name) if self.is_byte else code("{}", name)
        return code("{}(values, {}, {})", self.verb, i, variable)

    def when(self, floats: bool) -> _Value:
        """The same, or nothing where the other tuple is wanted."""
        nothing = 0 if self.c_type else "None"
        pair = (self.value, nothing) if floats else (nothing, self.value)
        return self._replace(value=code("{} if floats else {}", *pair))


class TupleRenderer:
    """The tuples of a message. It needs nothing but the message and its accessors."""

    def tuples(self, message: ir.Message, leaves: Sequence[Leaf]) -> dict[str, Any]:
        """The statements of the function that makes both: of values, and of floats for some."""
        elements: list[_Element] = [*message.block.fields, *message.data]
        accessors = {leaf.column: leaf.accessor for leaf in leaves}
        reads: list[Source] = []
        puts: list[Source] = []
        for i, each in enumerate(elements):
            value = self.value(i, each, accessors)
            other = value
            if isinstance(each, ir.Field) and is_scaled(each):
                other = self.scaled(i, message.block, each, accessors)
            if other == value:
                reads.append(value.read(f"v{i}"))
                puts.append(value.put(i, f"v{i}"))
                continue
            # A number is as quickly read as not.
            reads.append((value if value.c_type else value.when(floats=False)).read(f"v{i}"))
            reads.append(other.when(floats=True).read(f"f{i}"))
            puts += code("if floats:"), code("    {}", other.put(i, f"f{i}"))
            puts += code("else:"), code("    {}", value.put(i, f"v{i}"))
        held = [each for each in elements if _is_held(each)]
        return {
            "size": len(elements),
            "reads": reads,
            "puts": puts,
            "is_kept": not held,
            "floats_are_kept": all(map(is_scaled, held)),
            # descriptors may run Python code
            "copies": any("read_element" in read for read in reads),
        }

    def value(self, i: int, element: _Element, accessors: Mapping[str, str]) -> _Value:
        """Plain numbers come straight from the block, all else by its descriptor."""
        if isinstance(element, ir.Data):
            data = element.var_data
            is_there = not element.since and not element.may_end and not data.empty_is_null
            if data.charset == "utf-8" and is_there:
                form = "read_text(elements, {}, &frame.{}, root, owner)"
                return _object(code(form, i, element.c_name))
        elif _is_plain(element):
            primitive = element.encoding.primitive
            value = code("{}(frame)", accessors[element.c_name])
            if primitive.is_float:
                return _Value(primitive.c_type, value, "sbe_put_float")
            if element.size == 1:
                return _Value(primitive.c_type, value, "sbe_put", is_byte=True)
            verb = "sbe_put_uint" if primitive.name == "uint64" else "sbe_put_int"
            return _Value(primitive.c_type, value, verb)
        return _object(code("read_element(elements, {}, root, owner)", i))

    def scaled(
        self, i: int, block: ir.Block, mantissa: ir.Field, accessors: Mapping[str, str]
    ) -> _Value:
        if mantissa.exponent is None:
            return self.decimal(i, mantissa, accessors)
        named = [each for each in block.fields if each.name == mantissa.exponent.field]
        if mantissa.exponent.levels == 0 and _is_plain(mantissa) and named:
            power: ir.Constant | None = named[0].encoding.constant
            if power is None and _is_plain(named[0]):
                power = code("{}(frame)", accessors[named[0].c_name])
            if power is not None and mantissa.exponent.negated:
                power = code("-({})", power)
            if power is not None and mantissa.encoding.primitive.name != "uint64":
                return _float(accessors[mantissa.c_name], power)
        return _object(code("read_element(elements, {}, root, owner)", i))

    def decimal(self, i: int, field: ir.Field, accessors: Mapping[str, str]) -> _Value:
        """The float of a composite of mantissa and exponent."""
        assert field.encoding.composite is not None
        assert field.encoding.composite.decimal is not None
        mantissa, exponent = field.encoding.composite.decimal
        power: ir.Constant | None = exponent.encoding.constant
        if power is None and _is_plain(exponent):
            power = code("{}(frame)", accessors[f"{field.c_name}.{exponent.c_name}"])
        good = power is not None and mantissa.encoding.primitive.name != "uint64"
        if good and _is_plain(mantissa) and not field.optional and not field.since:
            return _float(accessors[f"{field.c_name}.{mantissa.c_name}"], power)
        return _object(code("read_element(elements, {}, root, owner)", i))


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


def _object(value: Source) -> _Value:
    return _Value("", value, "sbe_put")


def _float(accessor: str, power: ir.Constant | None) -> _Value:
    value = code("scaled({}(frame), {})", accessor, power)
    return _Value("double", value, "sbe_put_float")


def _is_plain(field: ir.Field) -> bool:
    """Whether every frame has a number there."""
    is_number = field.encoding.kind == "number" and not field.is_constant
    return is_number and not field.optional and not field.since


def _is_held(element: _Element) -> bool:
    if isinstance(element, ir.Data):
        return not element.var_data.charset
    return element.encoding.kind in _HELD
