"""Whose an error is that comes up while sockets are moved: a signal's handler's, or the feed's."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from binance_sbe import sync
from binance_sbe.feed.transport.signalled import is_of_a_signal


class LateError(Exception):
    pass


def late(*_: object) -> None:
    raise LateError


class Handler:
    def handle(self, *_: object) -> None:
        raise LateError


@pytest.fixture(params=[late, Handler().handle], ids=["a function", "a method"])
def raised(request: pytest.FixtureRequest) -> Iterator[None]:
    before = signal.signal(signal.SIGUSR1, request.param)
    yield
    signal.signal(signal.SIGUSR1, before)


def told() -> None:
    signal.raise_signal(signal.SIGUSR1)


def wrong() -> None:
    raise LateError


def test_what_a_handler_raises_goes_through_and_ends_nothing(raised: None) -> None:
    with pytest.raises(LateError) as caught:
        told()
    assert is_of_a_signal(caught.value)
    feed = sync.connect("btcusdt@trade", url="ws://127.0.0.1:1", api_key="k")
    with pytest.raises(LateError):
        feed._loop._guarded(told)
    assert feed._loop.engine.error is None


def test_the_same_error_of_ours_ends_the_feed(raised: None) -> None:
    with pytest.raises(LateError) as caught:
        wrong()
    assert not is_of_a_signal(caught.value)
    feed = sync.connect("btcusdt@trade", url="ws://127.0.0.1:1", api_key="k")
    feed._loop._guarded(wrong)
    assert feed._loop.engine.error is not None
