"""Tables and messages decoded from where frames lie in a file: the same as of copies."""

from __future__ import annotations

import platform
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from taped import files, give, quotes, recorder_at, tape_of, trades

from binance_sbe import BestBidAskStreamEvent, TradesStreamEvent
from binance_sbe.tape import Tape, pool
from binance_sbe.tape.mapping import GRANULARITY, Mapping

ANY_TAPE = st.fixed_dictionaries(
    {
        "batch_rows": st.integers(1, 400),
        "compression": st.sampled_from(["zstd", "lz4", None]),
        "rotate_bytes": st.sampled_from([1 << 20, 1 << 29]),
    }
)


def tables(path: Path, maps: bool, size: int) -> list[Any]:
    found = []
    with Tape(path, memory_map=maps) as tape:
        for batch in tape.batches(max_messages=size):
            parts = [batch[each] for each in (TradesStreamEvent, BestBidAskStreamEvent)]
            found.append([(part.records.tolist(), part.symbols) for part in parts])
    return found


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(ANY_TAPE, st.integers(0, 900), st.sampled_from([1, 3, 64]), st.integers(1, 700))
def test_what_is_mapped_is_what_is_copied(
    tmp_path_factory: pytest.TempPathFactory,
    options: dict[str, Any],
    count: int,
    pages: int,
    size: int,
) -> None:
    path = tmp_path_factory.mktemp("tape")
    recorder = recorder_at(path, **options)
    give(recorder, [*trades(count + 1), *quotes(count)])
    recorder.close()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pool, "WINDOW", pages * 4096)  # batches lie across the edges of windows
        assert tables(path, True, size) == tables(path, False, size)
        with Tape(path) as mapped, Tape(path, memory_map=False) as copied:
            assert [bytes(each) for each in mapped.messages()] == [
                bytes(each) for each in copied.messages()
            ]
            assert list(mapped.frames()) == list(copied.frames())


def test_tables_and_batches_of_arrow_stay_good_when_the_tape_is_gone(tmp_path: Path) -> None:
    file = tape_of(tmp_path, trades(500), compression=None, batch_rows=100)
    with Tape(tmp_path) as tape:
        kept = list(tape.frames())
        (batch,) = tape.batches()
        messages = list(tape.messages())
    with file.open("r+b") as opened:
        opened.truncate(0)
    file.unlink()
    assert [row for each in kept for row in each[3].to_pylist() if each[2].to_pylist()[0] == 0]
    assert len(batch[TradesStreamEvent]) == 500
    assert np.all(np.diff(batch[TradesStreamEvent].records["event_time"]) >= 0)
    assert [each.symbol for each in messages] == ["BTCUSDT"] * 500


SHORTER = """
import os, sys
from binance_sbe import sync
from binance_sbe.errors import TapeError
from binance_sbe.tape import Tape
path, way = sys.argv[1:]
with sync.replay(path) if way == "replay" else Tape(path) as opened:
    found = iter(opened if way == "replay" else getattr(opened, way)())
    next(found)
    os.truncate(path, os.path.getsize(path) // 2)
    try:
        print(sum(1 for _ in found))
    except TapeError as error:
        print("TapeError", "tape recover" in str(error))
"""


@pytest.mark.parametrize("way", ["messages", "batches", "frames", "replay"])
@pytest.mark.parametrize("compression", ["zstd", None])
def test_a_file_that_is_made_shorter_is_damaged_and_ends_no_process(
    tmp_path: Path, way: str, compression: str | None
) -> None:
    file = tape_of(tmp_path, trades(150_000), compression=compression, memory_limit=1 << 28)
    command = [sys.executable, "-c", SHORTER, str(file), way]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "TapeError True\n"


def test_what_cannot_be_mapped_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuses(*_: object, **__: object) -> None:
        raise OSError(19, "No such device")

    tape_of(tmp_path, trades(300), compression=None)
    monkeypatch.setattr(pool, "Mapping", refuses)
    with Tape(tmp_path) as tape:
        assert len(list(tape.messages())) == 300
    assert files(tmp_path)


def test_a_map_is_of_an_open_file_and_stays_when_that_is_closed(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(bytes(range(256)) * 100)
    with file.open("rb") as opened:
        mapping = Mapping(opened.fileno(), GRANULARITY, 1000)
        found = mapping.part(0, 1000)
        assert len(mapping) == 1000
        assert mapping.part(998, 2).tobytes() == found[998:].tobytes()
        for at, size in ((-1, 2), (999, 2), (0, 1001), (0, -1), (2**62, 2**62)):
            with pytest.raises(ValueError, match=f"{size} bytes at {at} are not within 1000"):
                mapping.part(at, size)
        with pytest.raises(OSError, match="Invalid argument"):
            Mapping(opened.fileno(), 0, 0)
        with pytest.raises(OSError, match="Invalid argument"):
            Mapping(opened.fileno(), 1, 1000)
    with pytest.raises(OSError, match="Bad file descriptor"):
        Mapping(-1, 0, 1000)
    del mapping
    assert found.tobytes() == file.read_bytes()[GRANULARITY : GRANULARITY + 1000]
    assert found.readonly
    with pytest.raises(TypeError):
        found[0] = 1


def test_a_file_that_became_shorter_is_told_where_the_system_tells(tmp_path: Path) -> None:
    """Linux from 5.14 on; elsewhere it is found by the size of the file, shortly before."""
    file = tmp_path / "file"
    file.write_bytes(bytes(4 * GRANULARITY))
    with file.open("r+b") as opened:
        mapping = Mapping(opened.fileno(), 0, 4 * GRANULARITY)
        opened.truncate(GRANULARITY)
        if sys.platform != "linux" or not maps_in_one_go():
            pytest.skip("this system does not tell it")
        with pytest.raises(OSError, match="shorter"):
            mapping.part(2 * GRANULARITY, 10)
        assert mapping.part(0, 10).tobytes() == bytes(10)


def maps_in_one_go() -> bool:
    major, minor = platform.release().split(".")[:2]
    return (int(major), int(re.match(r"\d+", minor)[0])) >= (5, 14)  # type: ignore[index]
