"""What errors say, word for word, and that nothing raw and no key is in them."""

from __future__ import annotations

import pickle
from typing import Any

import pytest
from nasty import KEY, NASTY, NASTY_WITH_KEY

from binance_sbe import errors, keys
from binance_sbe.errors import (
    KEY_HELP,
    BinanceError,
    BookError,
    ConnectionLost,
    ConnectionRefused,
    FeedError,
    MissingKey,
    NotSbe,
    RateLimited,
    SlowConsumer,
    SubscriptionRefused,
    Unreachable,
)
from binance_sbe.keys import KEY_MARK, remember_key


@pytest.fixture(autouse=True)
def only_this_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys, "_keys", ())
    monkeypatch.delenv("BINANCE_API_KEY", raising=False)
    remember_key(KEY)


MANY = "Too many requests or connections came from this address: try again in "
UNKNOWN = (
    "The exchange does not know this key here, or it is not of type Ed25519, or this address is "
    f"not on the list that the key is restricted to. {KEY_HELP}"
)
FORM = f"This is not the form of an API key: is it complete? {KEY_HELP}"
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
     f"the answer is not SBE (x/y, 100 bytes): {' '.join('a' * 50)}"),
    (NotSbe("x/y", b"\0a" * 50),
     f"the answer is not SBE (x/y, 100 bytes): {' '.join(['00', '61'] * 12)}"),
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


# what they quote


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
