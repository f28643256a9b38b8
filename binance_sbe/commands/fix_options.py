"""What `binance-sbe fix` takes."""

from __future__ import annotations

from . import arguments, common
from .common import DEMO_SYMBOLS, Parser


def add(command: Parser) -> None:
    actions = command.add_subparsers(dest="action", metavar="ACTION", required=True)
    for name, text, add_action in (
        ("watch", "market data over FIX, as lines, a table, or JSON", _watch),
        ("doctor", "why no session comes up: key, host, TLS, clock, logon", _doctor),
    ):
        action = actions.add_parser(name, help=text, description=text)
        add_action(action)
        action.set_defaults(parser=action)


def _watch(command: Parser) -> None:
    common.symbols(command, DEMO_SYMBOLS[:1])
    command.add_argument(
        "--kinds", "--streams", type=arguments.fix_kinds, action="extend", metavar="KIND,...",
        dest="kinds",
        help="some of trade, book_ticker, depth (default: all); may be given again",
    )  # fmt: skip
    command.add_argument("--json", action="store_true", help="one message a line, as JSON")
    common.how_long(command, "until Ctrl-C or SIGTERM")
    _where(command)


def _doctor(command: Parser) -> None:
    common.symbols(command, DEMO_SYMBOLS[:1])
    _where(command)


def _where(command: Parser) -> None:
    group = command.add_mutually_exclusive_group()
    common.environment(group)
    group.add_argument(
        "--url", type=arguments.fix_url, help="another exchange, such as tcp+tls://127.0.0.1:9002"
    )
    group.add_argument(
        "--simulate", action="store_true", help="a local exchange of its own, which needs no key"
    )
    command.add_argument(
        "--private-key", metavar="FILE",
        help="the Ed25519 key in PEM that signs the logon (default: BINANCE_PRIVATE_KEY)",
    )  # fmt: skip
