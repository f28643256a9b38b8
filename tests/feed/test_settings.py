"""What `connect` is given: checked, and handed on to where it counts."""

from __future__ import annotations

import asyncio
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from datetime import time as time_of_day
from typing import Any

import pytest

import binance_sbe
from binance_sbe import live
from binance_sbe.asynchronous import Asynchronous
from binance_sbe.errors import MissingKey
from binance_sbe.feed.base import Plan
from binance_sbe.feed.settings import (
    MOST_LINES,
    Settings,
    checked_key,
    warn_of_transport,
)
from binance_sbe.simulator import Exchange
from binance_sbe.venue import environments
from binance_sbe.venue.streams import STREAM_TIMEOUT

TIMES = (
    "give_up_after", "renew_after", "open_timeout", "reply_timeout", "silence_timeout",
    "first_pause", "longest_pause", "settle_timeout",
)  # fmt: skip


def test_what_a_feed_does_unless_told_otherwise() -> None:
    assert Settings() == Settings(
        lines=1, reconnect=True, give_up_after=900.0, renew_after=84_600.0, renew_at=None,
        open_timeout=10.0, reply_timeout=10.0, silence_timeout=60.0, stream_timeout={},
        first_pause=0.25, longest_pause=30.0, settle_timeout=10.0,
    )  # fmt: skip
    assert MOST_LINES == 3


@pytest.mark.parametrize("name", TIMES)
def test_a_time_is_a_positive_number_of_seconds(name: str) -> None:
    for good in (0.001, 1, 10**9):
        assert getattr(Settings(**{name: good}), name) == good
    for bad in (0, -1.0, "1", float("nan"), None):
        if bad is None and name == "give_up_after":
            assert Settings(give_up_after=None).give_up_after is None
            continue
        with pytest.raises(ValueError, match=f"^{name} is a positive number of seconds, not"):
            Settings(**{name: bad})


@pytest.mark.parametrize("lines", [0, 4, -1])
def test_lines_are_one_to_three(lines: int) -> None:
    assert [Settings(lines=n).lines for n in (1, 2, 3)] == [1, 2, 3]
    with pytest.raises(ValueError, match=f"lines is from 1 to 3, not {lines}"):
        Settings(lines=lines)


@pytest.mark.parametrize("at", ["04:30", 4.5, 0])
def test_a_time_of_day_is_one(at: Any) -> None:
    assert Settings(renew_at=time_of_day(0)).renew_at == time_of_day(0)
    with pytest.raises(ValueError, match="renew_at is a datetime.time, not "):
        Settings(renew_at=at)


def test_streams_may_be_silent_for_a_time_or_for_ever() -> None:
    assert Settings(stream_timeout={"trade": None, "depth": 1}).stream_timeout["depth"] == 1
    for bad in (0, -1, "1"):
        with pytest.raises(ValueError, match="stream_timeout of depth20 is a positive number"):
            Settings(stream_timeout={"trade": None, "depth20": bad})


# connect


DEFAULTS = (
    ["btcusdt@trade"], "wss://stream-sbe.binance.com:9443", "https://api.binance.com", None,
    "raise", dict.fromkeys(("trade", "bestBidAsk", "depth20", "depth"), "block"), 65536,
    Settings(stream_timeout=STREAM_TIMEOUT),
)  # fmt: skip
NAMES = ("streams", "url", "rest", "api_key", "on_error", "policy", "max_queue")
SETTINGS: dict[str, Any] = {
    "lines": 3, "reconnect": False, "give_up_after": 5.0, "renew_after": 7.0,
    "renew_at": time_of_day(4, 30), "open_timeout": 8.0, "reply_timeout": 9.0,
    "silence_timeout": 11.0,
}  # fmt: skip


def arrived(monkeypatch: pytest.MonkeyPatch, **options: Any) -> tuple[Any, ...]:
    """What `connect` makes a feed of."""
    found: list[Plan] = []
    with monkeypatch.context() as patch:
        patch.setattr(live, "Feed", found.append)
        binance_sbe.connect("BTCUSDT@trade", **options)
    (plan,) = found
    assert plan.recorder is None
    return tuple(getattr(plan, each.name) for each in fields(plan) if each.name != "recorder")


