"""A cut of a tape has the rows that were asked for, as they were, and no others."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from binance_sbe import spot_stream
from binance_sbe.errors import RecordingError, TapeError
from binance_sbe.simulator.encoder import encode
from binance_sbe.simulator.events import Diff, Trade, Trades
from binance_sbe.tape import Kind, Recorder, Recording, Tape
from binance_sbe.tape.cutting import cut

pytest.importorskip("pyarrow")
pytest.importorskip("xxhash")

BASE = 1_795_886_161_000_000_000
STREAMS = [f"{symbol}@{kind}" for symbol in ("btcusdt", "ethusdt") for kind in ("trade", "depth")]


class Row(NamedTuple):
    received_ns: int
    connection: int
    kind: int
    frame: bytes


def event(stream: str, number: int) -> bytes:
    symbol, kind = stream.split("@")
    head = symbol.upper(), -2, -8, number
    if kind == "trade":
        return encode(Trades(*head, number, (Trade(number, 1, 1, True),)))
    return encode(Diff(*head, number, number, (), ()))


def as_json(**told: Any) -> bytes:
    return json.dumps(told, separators=(",", ":")).encode()


def made(path: Path, rows: list[Row], **options: Any) -> None:
    """A tape with these rows."""
    options = {"min_free": 0, "durability": "os", "batch_rows": 7} | options
    recorder = Recorder(Recording(path, **options))
    recorder.begin("ws://host", STREAMS)
    for row in rows:
        recorder.tap.put(*row)
    assert recorder.flush()
    recorder.close()
    assert recorder.lost_frames == 0


def rows_of(path: Path) -> list[Row]:
    with Tape(path) as tape:
        return [
            Row(*row)
            for batch in tape.frames()
            for row in zip(*(batch[i].to_pylist() for i in range(4)), strict=True)
        ]


def stream_of(row: Row) -> str | None:
    try:
        message = spot_stream.decode(row.frame)
    except ValueError:
        return None
    kind = "trade" if isinstance(message, spot_stream.TradesStreamEvent) else "depth"
    return f"{message.symbol.lower()}@{kind}"


class Model:
    """What was open where the cut begins, told row by row."""

    def __init__(self) -> None:
        self.open: dict[int, list[str]] = {}

    def take(self, row: Row) -> None:
        if row.kind == Kind.OPENED:
            self.open[json.loads(row.frame)["number"]] = []
        elif row.kind == Kind.ENDED:
            self.open.pop(json.loads(row.frame)["number"], None)
        elif row.kind == Kind.SUBSCRIPTION and "entered" in (told := json.loads(row.frame)):
            self.open[told["number"]] += told["entered"]


@st.composite
def tapes(draw: st.DrawFn) -> list[Row]:
    rows: list[Row] = []
    now, number = BASE, 0
    is_open: list[int] = []
    for step in range(draw(st.integers(1, 60))):
        now += draw(st.integers(0, 5))
        what = draw(st.sampled_from(["event"] * 6 + ["open", "end", "mark", "hole", "damaged"]))
        connection = draw(st.sampled_from(is_open)) if is_open else 0
        if what == "event":
            frame = event(draw(st.sampled_from(STREAMS)), step + 1)
            rows.append(Row(now, connection, Kind.FRAME, frame))
        elif what == "open":
            number += 1
            is_open.append(number)
            entered = draw(st.lists(st.sampled_from(STREAMS), unique=True, min_size=1))
            name = as_json(number=number, name=f"connection {number}")
            rows.append(Row(now, number, Kind.OPENED, name))
            told = as_json(number=number, entered=entered)
            rows.append(Row(now, number, Kind.SUBSCRIPTION, told))
        elif what == "end" and is_open:
            is_open.remove(connection)
            told = as_json(number=connection, cause="it ended", whole=True)
            rows.append(Row(now, connection, Kind.ENDED, told))
        elif what == "mark":
            rows.append(Row(now, 0, Kind.MARK, f"mark {step}".encode()))
        elif what == "hole":
            told = as_json(
                stream=draw(st.sampled_from(STREAMS)), last_before=1, first_after=3,
                started_ns=now, ended_ns=now, cause="a test",
            )  # fmt: skip
            rows.append(Row(now, 0, Kind.HOLE, told))
        elif what == "damaged":
            rows.append(Row(now, connection, Kind.FRAME, b"no message"))
    return rows


@given(
    rows=tapes(),
    bounds=st.tuples(st.integers(-5, 150), st.integers(1, 150)),
    streams=st.none() | st.lists(st.sampled_from(STREAMS), unique=True, min_size=1),
    compression=st.sampled_from([None, "zstd"]),
)
@settings(max_examples=50, deadline=None)
def test_a_cut_is_what_was_asked_for_and_no_more(
    rows: list[Row],
    bounds: tuple[int, int],
    streams: list[str] | None,
    compression: Any,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    path = tmp_path_factory.mktemp("cut")
    made(path / "whole", rows, compression=compression)
    start, end = BASE + bounds[0], BASE + bounds[0] + bounds[1]
    before = rows_of(path / "whole")
    wanted = [
        row
        for row in before
        if start <= row.received_ns < end
        and (
            row.kind != Kind.FRAME
            or streams is None
            or stream_of(row) is None
            or stream_of(row) in streams
        )
        and (row.kind != Kind.HOLE or streams is None or json.loads(row.frame)["stream"] in streams)
    ]
    with Tape(path / "whole") as tape:
        missing = set(streams or ()) - set(tape.streams)
    if missing or not any(row.kind == Kind.FRAME for row in wanted):
        with pytest.raises(TapeError):
            cut(path / "whole", path / "part", start, end, streams)
        assert not (path / "part").exists()
        return
    made_of_it = cut(path / "whole", path / "part", start, end, streams)
    assert made_of_it.problems == []
    found = rows_of(path / "part")
    plain = (Kind.FRAME, Kind.MARK, Kind.HOLE, Kind.ENDED)
    assert [row for row in found if row.kind in plain] == [r for r in wanted if r.kind in plain]
    assert made_of_it.frames == sum(row.kind == Kind.FRAME for row in wanted)
    with Tape(path / "part") as tape:
        report = tape.verify()
        assert report.is_whole, report
        assert report.frames_good == tape.frames_count == made_of_it.frames
        assert set(tape.streams) <= set(streams or STREAMS)
        assert tape.ledger.breaks == []
    # who reads the cut alone knows which connections were open, and what they brought
    whole, part = Model(), Model()
    last = max((i for i, row in enumerate(before) if row in wanted), default=-1)
    for row in before[: last + 1]:
        whole.take(row)
    for row in found:
        part.take(row)
    kept = set(streams or STREAMS)
    assert {number: set(names) for number, names in part.open.items()} == {
        number: set(names) & kept for number, names in whole.open.items()
    }


def test_a_cut_says_what_it_is_a_part_of(tmp_path: Path) -> None:
    made(tmp_path / "a", [Row(BASE + i, 0, 0, event(STREAMS[i % 4], i + 1)) for i in range(40)])
    cut(tmp_path / "a", tmp_path / "b", BASE + 4, BASE + 30, [STREAMS[0]])
    with Tape(tmp_path / "a") as whole, Tape(tmp_path / "b") as part:
        (old,), (new,) = whole._readers, part._readers
        assert new.told("cut_of", None) == {
            "recording": old.recording, "file": 0, "start_ns": BASE + 4, "end_ns": BASE + 30,
            "streams": [STREAMS[0]],
        }  # fmt: skip
        assert new.recording != old.recording
        assert new.told("streams", None) == [STREAMS[0]]
        for key in ("version", "product", "host", "clock", "schemas", "started_ns", "settings"):
            assert new.metadata[key] == old.metadata[key]


def test_several_files_stay_several(tmp_path: Path) -> None:
    big = b"x" * 300_000
    rows = [Row(BASE + i, 0, 0, event(STREAMS[0], i + 1)) for i in range(30)]
    for i in range(3, 30, 3):
        rows[i] = rows[i]._replace(kind=int(Kind.MARK), frame=big)
    made(tmp_path / "a", rows, rotate_bytes=1 << 20, compression=None, batch_rows=3)
    done: list[tuple[int, int]] = []
    result = cut(tmp_path / "a", tmp_path / "b", progress=lambda *at: done.append(at))
    with Tape(tmp_path / "a") as tape:
        assert len(result.files) == len(tape.sessions[0].files) > 1
    assert [r for r in rows_of(tmp_path / "b") if r.kind in (0, Kind.MARK)] == rows
    assert done == sorted(done)
    assert done[-1][0] == done[-1][1]


def test_damage_is_left_out_and_the_cut_says_so(tmp_path: Path) -> None:
    rows = [Row(BASE + i, 0, 0, event(STREAMS[0], i + 1)) for i in range(70)]
    made(tmp_path / "a", rows, compression=None)
    (file,) = (tmp_path / "a").glob("*.arrow")
    content = bytearray(file.read_bytes())
    at = content.index(rows[30].frame)
    content[at + 8] ^= 1
    file.write_bytes(content)
    result = cut(tmp_path / "a", tmp_path / "b")
    assert len(result.problems) == 1
    assert "not those that were written" in result.problems[0]
    found = [row for row in rows_of(tmp_path / "b") if row.kind == Kind.FRAME]
    assert set(found) < set(rows)
    assert rows[30] not in found
    assert 70 - len(found) <= 7
    with Tape(tmp_path / "b") as tape:
        assert tape.verify().is_whole
        (gap,) = tape.ledger.breaks
        assert gap.frames == 70 - len(found)
        assert gap.cause.startswith("damaged: ")
        (hole,) = tape.ledger.holes
        assert (hole.stream, hole.ids) == (STREAMS[0], 70 - len(found))
    # what is damaged elsewhere is no matter
    late = cut(tmp_path / "a", tmp_path / "c", start=BASE + 60)
    assert late.problems == []
    assert cut(tmp_path / "a", tmp_path / "d", end=BASE + 10).problems == []


def test_what_was_killed_is_cut_up_to_there(tmp_path: Path) -> None:
    rows = [Row(BASE + i, 0, 0, event(STREAMS[0], i + 1)) for i in range(70)]
    made(tmp_path / "a", rows, compression=None)
    (file,) = (tmp_path / "a").glob("*.arrow")
    content = file.read_bytes()
    file.write_bytes(content[: content.index(rows[50].frame)])
    result = cut(tmp_path / "a", tmp_path / "b")
    found = [row for row in rows_of(tmp_path / "b") if row.kind == Kind.FRAME]
    assert found == rows[: len(found)]
    assert 43 <= len(found) <= 50
    assert len(result.problems) == 1
    assert "cut off within a batch" in result.problems[0]
    with Tape(tmp_path / "b") as tape:
        assert tape.verify().is_whole
        assert [gap.cause for gap in tape.ledger.breaks] == ["damaged: cut off within a batch"]


def test_nothing_is_written_over_and_nothing_half_stays(tmp_path: Path) -> None:
    made(tmp_path / "a", [Row(BASE, 0, 0, event(STREAMS[0], 1))])
    before = {path: path.read_bytes() for path in (tmp_path / "a").iterdir()}
    with pytest.raises(TapeError, match="a tape is in it already"):
        cut(tmp_path / "a", tmp_path / "a")
    with pytest.raises(ValueError, match="the range of time is empty"):
        cut(tmp_path / "a", tmp_path / "b", BASE, BASE)
    with pytest.raises(TapeError, match=r"no event of btcusdt@depth is on this tape: it has btc"):
        cut(tmp_path / "a", tmp_path / "b", streams="btcusdt@depth")
    with pytest.raises(TapeError, match=r"in that range of time: it goes from 2026-11-28T17"):
        cut(tmp_path / "a", tmp_path / "b", end="2020-01-01")
    (tmp_path / "file").write_text("")
    with pytest.raises(RecordingError, match="file"):
        cut(tmp_path / "a", tmp_path / "file")

    def interrupt(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cut(tmp_path / "a", tmp_path / "b", progress=interrupt)
    assert not (tmp_path / "b").exists()
    assert {path: path.read_bytes() for path in (tmp_path / "a").iterdir()} == before


def beside_a_manifest(tmp_path: Path, text: str) -> Path:
    """Makes a small tape, and returns a directory that has a manifest of somebody else's."""
    made(tmp_path / "tape", [Row(BASE + i, 1, 0, event(STREAMS[0], i + 1)) for i in range(3)])
    out = tmp_path / "out"
    out.mkdir()
    (out / "manifest.json").write_text(text)
    return out


def test_a_cut_that_fails_leaves_a_manifest_that_it_has_not_made(tmp_path: Path) -> None:
    out = beside_a_manifest(tmp_path, "somebody else's")
    with pytest.raises(TapeError, match="no frame of it is in that range"):
        cut(tmp_path / "tape", out, start=BASE + 10**15)
    assert (out / "manifest.json").read_text() == "somebody else's"
    assert [each.name for each in out.iterdir()] == ["manifest.json"]


def test_a_cut_that_fails_late_puts_the_manifest_back(tmp_path: Path) -> None:
    out = beside_a_manifest(tmp_path, "{}")

    def stopped(done: int, total: int) -> None:
        if done == total:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cut(tmp_path / "tape", out, progress=stopped)
    assert (out / "manifest.json").read_text() == "{}"
    assert [each.name for each in out.iterdir()] == ["manifest.json"]
