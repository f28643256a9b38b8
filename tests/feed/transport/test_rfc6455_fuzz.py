"""Frames of all kinds, good and damaged, in any cut: as an oracle from RFC 6455 says."""

from __future__ import annotations

import asyncio
import itertools
import os
import random
import struct
import time
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from intake import intake
from raw_server import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, wire
from rfc6455 import CODES, INVALID, NO_CODES, VALID, trade
from rfc6455_oracle import MOST, Verdict, judged
from websockets.client import ClientProtocol
from websockets.protocol import State
from websockets.uri import parse_uri

import binance_sbe
from binance_sbe import TradesStreamEvent
from binance_sbe.feed.intake.backlog import Backlog
from binance_sbe.feed.intake.streams import Source
from binance_sbe.feed.transport.websocket import Transport

OTHER = b"of another connection"


class Client:
    """A client whose handshake is over, with a socket that the test plays."""

    def __init__(self, backlog: Backlog, rest: bytes) -> None:
        self.backlog = backlog
        self.texts: list[str] = []
        self.lost: list[tuple[int | None, str]] = []
        self.drained = 0
        self.written = b""
        self.is_paused = self.is_aborted = False
        self.reader: Any = None
        self.transport = Transport(
            backlog, Source(), self.texts.append, lambda: None, self.end, self.drain
        )
        protocol = ClientProtocol(parse_uri("ws://h/"), state=State.OPEN, max_size=MOST)
        self.transport.take_over(protocol, self, rest)

    def end(self, code: int | None, reason: str) -> None:
        self.lost.append((code, reason))

    def drain(self) -> None:
        self.drained += 1

    # the socket

    def set_protocol(self, reader: Any) -> None:
        self.reader = reader

    def pause_reading(self) -> None:
        self.is_paused = True

    def resume_reading(self) -> None:
        self.is_paused = False

    def write(self, data: bytes) -> None:
        self.written += data

    def get_write_buffer_size(self) -> int:
        return 0

    def abort(self) -> None:
        self.is_aborted = True

    # the test

    def bring(self, data: bytes) -> bytes:
        """Returns what was not read."""
        while data and not self.is_paused:
            view = self.reader.buffer()
            size = min(len(view), len(data))
            view[:size] = data[:size]
            self.reader.take_read(size)
            data = data[size:]
        return data

    def told(self) -> list[tuple[int, bytes]]:
        """Opcodes and payloads of the frames that were written: masked, and short ones all."""
        found, data = [], self.written
        while data:
            assert data[0] & 0x70 == 0
            assert data[0] & 0x80
            assert 0x80 <= data[1] <= 0x80 + 125
            size = 6 + (data[1] & 0x7F)
            mask = data[2:6]
            payload = bytes(each ^ mask[i % 4] for i, each in enumerate(data[6:size]))
            found.append((data[0] & 15, payload))
            data = data[size:]
        return found


# what a server sends

NOISE = random.Random(6455).randbytes(70_000)
SIZES = (0, 1, 20, 125, 126, 127, 300, 65_535, 65_536, 70_000)
LENGTHS = (0, 65_535, 70_000, MOST, MOST + 1, 1 << 40, 1 << 55, 1 << 63, 2**64 - 1)
KINDS = (CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG)


