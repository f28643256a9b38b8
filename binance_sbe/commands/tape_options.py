"""What `binance-sbe record`, `tape`, `replay` and `relay` take."""

from __future__ import annotations

from pathlib import Path

from . import arguments, common
from .common import Parser


def record(command: Parser) -> None:
    command.add_argument("symbols", nargs="+", type=arguments.symbol, metavar="SYMBOL")
    command.add_argument(
        "--out", type=Path, required=True, metavar="DIR",
        help="where to: a directory, which is made if it is not there; nothing in it is changed",
    )  # fmt: skip
    common.kinds(command)
    command.add_argument(
        "--books", action="store_true",
        help="with snapshots of the books by REST, so that books come again when it is played",
    )  # fmt: skip
    common.feed_of_a_service(command)
    command.add_argument(
        "--rotate", type=arguments.rotation, action="append", metavar="1h|512MB",
        help="when a new file begins: at each full hour, with so many bytes; may be given twice "
        "(default: 1h and 512MiB)",
    )  # fmt: skip
    command.add_argument(
        "--durability", type=arguments.durability, default=1.0, metavar="batch|os|1s",
        help="when what was written is on the disk itself: after each batch, when the system "
        "likes, so long after at the latest (default: 1s)",
    )  # fmt: skip
    command.add_argument(
        "--compression", choices=("zstd", "lz4", "none"), default="zstd",
        help="of the files (default: zstd)",
    )  # fmt: skip
    command.add_argument(
        "--min-free", type=arguments.size, metavar="SIZE",
        help="stop writing while less than this is free on the disk (default: 256MiB)",
    )  # fmt: skip
    command.add_argument(
        "--on-failure", choices=("continue", "raise"), default="continue",
        help="of the disk: go on, and say what is lost; or end (default: continue)",
    )  # fmt: skip
    common.where(command)


def tape(command: Parser) -> None:
    actions = command.add_subparsers(dest="action", metavar="ACTION", required=True)
    for name, text, add in (
        ("info", "what is on it: times, sessions, streams, what is missing", _info),
        ("verify", "whether every frame is as it was written; exit code 1 if not", _verify),
        ("recover", "whole files of those that were cut off or damaged", _recover),
        ("cut", "a smaller tape: of a time, of some streams", _cut),
        ("cat", "its frames, one a line", _cat),
    ):
        action = actions.add_parser(name, help=text, description=text)
        action.add_argument(
            "path", nargs="+", type=Path, metavar="TAPE", help="a directory, or a file of one"
        )
        add(action)
        action.set_defaults(parser=action)


def _info(action: Parser) -> None:
    action.add_argument("--json", action="store_true", help="one object, as JSON")


def _verify(action: Parser) -> None:
    action.add_argument("--json", action="store_true", help="one object, as JSON")


def _recover(action: Parser) -> None:
    action.add_argument("--json", action="store_true", help="one object, as JSON")


def _cut(action: Parser) -> None:
    action.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="where to: without a tape in it"
    )
    common.span_of_time(action)
    common.streams_of_tapes(action)


def _cat(action: Parser) -> None:
    common.span_of_time(action)
    common.streams_of_tapes(action)
    form = action.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="as `watch --json` (the default)")
    form.add_argument("--hex", action="store_true", help="bytes as they came, in hex digits")
    action.add_argument(
        "--all", action="store_true",
        help="also rows that are no frames: connections, subscriptions, holes, marks",
    )  # fmt: skip
    action.add_argument(
        "--count", type=arguments.rows, metavar="N", help="the first N of them, and no more"
    )


def replay(command: Parser) -> None:
    command.add_argument(
        "path", nargs="+", type=Path, metavar="TAPE", help="a directory, or a file of one"
    )
    command.add_argument(
        "--speed", type=arguments.speed, default=1.0, metavar="N|max",
        help="1 as it came, 10 ten times faster, max as fast as it goes (default: 1)",
    )  # fmt: skip
    common.span_of_time(command)
    common.streams_of_tapes(command)
    command.add_argument("--json", action="store_true", help="one event a line, as `watch --json`")
    common.how_long(command, "until Ctrl-C, or the end of the tape")


def relay(command: Parser) -> None:
    command.add_argument(
        "symbols", nargs="*", type=arguments.symbol, metavar="SYMBOL",
        help="whose streams are there from the beginning (default: what clients subscribe to)",
    )  # fmt: skip
    common.kinds(command, "of these symbols: ")
    command.add_argument(
        "--tape", type=Path, action="append", metavar="TAPE",
        help="plays this, instead of an exchange; may be given again",
    )  # fmt: skip
    command.add_argument(
        "--speed", type=arguments.speed, metavar="N|max",
        help="of a tape: 1 as it came, 10 ten times faster, max as fast as clients take it "
        "(default: 1)",
    )  # fmt: skip
    common.span_of_time(command)
    command.add_argument(
        "--wait-for", type=arguments.clients, metavar="N",
        help="a tape begins when so many clients have subscribed (default: 1)",
    )  # fmt: skip
    command.add_argument("--key", action="append", help="an API key to let in (default: any)")
    command.add_argument(
        "--port", type=arguments.port, default=9443, help="default: 9443; 0: a free one"
    )
    common.where(command)
    common.feed_of_a_service(command, served="the relay and --metrics-port")
