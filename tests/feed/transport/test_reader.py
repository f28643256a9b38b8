"""The reader of one connection's frames, byte by byte, and behind an backlog that is full."""

from __future__ import annotations

import random
from itertools import combinations, pairwise

import pytest
from fake_shell import Shell
from hypothesis import given, settings
from hypothesis import strategies as st
from raw_server import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, wire

from binance_sbe.feed.intake.streams import Source

BUFFER = 256 * 1024


def payload_of(size: int) -> bytes:
    return random.Random(size).randbytes(size)


# frames that are cut

SHORT, MIDDLE, LONG = (wire(BINARY, payload_of(size)) for size in (5, 200, 65_536))
FRAMES = {
    "a message, header of 2 bytes": SHORT,
    "an empty message": wire(BINARY, b""),
    "the longest of 2 bytes": wire(BINARY, payload_of(125)),
    "the shortest of 4 bytes": wire(BINARY, payload_of(126)),
    "a message, header of 4 bytes": MIDDLE,
    "the longest of 4 bytes": wire(BINARY, payload_of(65_535)),
    "the shortest of 10 bytes": LONG,
    "a longer one of 10 bytes": wire(BINARY, payload_of(70_001)),
    "a ping": wire(PING, b"sign"),
    "a ping of nothing": wire(PING, b""),
    "the longest pong": wire(PONG, payload_of(125)),
    "a text": wire(TEXT, b"text"),
    "a text, header of 4 bytes": wire(TEXT, b"x" * 300),
    "a text, header of 10 bytes": wire(TEXT, b"y" * 65_536),
    "a message that begins": wire(BINARY, payload_of(130), fin=False),
    "a masked message": wire(BINARY, b"masked", mask=b"\0\0\0\0"),
    "a masked message, header of 8 bytes": wire(BINARY, b"m" * 126, mask=b"\0\0\0\0"),
    "a masked message, header of 14 bytes": wire(BINARY, b"m" * 65_536, mask=b"\0\0\0\0"),
    "a message with a reserved bit": wire(BINARY, b"reserved", bits=4),
}


@pytest.mark.parametrize("name", FRAMES)
def test_a_frame_is_read_whole_wherever_its_header_is_cut(name: str) -> None:
    """The one before it has come by then, and the one after it comes as well."""
    frame = FRAMES[name]
    before, after = wire(BINARY, b"before"), wire(PING, b"after")
    data = before + frame + after
    begin, end = len(before), len(before) + len(frame)
    places = [*range(begin - 1, min(end, begin + 15) + 1), end - 1, end, end + 1]
    cuts = [(place,) for place in sorted(set(places))]
    cuts += [(a, b) for a, b in combinations(range(begin, min(end, begin + 15)), 2)][
        :: 1 + (end > 9999)
    ]
    whole = Shell(100)
    whole.bring(data)
    expected = whole.taken(), whole.heard, whole.given, whole.backlog.stats.frames
    is_plain = frame[0] == 0x82 and not frame[1] & 128
    assert expected[0] == [b"before", whole_payload(frame)][: 1 + is_plain]
    assert whole.heard[-1] == (PING, b"after")
    assert (after if is_plain and len(frame) < 65_540 else frame + after) == whole.given
    for places_of_one in cuts:
        shell = Shell(100)
        marks = [0, *places_of_one, len(data)]
        for a, b in pairwise(marks):
            shell.bring(data[a:b])
            count = (b >= begin) + (is_plain and b >= end)
            assert shell.backlog.stats.frames == len(shell.backlog.frames) == count, (marks, b)
        assert (shell.taken(), shell.heard, shell.given, shell.backlog.stats.frames) == expected
        assert (shell.calls, shell.reader.blocked) == ([], False)
        assert shell.line.frames == expected[3]


def whole_payload(frame: bytes) -> bytes:
    return frame[{126: 4, 127: 10}.get(frame[1] & 127, 2) :]


