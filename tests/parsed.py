"""HTML that a notebook would show, read by the parser of the standard library."""

from __future__ import annotations

from html.parser import HTMLParser

OURS = {"table", "caption", "thead", "tbody", "tr", "th", "td", "p"}


class Parsed(HTMLParser):
    """``rows`` has the texts of all cells, ``notes`` those of captions and lines below."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.notes: list[str] = []
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert not self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in OURS, tag
        assert tag == "caption" or not attrs, attrs
        self._open.append(tag)
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")
        elif tag in ("caption", "p"):
            self.notes.append("")

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        assert data.isprintable(), ascii(data)
        if self._open[-1] in ("td", "th"):
            self.rows[-1][-1] += data
        else:
            assert self._open[-1] in ("caption", "p"), data
            self.notes[-1] += data

    def column(self, name: str) -> list[str]:
        """The cells below a heading, of the first table that has it."""
        at = next(i for i, row in enumerate(self.rows) if name in row)
        place, width = self.rows[at].index(name), len(self.rows[at])
        found = []
        for row in self.rows[at + 1 :]:
            if len(row) != width or "stream" in row or "name" in row:
                break
            found.append(row[place])
        return found
