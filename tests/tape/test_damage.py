"""Damaged tapes: what differs from what was written never passes for good."""

from __future__ import annotations

import os
import random
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pytest
from feeds import trade
from taped import files, frames_of, recorder_at, tape_of, trades

from binance_sbe import sync
from binance_sbe.errors import TapeError
from binance_sbe.tape import Kind, Report, Tape
from binance_sbe.tape.damage import Damage

COUNT = 300


def written(path: Path, rng: random.Random) -> tuple[Path, list[bytes]]:
    """A tape of frames that are all different."""
    frames = [trade(rng.randrange(1, 2**40)) for _ in range(COUNT)]
    compression = rng.choice(["zstd", "lz4", None])
    return tape_of(
        path, frames, batch_rows=rng.choice([7, 30, 50]), compression=compression
    ), frames


def damage(data: bytearray, rng: random.Random) -> str:
    """Does something to the bytes, and says what."""
    at = rng.randrange(len(data))
    match rng.randrange(7):
        case 0:
            data[at] ^= 1 << rng.randrange(8)
            return f"a bit of byte {at}"
        case 1:
            size = rng.randrange(1, 200)
            data[at : at + size] = rng.randbytes(len(data[at : at + size]))
            return f"{size} bytes at {at}"
        case 2:
            del data[at:]
            return f"cut at {at}"
        case 3:
            size = rng.randrange(1, 5000)
            del data[at : at + size]
            return f"{size} bytes at {at} are gone"
        case 4:
            data[at:at] = rng.randbytes(rng.randrange(1, 3000))
            return f"more at {at}"
        case 5:
            size = rng.randrange(1, 3000)
            to = rng.randrange(len(data))
            data[to : to + size] = data[at : at + size]
            return f"{size} bytes of {at} at {to}"
        case _:
            size = rng.randrange(8, 4096)
            data[at : at + size] = bytes(len(data[at : at + size]))
            return f"{size} zeros at {at}"


def read(path: Path) -> list[bytes] | None:
    """What is read where damage is skipped; None where it is no tape any more."""
    try:
        tape = Tape(path, on_damage="skip")
        found = []
        for batch in tape.frames():
            kinds, frames = batch.column(2).to_pylist(), batch.column(3).to_pylist()
            found += [f for f, kind in zip(frames, kinds, strict=True) if kind == Kind.FRAME]
        assert tape.ledger is not None
        assert isinstance(tape.start_ns, int | None)
        assert isinstance(tape.streams, list)
        return found
    except TapeError:
        return None


def report_of(path: Path) -> Report | None:
    try:
        return Tape(path).verify()
    except TapeError:
        return None


def frames_in(tape: Tape) -> int:
    return sum(len(batch.connections) for batch in tape.batches())


def footer_offset(file: Path) -> bytes:
    """Where the footer says that the sixth batch is."""
    with pa.ipc.open_file(file) as reader:
        assert reader.num_record_batches > 5
    return Tape(file)._readers[0].entries[5].offset.to_bytes(8, "little")


def check(path: Path, seed: int) -> None:
    rng = random.Random(seed)
    file, given = written(path, rng)
    data = bytearray(file.read_bytes())
    what = [damage(data, rng) for _ in range(rng.choice([1, 1, 1, 2, 5])) if data]
    is_changed = bytes(data) != file.read_bytes()
    file.write_bytes(data)
    found, report = read(path), report_of(path)
    told = f"seed {seed}: {what}: {report}"
    wanted = Counter(given)
    if found is not None:
        assert not Counter(found) - wanted, told
        assert report is not None, told
        assert report.frames_good == len(found), told
        if report.frames_lost is not None:
            assert report.frames_good + report.frames_lost == COUNT, told
        if len(found) < COUNT:
            assert not report.is_whole, told
    if report is not None and report.is_whole:
        assert found == given, told
        assert is_changed or file.read_bytes() == bytes(data)
    try:
        mended = Tape.recover(path)
    except TapeError:
        return
    assert found is not None, told
    assert mended.frames_good == len(found), told
    assert frames_of(path) == found, told
    assert Tape(path).verify().is_whole, told
    # with the row of a hole where something is missing between others
    assert [f for f in given if f in set(found)] == found or len(what) > 1 or "bytes of" in what[0]


