"""What is in a tape, by time and by stream, over files and recordings."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from feeds import best, trade
from hypothesis import given
from hypothesis import strategies as st
from taped import SECOND, START, files, frames_of, give, quotes, recorder_at, tape_of, trades

import binance_sbe
from binance_sbe import DecodeError, TapeError
from binance_sbe.spot_stream import BestBidAskStreamEvent, TradesStreamEvent
from binance_sbe.tape import Tape
from binance_sbe.tape.selecting import moment_ns

MS = 10**6


def mixed(count: int) -> list[bytes]:
    """Trades and quotes in turns."""
    return [f for pair in zip(trades(count), quotes(count), strict=True) for f in pair]


def raw(tape: Tape, **what: object) -> list[bytes]:
    found = []
    for batch in tape.frames(**what):  # type: ignore[arg-type]
        kinds, frames = batch.column(2).to_pylist(), batch.column(3).to_pylist()
        found += [frame for frame, kind in zip(frames, kinds, strict=True) if kind == 0]
    return found


def test_it_says_what_is_in_it(tmp_path: Path) -> None:
    tape_of(tmp_path, mixed(500))
    with Tape(tmp_path) as tape:
        assert tape.frames_count == 1000
        assert tape.streams == ["btcusdt@bestBidAsk", "btcusdt@trade"]
        assert tape.start_ns is not None
        assert tape.end_ns is not None
        assert tape.start_ns <= START + 999 * MS <= tape.end_ns
        (session,) = tape.sessions
        assert (session.frames, session.is_closed, session.host) == (1000, True, "ws://exchange:1")
        assert [schema["package"] for schema in tape.schemas] == ["spot_stream"]
        assert repr(tape) == f"<Tape {tmp_path}: 1000 frames>"
        assert (tape.ledger.breaks, tape.ledger.holes) == ([], [])
        assert tape.ledger.streams["btcusdt@trade"].frames == 500


@pytest.mark.parametrize("batch_rows", [1, 64, 2000])
def test_a_range_of_time_is_half_open(tmp_path: Path, batch_rows: int) -> None:
    given_frames = mixed(150)
    tape_of(tmp_path, given_frames, batch_rows=batch_rows)
    tape = Tape(tmp_path)
    for first, last in ((0, 300), (10, 20), (63, 65), (299, 300), (0, 1)):
        window = {"start": START + first * MS, "end": START + last * MS}
        assert raw(tape, **window) == given_frames[first:last]
        messages = list(tape.messages(**window))  # type: ignore[arg-type]
        assert [bytes(m) for m in messages] == given_frames[first:last]
        assert sum(len(b) for b in tape.batches(**window)) == last - first  # type: ignore[arg-type]
    # a time that is amid the tape, and has no row
    assert raw(tape, start=START + MS + 1, end=START + 2 * MS) == []


@pytest.mark.parametrize("way", ["frames", "batches", "messages"])
def test_what_the_tape_has_not_is_refused_where_it_is_asked_for(tmp_path: Path, way: str) -> None:
    tape_of(tmp_path, trades(3))
    tape = Tape(tmp_path)
    ask = getattr(tape, way)
    for range_of_time in ({"start": START + 10**15}, {"end": START - 10**18}):
        with pytest.raises(TapeError, match=r"that range of time: it goes from 20.* to 20"):
            ask(**range_of_time)
    with pytest.raises(TapeError, match=r"no event of nope@trade .*: it has btcusdt@trade"):
        ask(streams=["btcusdt@trade", "nope@trade"])
    assert list(ask(streams="btcusdt@bestBidAsk")) == []  # which was asked for, and brought nothing


@pytest.mark.parametrize("way", ["frames", "batches", "messages", "verify", "recover"])
def test_a_tape_that_is_closed_is_not_read(tmp_path: Path, way: str) -> None:
    file = tape_of(tmp_path, trades(30), batch_rows=10)
    tape = Tape(tmp_path)
    assert tape.frames_count == 30
    messages = tape.messages()
    next(messages)
    tape.close()
    tape.close()
    assert repr(tape) == f"<Tape {tmp_path}: closed>"
    if way == "recover":
        assert Tape.recover(tmp_path).is_whole
        with pytest.raises(ValueError, match="the tape is closed"):
            list(messages)
        with pytest.raises(ValueError, match="the tape is closed"):
            assert tape.ledger
        return
    with pytest.raises(ValueError, match=f"{file.parent.name}: the tape is closed"):
        getattr(tape, way)()
    assert tape.frames_count == 30  # what is known stays known


def test_a_file_that_another_has_taken_the_place_of_is_not_read_for_it(tmp_path: Path) -> None:
    one, other = tape_of(tmp_path / "one", trades(30)), tape_of(tmp_path / "other", trades(30))
    tape = Tape(one)
    tape._pool._held.clear()
    other.replace(one)
    with pytest.raises(TapeError, match="another file has its name since it was opened"):
        list(tape.messages())


def test_a_frame_of_another_schema_is_named_with_its_place(tmp_path: Path) -> None:
    odd = bytearray(trade(1))
    odd[4] = 9
    file = tape_of(tmp_path, [*trades(25), bytes(odd)], batch_rows=10)
    with pytest.raises(DecodeError, match=rf"^{file.name}: batch 2: .*schema"):
        list(Tape(tmp_path).messages())
    tape = Tape(tmp_path)
    assert len(list(tape.messages(on_error="collect"))) == 25
    assert str(tape.errors[0]).startswith(f"{file.name}: batch 2: ")


@given(
    sizes=st.lists(st.integers(1, 40), min_size=1, max_size=6),
    window=st.tuples(st.integers(-5, 260), st.integers(1, 200)),
    streams=st.sampled_from([None, ["btcusdt@trade"], ["btcusdt@bestBidAsk"], ["xrpusdt@trade"]]),
    most=st.integers(1, 50),
)
def test_a_selection_is_what_a_filter_of_all_gives(
    tmp_path_factory: pytest.TempPathFactory,
    sizes: list[int],
    window: tuple[int, int],
    streams: list[str] | None,
    most: int,
) -> None:
    path = tmp_path_factory.mktemp("tape")
    recorder = recorder_at(path, batch_rows=13)
    given_rows: list[tuple[int, int, bytes]] = []
    number = 0
    for i, size in enumerate(sizes):
        for _ in range(size):
            number += 1
            frame = trade(number) if number % 3 else best(number)
            given_rows.append((START + number * MS, i, frame))
            recorder.tap.put(START + number * MS, i, 0, frame)
        recorder.mark(f"mark {i}")
        recorder.flush(10)
    recorder.close()
    start, end = START + window[0] * MS, START + (window[0] + window[1]) * MS
    names = {1: "btcusdt@trade", 0: "btcusdt@bestBidAsk"}
    wanted = [
        row
        for i, row in enumerate(given_rows, 1)
        if start <= row[0] < end and (streams is None or names[min(i % 3, 1)] in streams)
    ]
    tape = Tape(path)
    if (streams and streams[0] not in tape.streams and streams != ["btcusdt@bestBidAsk"]) or (
        start > (tape.end_ns or 0) or end <= (tape.start_ns or 0)
    ):
        with pytest.raises(TapeError):
            raw(tape, start=start, end=end, streams=streams)
        return
    assert raw(tape, start=start, end=end, streams=streams) == [frame for *_, frame in wanted]
    found = list(tape.messages(start, end, streams))
    assert [bytes(m) for m in found] == [frame for *_, frame in wanted]
    rows: list[tuple[int, int, int]] = []
    connections: list[int] = []
    for batch in tape.batches(start, end, streams, max_messages=most):
        assert 0 < batch.frame_count <= most
        part = []
        for message in (TradesStreamEvent, BestBidAskStreamEvent):
            records = batch[message].records
            part += [(int(r["frame"]), int(r["received_ns"]), message.TEMPLATE_ID) for r in records]
        rows += sorted(part)
        connections += batch.connections.tolist()  # type: ignore[attr-defined]
    assert [row[1] for row in rows] == [at for at, *_ in wanted]
    assert connections == [connection for _, connection, _ in wanted]


def test_batches_are_those_of_decode_many(tmp_path: Path) -> None:
    frames = mixed(3000)
    tape_of(tmp_path, frames)
    (batch,) = Tape(tmp_path).batches()
    expected = binance_sbe.decode_many(frames)
    for message in (TradesStreamEvent, BestBidAskStreamEvent):
        found, wanted = batch[message].records, expected[message].records
        for name in wanted.dtype.names or ():
            assert np.array_equal(found[name], wanted[name]), name
        assert np.array_equal(found["received_ns"], START + found["frame"].astype(np.int64) * MS)
    assert batch.connections.tolist() == [1] * 6000  # type: ignore[attr-defined]


def test_a_frame_that_is_no_message_is_rejected_or_raised(tmp_path: Path) -> None:
    tape_of(tmp_path, [*trades(2), b"no message", *trades(2, 3)])
    tape = Tape(tmp_path)
    (batch,) = tape.batches()
    assert (len(batch), batch.frame_count, batch.rejected["frame"].tolist()) == (4, 5, [2])
    with pytest.raises(DecodeError):
        list(tape.batches(on_error="raise"))
    messages = tape.messages()
    assert [next(messages).trades["id"][0] for _ in range(2)] == [1, 2]
    with pytest.raises(DecodeError):
        next(messages)
    assert [m.trades["id"][0] for m in messages] == [3, 4]
    assert len(list(tape.messages(on_error="collect"))) == 4
    assert len(tape.errors) == 1
    assert tape.frames_count == 5


def test_recordings_merge_by_time(tmp_path: Path) -> None:
    for name, offset in (("one", 0), ("other", MS // 2), ("third", 10 * SECOND)):
        recorder = recorder_at(tmp_path / name, batch_rows=7, at=START + offset)
        give(recorder, trades(100, offset + 1), START + offset)
        recorder.close()
    tape = Tape([tmp_path / "third", tmp_path / "one", tmp_path / "other"])
    times = [t for batch in tape.batches() for t in batch[TradesStreamEvent].records["received_ns"]]
    assert times == sorted(times)
    assert len(times) == 300
    assert sorted(bytes(m) for m in tape.messages()) == sorted(
        trades(100) + trades(100, MS // 2 + 1) + trades(100, 10 * SECOND + 1)
    )
    assert [s.frames for s in tape.sessions] == [100, 100, 100]
    (gap,) = [each for each in tape.ledger.breaks if each.ended_ns >= START + 10 * SECOND]
    assert "nothing was recorded" in gap.cause


def test_a_restart_leaves_a_hole_in_each_stream(tmp_path: Path) -> None:
    recorder = recorder_at(tmp_path)
    give(recorder, mixed(100), START)
    recorder.close()
    recorder = recorder_at(tmp_path, at=START + SECOND)
    give(recorder, trades(10, 201), START + SECOND)
    recorder.close()
    ledger = Tape(tmp_path).ledger
    (gap,) = ledger.breaks
    assert gap.frames is None
    (hole,) = ledger.holes
    assert (hole.stream, hole.last_before, hole.first_after) == ("btcusdt@trade", 100, 201)
    assert ledger.streams["btcusdt@trade"].ids == 100
    assert (ledger.holes_count, len(ledger.sessions)) == (1, 2)


def test_a_clock_that_was_set_back_keeps_the_order(tmp_path: Path) -> None:
    recorder = recorder_at(tmp_path, batch_rows=4)
    for i, frame in enumerate(trades(20)):
        recorder.tap.put(START + (i if i < 10 else i - 8) * SECOND, 1, 0, frame)
    recorder.close()
    tape = Tape(tmp_path)
    assert raw(tape) == trades(20)
    window = {"start": START + 3 * SECOND, "end": START + 5 * SECOND}
    assert raw(tape, **window) == [*trades(2, 4), *trades(2, 12)]


def test_symbols_that_are_no_text_are_found_as_well(tmp_path: Path) -> None:
    odd = trade(1).replace(b"BTCUSDT", b"\xff\xfeCUSDT")
    chinese = trade(2).replace(b"\x07BTCUSDT", b"\x0a" + "币安人".encode() + b"U")
    tape_of(tmp_path, [odd, chinese])
    tape = Tape(tmp_path)
    assert tape.streams == sorted(["\udcff\udcfecusdt@trade", "币安人u@trade"])
    assert raw(tape, streams="币安人u@trade") == [chinese]


@pytest.mark.parametrize(
    ("value", "ns"),
    [
        (5, 5),
        ("1970-01-01T00:00:01", SECOND),
        ("1970-01-01T01:00:01+01:00", SECOND),
        ("1970-01-01T00:00:01.000000007", SECOND + 7),
        ("1970-01-01T01:00:01.1234567+01:00", SECOND + 123_456_700),
        ("1970-01-01T00:00:01.12345678Z", SECOND + 123_456_780),
        ("1970-01-01T00:00:01.5", SECOND + 500_000_000),
        (datetime(1970, 1, 1, 0, 0, 1, 7), SECOND + 7000),
        (datetime(2026, 11, 27, tzinfo=UTC) + timedelta(microseconds=1), 1795737600000001000),
    ],
)
def test_moments_are_of_several_kinds(value: object, ns: int) -> None:
    assert moment_ns(value) == ns  # type: ignore[arg-type]


def test_what_cant_be_asked_is_said(tmp_path: Path) -> None:
    tape_of(tmp_path, trades(3))
    tape = Tape(tmp_path)
    with pytest.raises(ValueError, match="range of time is empty"):
        tape.frames(start=5, end=5).__next__()
    with pytest.raises(ValueError, match="such as '2026"):
        tape.messages(start="yesterday")
    with pytest.raises(TypeError, match="start is ns since 1970"):
        tape.messages(start=1.5)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="SBE has no 'kline' stream"):
        tape.messages(streams="btcusdt@kline")
    with pytest.raises(ValueError, match="streams is empty"):
        tape.messages(streams=[])
    with pytest.raises(ValueError, match="max_messages is at least 1"):
        next(tape.batches(max_messages=0))
    with pytest.raises(ValueError, match="on_damage is"):
        Tape(tmp_path, on_damage="ignore")  # type: ignore[arg-type]


def test_what_is_no_tape_is_said(tmp_path: Path) -> None:
    with pytest.raises(TapeError, match="no such file"):
        Tape(tmp_path / "nowhere")
    with pytest.raises(TapeError, match=r"no file ends in .arrow"):
        Tape(tmp_path)
    with pytest.raises(TypeError, match="by its path, not by int"):
        Tape([5])  # type: ignore[list-item]
    with pytest.raises(TapeError, match="no path was given"):
        Tape([])
    file = tmp_path / "x.arrow"
    file.write_bytes(b"")
    with pytest.raises(TapeError, match="empty file"):
        Tape(tmp_path)
    file.write_bytes(b"PAR1" * 100)
    with pytest.raises(TapeError, match="no tape: it begins with"):
        Tape(file)
    import pyarrow as pa

    with pa.ipc.new_file(file, pa.schema([("x", pa.int8())])) as sink:
        sink.write_batch(pa.record_batch([pa.array([1], pa.int8())], ["x"]))
    with pytest.raises(TapeError, match="no tape: it has no"):
        Tape(file)


def test_a_tape_of_a_newer_format_is_refused(tmp_path: Path) -> None:
    import pyarrow as pa

    file = tape_of(tmp_path, trades(3))
    with pa.ipc.open_file(file) as reader:
        table = reader.read_all()
    newer = table.replace_schema_metadata({**table.schema.metadata, b"tape.version": b"2"})
    with pa.ipc.new_file(file, newer.schema) as sink:
        sink.write_table(newer)
    with pytest.raises(TapeError, match=r"tape of format 2, and this reads format 1: install"):
        Tape(tmp_path)


def test_a_tape_that_is_still_written_is_read_as_far_as_it_is(tmp_path: Path) -> None:
    recorder = recorder_at(tmp_path)
    give(recorder, trades(10))
    assert recorder.flush(10)
    assert raw(Tape(tmp_path)) == trades(10)
    assert not Tape(tmp_path).sessions[0].is_closed
    give(recorder, trades(10, 11))
    recorder.close()
    assert raw(Tape(tmp_path)) == trades(20)
    assert frames_of(tmp_path) == trades(20)
    assert len(files(tmp_path)) == 1


def test_arrays_outlive_the_tape(tmp_path: Path) -> None:
    tape_of(tmp_path, trades(100), compression=None)
    tape = Tape(tmp_path)
    batches = list(tape.frames())
    tape.close()
    del tape
    assert [f for b in batches for f in b.column(3).to_pylist()][-100:] == trades(100)
