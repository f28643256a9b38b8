"""A live view on terminals that can much, and that can little."""

from __future__ import annotations

import contextlib
import io
import os
import pty
import re
import subprocess
import sys
import time

import pytest
from rich.text import Text

from binance_sbe.commands import (
    screen,
)


def test_a_cell_is_cut_where_it_is_too_long() -> None:
    text = "word " * 400  # which is no key that another test has used
    assert screen.cell(text).plain == text
    assert screen.cell(f"{text}x").plain == f"{text}... (2,001 characters)"


def test_a_cell_is_text() -> None:
    cell = screen.cell("[bold]x[/bold]", "red")
    assert isinstance(cell, Text)
    assert (cell.plain, str(cell.style)) == ("[bold]x[/bold]", "red")


@pytest.mark.parametrize(
    ("terminal", "term", "is_live"),
    [
        (True, "xterm", True), (False, "xterm", False), (True, "dumb", False), (True, "", False),
        (True, "Dumb", False), (True, "unknown", False),
    ],
)  # fmt: skip
def test_a_live_table_needs_a_terminal_that_moves_its_cursor(
    terminal: bool, term: str, is_live: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = io.StringIO()
    out.isatty = lambda: terminal  # type: ignore[method-assign]
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setenv("TERM", term)
    live = screen.live_display(True)
    assert (live is not None) == is_live
    if is_live:
        assert (live.auto_refresh, live.transient) == (False, True)
        assert screen.live_display(False).transient is False
        before = sys.stdout
        with live:
            assert sys.stdout is before


# terminals that can little


COMMAND = [sys.executable, "-m", "binance_sbe"]
WITHOUT_RICH = [
    sys.executable, "-c",
    "import sys; sys.modules['rich'] = sys.modules['rich.live'] = None; "
    "from binance_sbe.commands.cli import main; sys.exit(main(sys.argv[1:]))",
]  # fmt: skip


def on_terminal(
    command: list[str], columns: int = 80, lines: int = 24, **environment: str
) -> tuple[list[tuple[float, str]], int]:
    """What a command shows on a terminal of this size, with the seconds until each part came."""
    given = {"TERM": "xterm-256color", "COLUMNS": str(columns), "LINES": str(lines)} | environment
    terminal, its_end = pty.openpty()
    started = time.monotonic()
    shown = []
    with subprocess.Popen(command, stdout=its_end, stderr=its_end, env=os.environ | given) as child:
        os.close(its_end)
        with contextlib.suppress(OSError):  # which says that the other end is closed
            while part := os.read(terminal, 65536):
                shown.append((time.monotonic() - started, part.decode(errors="replace")))
    os.close(terminal)
    return shown, child.returncode


def text_of(shown: list[tuple[float, str]]) -> str:
    return "".join(part for _, part in shown).replace("\r\n", "\n")


@pytest.mark.parametrize("how", ["dumb", "without rich"])
@pytest.mark.parametrize("command", ["demo", "watch", "book"])
def test_what_can_not_be_drawn_is_told_line_by_line(command: str, how: str) -> None:
    """Not blank until the end: prices come while it runs, whole, and no control sequence does."""
    start = COMMAND if how == "dumb" else WITHOUT_RICH
    arguments = ["btcusdt", "--simulate", "--seconds", "4"]
    shown, code = on_terminal(
        [*start, command, *arguments], **({"TERM": "dumb"} if how == "dumb" else {})
    )
    text = text_of(shown)
    assert code == 0, text
    assert "\x1b" not in text
    wanted = "ask " if command == "book" else "BTCUSDT "
    first = next(at for at, part in shown if wanted in part)
    assert first < shown[-1][0] - 1.0
    assert all(len(line) < 80 for line in text.splitlines()[1:] if "needs rich" not in line)
    assert ("needs rich: " in text) == (how == "without rich")


def test_a_pipe_is_not_told_of_rich() -> None:
    done = subprocess.run(
        [*WITHOUT_RICH, "watch", "btcusdt", "--simulate", "--seconds", "1.5"],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert "  BTCUSDT " in done.stdout


@pytest.mark.parametrize(
    "environment", [{"LC_ALL": "C", "PYTHONIOENCODING": "ascii"}, {"NO_COLOR": "1"}]
)
def test_the_live_view_does_with_ascii_and_without_colors(environment: dict[str, str]) -> None:
    shown, code = on_terminal(
        [*COMMAND, "watch", "btcusdt", "--simulate", "--seconds", "2"], **environment
    )
    text = text_of(shown)
    assert code == 0
    assert "BTCUSDT" in text
    assert "Traceback" not in text
    if "NO_COLOR" in environment:
        assert not re.search(r"\x1b\[[0-9;]*3[0-9]m", text)
    else:
        assert text.isascii()
