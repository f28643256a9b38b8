"""How the reading of a connection ends, for whatever reason; and floods."""

from __future__ import annotations

import time

import pytest
from fake_shell import Shell
from raw_server import BINARY, CLOSE, CONTINUATION, PING, TEXT, wire

from binance_sbe.feed.intake.streams import Source

BUFFER = 256 * 1024
MOST_OTHERS = 10_000
LONG = wire(BINARY, bytes(65_536))


def test_what_waits_when_the_socket_ends_is_drained_later() -> None:
    lost = OSError("reset")
    shell = Shell(1)
    shell.bring(wire(BINARY, b"a") + wire(BINARY, b"b"))
    shell.reader.connection_lost(lost)
    assert shell.calls == [("lost", lost)]
    shell.reader.resume()
    assert (shell.calls, shell.taken()) == ([("lost", lost)], [b"a"])
    shell.reader.resume()
    assert (shell.calls, shell.taken()) == ([("lost", lost), "drained"], [b"b"])
    shell.reader.resume()
    shell.reader.stop()
    assert len(shell.calls) == 2  # once
    idle = Shell(1)
    idle.bring(wire(BINARY, b"a"))
    idle.reader.connection_lost(None)
    assert idle.calls == [("lost", None), "drained"]


def test_after_a_stop_nothing_counts_and_what_waited_is_let_go() -> None:
    shell = Shell(1)
    shell.bring(wire(BINARY, b"a") + wire(BINARY, b"b"))
    shell.reader.stop()
    assert (shell.reader.over, shell.reader.blocked) == (True, False)
    assert shell.taken() == [b"a"]
    shell.reader.resume()
    shell.bring(wire(BINARY, b"c") + wire(PING, b""))
    assert (shell.backlog.pending, shell.given, shell.calls) == (0, b"", [])
    assert len(shell.reader.buffer()) == BUFFER
    shell.reader.put(b"late")
    assert (shell.backlog.pending, shell.line.unwanted) == (0, 1)
    shell.reader.connection_lost(None)
    assert shell.calls == [("lost", None), "drained"]
    waiting = Shell(1)
    waiting.bring(wire(BINARY, b"a") + wire(BINARY, b"b"))
    waiting.reader.connection_lost(None)
    waiting.reader.stop()
    assert waiting.calls == [("lost", None), "drained"]


def test_messages_that_nobody_wants_any_more_are_counted_and_signs_are_heard() -> None:
    shell = Shell(1)
    part, end = wire(BINARY, b"a", fin=False), wire(CONTINUATION, b"b")
    shell.bring(wire(BINARY, b"first") + wire(BINARY, b"waits") + wire(BINARY, b"waits"))
    shell.reader.discards = True
    shell.reader.resume()
    assert (shell.line.unwanted, shell.reader.blocked) == (2, False)
    shell.bring(part + end + wire(PING, b"x") + wire(BINARY, bytes(200)) + LONG + wire(CLOSE, b""))
    assert shell.line.unwanted == 2 + 3
    assert shell.heard == [(PING, b"x"), (CLOSE, b"")]
    assert (shell.taken(), shell.backlog.stats.frames, shell.line.frames) == ([b"first"], 1, 1)


def test_a_message_that_waited_is_counted_where_nobody_wants_it_any_more() -> None:
    shell = Shell(1)
    shell.bring(wire(BINARY, b"in ", fin=False))
    shell.backlog.put(b"of another connection", 1, Source(1, "two"))
    shell.bring(wire(CONTINUATION, b"parts"))
    shell.reader.discards = True
    shell.reader.resume()
    assert (shell.line.unwanted, shell.reader.blocked) == (1, False)
    assert shell.taken() == [b"of another connection"]


@pytest.mark.parametrize("error", [RuntimeError("no ear"), KeyboardInterrupt()])
@pytest.mark.parametrize("is_full", [False, True])
def test_an_error_of_the_shell_is_told_to_it_and_ends_the_reading(
    error: BaseException, is_full: bool
) -> None:
    shell = Shell(1)
    shell.fails = error
    data = wire(BINARY, b"a") + wire(BINARY, b"b") * is_full + wire(PING, b"") + wire(BINARY, b"c")
    if isinstance(error, Exception):
        shell.bring(data)
    else:
        with pytest.raises(KeyboardInterrupt):
            shell.bring(data)
    assert shell.calls == [error]
    assert (shell.reader.over, shell.reader.blocked) == (True, False)
    assert shell.taken() == [b"a"]
    shell.reader.connection_lost(None)
    assert shell.calls[1:] == [("lost", None), "drained"]


def test_frames_have_the_time_of_their_read() -> None:
    shell = Shell(10)
    before = time.time_ns()
    shell.bring(wire(BINARY, b"a") + wire(BINARY, b"b"))
    after = time.time_ns()
    shell.bring(wire(BINARY, b"c"))
    times = [shell.backlog.frames.popleft()[1] for _ in range(3)]
    assert before <= times[0] == times[1] <= after <= times[2] <= time.time_ns()
    assert shell.line.received == times[2]


# floods


@pytest.mark.parametrize("kind", [PING, CONTINUATION, TEXT])
@pytest.mark.parametrize("is_full", [False, True])
def test_a_flood_of_what_is_no_message_is_refused(kind: int, is_full: bool) -> None:
    """In frames of their own, which cost more than messages do; 10,000 in a second may be."""
    start = (wire(BINARY, b"a") * 2) * is_full
    if kind == CONTINUATION:
        start = wire(BINARY, b"", fin=False)
    few = MOST_OTHERS - (kind == CONTINUATION)
    shell = Shell(1)
    shell.bring(start, wire(kind, b"", fin=kind != CONTINUATION) * few)
    assert shell.calls == []
    shell.bring(wire(kind, b"", fin=kind != CONTINUATION))
    refusal = "more than 10,000 control frames and fragments in a second"
    assert shell.calls == [(1008, refusal)]
    assert len(shell.given) == 2 * MOST_OTHERS
    shell.bring(wire(BINARY, b"b"))
    assert shell.line.frames == (kind != CONTINUATION and is_full)


def test_what_is_no_flood_may_go_on_for_ever() -> None:
    shell = Shell(1)
    for _ in range(2):
        shell.bring(wire(PING, b"") * 9000)
        time.sleep(1.01)  # the reader's clock is the machine's
    shell.bring(wire(PING, b"") * 9000)
    assert (shell.calls, len(shell.heard)) == ([], 27_000)


def test_a_close_amid_a_message_is_told_before_it_is_given() -> None:
    """It may come there (RFC 6455, 5.4), and of the message nothing more does."""
    shell = Shell(9)
    shell.bring(wire(BINARY, b"a", fin=False) + wire(PING, b""))
    assert shell.calls == []
    shell.bring(wire(CLOSE, b"\x03\xe8") + wire(CONTINUATION, b"b"))
    assert shell.calls == ["cut off"]
    whole = Shell(9)
    whole.bring(wire(BINARY, b"a", fin=False) + wire(CONTINUATION, b"b") + wire(CLOSE, b""))
    assert whole.calls == []