def test_each_option_of_connect_arrives_and_changes_nothing_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert arrived(monkeypatch) == DEFAULTS
    for name, value in SETTINGS.items():
        *others, settings = arrived(monkeypatch, **{name: value})
        assert others == list(DEFAULTS[:-1])
        assert settings == Settings(stream_timeout=STREAM_TIMEOUT, **{name: value})
    *_, settings = arrived(monkeypatch, stream_timeout={"trade": 3.0, "depth": None})
    assert settings.stream_timeout == {**STREAM_TIMEOUT, "trade": 3.0, "depth": None}
    changed: list[tuple[dict[str, Any], dict[str, Any]]] = [
        ({"api_key": "k"}, {"api_key": "k"}),
        ({"on_error": "collect"}, {"on_error": "collect"}),
        ({"max_queue": 1}, {"max_queue": 1}),
        ({"on_overflow": "raise"}, {"policy": dict.fromkeys(DEFAULTS[5], "raise")}),
        ({"url": "ws://h:1"}, {"url": "ws://h:1", "rest": "http://h:1"}),
        ({"url": "wss://h"}, {"url": "wss://h", "rest": "https://h"}),
        (
            {"environment": "testnet"},
            {"url": environments.STREAMS["testnet"], "rest": environments.REST["testnet"]},
        ),
        (
            {"environment": "demo"},
            {"url": environments.STREAMS["demo"], "rest": environments.REST["demo"]},
        ),
    ]
    for options, expected in changed:
        *others, settings = arrived(monkeypatch, **options)
        assert dict(zip(NAMES, others, strict=True)) == {
            **dict(zip(NAMES, DEFAULTS, strict=False)), **expected,
        }  # fmt: skip
        assert settings == DEFAULTS[-1]


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ({"on_error": "skip"}, ValueError, "on_error is 'raise' or 'collect', not 'skip'"),
        ({"api_key": b"k"}, TypeError, "api_key is a str, not bytes"),
        ({"max_queue": 0}, ValueError, "max_queue is at least 1 frame, not 0"),
        ({"stream_timeout": {"kline": 1.0}}, ValueError, "stream_timeout: 'kline' is not a kind"),
        ({"environment": "moon"}, ValueError, "environment 'moon' is not one of prod, testnet"),
        ({"on_overflow": "sink"}, ValueError, "on_overflow"),
    ],
)
def test_what_connect_can_not_do_is_refused(
    options: dict[str, Any], error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        binance_sbe.connect("btcusdt@trade", **options)


def test_a_choice_that_there_was_once_is_warned_of_where_it_stands() -> None:
    warn_of_transport(None)
    for name in ("websockets", "picows"):
        with pytest.warns(DeprecationWarning, match="transport= has no effect any more") as found:
            binance_sbe.connect("btcusdt@trade", transport=name)
        assert found[0].filename == __file__
    with pytest.raises(ValueError, match="transport is 'websockets' or 'picows', not 'x'"):
        warn_of_transport("x")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("", "BINANCE_API_KEY"),
        (" \n", "BINANCE_API_KEY"),
        ("-----BEGIN PRIVATE KEY-----", "this is a key file"),
        ("-----BEGIN PUBLIC KEY-----\nabc", "this is a key file"),
        ("secret key", "has characters that no key has"),
        ("secret\x7fkey", "has characters that no key has"),
        ("secretékey", "has characters that no key has"),
    ],
)
def test_what_is_no_key_is_refused_and_not_quoted(
    given: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BINANCE_API_KEY", "another")
    with pytest.raises(MissingKey, match=said) as caught:
        checked_key(given)
    assert "secret" not in str(caught.value)


def test_a_key_is_taken_without_blanks_and_from_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("BINANCE_API_KEY", "  of-the-environment\n")
    assert checked_key(" given ") == "given"
    assert checked_key(None) == "of-the-environment"
    monkeypatch.delenv("BINANCE_API_KEY")
    with pytest.raises(MissingKey):
        checked_key(None)


# where the exchange is


STREAM_URLS = {
    "ws://h": "ws://h", "wss://h:9443/": "wss://h:9443", "ws://[::1]:5": "ws://[::1]:5",
    "http://h": None, "h:1": None, "ws://": None, "ws://h:0": None, "ws://h:65536": None,
    "ws://h:x": None, "ws://u@h": None, "ws://h/ws": None, "ws://h?a=b": None, "ws://h#a": None,
    "ws://[h": None,
}  # fmt: skip


@pytest.mark.parametrize("url", STREAM_URLS)
def test_a_url_is_a_scheme_with_a_host_and_a_port(url: str) -> None:
    expected = STREAM_URLS[url]
    if expected is not None:
        assert environments.stream_url("prod", url) == expected
        assert environments.rest_url("prod", url) == expected.replace("ws", "http", 1)
        return
    with pytest.raises(ValueError, match="is not ws:// or wss:// with a host and a port, and no"):
        environments.stream_url("prod", url)


def test_rest_takes_urls_of_both_kinds() -> None:
    for url in ("http://h:1", "https://h", "ws://h:1", "wss://h"):
        scheme = url.partition(":")[0].replace("ws", "http")
        assert environments.rest_url("testnet", url) == f"{scheme}://{url.partition('//')[2]}"
    with pytest.raises(ValueError, match="is not ws:// or wss:// or http:// or https:// with a"):
        environments.rest_url("prod", "ftp://h")
    for where in (environments.stream_url, environments.rest_url):
        with pytest.raises(ValueError, match="environment 'moon' is not one of"):
            where("moon", "ws://h")


def test_environments_have_hosts_of_their_own() -> None:
    for table, function in (
        (environments.STREAMS, environments.stream_url),
        (environments.REST, environments.rest_url),
    ):
        assert list(table) == ["prod", "testnet", "demo"]
        assert [function(name) for name in table] == list(table.values())
        assert len(set(table.values())) == 3
        assert all(url.startswith(("wss://", "https://")) for url in table.values())


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("ws://user:pass@h/x", "'ws://...@h/x'"),
        ("ws://h/ws?key=secret", "'ws://h/ws?...'"),
        ("ws://h/ws#key=secret\nmore", "'ws://h/ws?...'"),
        ("ws://a@b@h/x", "'ws://...@h/x'"),
    ],
)
def test_a_url_is_quoted_without_what_may_be_a_secret(url: str, shown: str) -> None:
    with pytest.raises(ValueError, match="with a host and a port") as caught:
        environments.stream_url("prod", url)
    assert f"url {shown} is not" in str(caught.value)


