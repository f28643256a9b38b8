"""Signals, CPUs, processes and name servers: what the system does to a feed without asyncio."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
import warnings
from typing import Any

import pytest
from beside import Beside, connect, in_thread, nothing_left, publish, until

from binance_sbe import sync
from binance_sbe.errors import Unreachable
from binance_sbe.simulator import Exchange

PROGRAM = """
import os, signal, sys, threading, time
from pathlib import Path
from binance_sbe import sync

# a shell has those that it starts behind it ignore SIGINT, and Python leaves that so
signal.signal(signal.SIGINT, signal.default_int_handler)

def sockets():
    found = [str(each.readlink()) for each in Path("/proc/self/fd").iterdir() if each.is_symlink()]
    return sum(each.startswith("socket:") for each in found)

def main(feed):
    {work}

feed = sync.connect("btcusdt@trade", "btcusdt@depth20", url=sys.argv[1], api_key="k", {options})
before = sockets()
try:
    with feed:
        print("open", flush=True)
        main(feed)
except KeyboardInterrupt:
    time.sleep(0.2)
    print("interrupted", sockets() - before, threading.active_count(), flush=True)
"""
WORK = {
    "waiting": "feed.unsubscribe('btcusdt@depth20'); list(feed)",
    "batches": "list(feed.batches(max_delay=0.0))",
    "run": "feed.run(lambda message: None)",
    "run in C": "from binance_sbe.feed.intake.handlers import Ignoring; feed.run(Ignoring())",
    "in a handler": "feed.run(lambda message: time.sleep(30))",
    "between messages": "[time.sleep(30) for message in feed]",
    "iterating": "[None for message in feed]",
    "asking": "[feed.subscribe('btcusdt@depth') or feed.unsubscribe('btcusdt@depth') "
    "for _ in iter(int, 1)]",
}


def program(work: str, options: str = "") -> list[str]:
    return [sys.executable, "-W", "error", "-c", PROGRAM.format(work=work, options=options)]


@pytest.mark.parametrize("options", ["", "spin=True"], ids=["sleeping", "spinning"])
@pytest.mark.parametrize("work", WORK)
def test_ctrl_c_ends_with_keyboard_interrupt_and_leaves_nothing(
    exchange: Beside[Exchange], work: str, options: str
) -> None:
    command = [*program(WORK[work], options), exchange.made.url]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as running:
        assert running.stdout is not None
        assert running.stdout.readline() == b"open\n"
        time.sleep(0.3)
        started = time.monotonic()
        running.send_signal(signal.SIGINT)
        said, errors = running.communicate(timeout=20)
    assert (said, errors) == (b"interrupted 0 1\n", b"")
    assert time.monotonic() - started < 5
    until(lambda: not exchange.made._connections)


def test_ctrl_c_at_any_moment_of_a_busy_consumer_leaves_a_feed_that_can_be_closed(
    exchange: Beside[Exchange],
) -> None:
    """A signal falls between any two steps: of all that comes after it, nothing may wait."""

    class Tick(BaseException):
        pass

    def tick(*_: object) -> None:
        raise Tick

    exchange.made.rate = 20_000
    before = signal.signal(signal.SIGALRM, tick)
    try:
        with nothing_left(), connect(exchange, "btcusdt@trade", "btcusdt@bestBidAsk") as feed:
            count = interrupted = 0
            end = time.monotonic() + 4
            while time.monotonic() < end:
                try:
                    signal.setitimer(signal.ITIMER_REAL, 0.0005 + 0.003 * (count % 7) / 7)
                    for _ in feed:
                        count += 1
                except Tick:
                    interrupted += 1
            signal.setitimer(signal.ITIMER_REAL, 0)
            assert interrupted > 100
            assert next(feed)
            closing, got = in_thread(feed.close)
            closing.join(10)
            assert got == [None]
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def test_what_a_signals_handler_raises_is_the_consumers_and_the_feed_stays_open(
    exchange: Beside[Exchange],
) -> None:
    """A time-out by SIGALRM raises an Exception: it is no fault of the feed's, wherever it falls.

    Bytes that were read are in the feed then, and no id is missing; where it falls amid the account
    of a hole, which is Python code, the connection is made anew.
    """

    class LateError(Exception):
        pass

    def late(*_: object) -> None:
        nonlocal is_on
        if is_on:
            is_on = False
            raise LateError

    is_on = False
    exchange.made.rate = 20_000
    before = signal.signal(signal.SIGALRM, late)
    try:
        with nothing_left(), connect(exchange, "btcusdt@trade", "btcusdt@depth") as feed:
            raised, end = 0, time.monotonic() + 4
            signal.setitimer(signal.ITIMER_REAL, 0.001, 0.011)
            while time.monotonic() < end:
                try:
                    is_on = True
                    next(feed)
                    is_on = False
                except LateError:
                    raised += 1
            signal.setitimer(signal.ITIMER_REAL, 0)
            is_on = False
            assert raised > 100
            assert next(feed)
            assert feed.reconnects or not feed.ledger.holes
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def test_a_signals_handler_may_close_the_feed(quiet: Beside[Exchange]) -> None:
    with nothing_left(), connect(quiet, timeout=None) as feed:
        before = signal.signal(signal.SIGALRM, lambda *_: feed.close())
        try:
            signal.setitimer(signal.ITIMER_REAL, 0.3)
            assert list(feed) == []
        finally:
            signal.signal(signal.SIGALRM, before)


def test_ctrl_c_while_the_exchange_does_not_answer_the_close(quiet: Beside[Exchange]) -> None:
    """The second Ctrl-C ends that as well."""

    class Tick(BaseException):
        pass

    def tick(*_: object) -> None:
        raise Tick

    with nothing_left(), connect(quiet) as feed:
        quiet.call(lambda: [each.transport.pause_reading() for each in quiet.made._connections])
        before = signal.signal(signal.SIGALRM, tick)
        try:
            signal.setitimer(signal.ITIMER_REAL, 0.3)
            started = time.monotonic()
            with pytest.raises(Tick):
                feed.close()
            assert time.monotonic() - started < 1.5
        finally:
            signal.signal(signal.SIGALRM, before)
        quiet.call(lambda: [each.transport.abort() for each in quiet.made._connections])


# CPUs


def test_a_cpu_that_is_not_there_is_refused(quiet: Beside[Exchange]) -> None:
    allowed = os.sched_getaffinity(0)
    with nothing_left():
        with pytest.raises(ValueError, match="cpu: there is no CPU 4321 .* it has "):
            connect(quiet, cpu=4321).__enter__()
        assert os.sched_getaffinity(0) == allowed


@pytest.mark.parametrize("closer", ["this thread", "another"])
def test_the_thread_is_pinned_until_the_end(quiet: Beside[Exchange], closer: str) -> None:
    allowed = os.sched_getaffinity(0)
    with connect(quiet, cpu=max(allowed)) as feed:
        assert os.sched_getaffinity(0) == {max(allowed)}
        publish(quiet, 1)
        assert next(feed)
        if closer == "another":
            in_thread(feed.close)[0].join(5)
            assert os.sched_getaffinity(0) == allowed
    assert os.sched_getaffinity(0) == allowed
    with pytest.raises(Unreachable), connect(quiet, cpu=max(allowed), url="ws://127.0.0.1:9"):
        pass
    assert os.sched_getaffinity(0) == allowed


def test_spinning_on_the_only_core_is_warned_of(quiet: Beside[Exchange]) -> None:
    """In a process of its own, whose affinity is that of one core, and at the user's line."""
    text = "\n".join(
        [
            "import os, sys, warnings",
            "from binance_sbe import sync",
            "os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})",
            "def main():",
            "    with sync.connect('btcusdt@trade', url=sys.argv[1], api_key='k', spin=True):",
            "        pass",
            "with warnings.catch_warnings(record=True) as said:",
            "    warnings.simplefilter('always')",
            "    main()",
            "print([(each.category.__name__, each.lineno) for each in said], said[0].message)",
        ]
    )
    command = [sys.executable, "-c", text, quiet.made.url]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
    assert done.stdout.startswith("[('RuntimeWarning', 5)] spin=True takes a whole core")
    if len(os.sched_getaffinity(0)) > 1:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            with connect(quiet, spin=True):
                pass


