"""Headers that are to be numbers."""

from __future__ import annotations

import pytest

from binance_sbe.headers import number, retry_after


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (None, None), ("", None), ("²", None), ("١٢", None), ("-1", None), ("+1", None),
        ("1.5", None), ("nan", None), ("1e9", None), ("1" * 19, None), ("9" * 5000, None),
        (" 1", None), ("1_0", None), ("Fri, 31 Dec 1999 23:59:59 GMT", None),
        ("0", 0), ("007", 7), ("120", 120), ("9" * 18, 259200), ("259201", 259200),
    ],
)  # fmt: skip
def test_headers_are_numbers_or_nothing(text: str | None, value: int | None) -> None:
    assert retry_after(text) == value
    assert number("12", 5) == 5
