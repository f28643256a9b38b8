"""A feed without asyncio, used in a way that is none: a sentence says so."""

from __future__ import annotations

import asyncio
import pickle
import time
from typing import Any

import pytest
from beside import Beside, connect, in_thread, publish, until

from binance_sbe import sync
from binance_sbe.errors import FeedError, MissingKey, SubscriptionRefused, Unreachable
from binance_sbe.feed.intake.handlers import FrameHandler
from binance_sbe.simulator import Exchange

pytestmark = pytest.mark.usefixtures("leaves_nothing")


def test_a_second_consumer_is_refused_and_takes_nothing(quiet: Beside[Exchange]) -> None:
    with connect(quiet, timeout=None) as feed:
        thread, got = in_thread(next, feed)
        time.sleep(0.1)
        for second in (lambda: next(feed), lambda: next(feed.batches()), lambda: feed.run(print)):
            with pytest.raises(RuntimeError, match="another thread waits .* has one consumer"):
                second()
        (frame,) = publish(quiet, 1)
        thread.join(5)
        assert bytes(got[0]) == frame


def test_a_feed_is_opened_once_and_used_in_its_block(quiet: Beside[Exchange]) -> None:
    feed = connect(quiet)
    for use in (
        lambda: next(feed), lambda: iter(feed), lambda: feed.batches(), lambda: feed.run(print),
        feed.renew, lambda: feed.subscribe("a@trade"), lambda: feed.unsubscribe("a@trade"),
    ):  # fmt: skip
        with pytest.raises(RuntimeError, match="not open: write 'with sync.connect"):
            use()
    feed.close()  # which is nothing
    with feed, pytest.raises(RuntimeError, match="opened before"):
        feed.__enter__()
    with pytest.raises(RuntimeError, match="opened before"):
        feed.__enter__()
    with pytest.raises(RuntimeError, match="this is closed"):
        iter(feed)
    with connect(quiet, url=quiet.made.url) as other:
        other.unsubscribe("btcusdt@trade")
        with pytest.raises(RuntimeError, match="no streams"):
            next(other)


def test_asynchronous_use_is_told_what_to_write(quiet: Beside[Exchange]) -> None:
    async def work() -> None:
        async with connect(quiet):  # type: ignore[attr-defined]
            pass

    with pytest.raises(TypeError, match="without asyncio: write 'with sync.connect"):
        asyncio.run(work())


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"timeout": 0}, ValueError), ({"timeout": -1.0}, ValueError),
        ({"cpu": -1}, ValueError), ({"cpu": "0"}, ValueError), ({"max_queue": 0}, ValueError),
        ({"on_error": "ignore"}, ValueError), ({"nonsense": 1}, TypeError),
        ({"url": "http://x"}, ValueError),
    ],
)  # fmt: skip
def test_wrong_arguments_are_refused_at_once(options: Any, error: Any) -> None:
    with pytest.raises(error, match=next(iter(options))):
        sync.connect("btcusdt@trade", **options)


def test_what_can_not_be_a_handler_is_refused(quiet: Beside[Exchange]) -> None:
    async def coroutine(message: Any) -> None:
        pass

    with connect(quiet) as feed:
        for handler in (coroutine, None, "print", FrameHandler):
            with pytest.raises(TypeError, match="handler"):
                feed.run(handler)  # type: ignore[arg-type]


def test_opening_that_fails_leaves_a_feed_that_is_not_open(quiet: Beside[Exchange]) -> None:
    with pytest.raises(MissingKey), connect(quiet, api_key=" "):
        pass
    with pytest.raises(SubscriptionRefused, match="nosuch@trade"), connect(quiet, "nosuch@trade"):
        pass
    feed = connect(quiet, url="ws://127.0.0.1:9", reconnect=False)
    with pytest.raises(Unreachable, match="nothing listens there"), feed:
        pass
    with pytest.raises(RuntimeError, match="not open"):
        next(feed)


def test_no_feed_can_be_pickled(quiet: Beside[Exchange]) -> None:
    with connect(quiet) as feed, pytest.raises(TypeError, match="pickle"):
        pickle.dumps(feed)


def test_a_feed_that_is_dropped_warns_and_its_sockets_are_gone(quiet: Beside[Exchange]) -> None:
    feed = connect(quiet)
    feed.__enter__()
    with pytest.warns(ResourceWarning, match=r"<Feed ws://.*was dropped and not closed"):
        del feed
    until(lambda: not quiet.made._connections)


def test_a_feed_that_has_failed_is_dropped_without_a_word(quiet: Beside[Exchange]) -> None:
    feed = connect(quiet, reconnect=False)
    feed.__enter__()
    quiet.call(lambda: [each.transport.abort() for each in quiet.made._connections])
    with pytest.raises(FeedError):
        next(feed)
    with pytest.raises(FeedError):
        feed.subscribe("ethusdt@trade")
    del feed
