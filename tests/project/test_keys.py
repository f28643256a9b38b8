"""API keys are in no repr, and taken out of all that is quoted from outside."""

from __future__ import annotations

import copy
import pickle
import time
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nasty import KEY

from binance_sbe import keys
from binance_sbe.keys import KEY_MARK, remember_key, stripped, stripped_bytes
from binance_sbe.output import shown

WRITTEN: list[Callable[[str], str]] = [
    str,
    str.lower,
    str.upper,
    lambda c: f"%{ord(c):02x}",
    lambda c: f"%25{ord(c):02X}",
    lambda c: f"\\u{ord(c):04x}",
    lambda c: f"\\\\u{ord(c):04X}",
    lambda c: f"\\x{ord(c):02x}",
    lambda c: f"&#{ord(c)};",
    lambda c: f"&amp;#x{ord(c):x};",
]


@pytest.fixture(autouse=True)
def only_this_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BINANCE_API_KEY", raising=False)
    remember_key(KEY)


@given(st.text("ab%\\&#;u0x1 \n"), st.lists(st.sampled_from(WRITTEN), min_size=19, max_size=19))
def test_a_key_is_taken_out_however_it_is_written(around: str, ways: Any) -> None:
    remember_key(KEY)
    written = "".join(way(c) for way, c in zip(ways, KEY, strict=True))
    clean = stripped(f"before {written} after")
    assert clean == f"before {KEY_MARK} after"
    assert KEY_MARK in stripped(f"{around} {written} {around}")
    assert stripped_bytes(f"<b>{written}</b>".encode()) == f"<b>{KEY_MARK}</b>".encode()


@pytest.mark.parametrize(
    "part",
    ["\\", "%", "%25", "&amp;", "&#0", "&", "x-mbx-apikey:", "X-MBX-APIKEY: \x01", KEY, "\0"],
)
def test_no_text_takes_long(part: str) -> None:
    text = part * (65536 // len(part))
    started = time.process_time()
    stripped(text)
    stripped(f"{text}\x01{KEY}x")
    assert time.process_time() - started < 1.0


def test_keys_that_nobody_gave_us_are_known_by_their_header() -> None:
    for text in (
        "x-mbx-apikey: other-key",
        "b'X-MBX-APIKEY: other-key\\r\\nHost: x'",
        "('X-MBX-APIKEY', 'other-key')",
        '{"X-MBX-APIKEY": "other-key"}',
        "GET / HTTP/1.1\r\nX-MBX-APIKEY:other-key\r\n\r\n",
        "X-MBX-APIKEY: other-key\0",
    ):
        assert "other-key" not in stripped(text)
        assert KEY_MARK in stripped(text)


def test_the_key_of_the_environment_is_taken_out_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BINANCE_API_KEY", " FROM-THE-ENVIRONMENT ")
    assert shown("a from-the-environment b") == f"a {KEY_MARK} b"


def test_so_many_keys_are_remembered_and_no_more() -> None:
    for i in range(3000):
        remember_key(f"another-key-{i:05}")
    assert len(keys._keys) == 1000
    assert shown("another-key-02999 another-key-00001") == f"{KEY_MARK} another-key-00001"
    remember_key("any")
    assert shown("any word") == "any word"


def test_a_key_is_in_no_repr_no_copy_and_no_pickle() -> None:
    key = remember_key(KEY)
    assert key == KEY
    assert f"{key}" == KEY
    for shape in (repr(key), repr([key]), repr({"k": key}), ascii((key,)), f"{key!r}"):
        assert KEY not in shape
    assert copy.copy(key) is copy.deepcopy(key) is key
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        with pytest.raises(TypeError, match="an API key is not pickled: give it anew"):
            pickle.dumps({"key": key}, protocol)


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        (f"{KEY}{KEY}", f"{KEY_MARK}{KEY_MARK}"),
        (f"a{KEY}b{KEY}c", f"a{KEY_MARK}b{KEY_MARK}c"),
        (f"x-mbx-apikey: {KEY}, x", f"x-mbx-apikey: {KEY_MARK}, x"),
        (f"x-mbx-apikey: {KEY}tail x", f"x-mbx-apikey: {KEY_MARK} x"),
        ("X-MBX-APIKEY=other&x", f"X-MBX-APIKEY={KEY_MARK}"),
        ("no-key here", "no-key here"), (KEY[:-1], KEY[:-1]),
    ],
)  # fmt: skip
def test_every_key_is_taken_out_once(text: str, clean: str) -> None:
    assert stripped(text) == clean


@pytest.mark.parametrize("way", range(len(WRITTEN)))
@pytest.mark.parametrize(("before", "after"), [("", ""), ("b", "a"), ("%41", "%41"), ("", "x" * 9)])
def test_an_escaped_key_may_be_anywhere(way: int, before: str, after: str) -> None:
    written = "".join(map(WRITTEN[way], KEY))
    assert stripped(f"{before}{written}{after}") == f"{before}{KEY_MARK}{after}"


def test_a_key_of_six_characters_is_one_and_of_five_is_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    remember_key("sixsix")
    remember_key("fives")
    assert stripped("sixsix fives") == f"{KEY_MARK} fives"
    monkeypatch.setenv("BINANCE_API_KEY", "other6")
    assert stripped("other6 fives") == f"{KEY_MARK} fives"
    monkeypatch.setenv("BINANCE_API_KEY", "other")
    assert stripped("other sixsix") == f"other {KEY_MARK}"


def test_the_latest_keys_are_remembered_and_each_once() -> None:
    for i in range(998):
        remember_key(f"another-{i:04}")
    remember_key(KEY)  # the oldest, anew
    for i in range(2):
        remember_key(f"further-{i:04}")
    assert len(keys._keys) == 1000
    assert stripped(f"{KEY} another-0000 another-0001") == f"{KEY_MARK} another-0000 {KEY_MARK}"
