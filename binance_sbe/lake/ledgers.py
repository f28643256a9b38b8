"""The account of an archive as tables: ``kind=hole`` and ``kind=session``."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from .manifest import FOLDER
from .options import Options
from .parts import SUFFIXES, described, pyarrow, writer
from .store import Store

_KEPT = f"{FOLDER}/ledger.json"
_KINDS = ("hole", "session")


def write_ledgers(store: Store, options: Options, ledger: Any) -> list[str]:
    """Writes holes and sessions of the tapes, with those that earlier conversions noted.

    Returns the names of the files.
    """
    try:
        known = json.loads(store.read(_KEPT) or b"{}")
    except ValueError:
        known = {}
    rows = {"hole": list(_holes(ledger)), "session": list(_sessions(ledger))}
    for kind in _KINDS:
        rows[kind] = _together(kind, [*known.get(kind, []), *rows[kind]])
    store.write(_KEPT, json.dumps(rows).encode())
    return [name for kind in _KINDS for name in _write(store, options, kind, rows[kind])]


def _holes(ledger: Any) -> Iterable[dict[str, Any]]:
    for hole in ledger.holes:
        symbol, _, _ = hole.stream.partition("@")
        yield {
            "symbol": symbol.upper(),
            "stream": hole.stream,
            "started_time": hole.started_ns,
            "ended_time": hole.ended_ns,
            "last_before": hole.last_before,
            "first_after": hole.first_after,
            "cause": hole.cause,
        }


def _sessions(ledger: Any) -> Iterable[dict[str, Any]]:
    for session in ledger.sessions:
        yield {
            "recording": session.recording,
            "started_time": session.start_ns,
            "ended_time": session.end_ns,
            "frames": session.frames,
            "files": len(session.files),
            "is_closed": session.is_closed,
            "host": session.host,
        }


def _together(kind: str, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each once: a session by its recording (the latest word counts), a hole by all of it."""
    if kind == "session":
        found = {row["recording"]: row for row in rows}
    else:
        found = {json.dumps(row, sort_keys=True): row for row in rows}
    return sorted(found.values(), key=lambda row: (row["started_time"], row.get("stream", "")))


def _schema(pa: Any, kind: str) -> Any:
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
    schema = described(_schema(pa, kind))
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
            for field in schema
        }
        table = pa.table(columns, schema=schema)
        with store.writing(name) as file, writer(options, file, schema) as out:
            out.write_table(table)
        names.append(name)
    return names
