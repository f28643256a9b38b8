"""However tapes come into an archive, one after the other or together, it is the same archive."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import polars as pl
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule
from market_tape import DAY_NS, MS, Market, market, snapshot_answer, table_rows
from market_tape import rows as market_rows
from taped import START, recorder_at

from binance_sbe import LakeError, decode, lake, spot_stream
from binance_sbe.lake import bulk, manifest, plan
from binance_sbe.lake.hft_rows import EXCH, LOCAL
from binance_sbe.lake.tools.market import Job
from binance_sbe.lake.tools.notes import Note
from binance_sbe.simulator.encoder import encode
from binance_sbe.simulator.events import BestBidAsk, Diff, Trades
from binance_sbe.tape.rows import Kind, with_head
from binance_sbe.tape.tape import Tape

KINDS = ("trade", "depth", "snapshot", "book")


@pytest.fixture(autouse=True)
def _small_units(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "UNIT_FRAMES", 60)


def contents(out: Path) -> dict[str, Any]:
    """What is in the files that readers see, without what only says when it was recorded."""
    return {
        file.relative_to(out).as_posix(): table_rows(pq.ParquetFile(file).read())
        for file in sorted(out.glob("kind=*/**/*.parquet"))
    } | {file.name: np.load(file)["data"].tolist() for file in sorted(out.glob("*.npz"))}


def trades_in(out: Path) -> int:
    return len(lake.scan(out, "trade").collect())


def half_of(made: Market, path: Path) -> Callable[[], None]:
    """A tape of the first half of the rows; what is returned adds the others, and closes it."""
    recorder = recorder_at(path, at=made.rows[0][0] - MS, batch_rows=20, batch_seconds=100.0)
    half = len(made.rows) // 2
    for row in made.rows[:half]:
        recorder.tap.put(*row)
    recorder.flush(10)

    def go_on() -> None:
        for row in made.rows[half:]:
            recorder.tap.put(*row)
        recorder.close()

    return go_on


def one_by_one(tape: Any, out: Path, **options: Any) -> Any:
    return lake.convert(tape, out, executor=ThreadPoolExecutor(1), **options)


class Archives(RuleBasedStateMachine):
    """Tapes of two days are converted in any order, damaged, mended, and converted again."""

    @initialize(seed=st.integers(0, 3), form=st.sampled_from(["parquet", "hftbacktest"]))
    def begin(self, seed: int, form: str) -> None:
        self.form = form
        self.kinds = KINDS if form == "parquet" else None
        self.place = TemporaryDirectory()
        self.path = Path(self.place.name)
        self.out = self.path / "out"
        self.tapes = []
        for i in range(2):
            made = market(seed + i, events=140, start=START + i * DAY_NS)
            self.tapes.append(made.tape(self.path / f"tape-{i}", batch_rows=20))
            shutil.copytree(self.tapes[i], self.path / f"good-{i}")

    def convert(self, tapes: list[Path], **options: Any) -> Any:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(plan, "UNIT_FRAMES", 60)
            return one_by_one(tapes, self.out, format=self.form, kinds=self.kinds, **options)

    @rule(which=st.sets(st.integers(0, 1), min_size=1))
    def some(self, which: set[int]) -> None:
        self.convert([self.tapes[i] for i in sorted(which)])

    @rule(number=st.integers(1, 3))
    def a_shard(self, number: int) -> None:
        self.convert(self.tapes, shard=(number, 3))

    @rule(which=st.integers(0, 1), at=st.floats(0.2, 0.9), size=st.integers(1, 4000))
    def damage(self, which: int, at: float, size: int) -> None:
        (file,) = self.tapes[which].glob("*.arrow")
        content = bytearray(file.read_bytes())
        begin = int(len(content) * at)
        end = min(begin + size, len(content))
        content[begin:end] = bytes(end - begin)
        file.write_bytes(content)

    @rule(which=st.integers(0, 1))
    def mend(self, which: int) -> None:
        shutil.rmtree(self.tapes[which])
        shutil.copytree(self.path / f"good-{which}", self.tapes[which])

    @rule(chance=st.randoms(use_true_random=False))
    def lose_a_file(self, chance: Any) -> None:
        found = sorted(file for file in self.out.rglob("*") if file.is_file())
        if found and (self.out / manifest.ARCHIVE).exists():
            lost = chance.choice(found)
            if lost.name != Path(manifest.ARCHIVE).name:
                lost.unlink()

    def teardown(self) -> None:
        if hasattr(self, "place"):
            with self.place:
                self.check()

    def check(self) -> None:
        """All that is good is converted at last, as it would be at once."""
        for i in range(2):
            self.mend(i)
        done = self.convert(self.tapes)
        assert done.is_whole, done.problems
        told = json.loads((self.out / manifest.ARCHIVE).read_bytes())
        assert (told["is_whole"], told["not_done"], told["files"]) == (True, [], done.files)
        found, self.out = self.out, self.path / "new"
        again = self.convert(self.tapes)
        assert contents(found) == contents(self.out)
        assert (done.rows, done.files, done.seams) == (again.rows, again.files, again.seams)
        assert (done.frames, done.duplicates) == (again.frames, again.duplicates)


Archives.TestCase.settings = settings(
    max_examples=15,
    stateful_step_count=8,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
TestArchives = Archives.TestCase


def test_a_damaged_tape_that_is_mended_is_converted_anew(tmp_path: Path) -> None:
    made = market(1, events=600)
    good, tape, out = made.tape(tmp_path / "good"), tmp_path / "tape", tmp_path / "out"
    shutil.copytree(good, tape)
    (file,) = tape.glob("*.arrow")
    content = bytearray(file.read_bytes())
    begin = len(content) // 3
    content[begin : begin + 9000] = bytes(9000)
    file.write_bytes(content)
    first = lake.convert(tape, out)
    assert not first.is_whole
    holes = lake.scan(out, "hole").collect()
    assert any("damaged" in cause for cause in holes["cause"].to_list())
    done = subprocess.run(
        [sys.executable, "-m", "binance_sbe", "tape", "recover", str(tape)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert lake.convert(tape, out).is_whole
    lake.convert(tape, tmp_path / "new")
    assert contents(out) == contents(tmp_path / "new")
    shutil.rmtree(tape)
    shutil.copytree(good, tape)  # a good copy is found
    assert lake.convert(tape, out).rows == lake.convert(good, tmp_path / "whole").rows
    assert contents(out) == contents(tmp_path / "whole")


@pytest.mark.parametrize("form", ["parquet", "tardis"])
def test_a_tape_that_has_become_shorter_is_told(form: Any, tmp_path: Path) -> None:
    tape, old = tmp_path / "tape", tmp_path / "old"
    go_on = half_of(market(3, events=300), tape)
    shutil.copytree(tape, old)  # a backup of then
    go_on()
    whole = lake.convert(tape, tmp_path / "out", form)
    assert not [each for each in whole.remarks if "had" in each]
    less = lake.convert(old, tmp_path / "out", form)
    (remark,) = [each for each in less.remarks if "when it was converted before" in each]
    assert f"and had {whole.frames:,} " in remark


def test_damage_of_one_tape_is_not_forgotten_with_the_next(tmp_path: Path) -> None:
    first, second = (market(i, start=START + i * DAY_NS).tape(tmp_path / str(i)) for i in range(2))
    (file,) = first.glob("*.arrow")
    file.write_bytes(file.read_bytes()[: int(file.stat().st_size * 0.7)])
    for form in ("parquet", "hftbacktest"):
        out = tmp_path / form
        assert not lake.convert(first, out, form).is_whole
        later = lake.convert(second, out, form)
        assert [each for each in later.problems if "cut off within a batch" in each]
        again = lake.convert(second, out, form)
        assert again.problems == later.problems
    with pytest.raises(LakeError, match="a tape is damaged: .*cut off"):
        lake.dask(first)


@pytest.mark.parametrize("form", ["tardis", "hftbacktest", "nautilus"])
def test_files_of_a_tool_are_not_written_over_for_another_tape(form: Any, tmp_path: Path) -> None:
    first = market(1, events=200)
    second = market(2, events=200, start=START + 3600 * 10**9)
    tapes = [each.tape(tmp_path / str(i)) for i, each in enumerate((first, second))]
    out = tmp_path / "out"
    done = lake.convert(tapes[0], out, form)
    before = {name: (out / name).read_bytes() for name in done.files}
    other = lake.convert(tapes[1], out, form)
    if form != "nautilus":  # whose files have the times of what is in them
        assert "was made of other tapes, which are not given now" in other.problems[0]
    for name, content in before.items():
        assert (out / name).read_bytes() == content
    both = one_by_one(tapes, out, format=form)
    assert both.is_whole
    new = one_by_one(tapes, tmp_path / "new", format=form)
    assert both.files == new.files
    for name in new.files:
        assert (out / name).read_bytes() == (tmp_path / "new" / name).read_bytes()
    alone = lake.convert(tapes[0], out, form)  # what it has is there already
    assert (alone.is_whole, alone.files) == (True, new.files)
    for name in new.files:
        assert (out / name).read_bytes() == (tmp_path / "new" / name).read_bytes()


def rotated(made: Market, path: Path, count: int) -> list[Path]:
    """A tape of so many files."""
    recorder = recorder_at(path, at=made.rows[0][0] - MS, batch_rows=20, batch_seconds=100.0)
    size = len(made.rows) // count + 1
    for i, row in enumerate(made.rows):
        if i and i % size == 0:
            recorder.flush(10)
            recorder._writer._rotate_at = 0.0
        recorder.tap.put(*row)
    recorder.close()
    found = sorted(path.glob("*.arrow"))
    assert len(found) == count
    return found


@pytest.mark.parametrize("form", ["tardis", "hftbacktest", "nautilus", "parquet"])
def test_what_was_made_stays_when_older_files_of_the_tape_are_removed(
    form: Any, tmp_path: Path
) -> None:
    tape, out = tmp_path / "tape", tmp_path / "out"
    found = rotated(market(3, events=400, holes=40), tape, 2)
    kinds = KINDS if form == "parquet" else None
    first = one_by_one(tape, out, format=form, kinds=kinds)
    if form == "parquet":  # holes in the file that is removed, and in the other
        times = lake.scan(out, "hole").collect()["started_time"].dt.timestamp("ns").to_list()
        middle = Tape([tape])._readers[1].entries[1].first_ns
        assert min(times) < middle < max(times)
    before = {name: (out / name).read_bytes() for name in first.files}
    found[0].unlink()
    for _ in range(2):
        again = one_by_one(tape, out, format=form, kinds=kinds)
        assert (again.is_whole, again.rows, again.files) == (True, first.rows, first.files)
        assert again.frames == first.frames
        for name, content in before.items():
            if "kind=session" not in name:
                assert (out / name).read_bytes() == content, name
    if form == "parquet":
        (session,) = lake.scan(out, "session").collect().to_dicts()
        assert (session["frames"], session["files"]) == (first.frames, 2)


def test_a_copy_of_a_tape_is_not_another_tape(tmp_path: Path) -> None:
    made = market(1)
    shutil.copytree(made.tape(tmp_path / "a"), tmp_path / "b")
    with pytest.raises(LakeError, match="are the same file of one tape: give one of them"):
        lake.convert([tmp_path / "a", tmp_path / "b"], tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("form", ["parquet", "hftbacktest"])
def test_what_came_before_a_file_is_known_when_it_is_given_later(form: Any, tmp_path: Path) -> None:
    made = market(4, events=400, lines=2)
    tape, out = tmp_path / "tape", tmp_path / "out"
    rotated(made, tape, 8)  # small ones: what came before is in more than one of them
    found = sorted(tape.glob("*.arrow"))
    one_by_one(found[-1:], out, format=form)
    one_by_one(found[3:], out, format=form)
    done = one_by_one(found, out, format=form)
    new = one_by_one(tape, tmp_path / "new", format=form)
    assert contents(out) == contents(tmp_path / "new")
    assert (done.is_whole, done.rows, done.duplicates) == (True, new.rows, new.duplicates)
    if form == "parquet":
        assert trades_in(out) == len(market_rows(made, Trades))


def test_a_note_covers_units_with_a_run_up_that_is_as_long() -> None:
    note = Note("A", "2027-01-15", ["r-0000-000000 m 0 3", "r-0000-000004 n 0 5"], 1, [], [], 0)
    for sources, covers in (
        (["r-0000-000000 m 0 3"], True),
        (["r-0000-000000 m 0 2", "r-0000-000004 n 0 5"], True),
        (["r-0000-000000 m 0 4"], False),  # more is known of what came before
        (["r-0000-000000 m 1 3"], False),  # something was wrong with it
        (["r-0000-000000 o 0 3"], False),
        (["r-0000-000008 m 0 0"], False),
    ):
        assert note.covers(Job("A", "2027-01-15", (), sources)) is covers


def test_shards_and_whole_conversions_know_of_each_other(tmp_path: Path) -> None:
    first = market(1, events=200)
    second = market(2, events=200, start=START + 3600 * 10**9)
    tapes = [each.tape(tmp_path / str(i)) for i, each in enumerate((first, second))]
    out = tmp_path / "out"
    for number in (1, 2):
        lake.convert(tapes[0], out, "hftbacktest", shard=(number, 2))
    before = contents(out)
    assert not lake.convert(tapes[1], out, "hftbacktest").is_whole
    assert contents(out) == before
    for number in (3, 1, 2):
        done = one_by_one(tapes, out, format="hftbacktest", shard=(number, 3))
    new = one_by_one(tapes, tmp_path / "new", format="hftbacktest")
    assert contents(out) == contents(tmp_path / "new")
    told = json.loads((out / manifest.ARCHIVE).read_bytes())
    assert (told["is_whole"], told["files"], told["rows"]) == (True, new.files, new.rows)
    assert done.files == new.files
    books = tmp_path / "books"
    for number in (1, 2):
        lake.convert(tapes[0], books, kinds=KINDS, shard=(number, 2))
    both = one_by_one(tapes, books, kinds=KINDS)
    assert both.rows["book"] == len(lake.scan(books, "book").collect())


@pytest.mark.parametrize("form", ["parquet", "jsonl"])
def test_what_was_begun_before_is_not_forgotten(form: Any, tmp_path: Path) -> None:
    tapes = [market(i, start=START + i * DAY_NS).tape(tmp_path / str(i)) for i in range(2)]
    out = tmp_path / "out"
    lake.convert(tapes[0], out, form, shard=(1, 4))  # and the others never run
    later = lake.convert(tapes[1], out, form)
    told = json.loads((out / manifest.ARCHIVE).read_bytes())
    assert not later.is_whole
    assert "units were not done" in later.problems[0]
    assert (told["is_whole"], bool(told["not_done"])) == (False, True)
    assert one_by_one(tapes, out, format=form).is_whole


@pytest.mark.parametrize("form", ["nautilus", "hftbacktest"])
def test_a_tool_that_was_interrupted_goes_on(form: Any, tmp_path: Path) -> None:
    tape, out = tmp_path / "tape", tmp_path / "out"
    go_on = half_of(market(3, events=300), tape)

    def stop(done: int, total: int) -> None:
        if (out / "_stage-nautilus").exists() or (out / "_stage-hftbacktest").exists():
            stages.append(done)
            if total < 4 and done == 2:  # of the three symbols
                raise KeyboardInterrupt

    stages: list[int] = []
    with pytest.raises(KeyboardInterrupt):
        lake.convert(tape, out, form, progress=stop)
    assert stages
    go_on()
    done = lake.convert(tape, out, form)
    new = lake.convert(tape, tmp_path / "new", form)
    there = {
        file.relative_to(out).as_posix()
        for file in out.rglob("*")
        if file.is_file() and "_manifest" not in file.parts
    }
    assert (done.is_whole, done.files) == (True, new.files)
    assert there == set(new.files)


@pytest.mark.parametrize("form", ["parquet", "hftbacktest"])
def test_a_grown_tape_is_not_done_by_one_shard(form: Any, tmp_path: Path) -> None:
    tape, out = tmp_path / "tape", tmp_path / "out"
    go_on = half_of(market(3, events=300), tape)
    for number in (1, 2):
        lake.convert(tape, out, form, shard=(number, 2))
    assert json.loads((out / manifest.ARCHIVE).read_bytes())["is_whole"]
    go_on()
    for number, is_whole in ((1, False), (1, False), (2, True), (1, True)):
        lake.convert(tape, out, form, shard=(number, 2))
        told = json.loads((out / manifest.ARCHIVE).read_bytes())
        assert (told["is_whole"], not told["not_done"]) == (is_whole, is_whole)
    lake.convert(tape, tmp_path / "new", form)
    assert contents(out) == contents(tmp_path / "new")


def test_the_account_of_a_tool_is_the_same_when_nothing_is_to_be_done(tmp_path: Path) -> None:
    tape = market(1, lines=2).tape(tmp_path / "tape")
    first = lake.convert(tape, tmp_path / "out", "tardis")
    again = lake.convert(tape, tmp_path / "out", "tardis")
    for name in ("frames", "rows", "duplicates", "files", "seams", "problems"):
        assert getattr(first, name) == getattr(again, name)
    assert first.frames > 0


def test_tapes_that_overlap_are_refused_also_one_after_the_other(tmp_path: Path) -> None:
    tapes = [market(i).tape(tmp_path / str(i)) for i in range(2)]
    out = tmp_path / "out"
    lake.convert(tapes[0], out)
    before = contents(out)
    with pytest.raises(LakeError, match="a tape that was converted before .* the same streams"):
        lake.convert(tapes[1], out)
    assert contents(out) == before


def test_halves_of_a_tape_that_was_cut_are_the_whole(tmp_path: Path) -> None:
    tape = market(3, events=600, step=MS).tape(tmp_path / "tape")
    at = f"{(START + 300 * MS) / 1e9:.6f}"
    halves = []
    for name, option in (("one", "--end"), ("two", "--start")):
        halves.append(tmp_path / name)
        done = subprocess.run(
            [sys.executable, "-m", "binance_sbe", "tape", "cut", tape, "--out", halves[-1],
             option, np.datetime64(int(float(at) * 10**6), "us").item().isoformat() + "Z"],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
    made = one_by_one(halves, tmp_path / "out", kinds=["trade"])
    whole = lake.convert(tape, tmp_path / "whole", kinds=["trade"])
    assert made.rows == whole.rows


def test_two_shards_may_begin_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tape = market(2, events=300).tape(tmp_path / "tape")
    out = tmp_path / "out"
    real, is_first_done = plan.planned, threading.Event()

    def slow(*arguments: Any) -> Any:
        made = real(*arguments)
        if threading.current_thread().name == "late":
            assert is_first_done.wait(60)
        return made

    monkeypatch.setattr(bulk, "planned", slow)
    found: list[Any] = []
    late = threading.Thread(
        target=lambda: found.append(lake.convert(tape, out, shard="2/2")), name="late"
    )
    late.start()
    found.append(lake.convert(tape, out, shard="1/2"))
    told = json.loads((out / manifest.ARCHIVE).read_bytes())
    assert not told["is_whole"]
    is_first_done.set()
    late.join(60)
    assert all(each.is_whole for each in found)
    lake.convert(tape, tmp_path / "whole")
    assert contents(out) == contents(tmp_path / "whole")
    told = json.loads((out / manifest.ARCHIVE).read_bytes())
    assert (told["is_whole"], told["not_done"]) == (True, [])


def test_older_files_of_a_tape_may_be_removed_when_they_are_converted(tmp_path: Path) -> None:
    parts = [market(i, events=150, start=START + i * DAY_NS) for i in range(2)]
    tape = tmp_path / "tape"
    for each in parts:
        each.tape(tape)
    out = tmp_path / "out"
    both = one_by_one(tape, out, kinds=KINDS)
    before = contents(out)
    sorted(tape.glob("*.arrow"))[0].unlink()
    again = one_by_one(tape, out, kinds=KINDS)
    assert contents(out) == before
    assert again.rows == both.rows


def test_what_no_record_knows_is_not_scanned(tmp_path: Path) -> None:
    tape = market(4).tape(tmp_path / "tape")
    out = tmp_path / "out"
    done = lake.convert(tape, out, kinds=["trade"])
    count = trades_in(out)
    part = next(out / name for name in done.files if "kind=trade" in name)
    shutil.copy(part, part.with_name(part.name.replace(".parquet", "9.parquet")))  # interrupted
    for engine in ("polars", "arrow"):
        found = lake.scan(out, "trade", engine=engine)  # type: ignore[arg-type]
        assert len(found.collect() if engine == "polars" else found.to_table()) == count
    assert lake.convert(tape, out, kinds=["trade"]).is_whole
    assert len(list(out.glob("kind=trade/**/*.parquet"))) == len(
        [name for name in done.files if "kind=trade" in name]
    )


@pytest.mark.parametrize("name", ["o*", "o?", "o [1]", "price=1", "symbol=x", "date=2020-01-01"])
@pytest.mark.parametrize("engine", ["polars", "arrow"])
def test_an_archive_may_lie_anywhere(name: str, engine: Any, tmp_path: Path) -> None:
    tape = market(5).tape(tmp_path / "tape")
    lake.convert(tape, tmp_path / "other")
    for place in (tmp_path / name, tmp_path / name / "archive"):
        expected = lake.convert(tape, place, kinds=["trade"]).rows["trade"]
        found = lake.scan(place, "trade", engine=engine)
        table = found.collect() if engine == "polars" else pl.from_arrow(found.to_table())
        assert len(table) == expected
        assert set(table["date"].cast(pl.String).to_list()) == {"2027-01-15"}
        assert table["price"].n_unique() > 2
        assert "BTCUSDT" in table["symbol"].cast(pl.String).to_list()
        shutil.rmtree(place)


@pytest.mark.parametrize("form", ["parquet", "arrow", "csv"])
@pytest.mark.parametrize("numbers", ["float64", "both", "decimal"])
@pytest.mark.parametrize("kind", ["trade", "depth", "snapshot", "book", "hole", "session"])
def test_partitioned_archives_have_their_types(
    form: Any, numbers: Any, kind: str, tmp_path: Path
) -> None:
    symbols = ("123", "007", "1E5")
    tape = market(6, symbols=symbols).tape(tmp_path / "tape")
    out = tmp_path / "out"
    lake.convert(tape, out, form, numbers, kinds=[*KINDS, "hole"], partition_by="symbol")
    table = lake.scan(out, kind, engine="arrow").to_table()
    if kind != "session":
        found = set(pl.from_arrow(table.select(["symbol"]))["symbol"].cast(pl.String))  # type: ignore[index]
        assert found <= set(symbols)
        assert found
    if kind in ("trade", "depth"):
        kinds = {f.name: str(f.type) for f in table.schema}
        wanted = "decimal128(18, 8)" if numbers == "decimal" else "double"
        assert kinds["price"] == wanted


def test_symbols_are_no_paths(tmp_path: Path) -> None:
    made = Market()
    names = ("../../up", "A/B", "AB", "币安USDT", ".hidden")
    for i, name in enumerate(names):
        for k in range(3):
            at = START + (10 * k + i) * MS
            event = Diff(name, -2, -8, at // 1000, 1 + k, 1 + k, ((100, 5 + k),), ())
            made.rows.append((at, 1, int(Kind.FRAME), encode(event)))
    made.rows.sort(key=lambda row: row[0])
    tape = made.tape(tmp_path / "deep" / "tape")
    for form in ("hftbacktest", "tardis", "nautilus", "parquet"):
        out = tmp_path / "deep" / "er" / form
        options: dict[str, Any] = {"partition_by": "symbol"} if form == "parquet" else {}
        done = lake.convert(tape, out, form, **options)  # type: ignore[arg-type]
        assert done.is_whole, done.problems
        assert len(done.files) >= len(names)
        assert all((out / name).resolve().is_relative_to(out.resolve()) for name in done.files)
    there = {path.name for path in (tmp_path / "deep" / "er" / "hftbacktest").iterdir()}
    assert {"币安USDT_20270115.npz", "AB_20270115.npz", "A%2FB_20270115.npz"} <= there
    assert sorted(path.name for path in tmp_path.iterdir()) == ["deep"]


def test_two_recorders_side_by_side_are_as_one(tmp_path: Path) -> None:
    made = market(1, events=500, symbols=("BTCUSDT",))
    sides: tuple[list[Any], list[Any]] = ([], [])
    for row in made.rows:
        if row[2] == int(Kind.FRAME):
            is_trade = isinstance(decode(row[3]), spot_stream.TradesStreamEvent)
        else:
            is_trade = b"@trade" in row[3]
        sides[not is_trade].append(row)
    tapes = []
    for i, side in enumerate(sides):
        recorder = recorder_at(tmp_path / str(i), batch_rows=20, batch_seconds=100.0)
        for each in side:
            recorder.tap.put(*each)
        recorder.close()
        tapes.append(tmp_path / str(i))
    one_by_one(tapes, tmp_path / "two", format="hftbacktest")
    one_by_one(made.tape(tmp_path / "tape"), tmp_path / "one", format="hftbacktest")
    two, one = (np.load(next((tmp_path / n).glob("*.npz")))["data"] for n in ("two", "one"))
    for flag, clock in ((EXCH, "exch_ts"), (LOCAL, "local_ts")):
        rows = [each[(each["ev"] & np.uint64(flag)) != 0] for each in (two, one)]
        assert (np.diff(rows[0][clock]) >= 0).all()
        assert rows[0][["exch_ts", "local_ts", "px", "qty"]].tolist() == (
            rows[1][["exch_ts", "local_ts", "px", "qty"]].tolist()
        )
    for each in (two, one):
        kinds = each["ev"] & np.uint64(0xFF)
        for clock in ("exch_ts", "local_ts"):
            flag = EXCH if clock == "exch_ts" else LOCAL
            mine = (each["ev"] & np.uint64(flag)) != 0
            times, of = each[clock][mine], kinds[mine]
            same = times[1:] == times[:-1]
            assert not (same & (of[1:] == 2) & (of[:-1] == 1)).any()


def diff(at: int, update: int, price: int = 100) -> tuple[int, int, int, bytes]:
    event = Diff("BTCUSDT", -2, -8, at // 1000, update, update, ((price, 5),), ())
    return at, 1, int(Kind.FRAME), encode(event)


def snapshot(at: int, update: int) -> tuple[int, int, int, bytes]:
    head = {"symbol": "btcusdt", "limit": 5000, "after": 0}
    answer = snapshot_answer(update, [(100, 5)], [(101, 1)])
    return at, 0, int(Kind.SNAPSHOT), with_head(head, answer)


def test_snapshots_without_a_frame_beside_them_are_there(tmp_path: Path) -> None:
    made = Market()
    made.rows = [snapshot(START + i, 10) for i in range(70)]  # batches of nothing else
    made.rows += [diff(START + 10**9 + i * MS, 11 + i) for i in range(5)]
    done = one_by_one(made.tape(tmp_path / "tape"), tmp_path / "out", kinds=KINDS, book_every=0)
    assert done.rows["snapshot"] == 140
    assert done.rows["book"] > 0
    assert set(lake.scan(tmp_path / "out", "depth").collect()["flags"]) == {0}


def test_a_book_that_is_known_again_is_told(tmp_path: Path) -> None:
    made = Market()
    made.rows = [snapshot(START, 100), diff(START + MS, 101), diff(START + 2 * MS, 102)]
    made.rows += [diff(START + 3 * MS, 150), snapshot(START + 4 * MS, 150)]  # a gap
    made.rows += [diff(START + i * MS, 146 + i) for i in range(5, 9)]
    tape = made.tape(tmp_path / "tape")
    one_by_one(tape, tmp_path / "out", kinds=["book", "depth"], book_every=0, levels="nested")
    found = lake.scan(tmp_path / "out", "book").collect().sort("event_time")
    flags = found["flags"].to_list()
    assert 2 in flags
    assert flags[-1] == 0  # with the same best levels as before the gap


def test_a_day_without_a_snapshot_is_told(tmp_path: Path) -> None:
    made = Market()
    midnight = START + DAY_NS - START % DAY_NS
    made.rows = [snapshot(midnight - 10**9, 100)]
    made.rows += [diff(midnight + (i - 5) * 100 * MS, 101 + i) for i in range(10)]
    tape = made.tape(tmp_path / "tape")
    done = lake.convert(tape, tmp_path / "out", "hftbacktest")
    assert ["no snapshot of its book came on that day" in each for each in done.remarks] == [True]
    assert done.remarks[0].startswith("BTCUSDT, 2027-01-16: ")


def test_lines_that_are_far_apart_bring_no_event_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plan, "UNIT_FRAMES", 20_000)
    count, step, behind = 55_000, 30_000, 10**9  # 33,000 events a second, a second behind
    frames = [
        encode(BestBidAsk("BTCUSDT", -2, -8, (START + i * step) // 1000, i + 1, (1, 2), (3, 4)))
        for i in range(count)
    ]
    rows = [(START + i * step, 1, frame) for i, frame in enumerate(frames)]
    rows += [(START + i * step + behind, 2, frame) for i, frame in enumerate(frames)]
    recorder = recorder_at(tmp_path / "tape", batch_rows=4096, batch_seconds=100.0)
    for n, (at, connection, frame) in enumerate(sorted(rows, key=lambda row: row[0])):
        recorder.tap.put(at, connection, int(Kind.FRAME), frame)
        if n % 20_000 == 0:
            recorder.flush(10)
    recorder.close()
    done = lake.convert(tmp_path / "tape", tmp_path / "out", kinds=["best_bid_ask"])
    assert (done.rows["best_bid_ask"], done.duplicates) == (count, count)


def test_a_copy_of_a_tape_elsewhere_is_of_what_is_there_now(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fsspec = pytest.importorskip("fsspec")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    fs = fsspec.filesystem("memory")
    prices = []
    for i in range(2):
        made = Market()
        event = BestBidAsk("BTCUSDT", -2, -8, START // 1000, 1, (100 + i, 5), (200, 5))
        made.rows = [(START, 1, int(Kind.FRAME), encode(event))]
        (file,) = made.tape(tmp_path / str(i)).glob("*.arrow")
        fs.pipe_file("/replaced/tape.arrow", file.read_bytes())
        out = tmp_path / f"out-{i}"
        lake.convert("memory://replaced", out, kinds=["best_bid_ask"])
        prices += lake.scan(out, "best_bid_ask").collect()["bid_price"].to_list()
    assert prices == [1.0, 1.01]


@pytest.mark.parametrize("form", ["tardis", "hftbacktest", "nautilus", "pcapng"])
def test_kinds_are_not_ignored(form: Any, tmp_path: Path) -> None:
    with pytest.raises(LakeError, match=f"kinds is for parquet, arrow, csv and jsonl: {form} "):
        lake.convert("t", tmp_path, form, kinds=["trade"])
    with pytest.raises(LakeError, match="jsonl has what came of the streams, .* and no 'book'"):
        lake.convert("t", tmp_path, "jsonl", kinds=["trade", "book"])


def test_precisions_are_the_same_when_it_is_run_again(tmp_path: Path) -> None:
    tape = market(1).tape(tmp_path / "tape")
    for _ in range(2):
        done = lake.convert(tape, tmp_path / "out", "nautilus", precisions={"BTCUSDT": (2, 8)})
        assert done.is_whole


def test_arrow_has_its_threads_again_when_threads_have_converted(tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    before = pa.cpu_count()
    pa.set_cpu_count(7)
    try:
        tape = market(1, events=600).tape(tmp_path / "tape")
        lake.convert(tape, tmp_path / "out", executor=ThreadPoolExecutor(4))
        assert pa.cpu_count() == 7
    finally:
        pa.set_cpu_count(before)


def test_a_killed_shard_is_swept_by_the_same_shard(tmp_path: Path) -> None:
    tape = market(1).tape(tmp_path / "tape")
    out = tmp_path / "out"
    lake.convert(tape, out, kinds=["trade"], shard="1/2")
    found = list((out / "kind=trade" / "date=2027-01-15").iterdir())
    left = [path.with_name(f".{path.name}.ab12.tmp") for path in found]
    other = left[0].with_name(".part-ffffffff-0000-000000-1.parquet.ab12.tmp")
    for path in (*left, other):
        path.write_bytes(b"half")
    lake.convert(tape, out, kinds=["trade"], shard="1/2")
    assert not any(path.exists() for path in left)
    assert other.exists()  # another shard may be at work on it