def test_a_hundred_damaged_tapes_are_seen_through(tmp_path: Path) -> None:
    for seed in range(100):
        check(tmp_path / str(seed), seed)


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_a_thousand_damaged_tapes_are_seen_through(tmp_path: Path) -> None:
    for seed in range(1000, 2000):
        check(tmp_path / str(seed), seed)


def test_every_bit_of_a_small_tape_counts(tmp_path: Path) -> None:
    file = tape_of(tmp_path, trades(3), compression=None)
    data = file.read_bytes()
    given = trades(3)
    for at in range(8, len(data), 31):
        file.write_bytes(data[:at] + bytes([data[at] ^ 4]) + data[at + 1 :])
        found, report = read(tmp_path), report_of(tmp_path)
        assert found is None or found == given or not set(found) - set(given)
        if found is not None and report is not None:
            assert report.frames_good == len(found)


@pytest.mark.parametrize("part", ["data", "metadata", "footer", "schema", "magic"])
def test_a_flipped_bit_is_named_with_its_place(tmp_path: Path, part: str) -> None:
    file = tape_of(tmp_path, trades(100), batch_rows=10, compression=None)
    data = bytearray(file.read_bytes())
    frame = trade(55)
    place = {
        "data": data.index(frame) + 20,
        "metadata": data.index(b'"batch":5'),
        "footer": data.rindex(footer_offset(file)),
        "schema": data.index(b"tape.host"),
        "magic": 2,
    }[part]
    data[place] ^= 16
    file.write_bytes(data)
    report = Tape(tmp_path).verify()
    assert not report.is_whole
    (problem,) = [each for each in report.problems if file.name in each][:1]
    if part == "data":
        assert "batch 5 at byte" in problem
        assert "not those that were written" in problem
        assert (report.frames_good, report.frames_lost) == (90, 10)
        with pytest.raises(TapeError, match=r"batch 5 at byte .* recover"):
            list(Tape(tmp_path).messages())
        assert len(list(Tape(tmp_path, on_damage="skip").messages())) == 90
        assert Tape(tmp_path).ledger.breaks == []
    elif part == "metadata":
        assert (report.frames_good, report.frames_lost) == (90, 10)
        (gap,) = Tape(tmp_path).ledger.breaks
        assert gap.frames == 10
        (hole,) = Tape(tmp_path).ledger.holes
        assert (hole.stream, hole.ids) == ("btcusdt@trade", 10)
    else:
        assert (report.frames_good, report.frames_lost) == (100, 0)
    mended = Tape.recover(tmp_path)
    assert mended.frames_good == report.frames_good
    assert Tape(tmp_path).verify().is_whole
    if part in ("data", "metadata"):
        (gap,) = Tape(tmp_path).ledger.breaks
        assert gap.frames == 10
        assert "damaged" in gap.cause


def test_a_batch_that_is_not_written_to_its_end_ends_the_tape(tmp_path: Path) -> None:
    file = tape_of(tmp_path, trades(30), batch_rows=10, compression=None)
    content = file.read_bytes()
    first, second, third, *_ = Tape(tmp_path)._readers[0].entries
    whole = first.frames + second.frames
    last = content.rindex(trades(third.frames + whole)[-1]) + len(trades(1)[0])
    assert last < third.end  # what is behind it is no frame's
    file.write_bytes(content[:last])
    assert len(list(Tape(tmp_path).messages())) == whole + third.frames
    for size in range(third.offset + 1, last, 7):
        file.write_bytes(content[:size])
        tape = Tape(tmp_path)
        assert len(list(tape.messages())) == frames_in(tape) == whole
        places = {(cut.begin, cut.end) for cut in tape.damage if isinstance(cut, Damage)}
        assert places == {(third.offset, size)}
        assert len(tape.ledger.breaks) == 1
        assert not tape.verify().is_whole
    # with the end of a closed file it is damage, and so it is where another file follows
    file.write_bytes(content[: third.end - 80] + content[third.end :])
    with pytest.raises(TapeError, match="tape recover' keeps"):
        list(Tape(tmp_path).messages())