# processes


FORKS = """
import os, sys
from binance_sbe import sync

with sync.connect("btcusdt@depth20", url=sys.argv[1], api_key="k", timeout=10) as feed:
    begun = iter(feed)
    next(begun)
    child = os.fork()
    if child == 0:
        told = []
        uses = lambda: iter(feed), lambda: feed.subscribe("ethusdt@trade"), lambda: list(begun)
        for use in uses:
            try:
                use()
            except RuntimeError as error:
                told.append("of the process that has made it" in str(error))
        feed.close()
        os._exit(0 if told == [True] * 3 else 1)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    print([type(next(feed)).__name__ for _ in range(20)][-1], feed.reconnects)
"""


def test_another_process_is_told_that_the_feed_is_not_its_own(exchange: Beside[Exchange]) -> None:
    """And what it does to its copy leaves the connections as they are."""
    command = [sys.executable, "-c", FORKS, exchange.made.url]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert (done.stdout, done.stderr) == ("0\nDepthSnapshotStreamEvent 0\n", "")


FORKS_AMID_AN_OPENING = """
import os, socket, sys, threading
from binance_sbe import sync

feed = sync.connect("btcusdt@depth20", url=sys.argv[1], api_key="k", timeout=10).__enter__()
loop = feed._loop
silent = socket.create_server(("127.0.0.1", 0))
loop.url = "ws://127.0.0.1:%d/ws" % silent.getsockname()[1]
feed.renew()
while not loop._openings:
    next(feed)  # until there is one whose thread may hold all that it can hold while we fork
[opening, _, _], = loop._openings.values()
held = threading.Event()

def hold():
    with loop._waker_lock, opening._lock, feed._lock:
        held.set()
        threading.Event().wait()

threading.Thread(target=hold, daemon=True).start()
held.wait()
child = os.fork()
if child == 0:
    try:
        feed.renew()
    except RuntimeError as error:
        print("of the process that has made it" in str(error))
    {end}
    print("ended", flush=True)
    os._exit(0)
os.waitpid(child, 0)
os._exit(0)
"""


