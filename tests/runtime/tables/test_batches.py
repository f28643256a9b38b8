"""Runs of frames with one header, those between them, and frames that end where memory ends."""

from __future__ import annotations

import random
import struct
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import vectors

import binance_sbe
import sbe_codegen
from binance_sbe import BestBidAskStreamEvent, DepthDiffStreamEvent, TradesStreamEvent, decode_many
from binance_sbe.simulator.encoder import encode
from binance_sbe.simulator.events import Diff

QUOTE = vectors.BEST_BID_ASK
ROOT = len(QUOTE) - 8  # header and root block of it


def named(symbol: bytes) -> bytes:
    return QUOTE[:ROOT] + bytes([len(symbol)]) + symbol


def forms(frames: list[bytes]) -> list[Any]:
    """The same frames as bytes, as other buffers, and as a run."""
    offsets = np.cumsum([0, *map(len, frames)], dtype=np.int64)
    return [frames, [bytearray(frame) for frame in frames], (b"".join(frames), offsets)]


def symbols_of(given: Any) -> list[str]:
    table = decode_many(given)[BestBidAskStreamEvent]
    return [table.symbols[code] for code in table.records["symbol"]]


def test_symbols_of_every_length_are_told_apart() -> None:
    """By 1 to 15 bytes in their keys, by hashes; each beside some that nearly are the same."""
    rng = random.Random(1)
    texts = []
    for length in range(256):
        text = bytes(rng.choice(b"ABC") for _ in range(length))
        texts += [text, text[:-1] + b"\0", b"\0" + text[1:], text[:8] + b"X" + text[9:]]
    texts = [text[:255] for text in texts] + [bytes([n]) for n in range(128)]
    texts += [bytes(length) for length in range(20)]
    frames = [named(text) for text in texts]
    rng.shuffle(frames)
    wanted = [frame[ROOT + 1 :].decode() for frame in frames]
    for given in forms(frames * 2):
        assert symbols_of(given) == wanted * 2
        assert len(decode_many(given)[BestBidAskStreamEvent].symbols) == len(set(wanted))


def test_texts_that_begin_with_a_length_are_not_taken_for_shorter_ones() -> None:
    texts = [
        b"",
        b"A",
        b"\x01A",
        b"\x10",
        b"\xff" * 16,
        b"\x0fBCDEFGHIJKLMNOP",
        b"\x01" + bytes(15),
    ]
    texts += [bytes([n]) + bytes(15) for n in range(20)] + [bytes(n) for n in range(17)]
    frames = [named(text) for text in texts]
    table = decode_many(frames * 2)[BestBidAskStreamEvent]
    assert (
        table.records["symbol"].tolist()[: len(texts)]
        == table.records["symbol"].tolist()[-len(texts) :]
    )
    assert len(table.symbols) == len(set(texts))


def test_frames_that_end_where_their_symbol_does_are_read_no_further() -> None:
    """Bytes objects of their own size: under the sanitizer a byte too many would be found."""
    for length in (0, 1, 7, 8, 15, 16, 17, 255):
        frame = named(b"S" * length)
        for given in forms([frame]):
            assert symbols_of(given) == ["S" * length]
        for missing in range(1, length + 2):
            for given in forms([frame[:-missing]]):
                batch = decode_many(given, on_error="collect")
                assert batch.rejected["code"].tolist() == [1]


