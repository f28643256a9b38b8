"""Headers of HTTP whose values are to be numbers, whatever servers put there."""

from __future__ import annotations

MOST_SECONDS = 3 * 86400  # that anybody may ask us to wait: the longest ban there is


def number(text: str | None, most: int) -> int | None:
    """The number that a header is, ``most`` where it is more; None where it is none.

    Digits of ASCII, 18 at the most, and nothing else.
    """
    if text is None or not (text.isascii() and text.isdigit() and len(text) <= 18):
        return None
    return min(int(text), most)


def retry_after(text: str | None) -> int | None:
    """The seconds that a Retry-After asks for, three days at most; None where it has no number.

    A date, which the exchange does not send, is none: it would be of another clock.
    """
    return number(text, MOST_SECONDS)
