"""Prices and quantities as Arrow columns: as floats, as mantissas, as both, or as decimals."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import LakeError
from .expand import scaled

NUMBERS = ("float64", "mantissa", "both", "decimal")
_DIGITS = 18  # of a decimal: what Parquet keeps in 64 bits
Ints = NDArray[np.int64]


class Form:
    """How numbers are written. ``scale`` is the number of places of decimals."""

    def __init__(self, pa: Any, numbers: str, scale: int) -> None:
        self.pa = pa
        self.numbers = numbers
        self.scale = scale

    def fields(self, name: str) -> list[Any]:
        """The columns of one number in a schema."""
        pa, numbers = self.pa, self.numbers
        if numbers == "mantissa":
            return [pa.field(name, pa.int64(), nullable=True)]
        if numbers == "decimal":
            return [pa.field(name, pa.decimal128(_DIGITS, self.scale))]
        value = pa.field(name, pa.float64())
        return [value, pa.field(f"{name}_mantissa", pa.int64())] if numbers == "both" else [value]

    @property
    def has_exponents(self) -> bool:
        """Whether exponents are columns of their own."""
        return self.numbers in ("mantissa", "both")

    def arrays(
        self,
        mantissas: Ints,
        exponents: NDArray[np.int8],
        repeats: Ints | None = None,
        missing: NDArray[np.bool_] | None = None,
    ) -> list[Any]:
        """The columns of one number, as Arrow arrays.

        The exponent of each mantissa; or, with ``repeats``, of so many of them, one after the
        other. ``missing`` are those that are no numbers. Raises LakeError where a decimal would
        lose a digit.
        """
        pa = self.pa
        if self.numbers == "mantissa":
            return [_array(pa, pa.int64(), mantissas, missing)]
        if self.numbers == "decimal":
            return [self._decimals(mantissas, exponents, repeats, missing)]
        values = _array(pa, pa.float64(), scaled(mantissas, exponents, repeats), missing)
        if self.numbers == "float64":
            return [values]
        return [values, _array(pa, pa.int64(), mantissas, missing)]

    def _decimals(self, mantissas: Ints, exponents: Any, repeats: Any, missing: Any) -> Any:
        powers = np.asarray(exponents, np.int64) + self.scale
        if repeats is not None:
            powers = np.repeat(powers, repeats)
        sizes = np.abs(mantissas)  # of -2**63 it is that again, and is refused below
        up, down = np.clip(powers, 0, _DIGITS), np.clip(-powers, 0, _DIGITS)
        tens = 10 ** np.arange(_DIGITS + 1, dtype=np.int64)
        whole, rest = np.divmod(sizes, tens[down])
        is_wrong = (rest != 0) | (whole > (10**_DIGITS - 1) // tens[up]) | (sizes < 0)
        is_wrong |= (np.abs(powers) > _DIGITS) & (sizes != 0)
        if missing is not None:
            is_wrong &= ~missing
        if is_wrong.any():
            i = int(np.argmax(is_wrong))
            exponent = int(powers[i]) - self.scale
            raise LakeError(
                f"{int(mantissas[i])} x 10^{exponent} is no decimal of {_DIGITS} digits, "
                f"{self.scale} of them after the point: choose another scale, or "
                "numbers='mantissa'"
            )
        values = np.empty((len(mantissas), 2), np.int64)  # 128 bits, the low half first
        values[:, 0] = np.sign(mantissas) * whole * tens[up]
        values[:, 1] = values[:, 0] >> 63
        return _array(self.pa, self.pa.decimal128(_DIGITS, self.scale), values, missing)


def _array(pa: Any, kind: Any, values: Any, missing: Any) -> Any:
    """An Arrow array over the memory of a numpy array."""
    bits, count = None, 0
    if missing is not None and missing.any():
        bits, count = pa.py_buffer(np.packbits(~missing, bitorder="little")), int(missing.sum())
    data = pa.py_buffer(np.ascontiguousarray(values))
    return pa.Array.from_buffers(kind, len(values), [bits, data], count)


def plain(pa: Any, kind: Any, values: Any) -> Any:
    """A column without nulls."""
    return _array(pa, kind, values, None)


def table_of(pa: Any, schema: Any, columns: Mapping[str, Any]) -> Any:
    """A table of these columns: arrays of Arrow as they are, those of numpy without nulls."""
    arrays = [
        columns[field.name]
        if isinstance(columns[field.name], pa.Array)
        else plain(pa, field.type, columns[field.name])
        for field in schema
    ]
    return pa.Table.from_arrays(arrays, schema=schema)
