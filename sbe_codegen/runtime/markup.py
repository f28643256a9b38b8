"""HTML for notebooks: tables in which no text that others wrote becomes markup.

Colours and fonts are those of the page around, light or dark.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

import numpy as np

from ..printing import escaped

LONGEST_TEXT = 200  # characters of a cell


def text(value: object, limit: int = LONGEST_TEXT) -> str:
    """A value as HTML that shows it: escaped, without control characters, cut at ``limit``."""
    given = str(value)
    clean = escaped(given[:limit])
    return escape(clean if len(given) <= limit else f"{clean}... ({len(given):,} characters)")


def utc(value: int, unit: Any) -> str:
    """A time in s, ms, us or ns since 1970; one that no calendar has is shown as numpy has it."""
    return f"{np.datetime64(value, unit)}Z".replace("T", " ")


def table(
    caption: str, header: Sequence[object], rows: Iterable[Sequence[object]], note: str = ""
) -> str:
    """A table; None is an empty cell. ``note`` is a line below: what was left out, for example."""
    parts = [
        '<table><caption style="caption-side: top; text-align: left; white-space: normal">',
        f"{text(caption, 1000)}</caption>",
    ]
    if header:
        parts.append(f"<thead><tr>{_cells('th', header)}</tr></thead>")
    parts += ["<tbody>", *(f"<tr>{_cells('td', row)}</tr>" for row in rows), "</tbody></table>"]
    if note:
        parts.append(f"<p>{text(note, 1000)}</p>")
    return "".join(parts)


def _cells(tag: str, row: Sequence[object]) -> str:
    return "".join(f"<{tag}>{'' if each is None else text(each)}</{tag}>" for each in row)
