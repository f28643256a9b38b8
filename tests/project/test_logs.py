"""Log records have no key, nothing that a terminal obeys, and the levels of the user."""

from __future__ import annotations

import logging
import sys
import weakref
from collections.abc import Iterator
from typing import Any

import pytest
from nasty import KEY, NASTY_WITH_KEY

from binance_sbe.keys import KEY_MARK, remember_key
from binance_sbe.logs import LOG, Cleaning, websocket_logger


@pytest.fixture(autouse=True)
def only_this_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BINANCE_API_KEY", raising=False)
    remember_key(KEY)


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
