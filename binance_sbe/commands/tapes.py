"""`binance-sbe tape`: what is on a tape, shown, proven, mended, cut and printed.

Exit codes: 0 done, and of `verify` the tape is whole; 1 it is not, or can't be read or written, or
the work was interrupted.
"""

from __future__ import annotations

import argparse
import itertools
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sbe_codegen.printing import counted
from sbe_codegen.runtime.errors import DecodeError

from .. import spot_stream
from ..errors import GENERAL, TapeError
from ..output import complain, json_text, say, say_json, shown
from ..tape.cutting import cut
from ..tape.proving import Report
from ..tape.rows import Kind, parted
from ..tape.tape import Tape, check_streams
from ..venue.streams import KINDS
from . import tape_info
from .events import numbered_events
from .lines import say_wrapped
from .progress import bar

if TYPE_CHECKING:
    from ..replayed import Replay

_COLUMNS = ("received_ns", "connection", "kind", "frame")


def run(options: argparse.Namespace) -> int:
    """Without an event loop: signals are KeyboardInterrupt."""
    try:
        return _ACTIONS[options.action](options)
    except KeyboardInterrupt:
        what = {
            "verify": "not all of it was read",
            "recover": "files that were not reached are as they were",
            "cut": "nothing was written",
        }.get(options.action)
        if what is None:
            return 0
        complain(f"interrupted: {what}")
        return GENERAL


def _info(options: argparse.Namespace) -> int:
    with Tape(options.path, on_damage="skip") as tape:
        with bar("looking") as progress:
            tape.look_through(progress)
        if options.json:
            say_json([tape_info.as_object(tape)])
        else:
            say(*tape_info.lines(tape))
    return 0


def _verify(options: argparse.Namespace) -> int:
    with Tape(options.path) as tape, bar("reading") as progress:
        report = tape.verify(progress)
    _say_report(report, options.json)
    if not report.is_whole and not options.json:
        say("'binance-sbe tape recover' mends what can be mended")
    return 0 if report.is_whole else GENERAL


def _recover(options: argparse.Namespace) -> int:
    reports = []
    with bar("mending") as progress:
        for path in options.path:
            reports.append(Tape.recover(path, progress))
    lost: int | None = 0
    for each in reports:
        lost = None if lost is None or each.frames_lost is None else lost + each.frames_lost
    problems = [problem for each in reports for problem in each.problems]
    found = Report(sum(each.frames_good for each in reports), lost, problems)
    _say_report(found, options.json, "whole" if found.is_whole else "mended as far as it could be")
    return 0


def _say_report(report: Report, as_json: bool, state: str | None = None) -> None:
    """``state`` is said in place of whether the tape was whole."""
    if as_json:
        told = {
            "is_whole": report.is_whole,
            "frames_good": report.frames_good,
            "frames_lost": report.frames_lost,
            "problems": report.problems,
        }
        say_json([told])
    else:
        first, *others = str(report).splitlines()
        if state is not None:
            first = f"{state}:{first.partition(':')[2]}"
        say_wrapped(map(shown, [first, *others]))


def _cut(options: argparse.Namespace) -> int:
    _check_span(options)
    with Tape(options.path, on_damage="skip") as tape:
        streams = streams_chosen(tape, options.streams)
    with bar("cutting") as progress:
        made = cut(options.path, options.out, options.start, options.end, streams, progress)
    files, frames = counted(len(made.files), "file"), counted(made.frames, "frame")
    say(f"{shown(options.out)}: {frames}, {made.size / 1e6:.1f} MB in {files}")
    for problem in made.problems:
        complain(problem)
    return 0


def _check_span(options: argparse.Namespace) -> None:
    start, end = options.start, options.end
    if start is not None and end is not None and start >= end:
        options.parser.error("--start is not before --end: nothing is between them")


def to_play(
    paths: Sequence[Path],
    speed: float | None,
    start: int | None,
    end: int | None,
    streams: Sequence[str] | None = None,
) -> Replay:
    """A tape as a feed. TapeError where it has nothing of what is asked for."""
    from ..replayed import replay

    try:
        return replay(paths, speed, start, end, streams, on_error="collect")
    except ValueError as error:
        raise TapeError(str(error)) from None


