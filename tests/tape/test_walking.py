"""What one flipped bit costs: the batch that it is in, at most, and nothing silently."""

from __future__ import annotations

import gc
import shutil
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from taped import files, tape_of, trades

from binance_sbe.errors import TapeError
from binance_sbe.tape import Tape
from binance_sbe.tape.reading import TapeReader

COUNT, ROWS = 60, 10
LAST = 7  # batches: one of each ten rows, of which the first two are no frames


def closed(path: Path, compression: str | None) -> bytes:
    file = tape_of(path, trades(COUNT), batch_rows=ROWS, compression=compression)
    return file.read_bytes()


def frames_read(path: Path) -> tuple[list[bytes], int]:
    """The frames that are read, passing over damage, and how often there was some."""
    with Tape(path, on_damage="skip") as tape:
        return [bytes(each) for each in tape.messages()], len(tape.damage)


def check(path: Path, lost: int) -> None:
    """At most so many frames are lost, each of the others is read, and the account is true."""
    found, damage = frames_read(path)
    given = trades(COUNT)
    assert set(found) <= set(given)
    assert len(set(found)) == len(found) >= COUNT - lost
    report = Tape(path).verify()
    assert report.frames_good == len(found)
    if len(found) < COUNT:
        assert damage
        assert not report.is_whole
        # of the last batch of a file without footer and manifest nobody may know
        assert report.frames_lost in (COUNT - len(found), None)
    mended = path.with_name("mended")
    shutil.copytree(path, mended)
    try:
        assert Tape.recover(mended).frames_good == len(found)
        assert frames_read(mended)[0] == found
        assert Tape(mended).verify().is_whole
    finally:
        shutil.rmtree(mended)


@pytest.mark.parametrize("compression", [None, "zstd"])
@pytest.mark.parametrize("how", ["closed", "killed", "killed, no manifest"])
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, LAST - 1), st.integers(0, 1500), st.integers(0, 7))
def test_a_flipped_bit_before_the_rows_costs_its_batch_at_most(
    tmp_path_factory: pytest.TempPathFactory,
    compression: str | None,
    how: str,
    which: int,
    place: int,
    bit: int,
) -> None:
    path = tmp_path_factory.mktemp("flipped") / "tape"
    data = bytearray(closed(path, compression))
    (file,) = files(path)
    entries = TapeReader(file).entries
    assert len(entries) == LAST
    if how != "closed":
        del data[entries[-1].end :]
    if how == "killed, no manifest":
        (path / "manifest.json").unlink()
    entry = entries[which]
    at = entry.offset + place % (entry.metadata_length + 8)
    data[at] ^= 1 << bit
    file.write_bytes(data)
    check(path, entry.frames)
    shutil.rmtree(path.parent)


@pytest.mark.parametrize("how", ["closed", "killed"])
@pytest.mark.parametrize("length", [0, 8, 1 << 20, -8])
@pytest.mark.parametrize("which", range(LAST))
def test_a_wrong_length_of_the_metadata_costs_its_batch(
    tmp_path: Path, which: int, length: int, how: str
) -> None:
    """0 is what the end of a stream has there."""
    path = tmp_path / "tape"
    data = bytearray(closed(path, None))
    (file,) = files(path)
    entries = TapeReader(file).entries
    if how == "killed":
        del data[entries[-1].end :]
    at = entries[which].offset + 4
    data[at : at + 4] = length.to_bytes(4, "little", signed=True)
    file.write_bytes(data)
    check(path, entries[which].frames)


def test_a_metadata_that_is_no_dict_is_no_batch(tmp_path: Path) -> None:
    file = tape_of(tmp_path, trades(3))
    reader = TapeReader(file)
    (entry,) = reader.entries
    assert reader.counts_of(entry) == [3]
    entry.end_at(entry.offset + 16)
    with pytest.raises(TapeError, match="it has no counts of its streams"):
        reader.counts_of(entry)


def test_a_batch_takes_little_memory(tmp_path: Path) -> None:
    """A tape of a day has a million."""
    file = tape_of(tmp_path, trades(20_000), batch_rows=10)
    reader = TapeReader(file)
    gc.collect()
    tracemalloc.start()
    try:
        count = len(reader.parts)
        gc.collect()
        size = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert count > 2000
    assert size / count < 500
