"""A live view: a table that is drawn anew again and again, or lines where there is no terminal."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from typing import Any, Protocol

from sbe_codegen.extras import imported
from sbe_codegen.printing import fitting
from sbe_codegen.runtime.errors import MissingPackage

from ..output import note, say, shown

REFRESH = 0.25  # seconds between two looks at a view
_LONGEST_CELL = 2000  # characters


class View(Protocol):
    """Something that changes while it is looked at, in both of its forms."""

    def panel(self, width: int, height: int) -> Any:
        """For a terminal: a renderable of rich that fits into so many columns and lines."""

    def lines(self) -> list[str]:
        """For a pipe, as they are to be printed; none where there is nothing new."""


class Screen:
    """Where a view is shown. While its block runs, nothing else is to be printed.

    ``has_lines_only``: also on a terminal. ``vanishes``: what a terminal showed is gone in the end,
    where something else takes its place.
    """

    def __init__(self, view: View, *, has_lines_only: bool = False, vanishes: bool = False) -> None:
        self._view = view
        self._live = None if has_lines_only else live_display(vanishes)

    @property
    def is_live(self) -> bool:
        return self._live is not None

    def __enter__(self) -> Screen:
        if self._live is not None:
            self._live.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        if self._live is not None:
            self._live.__exit__(*error)

    def refresh(self) -> None:
        """Shows the view as it is now."""
        if self._live is not None:
            self._live.update(self._view.panel(*self._live.console.size), refresh=True)
        else:
            say(*self._view.lines())


def live_display(vanishes: bool) -> Any:
    """A rich Live on a terminal that can move its cursor where rich is installed, else None."""
    if not sys.stdout.isatty() or os.environ.get("TERM", "").lower() in ("", "dumb", "unknown"):
        return None
    try:
        Live = imported("rich.live", "a live table", "cli").Live  # noqa: N806
    except MissingPackage as error:
        note(str(error))
        return None
    # nothing else is printed meanwhile, and standard output keeps its encoding
    return Live(auto_refresh=False, redirect_stdout=False, transient=vanishes)


# what panels are made of


def cell(text: str, style: str = "") -> Any:
    """Text for rich as it is: nothing of it is markup, or anything but signs of the terminal's.

    Whatever is shown by rich goes through here.
    """
    from rich.text import Text

    return Text(fitting(shown(text, _LONGEST_CELL)), style)


def fitted(tables: Iterable[Any], width: int) -> Any:
    """The first of these tables that is not wider; if all are, the last."""
    from rich.console import Console

    console = Console(width=10_000)
    for table in tables:
        if console.measure(table).maximum <= width:
            break
    return table
