"""What comes from outside is escaped, cut, and stripped of keys; and log records likewise."""

from __future__ import annotations

import copy
import io
import json
import logging
import pickle
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from binance_sbe import outside
from binance_sbe.errors import (
    BinanceError,
    BookError,
    ConnectionLost,
    ConnectionRefused,
    FeedError,
    NotSbe,
    SubscriptionRefused,
    Unreachable,
)
from binance_sbe.logs import LOG, websocket_logger
from binance_sbe.outside import KEY_MARK, json_text, number, remember_key, retry_after, say, shown

KEY = "MARKERkey0123456789"
NASTY = "\x1b[2J\x9b5m\r\n\u202ename\u200b\u2028\ud800\udcff[red]x[/red][/]\0"
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
    monkeypatch.setattr(outside, "_keys", ())
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


@given(st.text("ab%\\&#;u0x1 \n"), st.lists(st.sampled_from(WRITTEN), min_size=19, max_size=19))
def test_a_key_is_taken_out_however_it_is_written(around: str, ways: Any) -> None:
    remember_key(KEY)
    written = "".join(way(c) for way, c in zip(ways, KEY, strict=True))
    clean = outside.stripped(f"before {written} after")
    assert clean == f"before {KEY_MARK} after"
    assert KEY_MARK in outside.stripped(f"{around} {written} {around}")
    assert outside.stripped_bytes(f"<b>{written}</b>".encode()) == f"<b>{KEY_MARK}</b>".encode()


@pytest.mark.parametrize(
    "part",
    ["\\", "%", "%25", "&amp;", "&#0", "&", "x-mbx-apikey:", "X-MBX-APIKEY: \x01", KEY, "\0"],
)
def test_no_text_takes_long(part: str) -> None:
    text = part * (65536 // len(part))
    started = time.process_time()
    outside.stripped(text)
    outside.stripped(f"{text}\x01{KEY}x")
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
        assert "other-key" not in outside.stripped(text)
        assert KEY_MARK in outside.stripped(text)


def test_the_key_of_the_environment_is_taken_out_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BINANCE_API_KEY", " FROM-THE-ENVIRONMENT ")
    assert shown("a from-the-environment b") == f"a {KEY_MARK} b"


def test_so_many_keys_are_remembered_and_no_more() -> None:
    for i in range(3000):
        remember_key(f"another-key-{i:05}")
    assert len(outside._keys) == 1000
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


# errors

NASTY_WITH_KEY = f"{NASTY}{KEY}"


def quoting() -> list[Exception]:
    text = NASTY_WITH_KEY
    refused = [
        ConnectionRefused("ws://h", status, text, 3, text) for status in (302, 401, 403, 418, 500)
    ]
    return [
        *refused,
        BinanceError(-1, text),
        BookError(NASTY, text),
        ConnectionLost(1008, text),
        ConnectionLost(None, text),
        FeedError(text),
        NotSbe(text, text.encode("utf-8", "surrogatepass")),
        NotSbe(None, b"SECRET " + KEY.encode()),
        SubscriptionRefused("SUBSCRIBE", [NASTY], 2, text),
        SubscriptionRefused("SUBSCRIBE", ["x"], text, ""),  # type: ignore[arg-type]
        Unreachable(text),
    ]


@pytest.mark.parametrize("error", range(len(quoting())))
def test_errors_show_nothing_raw_and_no_key(error: int) -> None:
    made = quoting()[error]
    assert str(made).isprintable()
    for place in (str(made), repr(made), repr(vars(made)), repr(pickle.dumps(made))):
        assert KEY not in place, place


def test_a_redirect_names_its_target_and_what_to_do() -> None:
    error = ConnectionRefused("ws://h", 302, "", location="ws://evil\x1b/" + KEY)
    assert str(error) == (
        f"ws://h redirects to ws://evil\\x1b/{KEY_MARK} (HTTP 302), which is not followed: is the "
        "url right?"
    )


def test_errors_keep_a_part_of_a_large_body() -> None:
    error = NotSbe("text/html", b"x" * 10**6)
    assert (len(error.body), error.size) == (65536, 10**6)
    assert "1000000 bytes" in str(error)
    assert len(ConnectionRefused("ws://h", 500, "x" * 10**6).body) == 65536


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
    outside.complain("x")
    outside.say_json([1])


# numbers


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (None, None), ("", None), ("²", None), ("١٢", None), ("-1", None), ("+1", None),
        ("1.5", None), ("nan", None), ("1e9", None), ("1" * 19, None), ("9" * 5000, None),
        (" 1", None), ("1_0", None), ("Fri, 31 Dec 1999 23:59:59 GMT", None),
        ("0", 0), ("007", 7), ("120", 120), ("9" * 18, 259200), ("259201", 259200),
    ],
)  # fmt: skip
def test_headers_are_numbers_or_nothing(text: str | None, value: int | None) -> None:
    assert retry_after(text) == value
    assert number("12", 5) == 5


