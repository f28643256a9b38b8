"""Prices and quantities as text, exactly: mantissa x 10^exponent without a rounding anywhere."""

from __future__ import annotations

from typing import Any


def decimal(mantissa: Any, exponent: int) -> str:
    """mantissa x 10^exponent in plain digits, at least as many places as the exponent has."""
    if exponent >= 0:
        return str(int(mantissa) * 10**exponent)
    digits = str(abs(int(mantissa))).rjust(1 - exponent, "0")
    sign = "-" if mantissa < 0 else ""
    return f"{sign}{digits[:exponent]}.{digits[exponent:]}"


def decimal_of(mantissa: Any, exponent: int, places: int) -> str:
    """The same with exactly ``places`` digits after the point.

    Raises ValueError where a digit that is not 0 would be left out.
    """
    if -exponent <= places:
        return decimal(int(mantissa) * 10 ** (places + exponent), -places)
    whole, rest = divmod(abs(int(mantissa)), 10 ** (-exponent - places))
    if rest:
        text = decimal(mantissa, exponent)
        raise ValueError(f"{text} has more than {places} digits after the point")
    return decimal(-whole if mantissa < 0 else whole, -places)