class Server:
    """Frames at random, of which most are good."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)

    def sends(self, count: int) -> bytes:
        """So many good ones, then perhaps what ends the connection, and what comes behind that."""
        ends = (
            self.nothing, self.close, self.damaged, self.damaged, self.long_control, self.bad_text,
            self.close_amid, self.damaged_amid, self.cut_short,
        )  # fmt: skip
        end = self.chance.choice(ends)()
        late = b"".join(self.good() for _ in range(self.chance.randrange(4)))
        return b"".join(self.good() for _ in range(count)) + end + late

    def good(self) -> bytes:
        return self.chance.choices(
            (self.trade, self.plain, self.text, self.sign, self.parts), (8, 3, 1, 2, 2)
        )[0]()

    def payload(self) -> bytes:
        size = self.chance.choice((*SIZES[:7], *SIZES[:7], *SIZES))
        return self.chance.choice((NOISE, b"t" * 70_000))[:size]

    def words(self) -> bytes:
        """Of a close frame, half of them wrong."""
        if self.chance.random() < 0.1:
            return self.chance.choice((b"", b"\x03"))
        code = self.chance.choice(self.chance.choice((CODES, CODES, CODES, NO_CODES)))
        reasons = (b"", b"why", *VALID.values()) * 2 + tuple(INVALID.values())
        return struct.pack(">H", code) + self.chance.choice(reasons)

    def trade(self) -> bytes:
        return wire(BINARY, trade(5))

    def plain(self) -> bytes:
        return wire(BINARY, self.payload())

    def text(self) -> bytes:
        return wire(TEXT, self.chance.choice((b"text", b"t" * 300, *VALID.values())))

    def sign(self) -> bytes:
        return wire(self.chance.choice((PING, PONG)), NOISE[: self.chance.choice((0, 1, 125))])

    def parts(self) -> bytes:
        """A message in fragments, with signs between; a text's characters may be cut."""
        kind, payload = self.chance.choice(
            ((BINARY, self.payload()), (BINARY, trade(5)), (TEXT, VALID["Greek"]), (TEXT, b"one"))
        )
        places = sorted(self.chance.randrange(len(payload) + 1) for _ in range(4))
        marks = [0, *places[: self.chance.randrange(1, 5)], len(payload)]
        found = b""
        for i, (begin, end) in enumerate(pairwise(marks)):
            is_last = i == len(marks) - 2
            found += wire(CONTINUATION if i else kind, payload[begin:end], fin=is_last)
            if not is_last and self.chance.random() < 0.4:
                found += self.sign()
        return found

    # what ends the connection

    def nothing(self) -> bytes:
        return b""

    def close(self) -> bytes:
        return wire(CLOSE, self.words())

    def damaged(self) -> bytes:
        chance = self.chance
        opcode, fin = chance.choice((chance.randrange(16), *KINDS)), chance.random() < 0.8
        match chance.randrange(6):
            case 0:
                return wire(opcode, self.payload(), fin=fin, bits=chance.randrange(8))
            case 1:
                return wire(opcode, NOISE[: chance.randrange(200)], form=chance.choice((126, 127)))
            case 2:
                return wire(opcode, self.payload(), fin=fin, mask=chance.randbytes(4))
            case 3:
                first = chance.choice((0x82, 0x82, 0x81, 0x80, chance.randrange(256)))
                return bytes([first, 127]) + struct.pack(">Q", chance.choice(LENGTHS))
            case 4:
                return chance.randbytes(chance.randrange(1, 40))
            case _:
                return wire(opcode, self.payload(), fin=fin)

    def long_control(self) -> bytes:
        payload = b"\x03\xe8" + bytes(self.chance.choice((124, 200, 65_536)))
        return wire(self.chance.choice((PING, PONG, CLOSE)), payload)

    def bad_text(self) -> bytes:
        text = self.chance.choice(tuple(INVALID.values()))
        if self.chance.random() < 0.5:
            return wire(TEXT, text)
        return wire(TEXT, b"a" + text[:1], fin=False) + wire(CONTINUATION, text[1:])

    def begun(self) -> bytes:
        kind, payload = self.chance.choice(((BINARY, trade(5)[:9]), (TEXT, b"\xff"), (TEXT, b"")))
        return wire(kind, payload, fin=False) + self.chance.choice((b"", self.sign()))

    def close_amid(self) -> bytes:
        return self.begun() + self.close()

    def damaged_amid(self) -> bytes:
        return self.begun() + self.damaged()

    def cut_short(self) -> bytes:
        frame = self.good()
        return frame[: self.chance.randrange(len(frame))]


def numbered(data: bytes) -> bytes:
    """One trade after the other: what comes again is dropped behind the reader."""
    first, *others = data.split(trade(5))
    return first + b"".join(trade(6 + i) + other for i, other in enumerate(others))


def fresh(messages: list[bytes]) -> list[bytes]:
    """Those that are handed on: no trade comes twice."""
    is_trade = len(trade(5)), trade(5)[:8]
    known: set[bytes] = set()
    found = []
    for message in messages:
        if (len(message), message[:8]) == is_trade:
            if message in known:
                continue
            known.add(message)
        found.append(message)
    return found


