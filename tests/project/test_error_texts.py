"""What errors say, word for word, what they keep, and what log records become."""

from __future__ import annotations

import logging
import sys
import weakref
from collections.abc import Iterator
from typing import Any

import pytest
from test_outside import WRITTEN

from binance_sbe import errors, outside
from binance_sbe.errors import (
    KEY_HELP,
    BinanceError,
    BookError,
    ConnectionLost,
    ConnectionRefused,
    MissingKey,
    NotSbe,
    RateLimited,
    SlowConsumer,
    SubscriptionRefused,
    Unreachable,
)
from binance_sbe.logs import Cleaning
from binance_sbe.outside import KEY_MARK, remember_key, shown, stripped

KEY = "MARKERkey0123456789"
MANY = "Too many requests or connections came from this address: try again in "
UNKNOWN = (
    "The exchange does not know this key here, or it is not of type Ed25519, or this address is "
    f"not on the list that the key is restricted to. {KEY_HELP}"
)
FORM = f"This is not the form of an API key: is it complete? {KEY_HELP}"


@pytest.fixture(autouse=True)
def only_this_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outside, "_keys", ())
    monkeypatch.delenv("BINANCE_API_KEY", raising=False)
    remember_key(KEY)


TEXTS: list[tuple[Exception, str]] = [
    (BinanceError(-1121, "Invalid symbol."), "-1121: Invalid symbol."),
    (ConnectionLost(None, ""), "the connection was lost"),
    (ConnectionLost(None, "why"), "the connection was lost: why"),
    (ConnectionLost(1001, "why"), "the exchange closed with 1001: why"),
    (ConnectionLost(0, ""), "the exchange closed with 0"),
    (SlowConsumer("a@trade", 7),
     "a@trade: no room for another frame, 7 wait for the consumer: make it faster, make max_queue "
     "larger, or choose another on_overflow"),
    (RateLimited("http://h", 429, 12.4), "http://h has had enough requests (HTTP 429): again in "
     "12 s"),
    (RateLimited("http://h", 418, 90),
     "http://h has banned this address (HTTP 418): again in 90 s"),
    (BookError("BTCUSDT", "is wrong"), "BTCUSDT: is wrong"),
    (SubscriptionRefused("SUBSCRIBE", ["a"], 2, "no"),
     "SUBSCRIBE a: the exchange refused with code 2: no"),
    (SubscriptionRefused("S", list("abcde"), None, "no"),
     "S a, b, c, d, e: the exchange refused with code None: no"),
    (SubscriptionRefused("S", list("abcdef"), 2, "no"),
     "S a, b, c, d, e, ...: the exchange refused with code 2: no"),
    (NotSbe(None, b"<html>"), "the answer is not SBE (no content type, 6 bytes): <html>"),
    (NotSbe("text/html", b"<\xff>"), "the answer is not SBE (text/html, 3 bytes): <\\xff>"),
    (NotSbe("x/y", b"a\n" * 50),
     f"the answer is not SBE (x/y, 100 bytes): {(b'a' + chr(10).encode()).hex(' ')}"
     + " 61 0a" * 11),
    (NotSbe("", b"x" * 300), f"the answer is not SBE (no content type, 300 bytes): {'x' * 200}"),
]  # fmt: skip


@pytest.mark.parametrize(("error", "text"), TEXTS, ids=lambda each: type(each).__name__)
def test_an_error_is_a_sentence(error: Exception, text: str) -> None:
    assert str(error) == text


REFUSALS: list[tuple[tuple[Any, ...], str]] = [
    ((401, ""), f". {UNKNOWN}."),
    ((400, '{"code":-2015}'), f': {{"code":-2015}}. {UNKNOWN}.'),
    ((400, '{"code":-2014}'), f': {{"code":-2014}}. {FORM}.'),
    ((401, "-2014"), f": -2014. {FORM}."),
    ((403, " \n"), f". A firewall of the exchange's refuses this address or this key. {KEY_HELP}."),
    ((404, ""), ". There are no SBE streams at this host: is the url right?"),
    ((418, ""), f". {MANY}a few minutes."),
    ((429, "", 30.4), f". {MANY}30 s."),
    ((418, "", 0.0), f". {MANY}0 s."),
    ((451, ""), ". The exchange does not serve the place that this address is in."),
    ((500, " oops "), ": oops"),
    ((200, ""), ""), ((299, "x"), ": x"), ((400, ""), ""),
]  # fmt: skip


