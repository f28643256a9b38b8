"""How far a long work has come: a bar on standard error, where that is a terminal."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import sys
from collections.abc import Callable, Iterator


@contextlib.contextmanager
def bar(title: str, in_bytes: bool = True) -> Iterator[Callable[[int, int], None] | None]:
    """Gives what is to be called with (done, total); None where nobody would see it.

    It is gone in the end. Standard output is left alone.
    """
    is_dumb = os.environ.get("TERM", "").lower() in ("", "dumb", "unknown")
    if not sys.stderr.isatty() or is_dumb or importlib.util.find_spec("rich") is None:
        yield None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        TaskProgressColumn,
        TextColumn,
        TimeRemainingColumn,
    )

    so_far = DownloadColumn() if in_bytes else TaskProgressColumn()
    columns = TextColumn("{task.description}"), BarColumn(), so_far, TimeRemainingColumn()
    shown = Progress(*columns, console=Console(stderr=True), transient=True, redirect_stdout=False)
    with shown:
        task = shown.add_task(title, total=None)
        yield lambda done, total: shown.update(task, completed=done, total=total)
