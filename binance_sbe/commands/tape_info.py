"""What is on a tape, in lines and as an object: for `binance-sbe tape info`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sbe_codegen.printing import counted

from ..output import shown
from ..tape.tape import Tape
from .numbers import duration

UNCHECKED = (
    "frames were not read: 'binance-sbe tape verify' says whether they are as they were written"
)
_MOST = 50  # streams, holes, breaks and marks that lines are about


def as_object(tape: Tape) -> dict[str, Any]:
    ledger = tape.ledger
    return {
        "paths": [str(path) for path in tape.paths],
        "bytes": _size(tape),
        "start_ns": tape.start_ns,
        "end_ns": tape.end_ns,
        "frames": tape.frames_count,
        "is_private": tape.is_private,
        "schemas": [
            {name: each.get(name) for name in ("package", "id", "version", "sha256")}
            for each in tape.schemas
        ],
        "sessions": [
            {
                "recording": each.recording,
                "start_ns": each.start_ns,
                "end_ns": each.end_ns,
                "frames": each.frames,
                "files": each.files,
                "is_closed": each.is_closed,
                "host": each.host,
            }
            for each in tape.sessions
        ],
        "streams": {
            name: {"frames": each.frames, "holes": each.holes, "ids_missing": each.ids}
            for name, each in sorted(ledger.streams.items())
        },
        "connections": ledger.connections_count,
        "snapshots": ledger.snapshots,
        "breaks": [
            {
                "started_ns": each.started_ns,
                "ended_ns": each.ended_ns,
                "cause": each.cause,
                "frames": each.frames,
            }
            for each in ledger.breaks
        ],
        "holes_count": ledger.holes_count,
        "holes": [
            {
                "stream": each.stream,
                "last_before": each.last_before,
                "first_after": each.first_after,
                "started_ns": each.started_ns,
                "ended_ns": each.ended_ns,
                "cause": each.cause,
            }
            for each in ledger.holes
        ],
        "marks": [{"received_ns": at, "text": text} for at, text in ledger.marks],
        "frames_checked": False,  # which is what `verify` does
        "damage": [str(each) for each in tape.damage],
    }


def lines(tape: Tape) -> list[str]:
    ledger = tape.ledger
    files = sum(len(each.files) for each in tape.sessions)
    size = _size(tape)
    out = [f"{', '.join(map(shown, tape.paths))}: {counted(files, 'file')}, {size / 1e6:.1f} MB"]
    if tape.start_ns is None or tape.end_ns is None:
        return [*out, "nothing is on it"]
    out += [
        f"from {_time(tape.start_ns)} to {_time(tape.end_ns)} UTC, "
        f"{duration((tape.end_ns - tape.start_ns) / 1e9)}",
        counted(tape.frames_count, "frame")
        + (f", {size / tape.frames_count:.1f} bytes each" if tape.frames_count else "")
        + f"; connections: {ledger.connections_count:,}, snapshots of books: {ledger.snapshots:,}",
    ]
    out += [
        f"schema {shown(each.get('package'))}: id {each.get('id')}, version {each.get('version')}"
        for each in tape.schemas
    ]
    if tape.is_private:
        out.append("private data: the events of an account")
    out.append("sessions:")
    for session in tape.sessions:
        end = "" if session.is_closed else "; it was killed, or has not ended yet"
        frames, its = counted(session.frames, "frame"), counted(len(session.files), "file")
        out.append(
            f"  {shown(session.recording[:8])}: {_time(session.start_ns)} to "
            f"{_time(session.end_ns)}, {frames} in {its}, "
            f"of {shown(session.host) or 'an unknown host'}{end}"
        )
    out.append("streams:")
    accounts = sorted(ledger.streams.items())
    width = max((len(shown(name)) for name, _ in accounts[:_MOST]), default=0)
    for name, account in accounts[:_MOST]:
        lost = ""
        if account.holes:
            lost = f", {counted(account.holes, 'hole')}, {counted(account.ids, 'id')}"
        out.append(f"  {shown(name):{width}}  {account.frames:>12,} events{lost}")
    out += _more(len(accounts))
    out += _section(
        "breaks, of which the tape has not all:" if ledger.breaks else "no breaks",
        [
            f"{_time(each.started_ns)} to {_time(each.ended_ns)}: {shown(each.cause)}"
            + ("" if each.frames is None else f", {counted(each.frames, 'frame')}")
            for each in ledger.breaks
        ],
    )
    holes = [
        f"{shown(each.stream)}: {each.ids:,} ids after {each.last_before}, "
        f"{_time(each.started_ns)}, {shown(each.cause)}"
        for each in ledger.holes
    ]
    out += _section("holes:" if ledger.holes_count else "no holes", holes)
    marks = [f"{_time(at)}: {shown(text)}" for at, text in ledger.marks]
    out += _section("marks:", marks) if marks else []
    return [*out, UNCHECKED]


def _section(title: str, found: list[str]) -> list[str]:
    return [title, *(f"  {each}" for each in found[:_MOST]), *_more(len(found))]


def _more(count: int) -> list[str]:
    return [f"  and {count - _MOST:,} more: --json has them all"] if count > _MOST else []


def _size(tape: Tape) -> int:
    return sum(reader.size for reader in tape._readers)


def _time(ns: int) -> str:
    try:
        moment = datetime.fromtimestamp(ns // 10**9, UTC)
    except (ValueError, OverflowError, OSError):
        return f"{ns} ns"
    return f"{moment:%Y-%m-%d %H:%M:%S}.{ns % 10**9 // 10**6:03}"
