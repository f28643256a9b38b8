"""The mantissa of a float or a decimal, and the exponent that fits: exact, or refused.

A float stands for the shortest decimal that is read back as the same float, as its repr shows it.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal, InvalidOperation
from typing import Any, NamedTuple

import numpy as np

from ..decode.scaling import to_float
from ..errors import EncodeError
from .refusals import MISSING, refusal

_FLOATING = (float, np.floating)
_MOST_DIGITS = 1000  # the longest mantissas have 617, of 255 bytes with zeros behind them


class Wanted(NamedTuple):
    """A scaled value: its number, and what it is in."""

    slot: Any
    scope: dict[str, Any]
    path: str
    given: Any
    exact: Decimal | None
    negated: bool = False
    exponents: tuple[int, int] | None = None  # the least and the most; None of a constant

    def power(self, exponent: int) -> int:
        """The power of ten that an exponent stands for, and the other way round."""
        return -exponent if self.negated else exponent


def exactly(value: Any, ending: str, path: str) -> Decimal | None:
    """The decimal that a value stands for; None for null (of floats NaN)."""
    if value is None:
        return None
    if isinstance(value, bool):
        raise refusal(path, value, "a number is needed, not bool")
    if ending == "float":
        if isinstance(value, int | np.integer):
            return _short(Decimal(int(value)), value, path)
        if not isinstance(value, _FLOATING):
            raise refusal(path, value, f"a float is needed, not {type(value).__name__}")
        number = float(value)
        if number != value and not np.isnan(number):  # of a long double
            raise refusal(path, value, "float64 can't hold it; a Decimal goes under _decimal")
        if np.isnan(number):
            return None
        if np.isinf(number):
            raise refusal(path, value, "there is no mantissa for it")
        return Decimal(repr(number))
    if isinstance(value, int | np.integer):
        return _short(Decimal(int(value)), value, path)
    if isinstance(value, _FLOATING):
        raise refusal(path, value, "a Decimal is needed; a float goes under the name with _float")
    try:
        made = Decimal(value)
    except (InvalidOperation, TypeError, ValueError):
        raise refusal(path, value, "a Decimal is needed") from None
    if not made.is_finite():
        raise refusal(path, value, "there is no mantissa for it; null is None")
    return _short(made, value, path)


def _short(made: Decimal, value: Any, path: str) -> Decimal:
    """The same, where a mantissa may have as many digits."""
    if len(made.as_tuple().digits) > _MOST_DIGITS:
        raise refusal(path, value, f"it has more than {_MOST_DIGITS} digits")
    return made


def parts(number: Decimal) -> tuple[int, int]:
    """``mantissa`` and ``exponent`` with the shortest mantissa; zero has exponent 0."""
    sign, digits, exponent = number.as_tuple()
    assert isinstance(exponent, int)
    text = "".join(map(str, digits))
    short = text.rstrip("0")
    if not short:
        return 0, 0
    mantissa = int(short)
    return (-mantissa if sign else mantissa), exponent + len(text) - len(short)


def _limits(slot: Any) -> tuple[int, int]:
    if slot.facts["kind"] == "mantissa":
        most = 2 ** (8 * slot.size - 1) - 1
        return -most, most
    return slot.least, slot.most


def mantissa_of(each: Wanted, power: int) -> int:
    assert each.exact is not None
    short, exponent = parts(each.exact)
    low, high = _limits(each.slot)
    if short and exponent < power:
        raise refusal(each.path, each.given, f"10^{power} is too coarse for it{_instead(each)}")
    if short and exponent - power > 400:
        why = f"it is too large for exponent {each.power(power)}{_instead(each)}"
        raise refusal(each.path, each.given, why)
    mantissa = short * 10 ** (exponent - power) if short else 0
    if not low <= mantissa <= high:
        raise refusal(
            each.path,
            each.given,
            f"with exponent {each.power(power)} its mantissa is {mantissa}, "
            f"outside {low} to {high}{_instead(each)}",
        )
    if mantissa == each.slot.facts.get("null"):
        why = f"with exponent {each.power(power)} its mantissa is {mantissa}, which stands for null"
        raise refusal(each.path, each.given, why)
    if isinstance(each.given, _FLOATING) and to_float(mantissa, power) != float(each.given):
        why = f"exponent {each.power(power)} has no mantissa for it"
        raise refusal(each.path, each.given, why)
    return mantissa


def _instead(each: Wanted) -> str:
    """Which exponent would do: the coarsest with which the mantissa is whole, if it can be sent."""
    if each.exact is None or each.exponents is None:
        return ""
    short, exponent = parts(each.exact)
    least, most = sorted(map(each.power, each.exponents))
    low, high = _limits(each.slot)
    power = min(exponent, most)
    is_near = least <= power and exponent - power <= 40
    if is_near and low <= short * 10 ** (exponent - power) <= high:
        return f"; exponent {each.power(power)} would do"
    return "; no exponent would do"


def fitting(values: list[Wanted], slot: Any, path: str) -> int:
    """The exponent nearest to 0 with which all values are exact."""
    negated = bool(values) and values[0].negated
    least, most = (-slot.most, -slot.least) if negated else (slot.least, slot.most)
    for each in values:
        if each.exact:
            coarsest = parts(each.exact)[1]  # with which it is whole
            least, most = max(least, coarsest - _MOST_DIGITS), min(most, coarsest)
    for power in _from_zero(least, most):
        exponent = -power if negated else power
        is_null = exponent == slot.facts.get("null")
        if not is_null and all(_fits(each, power) for each in values):
            return exponent
    given = ", ".join(str(each.given) for each in values[:3])
    raise refusal(path, MISSING, f"no exponent from {slot.least} to {slot.most} fits {given}")


def _from_zero(least: int, most: int) -> Iterator[int]:
    """The whole numbers from ``least`` to ``most``, the nearest to 0 first."""
    for size in range(max(-least, most) + 1):
        for each in dict.fromkeys((size, -size)):
            if least <= each <= most:
                yield each


def _fits(each: Wanted, power: int) -> bool:
    if each.exact is None:
        return True
    try:
        mantissa_of(each, power)
    except EncodeError:
        return False
    return True
