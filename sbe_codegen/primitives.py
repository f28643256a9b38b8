"""The eleven primitive types of SBE, in one table (SBE 1.0, "Primitive type encodings")."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Primitive:
    """One primitive: its C type, its numpy code without byte order, and its default range and null.

    ``null`` is None for float and double, whose null is any NaN.
    """

    name: str
    c_type: str
    numpy: str
    size: int
    null: int | None
    minimum: int | None
    maximum: int | None

    @property
    def is_float(self) -> bool:
        return self.null is None

    @property
    def is_unsigned(self) -> bool:
        return self.minimum == 0 and self.name != "char"

    @property
    def lowest(self) -> int:
        """The smallest number that the bytes can hold, the null value included."""
        return -(1 << (8 * self.size - 1)) if self.name.startswith("int") else 0

    @property
    def highest(self) -> int:
        """The largest number that the bytes can hold, the null value included."""
        return (1 << (8 * self.size - (1 if self.name.startswith("int") else 0))) - 1


def _signed(size: int) -> Primitive:
    bits = 8 * size
    top = (1 << (bits - 1)) - 1
    return Primitive(f"int{bits}", f"int{bits}_t", f"i{size}", size, -top - 1, -top, top)


def _unsigned(size: int) -> Primitive:
    bits = 8 * size
    null = (1 << bits) - 1
    return Primitive(f"uint{bits}", f"uint{bits}_t", f"u{size}", size, null, 0, null - 1)


PRIMITIVES: dict[str, Primitive] = {
    primitive.name: primitive
    for primitive in (
        Primitive("char", "uint8_t", "u1", 1, 0, 0x20, 0x7E),
        *(_signed(size) for size in (1, 2, 4, 8)),
        *(_unsigned(size) for size in (1, 2, 4, 8)),
        Primitive("float", "float", "f4", 4, None, None, None),
        Primitive("double", "double", "f8", 8, None, None, None),
    )
}
