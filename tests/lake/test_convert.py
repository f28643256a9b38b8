"""`convert`: what is there stays, what is missing is done, and what fails is told."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import market_tape
import pyarrow.parquet as pq
import pytest
from market_tape import DAY_NS, Market, market, table_rows, without
from taped import START, recorder_at

from binance_sbe import LakeError, TapeError, lake
from binance_sbe.lake import manifest, plan, running, store
from binance_sbe.simulator.events import Diff, Trades
from binance_sbe.tape.rows import Kind

KINDS = ["trade", "depth"]


@pytest.fixture(autouse=True)
def _small_units(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "UNIT_FRAMES", 100)


def files(out: Path) -> dict[str, bytes]:
    return {
        file.relative_to(out).as_posix(): file.read_bytes()
        for file in sorted(out.rglob("*"))
        if file.is_file()
    }


def rows(out: Path, kind: str = "trade") -> list[Any]:
    found = [
        row
        for file in out.glob(f"kind={kind}/**/*.parquet")
        for row in table_rows(pq.ParquetFile(file).read())
    ]
    key = "id" if kind == "trade" else "last_book_update_id"
    return sorted(found, key=lambda row: (row["symbol"], row[key], str(row)))


def expected(made: Market, kind: Any = Trades) -> int:
    return len(market_tape.rows(made, kind))


def test_the_same_again_changes_nothing(tmp_path: Path) -> None:
    tape = market(1).tape(tmp_path / "tape")
    out = tmp_path / "out"
    first = lake.convert(tape, out, kinds=KINDS)
    before = {name: (out / name).stat().st_mtime_ns for name in files(out) if "kind=t" in name}
    done: list[tuple[int, int]] = []
    second = lake.convert(tape, out, kinds=KINDS, progress=lambda *x: done.append(x))
    assert (first.rows, first.files) == (second.rows, second.files)
    assert {name: (out / name).stat().st_mtime_ns for name in before} == before
    assert done == []  # nothing was to be done


def test_what_is_missing_is_done_and_nothing_else(tmp_path: Path) -> None:
    made = market(2)
    tape = made.tape(tmp_path / "tape")
    whole = lake.convert(tape, tmp_path / "whole", kinds=KINDS)
    out = tmp_path / "out"
    lake.convert(tape, out, kinds=KINDS)
    records = sorted((out / manifest.FOLDER).glob("unit-*.json"))
    assert len(records) > 2
    records[1].unlink()  # as if it had been interrupted before it was noted
    part = next((out / "kind=depth").rglob("*.parquet"))
    part.unlink()
    records[2].write_text("{")
    again = lake.convert(tape, out, kinds=KINDS)
    assert again.is_whole
    assert again.files == whole.files
    for kind in KINDS:
        assert rows(out, kind) == rows(tmp_path / "whole", kind)


def test_a_tape_that_goes_on_is_converted_further(tmp_path: Path) -> None:
    made = market(3)
    directory = tmp_path / "tape"
    recorder = recorder_at(directory, batch_rows=50, batch_seconds=100.0)
    half = len(made.rows) // 2
    for at, connection, kind, content in made.rows[:half]:
        recorder.tap.put(at, connection, kind, content)
    recorder.flush(10)
    out = tmp_path / "out"
    first = lake.convert(directory, out, kinds=KINDS)
    for at, connection, kind, content in made.rows[half:]:
        recorder.tap.put(at, connection, kind, content)
    recorder.close()
    second = lake.convert(directory, out, kinds=KINDS)
    assert first.rows["trade"] < second.rows["trade"] == expected(made)
    assert len(rows(out)) == expected(made)
    there = {name for name in files(out) if name.startswith("kind=")}
    assert there == set(second.files)  # no file of the shorter unit is left


def test_a_new_tape_is_added(tmp_path: Path) -> None:
    first, second = market(4), market(5, start=START + DAY_NS)
    tapes = [each.tape(tmp_path / str(i)) for i, each in enumerate((first, second))]
    out = tmp_path / "out"
    lake.convert(tapes[0], out, kinds=KINDS)
    done = lake.convert(tapes[1], out, kinds=KINDS)
    assert done.rows["trade"] == expected(first) + expected(second)
    together = lake.convert(tapes, tmp_path / "both", kinds=KINDS, executor=ThreadPoolExecutor(2))
    assert done.rows == together.rows
    # Only with both of them it is known that nothing was recorded in between.
    assert without(rows(tmp_path / "both"), "flags") == without(rows(out), "flags")
    assert len(done.seams) > len(together.seams)
    lake.convert(tapes, out, kinds=KINDS, executor=ThreadPoolExecutor(2))
    assert rows(tmp_path / "both") == rows(out)


def test_several_tapes_are_converted_by_processes(tmp_path: Path) -> None:
    parts = [market(seed, start=START + seed * DAY_NS) for seed in range(2)]
    tapes = [each.tape(tmp_path / str(i)) for i, each in enumerate(parts)]
    lake.convert(tapes, tmp_path / "out", kinds=KINDS, format="parquet")
    assert len(rows(tmp_path / "out")) == sum(map(expected, parts))


@pytest.mark.parametrize("count", [2, 5])
def test_shards_together_are_the_whole(count: int, tmp_path: Path) -> None:
    tape = market(6).tape(tmp_path / "tape")
    lake.convert(tape, tmp_path / "whole", kinds=KINDS)
    out = tmp_path / "out"
    for number in range(1, count + 1):
        done = lake.convert(tape, out, kinds=KINDS, shard=f"{number}/{count}")
        assert done.is_whole  # of what was its own
        told = json.loads((out / manifest.ARCHIVE).read_bytes())
        assert len(told["not_done"]) + told["units"] > 2
    assert told["not_done"] == []
    names = {name for name in files(out) if name.startswith("kind=")}
    assert names == {n for n in files(tmp_path / "whole") if n.startswith("kind=")}
    for kind in KINDS:
        assert rows(out, kind) == rows(tmp_path / "whole", kind)


@pytest.mark.parametrize("form", ["parquet", "csv", "tardis", "hftbacktest"])
def test_the_manifest_behind_the_last_shard_tells_of_all(form: Any, tmp_path: Path) -> None:
    tape = market(6).tape(tmp_path / "tape")
    kinds = [*KINDS, "book", "snapshot"] if form in ("parquet", "csv") else None
    whole = lake.convert(tape, tmp_path / "whole", form, kinds=kinds)
    for number in (3, 1, 2):
        done = lake.convert(tape, tmp_path / "out", form, kinds=kinds, shard=(number, 3))
    assert (done.files, done.rows, done.remarks) == (whole.files, whole.rows, whole.remarks)
    told = json.loads((tmp_path / "out" / manifest.ARCHIVE).read_bytes())
    assert (told["files"], told["rows"]) == (whole.files, whole.rows)
    if kinds:
        book = lake.scan(tmp_path / "out", "book", engine="arrow")
        assert whole.rows["book"] == book.count_rows() > 0
        (tmp_path / "out" / manifest.FOLDER / "files-book-1-3.json").write_text(
            '{"jobs": {"a": 1}}'
        )
        again = lake.convert(tape, tmp_path / "out", form, kinds=kinds, shard=(1, 3))
        assert (again.files, again.rows) == (whole.files, whole.rows)


def test_a_target_that_is_something_else_is_left_alone(tmp_path: Path) -> None:
    tape = market(7).tape(tmp_path / "tape")
    other = tmp_path / "other"
    other.mkdir()
    (other / "notes.txt").write_text("mine")
    for replace in (False, True):
        with pytest.raises(LakeError, match=r"has files and is no archive \(notes\.txt"):
            lake.convert(tape, other, replace=replace)
    assert files(other) == {"notes.txt": b"mine"}
    out = tmp_path / "out"
    lake.convert(tape, out, kinds=KINDS)
    before = files(out)
    with pytest.raises(LakeError, match=r"made with other options \(numbers, kinds\)"):
        lake.convert(tape, out, kinds=["trade"], numbers="both")
    assert files(out) == before
    (out / "notes.txt").write_text("mine")
    done = lake.convert(tape, out, kinds=["trade"], numbers="both", replace=True)
    assert done.is_whole
    found = files(out)
    assert found.pop("notes.txt") == b"mine"
    assert not [name for name in found if "kind=depth" in name]
    (out / manifest.ARCHIVE).write_text("no JSON")
    with pytest.raises(LakeError, match="not the manifest of an archive"):
        lake.convert(tape, out)


def test_what_is_no_tape_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TapeError, match="there is no such file or directory"):
        lake.convert(tmp_path / "none", tmp_path / "out")
    (tmp_path / "empty").mkdir()
    with pytest.raises(TapeError, match="no tape is in this directory"):
        lake.convert(tmp_path / "empty", tmp_path / "out")
    with pytest.raises(LakeError, match="no tape was given"):
        lake.convert([], tmp_path / "out")
    with pytest.raises(TypeError, match="a tape is given by its path, not by int"):
        lake.convert([5], tmp_path / "out")  # type: ignore[list-item]


def test_a_tape_without_frames_is_an_archive_without_rows(tmp_path: Path) -> None:
    recorder = recorder_at(tmp_path / "tape")
    recorder.close()
    made = Market(rows=[(START, 0, int(Kind.MARK), b"nothing came")])
    for tape in (made.tape(tmp_path / "other"),):
        done = lake.convert(tape, tmp_path / "out")
        assert (done.is_whole, done.rows, done.frames) == (True, {}, 0)


def test_recordings_of_the_same_market_at_the_same_time_are_refused(tmp_path: Path) -> None:
    made = market(8)
    tapes = [made.tape(tmp_path / name) for name in "ab"]
    with pytest.raises(LakeError, match=r"have the same streams at the same time .*tape cut"):
        lake.convert(tapes, tmp_path / "out")
    other = market(9, symbols=("SOLUSDT",)).tape(tmp_path / "c")
    done = lake.convert([tapes[0], other], tmp_path / "both", executor=ThreadPoolExecutor(1))
    assert done.is_whole


def test_a_tape_of_another_product_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from binance_sbe.tape import recorder

    whole = recorder.schema_of
    monkeypatch.setattr(
        recorder, "schema_of", lambda name: whole(name) | {"package": "futures_stream", "id": 7}
    )
    tape = market(1).tape(tmp_path / "tape")
    with pytest.raises(LakeError, match=r"'futures_stream' \(id 7\).*of another product"):
        lake.convert(tape, tmp_path / "out")


def damaged(file: Path, batch: int) -> None:
    """Flips a bit in the middle of a batch."""
    from binance_sbe.tape.reading import TapeReader

    entry = TapeReader(file).entries[batch]
    data = bytearray(file.read_bytes())
    data[entry.offset + 8 + entry.metadata_length + entry.body_length // 2] ^= 1
    file.write_bytes(data)


def test_of_a_damaged_tape_the_rest_is_converted_and_it_is_said(tmp_path: Path) -> None:
    made = market(10)
    tape = made.tape(tmp_path / "tape")
    (file,) = tape.glob("*.arrow")
    good = file.read_bytes()
    damaged(file, 3)
    out = tmp_path / "out"
    done = lake.convert(tape, out, kinds=KINDS)
    assert not done.is_whole
    assert any("batch 3 at byte" in problem for problem in done.problems)
    assert 0 < done.rows["trade"] < expected(made)
    assert json.loads((out / manifest.ARCHIVE).read_bytes())["problems"] == done.problems
    file.write_bytes(good)
    again = lake.convert(tape, out, kinds=KINDS)
    assert again.is_whole
    assert len(rows(out)) == expected(made)


def test_a_full_disk_leaves_nothing_half_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tape = market(11).tape(tmp_path / "tape")
    whole = store.os.fsync
    for fails in range(0, 12, 3):
        count = 0

        def full(fd: int, fails: int = fails) -> None:
            nonlocal count
            count += 1
            if count > fails:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            whole(fd)

        out = tmp_path / str(fails)
        monkeypatch.setattr(store.os, "fsync", full)
        try:
            done = lake.convert(tape, out, kinds=KINDS)
            assert not done.is_whole
            assert any("No space left on device" in problem for problem in done.problems)
        except OSError as error:
            assert error.errno == errno.ENOSPC  # not even the manifest can be written
        monkeypatch.setattr(store.os, "fsync", whole)
        assert not [name for name in files(out) if name.endswith(".tmp")]
        assert lake.convert(tape, out, kinds=KINDS).is_whole


class Broken(Executor):
    """Its worker dies at the third task."""

    def __init__(self) -> None:
        self.pool = ProcessPoolExecutor(1, mp_context=get_context("spawn"))
        self.count = 0

    def submit(self, function: Any, /, *arguments: Any, **named: Any) -> Any:
        self.count += 1
        if self.count == 3:
            return self.pool.submit(os._exit, 1)
        return self.pool.submit(function, *arguments, **named)


def test_a_worker_that_dies_costs_its_own_part_only(tmp_path: Path) -> None:
    made = market(12)
    tape = made.tape(tmp_path / "tape")
    broken = Broken()
    done = lake.convert(tape, tmp_path / "out", kinds=KINDS, executor=broken)
    broken.pool.shutdown()
    assert not done.is_whole
    assert all("its worker died" in problem for problem in done.problems)
    again = lake.convert(tape, tmp_path / "out", kinds=KINDS)
    assert again.is_whole
    assert len(rows(tmp_path / "out")) == expected(made)


def _dies_at(number: int, fatal: int) -> int:
    if number == fatal:
        os._exit(3)
    return number


def test_of_our_own_workers_one_that_dies_does_not_stop_the_others() -> None:
    tasks = [running.Task(f"task {i}", 1, _dies_at, (i, 2)) for i in range(5)]
    found = {outcome.task.name: outcome for outcome in running.run(tasks, None, True)}
    assert len(found) == 5
    assert [found[f"task {i}"].value for i in (0, 1, 3, 4)] == [0, 1, 3, 4]
    problem = found["task 2"].problem
    assert problem is not None
    assert problem.startswith("task 2: its worker process died")


@pytest.mark.long
def test_a_conversion_that_is_killed_goes_on(tmp_path: Path) -> None:
    made = market(13, events=3000)
    tape = made.tape(tmp_path / "tape")
    out = tmp_path / "out"
    script = (
        "from binance_sbe import lake\nfrom binance_sbe.lake import plan\n"
        "plan.UNIT_FRAMES = 100\n"
        f"lake.convert({str(tape)!r}, {str(out)!r}, kinds=['trade', 'depth'])\n"
    )
    for wait in (0.05, 0.15, 0.3, 0.5):
        with subprocess.Popen([sys.executable, "-c", script]) as process:
            end = time.monotonic() + 30
            while not (out / manifest.FOLDER).is_dir() and time.monotonic() < end:
                time.sleep(0.01)
            time.sleep(wait)
            process.send_signal(signal.SIGKILL)
        for file in out.rglob("kind=trade/*/*.parquet"):
            pq.ParquetFile(file).read()  # whole, if it is there
    done = lake.convert(tape, out, kinds=KINDS)
    assert done.is_whole
    assert len(rows(out)) == expected(made)
    assert len(rows(out, "depth")) == expected(made, Diff)
    assert not list(out.rglob("*.tmp"))
    shutil.rmtree(out)