class Play:
    """Brings it all to a client, in cuts of any size, while a consumer takes some now and then."""

    def __init__(self, data: bytes, limit: int, rows: bool, seed: int, is_early: bool) -> None:
        self.data = data
        self.rows = rows
        self.is_early = is_early  # the socket ends while messages wait
        self.chance = random.Random(seed)
        self.frames: list[bytes] = []
        self.batches: list[Any] = []
        _, self.backlog = intake(limit)
        if rows:
            self.backlog.gather(self.chance.choice([1, 3, 1000]))

    def take(self, most: int) -> None:
        backlog = self.backlog
        if self.rows:
            while backlog.batches.rows and most:
                self.batches.append(backlog.hand_over())
                most -= 1
        else:
            for _ in range(min(most, len(backlog.frames))):
                self.frames.append(backlog.frames.popleft()[0])

    async def play(self) -> Client:
        chance, data, other = self.chance, self.data, Source(1, "another")
        size = chance.choice([0, 0, 1, 50, 1000])
        client = Client(self.backlog, data[:size])
        data = data[size:]
        sizes = chance.choice([[1, 2, 3], [1, 7, 60, 500], [100, 5000, 100_000], [1 << 20]])
        if len(data) > 20_000:
            sizes = [5000, 70_000, 1 << 20]
        while data:
            size = chance.choice(sizes)
            data = client.bring(data[:size]) + data[size:]
            if not self.rows and chance.random() < 0.1 and not self.backlog.full:
                self.backlog.put(OTHER, 1, other)
            if client.is_paused or chance.random() < 0.3:
                self.take(chance.randrange(1, 4))
                client.transport.resume()
        if self.is_early:
            client.reader.connection_lost(None)
        while client.reader.blocked:
            before = self.backlog.pending
            self.take(1000)
            assert self.backlog.pending < before
            client.transport.resume()
        self.take(1 << 30)
        if not self.is_early:
            assert client.lost == []
            client.reader.connection_lost(None)
        return client


def check(play: Play) -> None:
    verdict = judged(play.data)
    client = asyncio.run(play.play())
    check_messages(play, verdict)
    assert client.texts == verdict.texts
    told = client.told()
    pongs = [payload for opcode, payload in told if opcode == PONG]
    closes = [payload for opcode, payload in told if opcode == CLOSE]
    assert len(told) == len(pongs) + len(closes)
    assert closes in ([], [payload for _, payload in told[-1:]])  # it is the last
    assert (len(client.lost), client.drained) == (1, 1)
    code, reason = client.lost[0]
    if play.is_early:
        assert pongs == verdict.pings[: len(pongs)]
        assert (code, reason) == verdict.agreed or code is None
    else:
        assert pongs == verdict.pings
        assert (code, reason) == (verdict.agreed or (None, reason))
    if not closes:
        may_be = play.is_early or not verdict.is_certain
        assert may_be or (verdict.answer is None and not verdict.codes)
    elif verdict.answer is not None:
        assert closes == [verdict.answer]
    else:
        assert int.from_bytes(closes[0][:2], "big") in verdict.codes


def check_messages(play: Play, verdict: Verdict) -> None:
    messages = fresh(verdict.messages)
    if not play.rows:
        assert [frame for frame in play.frames if frame != OTHER] == messages
        return
    expected = binance_sbe.decode_many(messages, on_error="collect")
    assert sum(batch.frame_count for batch in play.batches) == len(messages)
    assert sum(len(batch.rejected) for batch in play.batches) == len(expected.rejected)
    found: list[int] = []
    for batch in play.batches:
        found += batch[TradesStreamEvent].groups["trades"].records["id"].tolist()
    assert found == expected[TradesStreamEvent].groups["trades"].records["id"].tolist()


@pytest.mark.fuzz
@settings(max_examples=4 * settings.default.max_examples)  # type: ignore[union-attr]
@given(
    seed=st.integers(0, 2**64 - 1),
    count=st.integers(0, 30),
    limit=st.sampled_from([1, 2, 3, 1000]),
    rows=st.booleans(),
    is_early=st.booleans(),
)
def test_any_frames_in_any_cut_are_what_the_rules_make_of_them(
    seed: int, count: int, limit: int, rows: bool, is_early: bool
) -> None:
    data = numbered(Server(seed).sends(count))
    check(Play(data, limit, rows, seed, is_early))


@pytest.mark.fuzz
def test_frames_go_on_being_what_the_rules_make_of_them() -> None:
    """For as long as FUZZ_SECONDS says (default: 3)."""
    first = int(os.environ.get("FUZZ_SEED", random.randrange(2**32)))
    end = time.monotonic() + float(os.environ.get("FUZZ_SECONDS", "3"))
    for seed in itertools.count(first):
        chance = random.Random(seed)
        data = numbered(Server(seed).sends(chance.randrange(40)))
        limit, rows, is_early = chance.choice((1, 2, 3, 1000)), *chance.choices((False, True), k=2)
        try:
            check(Play(data, limit, rows, seed, is_early))
        except BaseException:
            print(f"FUZZ_SEED={seed}")
            raise
        if time.monotonic() > end:
            break
