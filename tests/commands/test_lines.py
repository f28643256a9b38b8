"""Lines are as wide as what they are written to."""

from __future__ import annotations

import io
import sys

import pytest

from binance_sbe.commands.lines import wrapped


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_lines_are_broken_between_words_and_go_on_indented(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "stdout", Terminal())
    monkeypatch.setenv("COLUMNS", "31")
    assert wrapped(["  one two three-four five six seven", "", "short"]) == [
        "  one two three-four five six", "      seven", "", "short",
    ]  # fmt: skip
    monkeypatch.setenv("COLUMNS", "30")
    assert wrapped(["  one two three-four five six"]) == ["  one two three-four five six"]
    monkeypatch.setenv("COLUMNS", "5")  # narrower than can be
    assert wrapped(["one two three four five"]) == ["one two three four", "    five"]


def test_words_are_not_broken_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = ["  BTCUSDT    bid 0.0827161 at 94066.08, ask 0.0358137 at 94075.82, last none", ""]
    assert wrapped(lines) == lines  # a pipe
    monkeypatch.setattr(sys, "stdout", Terminal())
    monkeypatch.setenv("COLUMNS", "40")
    broken = wrapped(lines)
    assert all(len(line) < 40 for line in broken)
    assert " ".join(" ".join(broken).split()) == " ".join(lines[0].split())
    assert {word for line in broken for word in line.split()} == set(lines[0].split())
