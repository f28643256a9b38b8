"""What ends a command: Ctrl-C, SIGTERM and SIGHUP, and for a child the end of its parent."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable, Iterator

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

_stops: list[Callable[[], object]] = []  # the last is called


@contextlib.contextmanager
def at_signal(stop: Callable[[], object]) -> Iterator[None]:
    """Calls ``stop`` at each of these signals, while the block runs on the loop of the main thread.

    Of blocks inside one another the inner one is told. SIGHUP stays ignored under nohup.
    """
    loop = asyncio.get_running_loop()
    taken = []
    if not _stops:
        taken = [n for n in SIGNALS if n != signal.SIGHUP or signal.getsignal(n) != signal.SIG_IGN]
        for number in taken:
            loop.add_signal_handler(number, lambda: _stops[-1]())
    _stops.append(stop)
    try:
        yield
    finally:
        _stops.remove(stop)
        for number in taken:
            loop.remove_signal_handler(number)


@contextlib.contextmanager
def at_end_of_parent(stop: Callable[[], object], stdin: int = 0) -> Iterator[None]:
    """Calls ``stop`` when the process that holds the other end of standard input is gone.

    The kernel closes its end however it was ended, also by SIGKILL.
    """
    loop = asyncio.get_running_loop()

    def look() -> None:
        if not os.read(stdin, 4096):
            loop.remove_reader(stdin)
            stop()

    loop.add_reader(stdin, look)
    try:
        yield
    finally:
        loop.remove_reader(stdin)


@contextlib.contextmanager
def interrupting() -> Iterator[None]:
    """Has each of these signals raise KeyboardInterrupt, while the block runs without a loop."""

    def interrupt(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    before = {}
    try:
        for number in SIGNALS:
            if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
                before[number] = signal.signal(number, interrupt)
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
