"""The account of an archive as tables: ``kind=hole`` and ``kind=session``."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from ..feed.ledger import Hole
from ..tape.account import Session
from .kept import Kept
from .options import Options
from .parts import SUFFIXES, described, pyarrow, writer
from .store import Store

KINDS = ("hole", "session")


def write_ledgers(store: Store, options: Options, kept: Kept) -> list[str]:
    """Writes holes and sessions of all tapes; returns the names of the files."""
    sessions = (told.session for told in kept.recordings.values() if told.session)
    rows = {
        "hole": kept.holes,
        "session": sorted(sessions, key=lambda row: row["started_time"]),
    }
    made = [name for kind in KINDS for name in _write(store, options, kind, rows[kind])]
    for kind in KINDS:
        for name in set(store.names(f"kind={kind}")) - set(made):
            store.remove(name)  # of a day that has none any more
    return made


def hole_row(hole: Hole) -> dict[str, Any]:
    symbol, _, _ = hole.stream.partition("@")
    return {
        "symbol": symbol.upper(),
        "stream": hole.stream,
        "started_time": hole.started_ns,
        "ended_time": hole.ended_ns,
        "last_before": hole.last_before,
        "first_after": hole.first_after,
        "cause": hole.cause,
    }


def session_row(session: Session) -> dict[str, Any]:
    return {
        "recording": session.recording,
        "started_time": session.start_ns,
        "ended_time": session.end_ns,
        "frames": session.frames,
        "files": len(session.files),
        "is_closed": session.is_closed,
        "host": session.host,
    }


def schema(pa: Any, kind: str) -> Any:
    time = pa.timestamp("ns", "UTC")
    between = [("started_time", time), ("ended_time", time)]
    if kind == "hole":
        return pa.schema(
            [
                ("symbol", pa.string()),
                ("stream", pa.string()),
                *between,
                ("last_before", pa.int64()),
                ("first_after", pa.int64()),
                ("cause", pa.string()),
            ]
        )
    return pa.schema(
        [
            ("recording", pa.string()),
            *between,
            ("frames", pa.int64()),
            ("files", pa.int64()),
            ("is_closed", pa.bool_()),
            ("host", pa.string()),
        ]
    )


def _write(store: Store, options: Options, kind: str, rows: list[dict[str, Any]]) -> list[str]:
    pa = pyarrow()
    columns_of = described(schema(pa, kind))
    by_day: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        day = datetime.fromtimestamp(row["started_time"] // 10**9, UTC).date().isoformat()
        by_day.setdefault(day, []).append(row)
    names = []
    for day, those in by_day.items():
        name = f"kind={kind}/date={day}/part-{kind}s{SUFFIXES[options.format]}"
        columns = {
            field.name: pa.array([row[field.name] for row in those], pa.int64()).cast(field.type)
            if pa.types.is_timestamp(field.type)
            else pa.array([row[field.name] for row in those], field.type)
            for field in columns_of
        }
        table = pa.table(columns, schema=columns_of)
        with store.writing(name) as file, writer(options, file, columns_of) as out:
            out.write_table(table)
        names.append(name)
    return names