def streams_chosen(tape: Tape, given: list[str] | None) -> list[str] | None:
    """Those that are meant: a kind is those of all symbols. None where all are."""
    if not given:
        return None
    named = [name for name in given if name not in KINDS]
    check_streams(tape, named)
    for kind in given:
        if kind in KINDS:
            found = [name for name in tape.streams if name.rpartition("@")[2] == kind]
            if not found:
                raise TapeError(f"{tape.paths[0]}: no event of the kind {kind} is on this tape")
            named += found
    return list(dict.fromkeys(named))


def _cat(options: argparse.Namespace) -> int:
    _check_span(options)
    if options.hex and options.all:
        options.parser.error("--all is for --json: rows that are no frames have no bytes of SBE")
    with Tape(options.path, on_damage="skip") as tape:
        streams = streams_chosen(tape, options.streams)
        batches = _batches(tape, options, streams)
        rows = _as_hex(batches) if options.hex else _as_json(batches, options.all, tape.is_private)
        for line in itertools.islice(rows, options.count):
            say(line)
        for damage in tape.damage:
            complain(f"{damage}: left out")
        return GENERAL if tape.damage else 0


def _batches(tape: Tape, options: argparse.Namespace, streams: list[str] | None) -> Iterator[Any]:
    """Those of `Tape.frames`, with a bar where lines go somewhere else than to the terminal."""
    found = tape.frames(options.start, options.end, streams)
    if sys.stdout.isatty() or options.count is not None:
        yield from found
        return
    first, last = tape.start_ns or 0, tape.end_ns or 0
    first, last = max(options.start or first, first), min(options.end or last, last)
    with bar("reading", in_bytes=False) as progress:
        for batch in found:
            yield batch
            if progress is not None:
                progress(batch["received_ns"][-1].as_py() - first, last - first)


def _as_hex(batches: Iterator[Any]) -> Iterator[str]:
    for batch in batches:
        for kind, frame in zip(batch["kind"].to_pylist(), batch["frame"].to_pylist(), strict=True):
            if kind == Kind.FRAME:
                yield frame.hex()


def _as_json(batches: Iterator[Any], with_others: bool, is_private: bool) -> Iterator[str]:
    for batch in batches:
        columns = [batch[name].to_pylist() for name in _COLUMNS]
        rows = list(zip(*columns, strict=True))
        frames = [frame for _, _, kind, frame in rows if kind == Kind.FRAME]
        events = iter(_account_events(frames) if is_private else _stream_events(frames))
        for received_ns, connection, kind, frame in rows:
            if kind == Kind.FRAME:
                found = next(events)
            elif with_others:
                found = _other(kind, frame)
            else:
                continue
            yield json_text({**found, "received_ns": received_ns, "connection": connection})


def _stream_events(frames: list[bytes]) -> Iterator[dict[str, Any]]:
    decoded = spot_stream.decode_many(frames, on_error="collect")
    events = dict(numbered_events(decoded))
    errors = dict(zip(decoded.rejected["frame"].tolist(), decoded.errors, strict=True))
    for number, frame in enumerate(frames):
        found = events.get(number)
        yield _refused(frame, errors[number]) if found is None else found


def _account_events(frames: list[bytes]) -> Iterator[dict[str, Any]]:
    """Those of a private tape, each as the exchange has it in JSON."""
    from .. import spot_sbe  # which takes its time to load
    from ..api.json_form import json_value

    for frame in frames:
        try:
            yield json_value(spot_sbe.decode(frame))
        except DecodeError as error:
            yield _refused(frame, error)


def _refused(frame: bytes, error: DecodeError) -> dict[str, Any]:
    """A frame that is no message, as it came."""
    return {"error": str(error), "frame": frame.hex()}


def _other(kind: int, content: bytes) -> dict[str, Any]:
    """A row that is no frame: what it says, and bytes in hex digits."""
    name = Kind(kind).name.lower() if kind in Kind._value2member_map_ else str(kind)
    told: dict[str, Any] = {"kind": name}
    if name in ("text", "mark"):
        return told | {"text": content.decode("utf-8", "replace")}
    try:
        head, body = parted(content)
    except ValueError:
        return told | {"content": content.hex()}
    told |= {"says": head}
    return told | {"bytes": len(body)} if body else told


_ACTIONS = {
    "info": _info,
    "verify": _verify,
    "recover": _recover,
    "cut": _cut,
    "cat": _cat,
}
