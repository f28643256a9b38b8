"""What is given to a recorder is in the files, whatever their rotation, number and names."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pyarrow as pa
import pytest
from taped import START, files, frames_of, give, quotes, recorder_at, rows_of, tape_of, trades

from binance_sbe.tape import Kind, Recording, RecordingError, Tape
from binance_sbe.tape import manifest as manifests
from binance_sbe.tape import writer as writers


def test_all_that_was_given_is_in_the_file_in_order(tmp_path: Path) -> None:
    given = [frame for pair in zip(trades(5000), quotes(5000), strict=True) for frame in pair]
    file = tape_of(tmp_path, given, batch_rows=777)
    assert [row for row in rows_of(file) if row[2] == 0] == [
        (START + i * 10**6, 1, 0, frame) for i, frame in enumerate(given)
    ]
    assert Tape(tmp_path).verify().is_whole


def test_a_file_is_one_of_arrow_with_a_footer(tmp_path: Path) -> None:
    file = tape_of(tmp_path, trades(10))
    with pa.ipc.open_file(file) as reader:
        assert reader.schema.names == ["received_ns", "connection", "kind", "frame"]
        assert reader.schema.metadata[b"tape.version"] == b"1"
        schema = json.loads(reader.schema.metadata[b"tape.schemas"])[0]
        assert (schema["id"], schema["version"], schema["package"]) == (1, 0, "spot_stream")
        assert schema["xml"].startswith("<?xml")


@pytest.mark.parametrize("compression", ["zstd", "lz4", None])
def test_every_compression_brings_the_same_back(tmp_path: Path, compression: str | None) -> None:
    given = quotes(3000)
    tape_of(tmp_path, given, compression=compression)
    assert frames_of(tmp_path) == given
    assert [m.book_update_id for m in Tape(tmp_path).messages()] == list(range(1, 3001))


def test_a_file_that_is_full_is_followed_by_another(tmp_path: Path) -> None:
    recorder = recorder_at(tmp_path, rotate_bytes=1 << 20, compression=None, batch_rows=1000)
    given = quotes(40_000)
    for i in range(0, len(given), 1000):
        give(recorder, given[i : i + 1000], START + i * 10**6)
        recorder.flush(10)
    recorder.close()
    assert len(files(tmp_path)) > 2
    assert all(file.stat().st_size < 2 << 20 for file in files(tmp_path))
    assert frames_of(tmp_path) == given
    report = Tape(tmp_path).verify()
    assert (report.is_whole, report.frames_good, report.frames_lost) == (True, 40_000, 0)


def test_a_file_whose_time_is_over_is_followed_by_another(tmp_path: Path) -> None:
    recorder = recorder_at(tmp_path, rotate_seconds=0.05, batch_seconds=0.01)
    for i in range(30):
        give(recorder, trades(10, i * 10 + 1), START + i * 10**8)
        assert recorder.flush(10)
        threading.Event().wait(0.01)
    recorder.close()
    assert len(files(tmp_path)) > 2
    assert frames_of(tmp_path) == trades(300)
    assert Tape(tmp_path).verify().is_whole


def test_further_files_begin_with_what_is_open(tmp_path: Path) -> None:
    recorder = recorder_at(tmp_path, rotate_bytes=1 << 20, compression=None)
    recorder.opened(3, "connection 3 (line 1)", START)
    recorder.entered(3, ["btcusdt@trade"])
    recorder.opened(4, "connection 4 (line 2)", START)
    recorder.ended(4, "cut", False, START)
    give(recorder, quotes(16_000))
    recorder.flush(10)
    give(recorder, quotes(10), START + 10**12)
    recorder.close()
    _, second = files(tmp_path)
    told = [(row[1], row[2], json.loads(row[3])) for row in rows_of(second) if row[2]]
    asked = ["btcusdt@trade", "btcusdt@bestBidAsk"]
    assert told == [
        (0, Kind.SUBSCRIPTION, {"asked": asked, "again": True}),
        (3, Kind.OPENED, {"number": 3, "name": "connection 3 (line 1)", "again": True}),
        (3, Kind.SUBSCRIPTION, {"number": 3, "entered": ["btcusdt@trade"], "again": True}),
    ]


def test_two_recorders_in_one_directory_have_files_of_their_own(tmp_path: Path) -> None:
    one, other = recorder_at(tmp_path), recorder_at(tmp_path)
    give(one, trades(100))
    give(other, trades(100, 101), START + 10**9)
    one.close()
    other.close()
    assert len(files(tmp_path)) == 2
    tape = Tape(tmp_path)
    assert [int(m.trades["id"][0]) for m in tape.messages()] == list(range(1, 201))
    assert len(tape.sessions) == 2
    assert set(manifests.read(tmp_path)) == {file.name for file in files(tmp_path)}


class Stopped:
    """A clock that stands still, and goes back when it is told to."""

    def __init__(self) -> None:
        self.now = START / 1e9

    def time(self) -> float:
        return self.now

    def time_ns(self) -> int:
        return int(self.now * 1e9)

    def monotonic(self) -> float:
        return 1.0


def test_nothing_is_written_over_in_the_same_second_or_after_the_clock_went_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Stopped()
    monkeypatch.setattr(writers, "time", clock)
    made = []
    for back in (0, 0, 3600, 0):
        clock.now -= back
        recorder = recorder_at(tmp_path)
        recorder.identity = recorder._writer._identity = "0" * 32  # of another process, by chance
        recorder.close()
        recorder = recorder_at(tmp_path)
        made.append(recorder)
        give(recorder, trades(3, 3 * len(made)))
        recorder.close()
    assert len(files(tmp_path)) == 8
    assert sorted(frames_of(tmp_path)) == sorted(trades(12, 3))


def test_files_of_one_name_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writers, "time", Stopped())
    monkeypatch.setattr("uuid.UUID.hex", property(lambda _: "0" * 32))
    for i in range(3):
        recorder = recorder_at(tmp_path)
        give(recorder, trades(1, i + 1))
        recorder.close()
    names = [file.name for file in files(tmp_path)]
    assert [name.rpartition("Z")[2] for name in sorted(names)] == [
        "-00000000-0000-1.arrow",
        "-00000000-0000-2.arrow",
        "-00000000-0000.arrow",
    ]
    assert sorted(frames_of(tmp_path)) == sorted(trades(3))


def test_what_is_flushed_is_in_the_file(tmp_path: Path) -> None:
    recorder = recorder_at(tmp_path, batch_seconds=1000.0)
    give(recorder, trades(3))
    assert frames_of(tmp_path) == []
    assert recorder.flush(10)
    assert frames_of(tmp_path) == trades(3)
    recorder.close()


def test_a_batch_is_written_after_its_time(tmp_path: Path) -> None:
    recorder = recorder_at(tmp_path, batch_seconds=0.01)
    give(recorder, trades(3))
    for _ in range(1000):
        if frames_of(tmp_path):
            break
        threading.Event().wait(0.01)
    assert frames_of(tmp_path) == trades(3)
    recorder.close()


def test_marks_are_where_they_were_made(tmp_path: Path) -> None:
    recorder = recorder_at(tmp_path)
    give(recorder, trades(1))
    recorder.mark("the fee changes: 費用")
    give(recorder, trades(1, 2))
    recorder.close()
    kinds = [row[2] for row in rows_of(files(tmp_path)[0])]
    assert kinds == [Kind.SUBSCRIPTION, Kind.FRAME, Kind.MARK, Kind.FRAME]
    assert [text for _, text in Tape(tmp_path).ledger.marks] == ["the fee changes: 費用"]


def test_a_frame_that_is_longer_than_a_chunk_is_kept(tmp_path: Path) -> None:
    long = b"\x01" * (9 << 20)
    given = [*trades(2), long, b"", *trades(2, 3), long]
    tape_of(tmp_path, given, memory_limit=64 << 20)
    assert frames_of(tmp_path) == given


def test_a_recorder_closes_twice(tmp_path: Path) -> None:
    recorder = recorder_at(tmp_path)
    recorder.close()
    recorder.close()
    assert "closed" in repr(recorder)


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("rotate_seconds", 0, "rotate_seconds is a number of seconds"),
        ("rotate_bytes", 10, "rotate_bytes is a whole number, 1048576 at least"),
        ("durability", "sometimes", "durability is 'batch', 'os' or a number"),
        ("durability", -1, "durability is"),
        ("batch_rows", 0, "batch_rows is a whole number, 1 at least"),
        ("batch_rows", 10**7, "batch_rows is 1,000,000 at most"),
        ("batch_seconds", float("nan"), "batch_seconds is a number"),
        ("compression", "gzip", "compression is 'zstd', 'lz4' or None"),
        ("memory_limit", 0, "memory_limit is a whole number"),
        ("min_free", -1, "min_free is a whole number"),
        ("on_failure", "panic", "on_failure is 'continue' or 'raise'"),
    ],
)
def test_an_option_that_cant_be_is_refused(
    tmp_path: Path, option: str, value: object, said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        Recording(tmp_path, **{option: value})  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="an empty text"):
        Recording("")


def test_a_directory_that_cant_be_is_refused_at_once(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no directory")
    with pytest.raises(RecordingError, match=r"file.*(exists|directory)"):
        recorder_at(tmp_path / "file")
    with pytest.raises(RecordingError, match="bytes free, less than"):
        recorder_at(tmp_path / "full", min_free=1 << 60)
    with pytest.raises(RecordingError, match="directory"):
        recorder_at(tmp_path / "file" / "below")