def test_an_end_that_is_cut_off_is_logged_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tape_of(tmp_path, trades(30), batch_rows=10)
    last = Tape(tmp_path)._readers[0].entries[-1]
    file.write_bytes(file.read_bytes()[: last.body_at + 100])
    with Tape(tmp_path) as tape:
        assert len(list(tape.messages())) == 30 - last.frames
        assert sum(map(len, tape.batches())) == 30 - last.frames
    told = [record.getMessage() for record in caplog.records]
    assert len(told) == 1
    assert f"cut off within a batch; {last.frames} frames are lost" in told[0]
    caplog.clear()
    with sync.replay(tmp_path) as feed:
        assert sum(1 for _ in feed) == 30 - last.frames
    assert "cut off within a batch" in caplog.text


def test_a_file_that_is_cut_before_another_is_damaged(tmp_path: Path) -> None:
    recorder = recorder_at(tmp_path, rotate_bytes=1 << 20, compression=None, batch_rows=1000)
    for i in range(20):
        for frame in trades(1000, i * 1000 + 1):
            recorder.tap.put(i, 1, 0, frame)
        recorder.flush(10)
    recorder.close()
    first, *others = files(tmp_path)
    assert others
    first.write_bytes(first.read_bytes()[: Tape(first)._readers[0].entries[-1].end - 1])
    with pytest.raises(TapeError, match=rf"{first.name}: bytes .*: cut off within a batch"):
        list(Tape(tmp_path).messages())
    assert len(list(Tape(tmp_path, on_damage="skip").messages())) == 19_000


def test_a_file_that_is_gone_is_missed(tmp_path: Path) -> None:
    recorder = recorder_at(tmp_path, rotate_bytes=1 << 20, compression=None, batch_rows=1000)
    for i in range(40):
        for frame in trades(1000, i * 1000 + 1):
            recorder.tap.put(i, 1, 0, frame)
        recorder.flush(10)
    recorder.close()
    all_of_them = files(tmp_path)
    assert len(all_of_them) > 2
    lost = len(list(Tape(all_of_them[1]).messages()))
    all_of_them[1].unlink()
    report = Tape(tmp_path).verify()
    assert (report.frames_good, report.frames_lost) == (40_000 - lost, lost)
    assert any("is not there" in problem for problem in report.problems)
    (hole,) = Tape(tmp_path).ledger.holes
    assert hole.ids == lost


def test_a_tape_that_is_recovered_twice_stays_as_it_is(tmp_path: Path) -> None:
    file = tape_of(tmp_path, trades(100), batch_rows=10)
    file.write_bytes(file.read_bytes()[:-100])
    assert not Tape.recover(tmp_path).is_whole
    content = file.read_bytes()
    assert Tape.recover(tmp_path).is_whole
    assert file.read_bytes() == content


def test_what_can_not_be_kept_is_said(tmp_path: Path) -> None:
    file = tape_of(tmp_path, trades(10))
    file.write_bytes(file.read_bytes()[:3000])
    with pytest.raises(TapeError, match=file.name):
        Tape.recover(file)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no such pipes here")
def test_what_only_has_the_name_of_a_file_is_none_of_the_tape(tmp_path: Path) -> None:
    tape_of(tmp_path, trades(30))
    (tmp_path / "a directory.arrow").mkdir()
    os.mkfifo(tmp_path / "a pipe.arrow")
    with Tape(tmp_path) as tape:
        assert len(list(tape.messages())) == 30
        assert sum(len(batch) for batch in tape.batches(max_messages=2**70)) == 30
    assert Tape(tmp_path).verify().is_whole
    assert Tape.recover(tmp_path).is_whole
    with pytest.raises(TapeError, match=r"a pipe\.arrow: no file, and no directory"):
        Tape(tmp_path / "a pipe.arrow")
    (tmp_path / "a link.arrow").symlink_to(tmp_path / "nowhere")
    with pytest.raises(TapeError, match=r"a link\.arrow: No such file"):
        Tape(tmp_path)