@pytest.mark.parametrize("end", ["feed.close()", "del feed"])
def test_a_copy_of_the_process_waits_for_no_thread_that_it_does_not_have(
    exchange: Beside[Exchange], end: str
) -> None:
    """A lock that another thread held at the fork is held for ever in the copy."""
    text = FORKS_AMID_AN_OPENING.format(end=end)
    command = [sys.executable, "-W", "ignore", "-c", text, exchange.made.url]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert (done.stdout, done.stderr) == ("True\nended\n", "")


# name servers


@pytest.fixture
def no_answer(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A name server that answers nobody until it is told to."""
    answers = threading.Event()

    def getaddrinfo(*_: object, **__: object) -> Any:
        answers.wait(30)
        raise socket.gaierror("no such name")

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    yield answers
    answers.set()


def test_a_name_server_that_does_not_answer_costs_the_time_out(no_answer: Any) -> None:
    with nothing_left():
        started = time.monotonic()
        feed = sync.connect("a@trade", url="ws://slow.test", api_key="k", open_timeout=0.5)
        with pytest.raises(Unreachable, match=r"slow.test.*no answer within 0.5 s"), feed:
            pass
        assert time.monotonic() - started < 5
        no_answer.set()


def test_closing_does_not_wait_for_a_name_server(no_answer: Any) -> None:
    with nothing_left():
        feed = sync.connect("a@trade", url="ws://slow.test", api_key="k")
        opening, got = in_thread(feed.__enter__)
        time.sleep(0.2)
        started = time.monotonic()
        feed.close()
        opening.join(5)
        assert time.monotonic() - started < 3
        assert "closed" in str(got[0])
        no_answer.set()


def test_the_interpreter_does_not_wait_for_a_name_server() -> None:
    text = "\n".join(
        [
            "import socket, time",
            "from binance_sbe import sync",
            "socket.getaddrinfo = lambda *a, **k: time.sleep(60)",
            "feed = sync.connect('a@trade', url='ws://slow.test', api_key='k', open_timeout=0.3)",
            "try:",
            "    feed.__enter__()",
            "except Exception as error:",
            "    print(type(error).__name__)",
        ]
    )
    started = time.monotonic()
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, timeout=30)
    assert (done.stdout, done.stderr) == ("Unreachable\n", "")
    assert time.monotonic() - started < 15
