"""The commands of ``sbe-codegen`` that read frames, and the one that begins a project."""

from __future__ import annotations

import argparse
import keyword
import sys
import time
from pathlib import Path
from typing import Any

from . import builder
from .conventions import Conventions
from .extras import check_compiled
from .names import is_identifier
from .printing import counted, say

_FRAMINGS = (
    "sofh (big-endian), sofh-little, or length and a size of 2 or 4, as in length2: little-endian, "
    "before the message and without itself; with -big, -inclusive, or both"
)


def add(commands: Any) -> None:
    """Adds them to the parsers of the command."""
    inspect = commands.add_parser("inspect", help="print every byte of a frame, and what it is")
    inspect.set_defaults(run=_inspect)
    inspect.add_argument(
        "--most", metavar="N", type=_count, default=20,
        help="messages of a stream or a capture; default: 20",
    )  # fmt: skip
    tables = commands.add_parser("tables", help="write the tables of a file of frames")
    tables.set_defaults(run=_tables)
    tables.add_argument("--to", choices=("parquet", "arrow"), default="parquet")
    tables.add_argument("--out", metavar="DIR", type=Path, default=Path(), help="default: here")
    tables.add_argument(
        "--times", choices=("timestamps", "numbers"), default="timestamps",
        help="what times become; a number that is no time has to stay a number",
    )  # fmt: skip
    tables.add_argument(
        "--texts", choices=("bytes", "string"), default="bytes",
        help="what texts of a fixed length become; texts of any length are text anyway",
    )  # fmt: skip
    tables.add_argument(
        "--decimals", choices=("float64", "raw"), default="float64",
        help="what decimals become; raw: the mantissas and exponents that were sent",
    )  # fmt: skip
    tables.add_argument(
        "--messages",
        metavar="NAME",
        nargs="+",
        help="write these only, and compile no others where they need not be known",
    )
    for command, what in (
        (
            inspect,
            "a frame (bytes or hex digits), a stream with --framing, or a pcap or pcapng file; - "
            "for a frame or a stream on stdin",
        ),
        (
            tables,
            "messages end to end, a stream with --framing, or a pcap or pcapng file; - for stdin",
        ),
    ):
        command.add_argument("schema", metavar="SCHEMA.xml", type=Path)
        command.add_argument("frames", metavar="FRAMES", help=what)
        command.add_argument(
            "--framing", metavar="KIND", type=_framing, help=f"of a byte stream: {_FRAMINGS}"
        )
        command.add_argument("--conventions", metavar="FILE.toml", type=Path)
        command.add_argument("--port", type=_port, help="of a capture: UDP datagrams to this port")
        command.add_argument("--address", type=_address, help="and to this address")
    new = commands.add_parser("new", help="begin a project: schema, build, test, notebook")
    new.set_defaults(run=_new)
    new.add_argument("name", metavar="NAME", type=_project, help="of its folder and its module")
    new.add_argument("--out", metavar="DIR", type=Path, default=Path(), help="default: here")