@pytest.mark.parametrize(("given", "text"), REFUSALS)
def test_a_refusal_says_what_it_means(given: tuple[Any, ...], text: str) -> None:
    error = ConnectionRefused("ws://h", *given)
    assert str(error) == f"ws://h refused the connection with HTTP {given[0]}{text}"
    assert (error.status, error.body, error.location) == (*given[:2], None)
    assert error.retry_after == (given[2] if len(given) > 2 else None)


@pytest.mark.parametrize("status", [300, 302, 399])
def test_a_redirect_is_not_followed(status: int) -> None:
    said = f"(HTTP {status}), which is not followed: is the url right?"
    assert str(ConnectionRefused("ws://h", status, "body")) == f"ws://h redirects elsewhere {said}"
    error = ConnectionRefused("ws://h", status, "", None, "ws://other")
    assert str(error) == f"ws://h redirects to ws://other {said}"
    assert error.location == "ws://other"


def test_an_error_keeps_what_came_without_keys_up_to_a_size() -> None:
    long = "x" * 70_000
    assert BinanceError(-1, long).message == long[:65536]
    assert ConnectionLost(1, long).reason == long[:65536]
    assert BookError("S", f"a\x1b {KEY}").reason == f"a\x1b {KEY_MARK}"
    refused = SubscriptionRefused("S", ["a"], f"{KEY}", f"{KEY}\n")  # type: ignore[arg-type]
    assert (refused.code, refused.reason) == (KEY_MARK, f"{KEY_MARK}\n")
    assert (refused.method, refused.streams) == ("S", ["a"])
    answer = NotSbe("text/html", b"x" * 65535 + KEY.encode() * 2)
    assert (answer.size, len(answer.body)) == (65535 + 38, 65536)
    assert NotSbe(None, b"").content_type is None
    assert len(str(BookError("S", "y" * 5000))) < 4100
    assert BinanceError(-1, "m", 3, 4, "data").data == "data"
    limited = RateLimited("u", 429, 1.5)
    assert (limited.status, limited.retry_after) == (429, 1.5)
    slow = SlowConsumer("s", 3)
    assert (slow.stream, slow.waiting) == ("s", 3)


def test_an_error_can_be_let_go_of_alone() -> None:
    try:
        try:
            raise ValueError("inner")
        except ValueError as inner:
            raise Unreachable("outer") from inner
    except Unreachable as error:
        found = errors.bare(error)
    assert found.__cause__ is found.__context__ is found.__traceback__ is None


def test_the_end_of_a_feed_is_told_to_each_as_one_of_its_own() -> None:
    lost, key = ConnectionLost(1001, "why"), MissingKey("x")
    other = errors.again(lost)
    assert isinstance(other, ConnectionLost)
    assert other is not lost
    assert (other.code, other.reason) == (1001, "why")
    assert errors.again(key) is key


def test_a_reason_has_no_url_before_it() -> None:
    for url in ("ws://h:1", "wss://h.x:9443"):
        assert errors.reason_of(Unreachable(f"{url}: nothing there: why")) == "nothing there: why"
    assert errors.reason_of(Unreachable("no ws://h: x")) == "no ws://h: x"


# texts from outside


def test_what_is_cut_says_how_long_it_was() -> None:
    assert shown("ab" * 6, 12) == "ab" * 6
    assert shown("ab" * 6, 11) == "abababababa... (12 characters)"
    assert shown("\n" * 6, 11) == "\\n\\n\\n\\n\\n\\... (6 characters)"
    long = "x" * 30_000
    assert shown(long, 10_000) == "x" * 10_000 + "... (30,000 characters)"
    assert shown(123, 2) == "12... (3 characters)"


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
    assert len(outside._keys) == 1000
    assert stripped(f"{KEY} another-0000 another-0001") == f"{KEY_MARK} another-0000 {KEY_MARK}"


# log records


def record(message: Any, *given: Any, **fields: Any) -> logging.LogRecord:
    made = logging.LogRecord("n", 20, "p", 1, message, given, None)
    vars(made).update(fields)
    assert Cleaning().filter(made)
    return made


