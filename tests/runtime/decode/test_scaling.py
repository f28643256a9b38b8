"""Scaled numbers are correctly rounded, or exact, whatever their size."""

from __future__ import annotations

import decimal
import math
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from binance_sbe import to_decimal, to_float

int64s = st.one_of(
    st.integers(-(2**63), 2**63 - 1), st.integers(-(10**12), 10**12),
    st.integers(2**53 - 5, 2**53 + 5), st.sampled_from([-(2**63), 2**63 - 1, 0, -1]),
)  # fmt: skip
exponents = st.one_of(st.integers(-20, 3), st.integers(-128, 127))


def nearest(mantissa: int, exponent: int) -> float:
    """Python's own conversions of fractions round correctly."""
    return float(Fraction(mantissa) * Fraction(10) ** exponent)


@given(int64s, exponents)
def test_floats_are_the_nearest(mantissa: int, exponent: int) -> None:
    assert to_float(mantissa, exponent) == nearest(mantissa, exponent)
    if mantissa:
        text = f"{mantissa}e{exponent}"
        assert to_float(mantissa, exponent) == float(text)


@given(st.lists(int64s, max_size=20), exponents)
def test_arrays_are_the_nearest_too(mantissas: list[int], exponent: int) -> None:
    array = np.array(mantissas, np.int64)
    expected = [nearest(m, exponent) for m in mantissas]
    assert to_float(array, exponent).tolist() == expected
    powers = np.full(len(array), exponent, np.int8)
    assert to_float(array, powers).tolist() == expected
    spaced = np.zeros(len(array), [("x", "i1"), ("m", "<i8")])
    spaced["m"] = array
    assert to_float(spaced["m"], exponent).tolist() == expected


@given(st.integers(), st.integers(-300, 300))
def test_decimals_are_exact_in_any_context(mantissa: int, exponent: int) -> None:
    with decimal.localcontext() as context:
        context.prec = 3
        result = to_decimal(mantissa, exponent)
    assert Fraction(result) == Fraction(mantissa) * Fraction(10) ** exponent
    assert result.as_tuple().exponent == exponent


def test_a_million_real_prices_equal_their_text() -> None:
    rng = np.random.default_rng(3)
    mantissas = rng.integers(1, 10**12, 1_000_000)
    scaled = to_float(mantissas, -8)
    texts = np.char.add(mantissas.astype("U"), "e-8").astype("f8")
    assert (scaled == texts).all()
    assert (mantissas * 1e-8 != texts).any()


def test_shapes_kinds_and_nothing() -> None:
    assert to_float(5, -1) == 0.5
    assert isinstance(to_float(np.int64(5), np.int8(-1)), float)
    assert to_decimal(np.int64(5), -1) == Decimal("0.5")
    assert to_float(np.array([[1, 2], [3, 4]]), -1).tolist() == [[0.1, 0.2], [0.3, 0.4]]
    assert to_float(7, np.array([0, -1])).tolist() == [7.0, 0.7]
    assert to_float(np.array([], np.int64), -2).shape == (0,)
    assert to_decimal(np.array([1, 2]), -1).tolist() == [Decimal("0.1"), Decimal("0.2")]
    assert to_float(np.array([2**64 - 1], np.uint64), -1).tolist() == [(2**64 - 1) / 10]
    assert to_float(10**40, -40) == 1.0
    for function in (to_float, to_decimal):
        assert function(None, -1) is None
        assert function(1, None) is None
    assert math.copysign(1, to_float(0, -5)) == 1


@pytest.mark.parametrize(
    ("mantissa", "exponent", "error"),
    [
        (1.5, -1, TypeError),
        (1, -1.0, TypeError),
        ("1", -1, TypeError),
        (np.array([1.5]), -1, TypeError),
        (1, 10**9, ValueError),
        (1, -1001, ValueError),
        (np.array([1]), np.array([5000]), ValueError),
        (1, 400, OverflowError),
    ],
)
def test_what_is_no_number_is_refused(mantissa: Any, exponent: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        to_float(mantissa, exponent)
    if error is not OverflowError:  # a Decimal may be as large as it likes
        with pytest.raises(error):
            to_decimal(mantissa, exponent)


LARGEST = np.iinfo(np.int64).max


@pytest.mark.parametrize("kind", [int, np.int64, np.array, lambda n: np.array([n]),
                                  lambda n: np.array([[n, 0]])])  # fmt: skip
@pytest.mark.parametrize("exponent", [-1001, -1000, 1000, 1001])
@pytest.mark.parametrize("function", [to_float, to_decimal])
def test_exponents_go_from_minus_a_thousand_to_a_thousand(
    function: Any, kind: Any, exponent: int
) -> None:
    """Of both signs, as one number and as many, for one mantissa and for many."""
    for mantissa in (0, np.array([0]), np.array(0), np.zeros((2, 2), np.int64)):
        if abs(exponent) > 1000:
            with pytest.raises(ValueError, match=f"exponent {exponent} is not from -1000 to 1000"):
                function(mantissa, kind(exponent))
        else:
            function(mantissa, kind(exponent))


@pytest.mark.parametrize(
    ("mantissa", "exponent"),
    [
        (1, -323), (5, -324), (2, -324), (1, -1000), (17976931348623157, 292), (-1, -323),
        (LARGEST, 289), (LARGEST, -342), (-LARGEST - 1, -343), (2**53 + 1, 0), (2**53 + 1, 22),
        (2**53 - 1, 23), (2**53, -22), (2**53 + 1, -23), (9007199254740993, -1), (2**64 - 1, -19),
        (10**40, -60), (-(10**40), -60),
    ],
)  # fmt: skip
def test_numbers_at_the_ends_of_the_scale_are_the_nearest(mantissa: int, exponent: int) -> None:
    wanted = float(f"{mantissa}e{exponent}")
    assert to_float(mantissa, exponent) == wanted
    assert to_decimal(mantissa, exponent) == Decimal(f"{mantissa}e{exponent}")
    for kind in (np.int64, np.uint64, ">i8", "<i4", np.uint8):
        try:
            array = np.array([mantissa, 0, mantissa], kind)
        except OverflowError:
            continue
        assert to_float(array, exponent).tolist() == [wanted, 0.0, wanted]
        powers = np.array([exponent] * 3, np.int16)
        assert to_float(array, powers).tolist() == [wanted, 0.0, wanted]
        assert to_float(array[::2], powers[::2]).tolist() == [wanted, wanted]
        assert to_decimal(array, exponent).tolist()[0] == Decimal(f"{mantissa}e{exponent}")


def test_what_is_too_large_for_a_float_is_said_for_arrays_too() -> None:
    for array in (np.array([1, 2]), np.array([1, 2], np.uint64), np.array([[1], [2]])):
        for exponent in (309, np.array(309)):
            with pytest.raises(OverflowError):
                to_float(array, exponent)
    assert to_float(np.array([0, 0]), 309).tolist() == [0.0, 0.0]


def test_an_array_that_lies_about_itself_is_read_as_it_is() -> None:
    class Liar(np.ndarray):
        ndim = 1
        dtype = np.dtype(np.int64)

    assert to_float(np.array(5).view(Liar), -1) == 0.5
