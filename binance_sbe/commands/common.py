"""What several subcommands of `binance-sbe` take, each declared once, and who reads it."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any, NoReturn

from ..output import shown
from ..venue.streams import KINDS
from . import arguments
from .arguments import did_you_mean
from .helping import OF_COMMANDS, epilog_of

DEMO_SYMBOLS = ("btcusdt", "ethusdt", "solusdt", "xrpusdt")


class Parser(argparse.ArgumentParser):
    """Says which one was meant, if that can be told; its help ends with examples."""

    def __init__(self, *args: Any, **options: Any) -> None:
        options["formatter_class"] = argparse.RawDescriptionHelpFormatter
        super().__init__(*args, **options)

    def format_help(self) -> str:
        command = self.prog.partition(" ")[2]
        if command in OF_COMMANDS:
            self.epilog = epilog_of(command)
        return super().format_help()

    def error(self, message: str) -> NoReturn:
        super().error(shown(message, 2000))

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is not None and value not in action.choices:
            what = "command" if isinstance(action.choices, dict) else "choice"
            known = ", ".join(map(str, action.choices))
            meant = did_you_mean(str(value), map(str, action.choices))
            raise argparse.ArgumentError(action, f"invalid {what}: '{value}'{meant} ({known})")

    def refuse_unknown(self, unknown: Sequence[str]) -> NoReturn:
        options = [name for name in self._option_string_actions if name.startswith("--")]
        said = [
            each + (did_you_mean(each.partition("=")[0], options) if each[:1] == "-" else "")
            for each in unknown
        ]
        self.error(f"unrecognized arguments: {' '.join(said)}")


def symbols(command: Parser, default: Sequence[str] = DEMO_SYMBOLS) -> None:
    command.add_argument(
        "symbols", nargs="*", type=arguments.symbol, default=default, metavar="SYMBOL",
        help=f"default: {' '.join(default)}",
    )  # fmt: skip


def environment(group: Any) -> None:
    group.add_argument(
        "--environment", choices=("prod", "testnet", "demo"), default="prod", metavar="NAME",
        help="prod, testnet or demo (default: prod)",
    )  # fmt: skip


def where(command: Parser) -> None:
    group = command.add_mutually_exclusive_group()
    environment(group)
    group.add_argument(
        "--url", type=arguments.url, help="another exchange, such as ws://127.0.0.1:9443"
    )
    group.add_argument(
        "--simulate", action="store_true", help="a local exchange of its own, which needs no key"
    )
    command.add_argument(
        "--proxy", type=arguments.proxy, default=True, metavar="URL|none",
        help="such as http://host:port or socks5h://host:port (default: that of HTTPS_PROXY)",
    )  # fmt: skip


def feed(command: Parser, seconds: float | None = None, served: str = "--metrics-port") -> None:
    """How long, by which connections, and where they are counted."""
    until = f"{seconds:g}s" if seconds else "until Ctrl-C or SIGTERM"
    how_long(command, until, seconds)
    connections(command, served)


def feed_of_a_service(command: Parser, served: str = "--metrics-port") -> None:
    """The same of what runs while nobody looks."""
    how_long(command, "until Ctrl-C or SIGTERM")
    connections(command, served, patience="15m")


def how_long(command: Parser, until: str, seconds: float | None = None) -> None:
    command.add_argument(
        "--for", "--seconds", type=arguments.duration, default=seconds, metavar="DURATION",
        dest="seconds", help=f"how long: 30s, 10m, 1h (default: {until})",
    )  # fmt: skip


def connections(command: Parser, served: str = "--metrics-port", *, patience: str = "60s") -> None:
    command.add_argument(
        "--lines", type=int, choices=(1, 2, 3), default=1, help="connections with the same streams"
    )
    command.add_argument(
        "--renew-at", type=arguments.time_of_day, metavar="HH:MM",
        help="when to renew connections, in UTC",
    )  # fmt: skip
    command.add_argument(
        "--give-up", type=arguments.duration, default=arguments.duration(patience),
        metavar="DURATION", help=f"end after this long without a connection (default: {patience})",
    )  # fmt: skip
    command.add_argument(
        "--metrics-port", type=arguments.port, metavar="PORT",
        help="counters for Prometheus at this port",
    )  # fmt: skip
    host(command, f"the address of {served}")


def host(command: Parser, what: str) -> None:
    command.add_argument(
        "--host", type=arguments.host, default="127.0.0.1",
        help=f"{what} (default: 127.0.0.1, for this machine only; 0.0.0.0 or :: for others too)",
    )  # fmt: skip


def span_of_time(command: Parser) -> None:
    for name, what in (("--start", "from then on"), ("--end", "before then")):
        command.add_argument(
            name, type=arguments.moment, metavar="TIME",
            help=f"{what}: 2026-11-27T09:30 (UTC), or ns since 1970",
        )  # fmt: skip


def kinds(command: Parser, what: str = "") -> None:
    command.add_argument(
        "--kinds", "--streams", type=arguments.kinds, action="extend", metavar="KIND,...",
        dest="streams", help=f"{what}some of {', '.join(KINDS)} (default: all); may be given again",
    )  # fmt: skip


def streams_of_tapes(command: Parser) -> None:
    command.add_argument(
        "--streams", type=arguments.tape_streams, action="extend", metavar="STREAM,...",
        help="such as btcusdt@trade, or a kind for all symbols (default: all)",
    )  # fmt: skip


def market(command: Parser) -> None:
    command.add_argument(
        "--rate", type=arguments.positive, default=1000.0, help="orders a second (default: 1000)"
    )
    command.add_argument("--seed", type=int, default=0, help="of the market")


def forms(command: Parser, once: str, as_json: str) -> None:
    command.add_argument("--once", action="store_true", help=f"{once}, and no more")
    command.add_argument("--json", action="store_true", help=as_json)