@pytest.mark.parametrize("kind", [BINARY, TEXT, CONTINUATION])
@pytest.mark.parametrize(
    ("size", "form", "is_good"),
    [(125, 126, False), (0, 126, False), (126, 126, True), (65_535, 127, False),
     (125, 127, False), (65_536, 127, True)],
)  # fmt: skip
def test_a_length_is_in_its_shortest_form(kind: int, size: int, form: int, is_good: bool) -> None:
    shell = Shell(100)
    shell.bring(wire(kind, bytes(size), form=form) + wire(BINARY, b"after"))
    refused = (1002, "a length that is not in its shortest form")
    assert shell.calls == ([] if is_good else [refused])
    assert shell.taken()[-1:] == ([b"after"] if is_good else [])


@pytest.mark.parametrize("length", [1 << 20, (1 << 40) - 1, 1 << 40, 1 << 55, (1 << 63) - 1])
def test_all_that_follows_a_length_that_nobody_has_is_the_shells(length: int) -> None:
    """It refuses such a frame; none of its bytes may be taken for frames meanwhile."""
    shell = Shell(100)
    head = b"\x82\x7f" + length.to_bytes(8, "big")
    data = head + wire(BINARY, b"no frame") * 100
    for i in range(0, len(data), 3):
        shell.bring(data[i : i + 3])
    assert shell.given == data
    assert (shell.backlog.stats.frames, shell.calls) == (0, [])


@pytest.mark.parametrize("length", [1 << 63, (1 << 64) - 1])
def test_a_length_has_63_bits(length: int) -> None:
    shell = Shell(100)
    shell.bring(wire(BINARY, b"before") + b"\x82\x7f" + length.to_bytes(8, "big"))
    assert shell.taken() == [b"before"]
    assert (shell.given, shell.calls) == (b"", [(1002, "a length of more than 63 bits")])


def test_a_message_in_several_frames_is_the_shells_and_what_follows_is_not() -> None:
    first, last = wire(BINARY, b"one ", fin=False), wire(CONTINUATION, b"two")
    shell = Shell(100)
    amid = wire(PING, b"amid") + wire(BINARY, b"not now") + wire(PONG, b"amid")
    shell.bring(wire(BINARY, b"0") + first + amid)
    assert shell.given == first + amid  # a plain one is against the rules there: the shell sees it
    shell = Shell(100)
    shell.bring(first, wire(PING, b"amid"), last + wire(BINARY, b"3") + wire(TEXT, b"x", fin=False))
    assert shell.taken() == [b"one two", b"3"]
    shell.bring(wire(BINARY, b"4"))
    assert shell.given.endswith(wire(BINARY, b"4"))


# an backlog that is full


def test_signs_and_texts_behind_messages_for_which_there_is_no_room_are_heard_once() -> None:
    shell = Shell(2)
    messages = [b"%d" % i for i in range(8)]
    data = b"".join(
        wire(BINARY, message) + wire(kind, message)
        for message, kind in zip(messages, [PING, TEXT, PONG, PING] * 2, strict=True)
    )
    shell.bring(data[:-1])
    heard = list(zip([PING, TEXT, PONG, PING] * 2, messages, strict=True))
    assert shell.heard == heard[:-1]  # of the last a byte is missing
    assert (shell.reader.blocked, shell.backlog.stats.frames) == (True, 2)
    shell.reader.resume()  # though nothing was taken
    assert (shell.heard, shell.backlog.stats.frames) == (heard[:-1], 2)
    shell.bring(data[-1:])
    shell.bring(wire(BINARY, b"last"))
    assert shell.heard == heard
    got = []
    while shell.backlog.pending:
        got += shell.taken(1)
        assert len(shell.backlog.frames) <= 1
        shell.reader.resume()
    assert got == [*messages, b"last"]
    assert (shell.heard, shell.reader.blocked, shell.reading) == (heard, False, [])
    assert shell.backlog.stats.frames == shell.line.frames == 9
    assert shell.backlog.stats.bytes == shell.line.bytes == sum(map(len, got))


WAITING = wire(BINARY, b"waits")
LINE = b"b" * 200