# logs


class Kept(logging.Handler):
    """Keeps records, and makes of them whatever handlers do."""

    def __init__(self) -> None:
        super().__init__(0)
        self.text = ""

    def emit(self, record: logging.LogRecord) -> None:
        self.text += self.format(record) + "\n"
        self.text += f"{record.msg} {record.args!r} {vars(record)!r}\n"
        if record.exc_info and record.exc_info[1]:
            self.text += f"{record.exc_info[1]!r} {record.exc_info[1]}\n"


@pytest.fixture
def kept() -> Iterator[Kept]:
    root = logging.getLogger()
    level, handler = root.level, Kept()
    root.addHandler(handler)
    root.setLevel(1)
    yield handler
    root.setLevel(level)
    root.removeHandler(handler)


def log_everything(logger: Any) -> None:
    class Odd:
        def __repr__(self) -> str:
            return f"<Odd {KEY}>"

    class Broken:
        def __repr__(self) -> str:
            raise ValueError(KEY)

    logger.debug("> %s: %s", "X-MBX-APIKEY", KEY)
    logger.debug("Send upgrade request: %s", f"X-MBX-APIKEY: {KEY}\r\n".encode())
    logger.info("%(a)s", {"a": NASTY_WITH_KEY})
    logger.warning("100 % of %d", KEY)  # which is no format
    logger.warning("x", extra={"said": NASTY_WITH_KEY, "of": [KEY, {"k": (KEY,)}], "odd": Odd()})
    logger.warning("x", extra={"broken": Broken(), "deep": [[[[[[[[KEY]]]]]]]]})
    try:
        try:
            raise ValueError(f"first {NASTY_WITH_KEY}")
        except ValueError as error:
            raise KeyError(f"second {KEY}") from error
    except KeyError:
        logger.exception("it failed: %s", KEY, stack_info=True)


@pytest.mark.parametrize("logger", [LOG, websocket_logger()])
def test_no_record_has_a_key_or_what_a_terminal_obeys(logger: Any, kept: Kept) -> None:
    log_everything(logger)
    assert KEY not in kept.text
    assert "it failed" in kept.text
    assert "Traceback" in kept.text
    assert all(line.isprintable() for line in kept.text.split("\n"))
    assert kept.text.count(KEY_MARK) >= 10


def test_a_clean_record_stays_as_it_is(caplog: pytest.LogCaptureFixture) -> None:
    fields: dict[str, Any] = {"streams": ["btcusdt@trade"], "pause": 0.5, "what": object()}
    with caplog.at_level(1, "binance_sbe"):
        try:
            raise ValueError("plain")
        except ValueError:
            LOG.exception("%s: 币 %d", "x", 5, extra=fields)
    (record,) = caplog.records
    assert (record.msg, record.args) == ("%s: 币 %d", ("x", 5))
    assert record.exc_info is not None
    assert all(vars(record)[name] is value for name, value in fields.items())


def test_levels_are_the_users() -> None:
    names = ["binance_sbe", "binance_sbe.websocket"]
    assert [logging.getLogger(name).level for name in names] == [logging.NOTSET] * 2
    assert [logging.getLogger(name).handlers for name in names] == [[], []]
    root = logging.getLogger()
    level = root.level
    try:
        root.setLevel(logging.WARNING)
        assert not websocket_logger().isEnabledFor(logging.INFO)
        root.setLevel(logging.DEBUG)
        assert websocket_logger().isEnabledFor(logging.DEBUG)
    finally:
        root.setLevel(level)