@pytest.mark.parametrize("count", [1, 63, 64, 65, 511, 512, 513, 1500])
def test_damage_is_found_wherever_it_is(count: int) -> None:
    """At both ends of what is gathered at a time."""
    for bad in {0, count // 2, count - 1}:
        frames = [named(b"S%d" % i) for i in range(count)]
        frames[bad] = frames[bad][:-1]
        for given in forms(frames):
            batch = decode_many(given, on_error="collect")
            assert batch.rejected["frame"].tolist() == [bad]
            if count > 1:
                numbers = batch[BestBidAskStreamEvent].records["frame"].tolist()
                assert numbers == [i for i in range(count) if i != bad]
            with pytest.raises(binance_sbe.TruncatedMessage, match=f"frame {bad}: "):
                decode_many(given)


def test_headers_that_change_are_read_anew() -> None:
    """Newer versions with longer blocks, other templates, other schemas, in any order."""
    rng = random.Random(2)
    newer = struct.pack("<HHHH", 53, 10001, 1, 3) + QUOTE[8:ROOT] + b"new" + QUOTE[ROOT:]
    foreign = QUOTE[:4] + struct.pack("<H", 9) + QUOTE[6:]
    unknown = QUOTE[:2] + struct.pack("<H", 9) + QUOTE[4:]
    shorter = struct.pack("<H", 49) + QUOTE[2:]
    kinds = [QUOTE, newer, foreign, unknown, shorter, b"", QUOTE[:7], *vectors.ALL.values()]
    frames = [frame for _ in range(300) for frame in [rng.choice(kinds)] * rng.randrange(1, 4)]
    good = [QUOTE, newer, *vectors.ALL.values()]
    for given in forms(frames):
        batch = decode_many(given, on_error="collect")
        wrong = [i for i, frame in enumerate(frames) if frame not in good]
        assert batch.rejected["frame"].tolist() == wrong
        assert len(batch) + len(wrong) == len(frames)
        quotes = [i for i, frame in enumerate(frames) if frame in (QUOTE, newer)]
        table = batch[BestBidAskStreamEvent]
        assert table.records["frame"].tolist() == quotes
        assert set(table.records["ask_qty"].tolist()) == {table.records["ask_qty"][0]}
        trades = [i for i, frame in enumerate(frames) if frame == vectors.TRADES]
        assert batch[TradesStreamEvent].records["frame"].tolist() == trades


def test_bytes_left_over_are_those_of_known_versions() -> None:
    newer = QUOTE[:6] + struct.pack("<H", 3) + QUOTE[8:]
    frames = [QUOTE + b"ab", newer + b"cd", QUOTE, newer, QUOTE + b"c"]
    for given in forms(frames):
        assert decode_many(given).left_over_bytes == 3


@pytest.mark.parametrize("levels", [0, 1, 3, 4, 5, 63, 400, 4000])
def test_groups_of_every_size_are_copied_whole(levels: int) -> None:
    """Entries of 16 bytes: below the width of a copy, at it, and above."""
    rng = random.Random(levels)

    def side() -> tuple[tuple[int, int], ...]:
        return tuple((rng.getrandbits(62), rng.getrandbits(62)) for _ in range(levels))

    events = [Diff("BTCUSDT", -2, -8, 1, 2, 3, side(), side()) for _ in range(5)]
    for given in forms([encode(event) for event in events]):
        groups = decode_many(given)[DepthDiffStreamEvent].groups
        for i, event in enumerate(events):
            assert groups["bids"][i].tolist() == list(event.bids)
            assert groups["asks"][i].tolist() == list(event.asks)


NEAR = """<messageSchema package="near" id="1" version="0"><types>
<composite name="messageHeader"><type name="blockLength" primitiveType="uint8"/>
<type name="templateId" primitiveType="uint8"/><type name="schemaId" primitiveType="uint8"/>
<type name="version" primitiveType="uint8"/></composite>
<composite name="text"><type name="length" primitiveType="uint8"/>
<type name="varData" primitiveType="uint8" length="0" characterEncoding="UTF-8"/></composite>
</types><message name="M" id="1"><data name="name" id="1" type="text"/></message>
</messageSchema>"""


def test_texts_near_where_their_frame_begins_are_told_apart(tmp_path: Path) -> None:
    """A header of four bytes and an empty root block: no sixteen bytes before the text."""
    path = tmp_path / "near.xml"
    path.write_text(NEAR)
    module = sbe_codegen.load(path)
    texts = [b"A" * n for n in range(40)] + [b"A" * n + b"B" for n in range(40)]
    frames = [bytes([0, 1, 1, 0, len(text)]) + text for text in texts]
    table = module.decode_many(frames * 2)[module.M]
    found = [table.dictionary("name")[code] for code in table.records["name"]]
    assert found == [text.decode() for text in texts] * 2


def test_offsets_that_change_while_they_are_read_are_noticed() -> None:
    """Opening a table runs Python code, and so may other threads at any time."""
    offsets = np.array([0, len(QUOTE), 2 * len(QUOTE)], np.int64)
    for wrong in (2**62, -1, -(2**63), 1):

        def change(frame: Any, event: str, argument: Any, wrong: int = wrong) -> None:
            if event == "call" and frame.f_code.co_name == "row_dtype":
                offsets[1:] = [wrong, 0] if wrong == 1 else [len(QUOTE), wrong]

        offsets[1:] = [len(QUOTE), 2 * len(QUOTE)]
        sys.setprofile(change)
        try:
            with pytest.raises(ValueError, match="changed the offsets"):
                decode_many((QUOTE + QUOTE, offsets))
        finally:
            sys.setprofile(None)