@pytest.mark.parametrize(
    ("behind", "heard"),
    [
        (wire(PING, b"a"), [b"a"]),
        (wire(PONG, b"a") + wire(TEXT, LINE) + WAITING + wire(PING, b""), [b"a", LINE, b""]),
        (wire(BINARY, bytes(300)) + wire(PING, b"a"), [b"a"]),
        (wire(BINARY, b"", fin=False) + wire(PING, b"a"), []),  # what follows may be of it
        (wire(TEXT, b"", fin=False) + wire(PING, b"a"), []),
        (wire(PING, b"a", fin=False) + wire(PING, b"b"), []),
        (wire(PING, b"a", bits=1), []),
        (wire(CLOSE, b"\x03\xe8") + wire(PING, b"a"), []),
        (wire(CLOSE, b"\x03\xe8" + bytes(124)) + wire(PING, b"a"), []),
        (wire(PING, b"a", mask=b"\0\0\0\0"), []),
        (wire(BINARY, b"a", mask=b"\0\0\0\0") + wire(PING, b"b"), []),
        (wire(PING, b"a", form=126), []),
        (wire(PING, bytes(126)) + wire(PING, b"a"), []),
        (wire(PONG, bytes(126)) + wire(PING, b"a"), []),
        (wire(TEXT, b"\xff") + wire(PING, b"a"), []),
        (wire(PING, b"abc")[:-1], []),
        (wire(BINARY, b"abc")[:-1], []),
        (wire(TEXT, b"x" * 200)[:3], []),
    ],
)  # fmt: skip
def test_what_is_heard_though_there_is_no_room(behind: bytes, heard: list[bytes]) -> None:
    """Up to what nobody knows the meaning of; and no byte of that is lost."""
    shell = Shell(1)
    shell.bring(wire(BINARY, b"first") + WAITING + behind)
    assert [payload for _, payload in shell.heard] == heard
    words = b"\x03\xe8" if behind[:2] == b"\x88\x02" else None
    assert shell.reader.last_words == words
    assert shell.reader.blocked
    assert shell.taken() == [b"first"]
    shell.reader.resume()
    assert shell.taken() == [b"waits"]
    shell.reader.resume()
    shell.taken()
    shell.reader.resume()
    if behind.startswith(wire(BINARY, b"", fin=False)) or behind[:1] == b"\x88":
        assert (PING, b"a") in shell.heard


@pytest.mark.parametrize("amid", [False, True])
def test_a_message_that_was_put_together_waits_for_room_and_keeps_its_place(amid: bool) -> None:
    shell = Shell(1)
    first, last = wire(BINARY, b"in ", fin=False), wire(CONTINUATION, b"parts")
    shell.bring(first)
    shell.backlog.put(b"of another connection", 1, Source(1, "two"))
    shell.bring(wire(PING, b"amid") * amid + last + wire(BINARY, b"next") + wire(PING, b"behind"))
    assert shell.reader.blocked
    assert [payload for _, payload in shell.heard] == [b"amid"] * amid
    assert shell.taken() == [b"of another connection"]
    shell.reader.resume()
    assert shell.taken() == [b"in parts"]
    assert shell.heard[-1] == (PING, b"behind")
    shell.reader.resume()
    assert (shell.taken(), shell.reader.blocked) == ([b"next"], False)
    assert len(shell.heard) == 1 + amid


def test_a_long_message_of_one_frame_waits_where_its_room_was_taken_meanwhile() -> None:
    shell = Shell(1)
    shell.bring(LONG[:50_000])
    shell.backlog.put(b"of another connection", 1, Source(1, "two"))
    shell.bring(LONG[50_000:] + wire(BINARY, b"next"))
    assert (shell.reader.blocked, len(shell.backlog.frames)) == (True, 1)
    shell.reader.resume()
    assert shell.reader.blocked
    for expected in (b"of another connection", whole_payload(LONG), b"next"):
        assert shell.taken() == [expected]
        shell.reader.resume()
    assert not shell.reader.blocked


