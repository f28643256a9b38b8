"""Errors that handlers of signals raise: they fall between any two steps of the main thread."""

from __future__ import annotations

import signal


def is_of_a_signal(error: BaseException) -> bool:
    """Whether a handler of a signal has raised it, a function that is in Python."""
    handlers = {
        getattr(signal.getsignal(each), "__code__", None) for each in signal.valid_signals()
    }
    place = error.__traceback__
    while place is not None:
        if place.tb_frame.f_code in handlers:
            return True
        place = place.tb_next
    return False
