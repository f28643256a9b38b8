"""Tapes whose check sums are right, and which say what no recorder says: TapeError, if anything."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from taped import START, give, recorder_at, trades

from binance_sbe import sync
from binance_sbe.errors import SbeError, TapeError
from binance_sbe.tape import Kind, Recorder, Tape
from binance_sbe.tape.state import State
from binance_sbe.tape.tape_file import TapeFile

KEYS = st.sampled_from(
    ["number", "name", "cause", "stream", "frames", "started_ns", "ended_ns", "last_before",
     "first_after", "asked", "entered", "forgotten", "offset_ns", "wall_ns", "moment_ns",
     "read_since_ns", "symbol", "after", "limit", "filled", "damaged", "again", "whole"]
)  # fmt: skip
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=8,
)
CONTENT = st.one_of(
    JSON.map(lambda value: json.dumps(value).encode()),
    st.binary(max_size=30),
    st.just(b"[" * 100_000),
)
ODD = [kind for kind in Kind if kind not in (Kind.FRAME, Kind.TEXT, Kind.MARK)]


def looked_at(path: Path) -> Iterator[Any]:
    """Each thing that may be done with a tape."""
    with contextlib.suppress(TapeError):
        tape = Tape(path, on_damage="skip")
        for look in (
            lambda: list(tape.frames()),
            lambda: list(tape.batches()),
            lambda: list(tape.messages(streams="btcusdt@trade")),
            lambda: tape.ledger.breaks,
            lambda: (tape.schemas, tape.streams, tape.sessions, repr(tape)),
            tape.verify,
        ):
            with contextlib.suppress(TapeError):
                yield look()
    with contextlib.suppress(SbeError, ValueError), sync.replay(path) as feed:
        yield sum(1 for _ in feed)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(ODD), CONTENT)
def test_rows_that_no_recorder_writes(
    tmp_path_factory: pytest.TempPathFactory, kind: Kind, content: bytes
) -> None:
    path = tmp_path_factory.mktemp("rows") / "tape"
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(State, "follow", lambda *_: None)  # the recorder's own account of them
        recorder = recorder_at(path)
        give(recorder, trades(5))
        recorder.tap.put(START, 1, kind, content)
        give(recorder, trades(5, 6))
        recorder.close()
    list(looked_at(path))
    with Tape(path) as tape:
        assert [bytes(each) for each in tape.messages()] == trades(10)


TOLD = st.sampled_from(
    ["batch", "rows", "before", "frames_before", "first_ns", "last_ns", "kinds", "new", "others",
     "columns", "schema", "counters", "first_event_us"]
)  # fmt: skip


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(TOLD, JSON, min_size=1, max_size=3), JSON)
def test_metadata_of_a_batch_that_no_recorder_writes(
    tmp_path_factory: pytest.TempPathFactory, told: dict[str, Any], counts: Any
) -> None:
    path = tmp_path_factory.mktemp("told") / "tape"
    right = TapeFile._told

    class Counts:
        def tolist(self) -> Any:
            return counts

    def wrong(self: TapeFile, *given: Any) -> Any:
        found, _ = right(self, *given)
        return found | told, Counts()

    with pytest.MonkeyPatch.context() as patched:
        recorder = recorder_at(path)
        give(recorder, trades(5))
        assert recorder.flush(20)
        patched.setattr(TapeFile, "_told", wrong)
        give(recorder, trades(5, 6))
        recorder.close()
    list(looked_at(path))


@pytest.mark.parametrize("key", ["settings", "streams", "schemas", "clock", "file", "started_ns"])
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(JSON)
def test_metadata_of_a_file_that_no_recorder_writes(
    tmp_path_factory: pytest.TempPathFactory, key: str, value: Any
) -> None:
    path = tmp_path_factory.mktemp("file") / "tape"
    with pytest.MonkeyPatch.context() as patched:
        right = Recorder._metadata

        def wrong(self: Any, number: int) -> Any:
            return dict(right(self, number)) | {f"tape.{key}".encode(): json.dumps(value).encode()}

        patched.setattr(Recorder, "_metadata", wrong)
        recorder = recorder_at(path)
        give(recorder, trades(5))
        recorder.close()
    list(looked_at(path))
    with Tape(path) as tape:
        assert [bytes(each) for each in tape.messages()] == trades(5)
