"""What the subcommands of `binance-sbe` take. One option means one thing, whatever takes it."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from sbe_codegen.version import __version__

from . import arguments, common, convert_options, fix_options, helping
from . import tape_options as tapes
from .common import DEMO_SYMBOLS, Parser

WEB_PORT = 8642
FORMS = ("own", "exchange", "combined")


def parsed(given: Sequence[str] | None) -> argparse.Namespace:
    """``command`` is the name of the subcommand, ``parser`` its parser."""
    given = sys.argv[1:] if given is None else list(given)
    whole = _parser()
    options, unknown = whole.parse_known_args(given)
    if unknown:
        place = given.index(options.command) if options.command in given else len(given)
        is_before = options.command is None or unknown[0] in given[:place]
        (whole if is_before else options.parser).refuse_unknown(unknown)
    if options.command is None:
        whole.error(f"a COMMAND is needed: one of {', '.join(options.commands)}")
    return options


def _parser() -> Parser:
    whole = Parser(
        prog="binance-sbe",
        description="Binance SBE market data: live views, a local exchange, hex dumps.",
        epilog=helping.EPILOG,
    )
    whole.add_argument("--version", action="version", version=f"binance-sbe {__version__}")
    whole.add_argument(
        "--print-completion", choices=helping.SHELLS, action=helping.PrintCompletion,
        metavar="SHELL", help="what bash or zsh has to evaluate to complete commands and options",
    )  # fmt: skip
    commands = whole.add_subparsers(dest="command", metavar="COMMAND")
    for name, text, add in (
        ("demo", "a local exchange and its live view, for ten seconds; needs no key", _demo),
        ("watch", "a live view of the exchange; needs BINANCE_API_KEY, or --simulate", _watch),
        ("book", "order books, kept and checked; needs BINANCE_API_KEY, or --simulate", _book),
        ("plot", "a picture of a short while of one symbol; needs a key, or --simulate", _plot),
        ("doctor", "why nothing comes: key, host, TLS, clock, schema, first event", _doctor),
        ("record", "a feed as it comes, to a tape; needs a key, or --simulate", tapes.record),
        ("tape", "what is on a tape: shown, checked, mended, cut", tapes.tape),
        ("replay", "a tape, as if it came now: the view of `watch`, or its lines", tapes.replay),
        ("relay", "a feed or a tape, for many programs; needs a key, or --tape", tapes.relay),
        ("simulate", "a local exchange, until Ctrl-C", _simulate),
        ("fix", "market data over FIX, and what is wrong with its key", fix_options.add),
        ("convert", "tapes to Parquet, CSV or the files of a tool", convert_options.add),
        ("inspect", "an annotated hex dump of a Binance frame", _inspect),
    ):
        command = commands.add_parser(name, help=text, description=text)
        add(command)
        command.set_defaults(parser=command)
    whole.set_defaults(commands=list(commands.choices))
    return whole


# the subcommands


def _demo(command: Parser) -> None:
    common.symbols(command)
    common.feed(command, 10.0)
    common.market(command)
    command.add_argument("--simulate", action="store_true", help="which a demo does anyway")


def _watch(command: Parser) -> None:
    common.symbols(command)
    common.kinds(command)
    common.forms(command, "the state of the symbols", "one event a line, as JSON")
    command.add_argument(
        "--as", choices=FORMS, dest="form", metavar="FORM",
        help="what --json prints: own (the default), exchange (events as the JSON streams send "
        "them) or combined (the same with the name of the stream)",
    )  # fmt: skip
    command.add_argument(
        "--web", action="store_true", help="a page for browsers, with books and trades"
    )
    command.add_argument(
        "--port", type=arguments.port, metavar="PORT",
        help=f"that of --web (default: {WEB_PORT}; 0: a free one)",
    )  # fmt: skip
    common.where(command)
    common.feed(command, served="--web and --metrics-port")


def _book(command: Parser) -> None:
    common.symbols(command, DEMO_SYMBOLS[:1])
    command.add_argument(
        "--levels", type=arguments.count, default=10, help="shown of each side (default: 10)"
    )
    command.add_argument(
        "--limit", type=arguments.limit, default=1000, help="levels of a snapshot (default: 1000)"
    )
    common.forms(command, "the books once they are live", "a book a line, as JSON")
    common.where(command)
    common.feed(command)


def _plot(command: Parser) -> None:
    command.add_argument("symbol", type=arguments.symbol, metavar="SYMBOL")
    command.add_argument(
        "--for", "--seconds", type=arguments.span, default=30.0, metavar="DURATION", dest="seconds",
        help="how long: 500ms, 30s, 2m (default: 30s; 10m at most)",
    )  # fmt: skip
    command.add_argument(
        "--out", type=arguments.picture, required=True, metavar="FILE",
        help="where to draw to: a .png or an .svg",
    )  # fmt: skip
    common.where(command)


def _doctor(command: Parser) -> None:
    common.symbols(command, DEMO_SYMBOLS[:1])
    command.add_argument(  # what it was before there were SYMBOLs
        "--symbol", type=arguments.symbol, action="append", help=argparse.SUPPRESS
    )
    common.where(command)
    command.add_argument("--lifecycle", metavar="FILE|URL", help="which schemas are current")


def _simulate(command: Parser) -> None:
    common.symbols(command)
    common.host(command, "the address to serve on")
    command.add_argument(
        "--port", type=arguments.port, default=9443, help="default: 9443; 0: a free one"
    )
    common.market(command)
    command.add_argument("--key", action="append", help="an API key to let in (default: any)")
    for name, what in (("--fix", "FIX, over TLS"), ("--ws-api", "the WebSocket API")):
        command.add_argument(
            name, type=arguments.port, metavar="PORT", help=f"serve {what} as well; 0: a free one"
        )
    command.add_argument(
        "--keys", type=Path, metavar="DIR",
        help="where the private key is, or is made, that clients of these sign with, and the "
        "certificate that they trust",
    )  # fmt: skip
    command.add_argument(
        "--faults", type=arguments.faults, default=[], metavar="FAULT,...",
        help="what goes wrong: all, or some of cut, close, silence, shutdown, damage, unknown, "
        "newer, delay, repeat, swap, cull, refuse, slow, limit, ban, old, finer; at random, or "
        "after so many seconds: cut@2.5",
    )  # fmt: skip
    command.add_argument(
        "--every", type=arguments.duration, default=None, metavar="DURATION",
        help="the time between two faults, on average (default: 10s)",
    )  # fmt: skip
    command.add_argument(
        "--lifetime", type=arguments.duration, metavar="DURATION",
        help="how long a connection lasts (default: for ever)",
    )  # fmt: skip
    command.add_argument(  # ends when its standard input does: for those who start it
        "--with-parent", action="store_true", help=argparse.SUPPRESS
    )


def _inspect(command: Parser) -> None:
    command.add_argument(
        "frame", metavar="FRAME", help="a file, of hex digits or of bytes; - for stdin"
    )
    command.add_argument(
        "--schema", choices=("spot_stream", "spot_sbe", "fix_sbe"),
        help="default: by schema id and template id",
    )  # fmt: skip