def test_a_record_is_changed_only_where_it_has_to_be() -> None:
    clean = record("%s is %d", "x", 5)
    assert (clean.msg, clean.args) == ("%s is %d", ("x", 5))
    keyed = record("%s is %d", KEY, 5)
    assert (keyed.msg, keyed.args) == (f"{KEY_MARK} is 5", ())
    hidden = record("no place for it", {"k": KEY})
    assert KEY not in f"{hidden.msg} {hidden.args!r}"
    assert record("100 % of %d", "x").args == ("x",)  # which is no format, and clean
    assert record("100 % of %d", KEY).msg == f"100 % of %d ('{KEY_MARK}',)"
    long = record("%s", "x" * 10_001)
    assert long.msg == "x" * 10_000 + "... (10,001 characters)"
    assert record("%s", "x" * 10_000).args == ("x" * 10_000,)


class Shown:
    def __init__(self, text: str, told: str = "") -> None:
        self.text, self.told = text, told or text

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return self.told


class Gone:
    pass


def nested(depth: int, value: Any) -> Any:
    return {"k": nested(depth - 1, value)} if depth else {"k": value}


def fields() -> Iterator[tuple[Any, Any]]:
    """A field of a record, and what becomes of it; ... where it stays the same object."""
    yield 5, ...
    yield None, ...
    yield 2.5, ...
    yield "clean", ...
    yield f"a {KEY}\n", f"a {KEY_MARK}\\n"
    yield ["clean", 5], ...
    yield ["clean", KEY], ["clean", KEY_MARK]
    yield ("x", KEY), ["x", KEY_MARK]
    yield {"k": "v"}, ...
    yield {"k": KEY, KEY: 5}, {"k": KEY_MARK, KEY_MARK: 5}
    yield {KEY: 1}, {KEY_MARK: 1}
    yield Shown("clean"), ...
    yield Shown(f"<{KEY}>"), f"<{KEY_MARK}>"
    yield Shown("clean", f"<{KEY}>"), f"<{KEY_MARK}>"
    yield Shown("x" * 10_001, "y"), "y"
    yield [[[[["deep"]]]]], ...
    yield [[[[[KEY]]]]], [[[[[KEY_MARK]]]]]
    yield [[[[[[KEY]]]]]], [[[[[f"['{KEY_MARK}']"]]]]]
    yield nested(4, KEY), nested(4, KEY_MARK)
    yield nested(5, KEY), nested(4, f"{{'k': '{KEY_MARK}'}}")
    yield {(): 5, ("a", KEY): 1}, "a value that can't be shown"  # a list is no key
    yield weakref.proxy(Gone()), "a value that can't be shown"


@pytest.mark.parametrize("number", range(len(list(fields()))))
def test_fields_of_a_record_are_clean(number: int) -> None:
    value, expected = list(fields())[number]
    found: Any = vars(record("x", said=value))["said"]
    if expected is ...:
        assert found is value
    else:
        assert found == expected
        assert type(found) is type(expected)


def test_what_has_no_repr_is_told_by_its_type() -> None:
    class Broken:
        def __repr__(self) -> str:
            raise ValueError(KEY)

    assert vars(record("x", said=Broken()))["said"] == "a Broken without a repr"


def test_tracebacks_are_cleaned_line_by_line() -> None:
    def of(text: str) -> Any:
        try:
            raise ValueError(text)
        except ValueError:
            return sys.exc_info()

    plain = record("x", exc_info=of("plain"))
    assert plain.exc_info is not None
    assert plain.exc_text is None
    keyed = record("x", exc_info=of(f"{KEY}"))
    assert keyed.exc_info is None
    assert keyed.exc_text is not None
    lines = keyed.exc_text.split("\n")
    assert (lines[0], lines[-1]) == (
        "Traceback (most recent call last):", f"ValueError: {KEY_MARK}",
    )  # fmt: skip
    assert record("x", exc_text=f"a\n{KEY}").exc_text == f"a\n{KEY_MARK}"
    assert record("x", stack_info=f"a\n{KEY}\x1b").stack_info == f"a\n{KEY_MARK}\\x1b"
