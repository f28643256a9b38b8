"""What `Tape.verify` says of tapes of several files, and what `Tape.recover` makes of them."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pyarrow as pa
import pytest
from feeds import trade
from hypothesis import given
from hypothesis import strategies as st
from taped import START, files, frames_of, give, recorder_at, tape_of, trades

from binance_sbe import RecordingError, TapeError, sync
from binance_sbe.commands.tape_info import as_object, lines
from binance_sbe.tape import Tape
from binance_sbe.tape.cutting import cut as cut_tape
from binance_sbe.tape.disk import DISK, Disk
from binance_sbe.tape.tape_file import TapeFile


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("whole") / "tape"
    big = recorder_at(path, rotate_bytes=1 << 20, compression=None, batch_rows=1000)
    for i in range(36):
        give(big, trades(1000, i * 1000 + 1), START + i * 10**9)
        assert big.flush(10)
    big.close()
    assert len(files(path)) == 3
    return path


@pytest.fixture
def tape(written: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(written, tmp_path / "tape"))


def cut(file: Path, part: float) -> int:
    """Without its end; how many frames went with it."""
    before = len(list(Tape(file).messages()))
    file.write_bytes(file.read_bytes()[: int(file.stat().st_size * part)])
    return before - len(list(Tape(file, on_damage="skip").messages()))


def stable(path: Path, good: int, lost: int | None) -> None:
    """What is said of a tape that was mended: with its manifest, and without."""
    for _ in range(2):
        report = Tape(path).verify()
        assert (report.frames_good, report.frames_lost, report.problems) == (good, lost, [])
        assert len(list(Tape(path).messages())) == good
        again = Tape.recover(path)
        assert (again.frames_good, again.frames_lost, again.problems) == (good, lost, [])
        (path / "manifest.json").unlink()


@pytest.mark.parametrize("content", [b"", b"PAR1", b"ARROW1\0\0\xff\xff\xff\xff\0\2"])
@pytest.mark.parametrize("which", [0, 1, 2])
def test_a_file_without_a_beginning_is_damage_and_the_rest_is_read(
    tape: Path, content: bytes, which: int
) -> None:
    file = files(tape)[which]
    lost = len(list(Tape(file).messages()))
    file.write_bytes(content)
    good = 36_000 - lost
    assert len(list(Tape(tape, on_damage="skip").messages())) == good
    opened = Tape(tape, on_damage="skip")
    assert opened.frames_count == good
    assert any("no tape" in each.cause or "cut off" in each.cause for each in opened.ledger.breaks)
    assert all(each.started_ns > 10**18 for each in opened.ledger.breaks)
    with sync.replay(tape, on_damage="skip") as feed:
        assert sum(1 for _ in feed) == good
    report = opened.verify()
    assert (report.frames_good, report.frames_lost, report.is_whole) == (good, lost, False)
    assert report.problems[0].startswith(file.name)
    assert Tape.recover(tape).frames_lost == lost
    assert file.with_name(f"{file.name}.damaged").read_bytes() == content
    stable(tape, good, lost)
    (gap,) = Tape(tape).ledger.breaks
    assert gap.frames == lost
    file.write_bytes(content)
    with pytest.raises(TapeError):
        Tape(file)


def test_a_file_without_a_beginning_that_is_of_no_recording_is_set_aside(tape: Path) -> None:
    odd = tape / "zz.arrow"
    odd.touch()
    assert len(list(Tape(tape, on_damage="skip").messages())) == 36_000
    assert all(each.started_ns for each in Tape(tape, on_damage="skip").ledger.breaks)
    report = Tape.recover(tape)
    assert any("nothing of it can be kept" in each for each in report.problems)
    assert not odd.exists()
    stable(tape, 36_000, 0)


def test_a_recorder_that_was_killed_after_a_whole_batch_has_lost_nothing(tape: Path) -> None:
    last = files(tape)[-1]
    last.write_bytes(last.read_bytes()[: Tape(last)._readers[0].entries[-1].end])
    (tape / "manifest.json").unlink()
    for report in (Tape(tape).verify(), Tape.recover(tape)):
        assert (report.frames_good, report.frames_lost) == (36_000, 0)
        assert len(report.problems) == 1
    stable(tape, 36_000, 0)


@pytest.mark.parametrize("has_manifest", [True, False])
@pytest.mark.parametrize("which", [0, 1])
def test_what_recover_says_is_lost_is_what_was_lost(
    tape: Path, has_manifest: bool, which: int
) -> None:
    lost = cut(files(tape)[which], 0.5)
    assert lost > 1000
    if not has_manifest:
        (tape / "manifest.json").unlink()
    for report in (Tape(tape).verify(), Tape.recover(tape)):
        assert (report.frames_good, report.frames_lost) == (36_000 - lost, lost)
        assert not any("is gone" in each for each in report.problems)
    stable(tape, 36_000 - lost, lost)
    ledger = Tape(tape).ledger
    (gap,) = ledger.breaks
    assert gap.frames == lost
    assert [hole.ids for hole in ledger.holes] == [lost]  # over the end of the file


def test_the_manifest_says_how_much_the_end_of_a_recording_had(tape: Path) -> None:
    lost = cut(files(tape)[-1], 0.5)
    for report in (Tape(tape).verify(), Tape.recover(tape)):
        assert (report.frames_good, report.frames_lost) == (36_000 - lost, lost)
    stable(tape, 36_000 - lost, lost)


def test_a_manifest_of_a_newer_release_is_not_written_over(
    tape: Path, caplog: pytest.LogCaptureFixture
) -> None:
    listed = tape / "manifest.json"
    newer = json.dumps({"version": 2, "files": {"otherwise": 1}})
    listed.write_text(newer)
    cut(files(tape)[-1], 0.5)
    report = Tape.recover(tape)
    assert "of version 2, and this release writes 1: it is left as it is" in report.problems[-1]
    tape_of_more = recorder_at(tape)
    give(tape_of_more, trades(10, 50_000), START + 60 * 10**9)
    tape_of_more.close()
    assert "no manifest: it is of version 2" in caplog.text
    other = tape.parent / "other"
    other.mkdir()
    (other / "manifest.json").write_text(newer)
    with pytest.raises(RecordingError, match="of version 2"):
        cut_tape(files(tape)[0], other)
    assert listed.read_text() == (other / "manifest.json").read_text() == newer
    assert len(list(Tape(tape).messages())) == report.frames_good + 10


def test_a_file_that_is_given_by_itself_is_judged_by_itself(tape: Path) -> None:
    for file in files(tape):
        report = Tape(file).verify()
        assert report.is_whole
        assert report.frames_lost == 0
    assert Tape(files(tape)[1:]).verify().is_whole
    files(tape)[0].unlink()
    (tape / "manifest.json").unlink()
    assert not Tape(tape).verify().is_whole


def test_a_file_that_is_given_twice_is_read_once(tape: Path) -> None:
    (tape.parent / "link").symlink_to(tape)
    given = [*files(tape), tape, tape / ".." / "tape", tape.parent / "link"]
    opened = Tape(given)
    assert opened.frames_count == 36_000
    assert opened.verify().is_whole
    assert Tape.recover(tape).is_whole
    first, second, _ = files(tape)
    shutil.copy(second, tape / "copy.arrow")
    report = Tape(tape).verify()
    assert report.frames_lost == 0
    assert any("there twice" in each for each in report.problems)
    assert first.exists()


def test_the_others_are_mended_where_nothing_of_one_can_be_kept(tape: Path) -> None:
    first, second, third = files(tape)
    lost = cut(third, 0.5) + len(list(Tape(first).messages()))
    first.write_bytes(first.read_bytes()[: Tape(first)._readers[0].entries[0].end - 5])
    assert not Tape(first).frames_count
    report = Tape.recover(tape)
    assert (report.frames_good, report.frames_lost) == (36_000 - lost, lost)
    assert not second.with_name(f"{second.name}.damaged").exists()
    stable(tape, 36_000 - lost, lost)


def test_what_stands_in_the_way_of_one_is_said_and_the_others_are_mended(tape: Path) -> None:
    first, second, _ = files(tape)
    lost = cut(first, 0.5) + cut(second, 0.5)
    first.with_name(f"{first.name}.damaged").touch()
    report = Tape.recover(tape)
    assert report.frames_lost == lost
    assert any("is there already: move it away" in each for each in report.problems)
    assert second.with_name(f"{second.name}.damaged").exists()


def test_the_schema_is_taken_from_the_footer_where_that_is_as_it_was_written(tape: Path) -> None:
    file = files(tape)[1]
    metadata = Tape(file)._readers[0].metadata
    content = bytearray(file.read_bytes())
    content[content.index(b"tape.host") + 3] ^= 1
    file.write_bytes(content)
    opened = Tape(tape)
    assert len(opened.sessions) == 1
    assert opened._readers[1].metadata == metadata
    assert "schema is damaged" in opened.verify().problems[0]
    assert Tape.recover(tape).frames_lost == 0
    with pa.ipc.open_file(file) as reader:
        found = {k.decode().removeprefix("tape."): v for k, v in reader.schema.metadata.items()}
    assert found == {key: value.encode() for key, value in metadata.items()}
    stable(tape, 36_000, 0)


def test_a_schema_that_no_check_sum_confirms_is_not_taken(tape: Path) -> None:
    file = files(tape)[1]
    content = bytearray(file.read_bytes())
    for at in (content.index(b"tape.host"), content.rindex(b"tape.host")):
        content[at + 3] ^= 1
    file.write_bytes(content)
    assert len(Tape(tape).sessions) == 1  # the name says whose it is
    assert Tape.recover(tape).frames_lost == 0
    stable(tape, 36_000, 0)


def test_a_manifest_that_can_not_be_written_is_said_and_no_more(tape: Path) -> None:
    lost = cut(files(tape)[0], 0.5)
    (tape / "manifest.json").unlink()
    (tape / "manifest.json").mkdir()
    report = Tape.recover(tape)
    assert report.frames_lost == lost
    assert "the files of the tape are mended" in report.problems[-1]
    assert Tape(tape).verify().is_whole


def fails(*_: object) -> None:
    raise OSError(5, "Input/output error")


@pytest.mark.parametrize("has_links", [True, False])
@pytest.mark.parametrize("call", ["rename", "replace"])
def test_what_a_failure_left_is_said_as_it_is(
    tape: Path, call: str, has_links: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = files(tape)[0]
    cut(file, 0.5)
    content = file.read_bytes()
    if not has_links:
        monkeypatch.setattr(os, "link", fails)
    if call == "rename" and has_links:
        assert Tape.recover(tape).frames_lost  # nothing is renamed
        assert Path(f"{file}.damaged").read_bytes() == content
        return
    with monkeypatch.context() as patched:
        patched.setattr(Path, call, fails)
        check_that_nothing_is_done(tape, file, content)
    assert Tape.recover(tape).frames_lost
    assert Path(f"{file}.damaged").read_bytes() == content
    assert Tape(tape).verify().is_whole


def test_a_mending_that_was_killed_is_gone_on_with(tape: Path) -> None:
    """Between the two steps the file has both names."""
    file = files(tape)[0]
    cut(file, 0.5)
    content = file.read_bytes()
    lost = Tape(tape).verify().frames_lost
    os.link(file, f"{file}.damaged")
    assert Tape.recover(tape).frames_lost == lost
    assert Path(f"{file}.damaged").read_bytes() == content
    assert Tape(tape).verify().frames_lost == lost
    assert Tape(tape).verify().is_whole


def check_that_nothing_is_done(tape: Path, file: Path, content: bytes) -> None:
    with pytest.raises(RecordingError, match=r"it is as it was$"):
        Tape.recover(tape)
    assert file.read_bytes() == content
    assert not list(tape.glob("*.new"))
    assert not list(tape.glob("*.damaged"))


def test_a_sync_that_fails_does_not_say_that_nothing_was_done(
    tape: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = files(tape)[0]
    cut(file, 0.5)

    def fails(_: Disk, __: Path) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(Disk, "sync_directory", fails)
    with pytest.raises(RecordingError, match=rf"what it was is {file.name}.damaged now"):
        Tape.recover(tape)


def test_recover_makes_the_manifest_anew_of_whole_files_as_well(tape: Path) -> None:
    name = tape / "manifest.json"
    wanted = json.loads(name.read_bytes())
    for content in (None, b"nonsense", b'{"version": 1, "files": [{"name": 3}]}'):
        name.unlink() if content is None else name.write_bytes(content)
        assert Tape.recover(tape).is_whole
        assert json.loads(name.read_bytes()) == wanted
    # of a file that is gone nothing else tells
    files(tape)[2].unlink()
    lost = wanted["files"][2]["kinds"]["0"]
    for report in (Tape.recover(tape), Tape(tape).verify()):
        assert report.frames_lost == lost
        assert "is not there" in report.problems[0]


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["0", "5", "name", "kinds"]), inner, max_size=3)
    ),
    max_leaves=6,
)
ENTRIES = st.fixed_dictionaries(
    {},
    optional={
        key: VALUES | st.just({"0": 5}) | st.just("x") | st.just(True)
        for key in ("name", "kinds", "is_closed", "file", "recording", "size")
    },
)
MANIFESTS = VALUES | st.fixed_dictionaries(
    {"version": st.just(1) | VALUES, "files": st.lists(ENTRIES | VALUES, max_size=3) | VALUES}
)


@given(content=MANIFESTS)
def test_whatever_a_manifest_has_the_tape_is_verified(
    tmp_path_factory: pytest.TempPathFactory, content: object
) -> None:
    path = tmp_path_factory.mktemp("tape")
    tape_of(path, trades(3))
    (path / "manifest.json").write_text(json.dumps(content))
    report = Tape(path).verify()
    assert report.frames_good == 3
    assert str(report)
    assert Tape.recover(path).frames_good == 3


@pytest.mark.parametrize(
    "entry",
    [
        {"name": "x", "kinds": 5, "is_closed": True},
        {"name": "x", "kinds": {"0": "5"}, "is_closed": True},
        {"name": "x", "kinds": {"0": 10**30}, "is_closed": True},
    ],
)
def test_an_entry_that_says_nothing_is_left_out(tmp_path: Path, entry: object) -> None:
    tape_of(tmp_path, trades(3))
    (tmp_path / "manifest.json").write_text(json.dumps({"version": 1, "files": [entry]}))
    assert Tape(tmp_path).verify().is_whole


def test_no_bit_of_the_footer_is_whole_where_arrow_reads_something_else(tmp_path: Path) -> None:
    source = Tape(tape_of(tmp_path / "source", [trade(i) for i in range(20)], batch_rows=10))
    file = tmp_path / "x.arrow"
    few = {b"tape.version": b"1", b"tape.recording": b"5" * 32, b"tape.file": b"0"}
    smaller = TapeFile(DISK, file, few, "zstd")  # without the XML of a schema
    (reader,) = source._readers
    for entry in reader.entries:
        columns = reader.read(entry).columns
        smaller.write(columns, entry["frames_before"], entry["counters"])
    smaller.close()
    content = file.read_bytes()
    assert Tape(file).verify().is_whole
    assert len(frames_of(tmp_path)) == 20
    begin = len(content) - 10 - int.from_bytes(content[-10:-6], "little")

    def read() -> object:
        with pa.ipc.open_file(pa.BufferReader(file.read_bytes())) as reader:
            table = reader.read_all()
        return table.schema.metadata, table.schema, table.to_pylist()

    wanted = read()
    for at in range(begin, len(content)):
        file.write_bytes(content[:at] + bytes([content[at] ^ 1 << at % 8]) + content[at + 1 :])
        if Tape(file).verify().is_whole:
            assert read() == wanted, at - begin


def test_info_says_that_it_has_not_read_the_frames(tape: Path) -> None:
    file = files(tape)[1]
    content = bytearray(file.read_bytes())
    content[content.index(trades(1, 15_000)[0]) + 20] ^= 1
    file.write_bytes(content)
    with Tape(tape) as opened:
        said = lines(opened)
        assert opened.verify().frames_lost == 1000
        assert as_object(opened)["frames_checked"] is False
    assert "no breaks" in said
    assert "'binance-sbe tape verify' says" in said[-1]


def test_what_a_recorder_is_writing_is_left_alone(tmp_path: Path) -> None:
    recorder = recorder_at(tmp_path, batch_rows=10)
    give(recorder, trades(30))
    assert recorder.flush(10)
    (file,) = files(tmp_path)
    with file.open("r+b") as beside:  # so that there is something to mend
        beside.seek(-20, 2)
        beside.write(b"damaged")
    report = Tape.recover(tmp_path)
    assert any("its recorder is at work" in problem for problem in report.problems)
    assert files(tmp_path) == [file]
    give(recorder, trades(10, 31))
    recorder.close()
    assert recorder.lost_frames == 0
    with Tape(tmp_path, on_damage="skip") as tape:
        assert tape.frames_count == 40
    assert not any("at work" in problem for problem in Tape.recover(tmp_path).problems)