def _count(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 0 < int(text) < 2**31:
        raise argparse.ArgumentTypeError(f"'{text}' is no number above 0")
    return int(text)


def _port(text: str) -> int:
    if _count(text) > 65535:
        raise argparse.ArgumentTypeError(f"'{text}' is no port: 65535 is the last")
    return int(text)


def _address(text: str) -> str:
    from .runtime.framing.captures import plain_address

    try:
        return plain_address(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"'{text}' is no IPv4 or IPv6 address") from None


def _framing(text: str) -> str:
    from . import frames

    if text not in frames.FRAMINGS:
        raise argparse.ArgumentTypeError(f"it is {_FRAMINGS}; not '{text}'")
    return text


def _project(text: str) -> str:
    if not is_identifier(text) or keyword.iskeyword(text) or text.startswith("_"):
        form = "letters, digits and _, and no word of Python's"
        raise argparse.ArgumentTypeError(f"'{text}' is no name of a module: {form}")
    if builder.is_taken(text):
        raise argparse.ArgumentTypeError(f"'{text}' would hide a module that others import")
    return text


def _complain(*lines: str) -> None:
    say(*lines, stream=sys.stderr)


def _progress() -> builder.Progress:
    start = time.monotonic()
    return lambda what: _complain(f"[{time.monotonic() - start:5.1f} s] {what}")


def _conventions(options: argparse.Namespace) -> Conventions | None:
    return Conventions.read(options.conventions) if options.conventions else None


def _inspect(options: argparse.Namespace) -> int:
    check_compiled("sbe-codegen inspect")
    from . import frames

    conventions = _conventions(options)
    try:
        with frames.file_of(options.frames) as path:
            if options.framing is not None or frames.is_capture_file(path):
                return _inspect_many(options, path, conventions)
            return _inspect_one(options, path, conventions)
    except ValueError as error:
        _complain(f"{options.frames}: {error}")
        return 1


def _inspect_one(options: argparse.Namespace, path: Path, conventions: Conventions | None) -> int:
    from . import frames, guessing, inspecting

    frames.check_options(options.port, options.address)
    content = inspecting.read_frame(path)
    dump = inspecting.of_frame(options.schema, content, conventions, _progress())
    say(*dump.lines)
    if dump.end < len(content) or not dump.is_whole:
        schema = builder.read(options.schema, conventions)
        hint = guessing.of_stream(schema, content, None)
        if hint is None and dump.is_whole and guessing.begins(schema, content, dump.end):
            hint = "More messages follow: 'sbe-codegen tables' reads all of them"
        _hint(options, hint)
    return 0 if dump.is_whole else 1


def _hint(options: argparse.Namespace, sentence: str | None) -> None:
    if sentence is not None:
        _complain(f"{options.frames}: {sentence}")


def _inspect_many(options: argparse.Namespace, path: Path, conventions: Conventions | None) -> int:
    """The messages of a stream or a capture."""
    from . import guessing, inspecting, loading

    only = options.port, options.address, options.most
    module = loading.load(options.schema, conventions=conventions, progress=_progress())
    layout = conventions.packet if conventions else None
    is_whole = True
    found = (
        inspecting.of_capture(module, path, layout, *only)
        if options.framing is None
        else inspecting.of_stream(module, path, options.framing, *only)
    )
    for text, good in found:
        say(*text.split("\n"))
        is_whole = is_whole and good
    if not is_whole:
        schema = builder.read(options.schema, conventions)
        asked = options.framing, layout, options.port, options.address
        _hint(options, guessing.of_file(schema, path, *asked))
    return 0 if is_whole else 1


def _tables(options: argparse.Namespace) -> int:
    check_compiled("sbe-codegen tables")
    from . import frames, guessing, loading, selection, tabulating

    if options.frames != "-":
        Path(options.frames).stat()  # compiling what is read for nothing would take a while
    conventions = _conventions(options)
    layout = conventions.packet if conventions else None
    messages, left_out = options.messages, {}
    if messages is not None:
        schema = builder.read(options.schema, conventions)
        wanted = {each.template_id for each in selection.only(schema, messages).messages}
        left_out = {m.template_id: m.name for m in schema.messages if m.template_id not in wanted}
        if options.framing is None and (layout is None or layout.length is None):
            messages = None  # what lies end to end can be stepped over if it is known
    module = loading.load(
        options.schema, messages=messages, conventions=conventions, progress=_progress()
    )
    forms = {
        "decimals": options.decimals,
        "times": "numbers" if options.times == "numbers" else "raw",
        "texts": options.texts,
    }
    hint = None
    asked = options.framing, layout, options.port, options.address
    try:
        with frames.file_of(options.frames) as path:
            inputs = frames.inputs(path, *asked)
            report = tabulating.write(module, inputs, options.out, options.to, forms, left_out)
            if not (report.is_whole and report.files):
                schema = builder.read(options.schema, conventions)
                hint = guessing.of_file(schema, path, *asked)
    except ValueError as error:
        _complain(f"{options.frames}: {error}")
        return 1
    for made, count in zip(report.files, report.rows.values(), strict=True):
        say(f"{made}: {counted(count, 'row')}")
    _complain(*report.told)
    if report.left_over:
        left = counted(report.left_over, "byte")
        _complain(f"{left} after the last elements of messages: not in the tables")
    if report.left_out:
        _complain(f"{counted(report.left_out, 'message')} of kinds that --messages leaves out")
    if not report.is_whole:
        refused = counted(report.refused, "frame")
        _complain(f"{refused} refused, {counted(report.losses, 'loss', 'losses')}")
    if not report.files:
        _complain(f"{options.frames}: no message of {module.PACKAGE}")
    _hint(options, hint)
    return 0 if report.is_whole and report.files else 1


def _new(options: argparse.Namespace) -> int:
    from . import scaffold

    for path in scaffold.write(options.name, options.out):
        say(path)
    folder = options.out / options.name
    _complain(f"next: cd {folder}; python build.py; python -m unittest")
    return 0