def test_the_socket_stops_when_the_buffer_is_full_and_goes_on_after_resume() -> None:
    shell = Shell(3)
    message = wire(BINARY, bytes(16_000))
    rest = shell.bring(message * 50)
    assert shell.reading == [False]
    assert 0 < len(message) * 50 - len(rest) - BUFFER <= 3 * len(message)
    count = 0
    while shell.backlog.pending:
        count += len(shell.taken())
        shell.reader.resume()
        if shell.reading[-1]:
            rest = shell.bring(rest)
    assert (count, rest, shell.reading[-1]) == (50, b"", True)
    assert shell.reading == [False, True] * (len(shell.reading) // 2)
    assert shell.calls == []


def test_a_reader_that_waits_for_room_says_so_each_time_that_it_does() -> None:
    shell = Shell(1)
    shell.bring(wire(BINARY, b"first"))
    assert not shell.backlog.stopped
    shell.bring(wire(BINARY, b"waits") + wire(BINARY, b"too"))
    assert shell.backlog.stopped
    for message in (b"first", b"waits"):
        shell.backlog.stopped = False  # as the engine does it
        assert shell.taken() == [message]
        shell.reader.resume()
        assert shell.backlog.stopped == (message == b"first")
    assert shell.taken() == [b"too"]


def test_a_buffer_that_was_given_can_not_hold_more() -> None:
    shell = Shell(9)
    assert len(shell.reader.buffer()) == BUFFER
    for wrong in (BUFFER + 1, -1):
        with pytest.raises(ValueError, match=f"{wrong} bytes are more than the buffer has"):
            shell.reader.take_read(wrong)
    shell.bring(wire(BINARY, b"a") + b"\x82")
    assert len(shell.reader.buffer()) == BUFFER - 4
    with pytest.raises(ValueError, match="more than the buffer has"):
        shell.reader.take_read(BUFFER - 3)
    shell.bring(b"\x00")
    assert len(shell.reader.buffer()) == BUFFER  # all is taken: from the beginning again


@pytest.mark.parametrize("size", [10, 20_000, 70_000])
def test_what_came_with_the_handshake_may_be_more_than_the_buffer(size: int) -> None:
    message = wire(BINARY, bytes(size))
    count = 3 * BUFFER // len(message)
    shell = Shell(1_000_000)
    shell.reader.feed(message * count)
    assert (shell.taken(), shell.calls) == ([bytes(size)] * count, [])
    full = Shell(1)
    full.reader.feed(message + wire(BINARY, b"x") * 1000)
    assert (full.reader.blocked, full.calls) == (True, [])
    full.reader.feed(wire(BINARY, bytes(999)) * 300)
    assert full.calls == [(1008, "more than a buffer of frames came with the handshake")]


CHANCES = st.integers(0, 2**32)


@settings(max_examples=60)
@given(CHANCES, st.integers(1, 4), st.sampled_from([3000, 30_000, 80_000]))
def test_all_comes_once_and_in_order_however_it_is_cut_and_taken(
    seed: int, limit: int, longest: int
) -> None:
    chance = random.Random(seed)
    data, messages, others = b"", [], []
    for i in range(chance.randrange(20, 80)):
        payload = b"%d " % i + bytes(chance.choice([0, 1, 130, chance.randrange(longest)]))
        kind = chance.choice([BINARY, BINARY, BINARY, TEXT, PING, CONTINUATION])
        if kind == CONTINUATION:
            middle = chance.randrange(len(payload) + 1)
            data += wire(BINARY, payload[:middle], fin=False)
            if chance.random() < 0.5:
                data += wire(PING, b"amid %d" % i)
                others.append((PING, b"amid %d" % i))
            data += wire(CONTINUATION, payload[middle:])
        else:
            payload = payload if kind == BINARY else payload[:100]
            data += wire(kind, payload)
        if kind in (BINARY, CONTINUATION):
            messages.append(payload)
        else:
            others.append((kind, payload))
    shell, got = Shell(limit), []
    shell.resumes = seed % 2 == 0
    while data or shell.backlog.pending:
        size = chance.choice([1, 2, 9, 300, 5000, 100_000, 400_000])
        if not shell.reading or shell.reading[-1]:
            data = shell.bring(data[:size]) + data[size:]
        assert len(shell.backlog.frames) <= limit
        assert shell.heard == others[: len(shell.heard)]
        if chance.random() < 0.7 or not data:
            got += shell.taken(chance.randrange(1, limit + 1))
            shell.reader.resume()
    assert (got, shell.heard) == (messages, others)
    assert (shell.reader.blocked, shell.calls) == (False, [])
    assert shell.backlog.stats.frames == shell.line.frames == len(messages)
    assert shell.backlog.stats.bytes == shell.line.bytes == sum(map(len, messages))
    assert shell.line.unwanted == 0
