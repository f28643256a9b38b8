"""The ``sbe-codegen`` command."""

from __future__ import annotations

import argparse
import keyword
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from . import builder, differences, frames_cli, ir, layouts, unmatched
from .conventions import Conventions
from .errors import SbeError, SchemaError
from .names import is_identifier
from .pages import OWN_SCHEMA, page
from .printing import close_output, counted, open_streams, say
from .version import __version__

_EPILOG = """\
examples:
  sbe-codegen check  my.xml                     all faults of a schema, one a line
  sbe-codegen build  my.xml --out .             compiles an importable module here
  sbe-codegen emit   my.xml --out src           the sources of that module only
  sbe-codegen layout my.xml Quote               the offsets of one message
  sbe-codegen diff   my-1.xml my-2.xml          what changed, and whether it breaks
  sbe-codegen inspect my.xml frame.bin          every byte of a frame, and what it is
  sbe-codegen tables my.xml day.pcap --to parquet --out day    a table for each message
  sbe-codegen new    venue                      a project to begin with, in ./venue

"""
_CODES = "exit codes: 0 done, 1 faults of the schema or of frames, 2 wrong arguments or files"
_CODES_OF = {
    "check": "exit codes: 0 no errors, 1 errors, 2 wrong arguments or files",
    "diff": "exit codes: 0 nothing breaking, 1 breaking changes, 2 wrong arguments or files",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit code: 0 done, 1 faults or breaking, 2 wrong use."""
    open_streams()
    try:
        return _run(arguments)
    finally:
        close_output()


def _run(arguments: Sequence[str] | None) -> int:
    options, unknown = _parser().parse_known_args(arguments)
    if unknown:
        options.parser.error(f"unrecognized arguments: {' '.join(unknown)}")
    try:
        return int(options.run(options))
    except SchemaError as error:
        _complain(*_lines(error))
        return 2 if options.command == "diff" or error.is_unread else 1
    except BrokenPipeError:  # `| head` has seen enough
        return 0
    except KeyboardInterrupt:
        _complain("sbe-codegen: interrupted")
        return 128 + signal.SIGINT
    except OSError as error:
        text = f"'{error.filename}': {error.strerror}" if error.filename else str(error)
        _complain(f"sbe-codegen: {text}")
        return 2
    except SbeError as error:
        _complain(f"sbe-codegen: {error}")
        return 2


def _complain(*lines: str) -> None:
    say(*lines, stream=sys.stderr)


def _lines(text: object) -> list[str]:
    return str(text).split("\n")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="sbe-codegen",
        description="Compiles SBE schemas (XML) to Python decoders.",
        epilog=_EPILOG + _CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    check = commands.add_parser("check", help="report all faults of a schema")
    check.set_defaults(run=_check)
    emit = commands.add_parser("emit", help="write the sources only (.pyx, .pxd, .pyi)")
    emit.set_defaults(run=_emit)
    build = commands.add_parser("build", help="write and compile an importable module")
    build.set_defaults(run=_build)
    layout = commands.add_parser("layout", help="print the offset table")
    layout.set_defaults(run=_layout)
    for command in (check, emit, build, layout):
        command.add_argument("schema", metavar="SCHEMA.xml", type=Path)
    emit.add_argument("--out", metavar="DIR", type=Path, required=True)
    build.add_argument("--out", metavar="DIR", type=Path, default=Path(), help="default: here")
    for command in (emit, build):
        command.add_argument(
            "--messages",
            metavar="NAME",
            nargs="+",
            help="these only, by name or template id, with what they refer to",
        )
        command.add_argument(
            "--package", metavar="NAME", type=_name, help="default: the schema's package"
        )
    for command in (check, emit, build, layout):
        command.add_argument(
            "--conventions",
            metavar="FILE.toml",
            type=Path,
            help=f"what the schema means beyond SBE: see {page(OWN_SCHEMA)}",
        )
    layout.add_argument("message", metavar="MESSAGE", nargs="?", help="a name or a template id")

    diff = commands.add_parser("diff", help="what changed: breaking, additive, cosmetic")
    diff.set_defaults(run=_diff)
    diff.add_argument("old", metavar="OLD.xml", type=Path)
    diff.add_argument("new", metavar="NEW.xml", type=Path)
    frames_cli.add(commands)
    for action in commands._choices_actions:
        name, text = action.dest, str(action.help)
        command = commands.choices[name]
        command.set_defaults(parser=command)
        command.description = f"{text[0].upper()}{text[1:]}."
        examples = [line for line in _EPILOG.splitlines() if f"sbe-codegen {name} " in line]
        command.epilog = "\n".join(["examples:", *examples, "", _CODES_OF.get(name, _CODES)])
        command.formatter_class = argparse.RawDescriptionHelpFormatter
    return parser


def _name(text: str) -> str:
    if not all(map(is_identifier, text.split("."))):
        form = "parts of letters, digits and _ with dots between them"
        raise argparse.ArgumentTypeError(f"'{text}' is no name of a module: {form}")
    if any(map(keyword.iskeyword, text.split("."))):
        raise argparse.ArgumentTypeError(f"'{text}' is a keyword of Python: nobody could import it")
    if builder.is_taken(text.partition(".")[0]):
        raise argparse.ArgumentTypeError(f"'{text}' would hide a module that others import")
    return text


def _conventions(options: argparse.Namespace) -> Conventions | None:
    return Conventions.read(options.conventions) if options.conventions else None


def _check(options: argparse.Namespace) -> int:
    try:
        conventions = _conventions(options)
        module = builder.read(options.schema, conventions)
    except SchemaError as error:
        if error.is_unread:
            raise
        say(*_lines(error))
        _complain(f"{options.schema}: {counted(len(error.errors), 'error')}")
        return 1
    for warning in module.warnings:
        say(f"{'note' if isinstance(warning, ir.Note) else 'warning'}: {warning}")
    if conventions is not None:
        for sentence in unmatched.sentences(conventions, module):
            say(f"warning: {options.conventions}: {sentence}")
    say(
        f"{options.schema}: {module.package}, schema {module.schema_id}, version "
        f"{module.version}: {counted(len(module.messages), 'message')}, no errors"
    )
    return 0


def _emit(options: argparse.Namespace) -> int:
    name = options.package and options.package.rpartition(".")[2]
    path = builder.generate(
        options.schema, options.out, name, _conventions(options), options.messages
    )
    for ending in (".pyx", ".pxd", ".pyi"):
        say(path.with_suffix(ending))
    return 0


def _build(options: argparse.Namespace) -> int:
    from setuptools.errors import CompileError

    start = time.monotonic()

    def progress(what: str) -> None:
        _complain(f"[{time.monotonic() - start:5.1f} s] {what}")

    conventions = _conventions(options)
    progress(f"reading {options.schema}")
    options.out.mkdir(parents=True, exist_ok=True)
    out = options.out.resolve()
    try:
        path = builder.build(
            options.schema, out, options.package, conventions, progress, options.messages
        )
    except CompileError as error:
        _complain(f"sbe-codegen: compiling failed: {error}")
        if not str(error).startswith("Cython refuses"):
            hint = "gcc or clang is needed, and Python's headers (python3-dev)."
            _complain(f"Is there a compiler? {hint}")
        return 1
    progress("done")
    say(path)
    return 0


def _layout(options: argparse.Namespace) -> int:
    module = builder.read(options.schema, _conventions(options))
    try:
        say(*_lines(layouts.of_module(module, options.message)))
    except KeyError:
        known = ", ".join(f"{each.schema_name} ({each.template_id})" for each in module.messages)
        _complain(
            f"sbe-codegen: {options.schema} has no message '{options.message}'; it has {known}"
        )
        return 2
    return 0


def _diff(options: argparse.Namespace) -> int:
    changes = differences.find(builder.read(options.old), builder.read(options.new))
    say(*changes)
    breaking = sum(change.severity == "breaking" for change in changes)
    _complain(f"{counted(len(changes), 'change')}, {breaking} breaking")
    return 1 if breaking else 0
