"""What others wrote is escaped and cut where it is shown, and lines stay lines."""

from __future__ import annotations

import io
import json
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nasty import KEY, NASTY, NASTY_WITH_KEY

from binance_sbe import output
from binance_sbe.keys import remember_key
from binance_sbe.output import json_text, say, shown


@pytest.fixture(autouse=True)
def only_this_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BINANCE_API_KEY", raising=False)
    remember_key(KEY)


def test_nothing_that_is_not_printable_is_shown() -> None:
    every = "".join(map(chr, (*range(0x3000), *range(0xD700, 0xE100), 0xE0001, 0x1F600)))
    assert shown(every, len(every) * 8).isprintable()
    for c in "\0\t\n\r\x1b\x7f\x85\x9b\xad\u061c\u200b\u200e\u202e\u2028\u2029\u2066\ufeff\ud800":
        assert shown(c) == ascii(c)[1:-1]
    for text in ("币安人生", "BTCUSDT", "é ñ \\ 'quoted'"):
        assert shown(text) == text


def test_what_is_too_long_is_cut_and_says_so() -> None:
    assert shown("x" * 500) == "x" * 500
    assert shown("x" * 501) == "x" * 500 + "... (501 characters)"
    assert len(shown("\x1b" * 10**6)) < 600
    assert KEY[:4] not in shown("x" * 490 + KEY)


@given(st.text(), st.sampled_from(["", KEY, NASTY, f"x-mbx-apikey: {KEY}"]), st.text())
def test_shown_twice_is_shown_once(before: str, between: str, after: str) -> None:
    once = shown(before + between + after, 5000)
    assert shown(once, 10_000) == once


def test_what_is_cut_says_how_long_it_was() -> None:
    assert shown("ab" * 6, 12) == "ab" * 6
    assert shown("ab" * 6, 11) == "abababababa... (12 characters)"
    assert shown("\n" * 6, 11) == "\\n\\n\\n\\n\\n\\... (6 characters)"
    long = "x" * 30_000
    assert shown(long, 10_000) == "x" * 10_000 + "... (30,000 characters)"
    assert shown(123, 2) == "12... (3 characters)"


# printing


class Terminal(io.TextIOWrapper):
    """A text stream of that encoding."""

    def __init__(self, encoding: str) -> None:
        super().__init__(io.BytesIO(), encoding=encoding, newline="")

    def text(self) -> str:
        self.flush()
        assert isinstance(self.buffer, io.BytesIO)
        return self.buffer.getvalue().decode(self.encoding)


@pytest.mark.parametrize("encoding", ["utf-8", "ascii", "latin-1", "cp1252", "shift_jis"])
def test_lines_stay_lines_in_every_encoding(encoding: str) -> None:
    stream = Terminal(encoding)
    say(f"币 {NASTY_WITH_KEY}", "second", stream=stream)
    lines = stream.text().split("\n")
    assert len(lines) == 3
    assert all(line.isprintable() for line in lines)
    assert KEY not in lines[0]
    assert ("币" in lines[0]) == (encoding == "utf-8")


@given(st.text())
def test_json_stays_json_in_every_encoding(text: str) -> None:
    before = sys.stdout
    try:
        for encoding in ("utf-8", "ascii", "latin-1"):
            sys.stdout = Terminal(encoding)
            line = json_text({"symbol": text})
            assert line.isprintable()
            line.encode(encoding)
            assert json.loads(line) == {"symbol": text}
    finally:
        sys.stdout = before


def test_without_a_standard_output_nothing_is_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", None)
    say("x")
    output.complain("x")
    output.say_json([1])
