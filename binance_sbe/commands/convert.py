"""`binance-sbe convert`: tapes to what other programs read, with a bar and what came of it."""

from __future__ import annotations

import argparse
import signal
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from multiprocessing import get_context
from typing import Any

from sbe_codegen.printing import counted

from ..errors import LakeError
from ..lake.bulk import convert
from ..lake.manifest import ARCHIVE, Manifest
from ..output import complain, note, redraw, say
from .numbers import duration

_WIDTH = 28
_MOST_SEAMS = 10
_EVERY = 0.2  # seconds between two drawings


class Bar:
    """A line on standard error that is drawn again; nothing where that is no terminal."""

    def __init__(self) -> None:
        self._is_live = sys.stderr is not None and sys.stderr.isatty()
        self._began = time.monotonic()
        self._first: int | None = None  # what was done before
        self._drawn = 0.0

    def __call__(self, done: int, total: int) -> None:
        now = time.monotonic()
        if self._first is None or done < self._first:
            self._first = done
        if not self._is_live or (now - self._drawn < _EVERY and done < total):
            return
        self._drawn = now
        redraw(text(done, total, now - self._began, self._first))

    def end(self) -> None:
        if self._is_live and self._drawn:
            redraw("")


def text(done: int, total: int, seconds: float, before: int = 0) -> str:
    """Share, rate and time left."""
    share = done / total if total else 1.0
    full = int(share * _WIDTH)
    rate = (done - before) / seconds if seconds > 0 else 0.0
    left = duration((total - done) / rate) if rate > 0 else "?"
    bar = "#" * full + "." * (_WIDTH - full)
    return f"[{bar}] {share:4.0%}  {done:,} of {total:,}, {rate:,.0f}/s, {left} left"


def run(options: argparse.Namespace) -> int:
    """0 where all is converted, 1 where something is not."""
    bar = Bar()
    if options.partition_by is not None:
        note(
            "binance-sbe: --partition-by symbol makes a file for each symbol, day and part: with "
            "many symbols they are small, and reading all of them is slow"
        )
    workers: Any = nullcontext(None)
    if options.workers is not None and options.workers > 1:
        workers = ProcessPoolExecutor(options.workers, mp_context=get_context("spawn"))
    elif options.workers is not None:
        workers = ThreadPoolExecutor(1)  # a pool of processes is made where none is given
    began = time.monotonic()
    try:
        with at_once(), workers as executor:
            made = _converted(options, bar, executor)
    except KeyboardInterrupt:
        complain("interrupted: run the same again, and it goes on from here")
        return 1
    finally:
        bar.end()
    return report(made, time.monotonic() - began)


@contextmanager
def at_once() -> Iterator[None]:
    """SIGTERM ends the work as Ctrl-C does, so that no half-written file stays."""

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _converted(options: argparse.Namespace, bar: Bar, executor: Executor | None) -> Manifest:
    every = round(options.book_every * 1e6)
    if options.book_every and not every:
        raise LakeError("--book-every is at least a microsecond, or 0 for every change")
    return convert(
        options.tapes,
        options.out,
        options.format,
        options.numbers,
        executor,
        options.shard,
        kinds=options.kinds,
        levels="nested" if options.nested else "flat",
        scale=options.scale,
        partition_by=options.partition_by,
        book_levels=options.book_levels,
        book_every=every,
        replace=options.replace,
        progress=bar,
        **({} if options.precisions is None else {"precisions": options.precisions}),
    )


def report(made: Manifest, seconds: float) -> int:
    found = [f"{count:,} of {kind}" for kind, count in made.rows.items()]
    rows = ", ".join(found)
    files, frames = counted(len(made.files), "file"), counted(made.frames, "frame")
    say(
        f"{made.url}: {files}, {frames} in {duration(seconds)}",
        f"rows: {rows or 'none'}; {made.duplicates:,} events had come before and are left out",
    )
    if "book" in made.options["kinds"] and not made.book_rows:
        say("note: no books: there are no snapshots of them on the tape (record it with --books)")
    if made.rejected:
        say(f"note: {made.rejected:,} frames are no messages, and have no rows")
    say(*(f"note: {remark}" for remark in made.remarks))
    say(*(f"note: {seam}" for seam in made.seams[:_MOST_SEAMS]))
    if len(made.seams) > _MOST_SEAMS:
        others = len(made.seams) - _MOST_SEAMS
        say(f"note: and {others:,} more places where ids do not go on: see {ARCHIVE}")
    for problem in made.problems:
        complain(problem)
    if not made.is_whole:
        complain("the archive is not whole: run the same again when that is mended")
    return 0 if made.is_whole else 1