def test_what_is_not_used_as_it_should_be_says_what_to_write() -> None:
    class Thing(Asynchronous):
        _usage = "async with thing():"

    async def awaited() -> None:
        await Thing()

    with pytest.raises(TypeError, match="this needs 'async': write 'async with thing"), Thing():
        pass
    with pytest.raises(TypeError, match="this is not awaited: write 'async with thing"):
        asyncio.run(awaited())
    assert "not open: write 'async with thing():'" in str(Thing()._not_open())
    assert "is closed" in str(Thing()._closed())
    assert "'async with thing():'" in str(Thing()._closed())


# renewal at a time of day


def test_a_text_is_no_time_of_day() -> None:
    with pytest.raises(ValueError, match=r"renew_at is a datetime\.time, not '04:30'"):
        binance_sbe.connect("btcusdt@trade", renew_at="04:30")  # type: ignore[arg-type]


def test_connections_are_renewed_at_the_time_of_day() -> None:
    async def work() -> None:
        async with Exchange(["btcusdt"]) as exchange:
            soon = (datetime.now(UTC) + timedelta(seconds=1.5)).time()
            async with binance_sbe.connect(
                "btcusdt@trade", url=exchange.url, api_key="k", renew_at=soon
            ) as feed:
                async with asyncio.timeout(20):
                    async for _ in feed:
                        if feed.ledger.connections[0].closed_ns is not None:
                            break
                assert feed.ledger.connections[0].cause == "renewed"
                assert feed.ledger.holes == []

    asyncio.run(work())
