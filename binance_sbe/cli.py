"""The `binance-sbe` command.

Exit codes: 0 done (Ctrl-C, SIGTERM and SIGHUP included), 1 the feed or the exchange failed, 2 wrong
arguments or no API key, 3 no route to the exchange, 4 the exchange refuses the key or the address;
of `doctor` also 5 the clock is off, 6 the schema is outdated.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import NoReturn

from sbe_codegen.printing import close_output, open_streams
from sbe_codegen.runtime.errors import SbeError
from sbe_codegen.version import __version__

from . import arguments
from .endings import at_signal
from .errors import exit_code
from .outside import complain, say, shown
from .streams import KINDS

DEMO_SYMBOLS = ("btcusdt", "ethusdt", "solusdt", "xrpusdt")
_SYMBOL = "SYMBOL"
_RATE = "orders a second (default: 1000)"


def main(given: Sequence[str] | None = None) -> int:
    open_streams()
    try:
        return _main(given)
    finally:
        close_output()


def _main(given: Sequence[str] | None) -> int:
    options, unknown = _parser().parse_known_args(given)
    if unknown:
        options.parser.error(f"unrecognized arguments: {' '.join(unknown)}")
    try:
        code = int(asyncio.run(_run(options)))
        sys.stdout.flush()
    except (asyncio.CancelledError, KeyboardInterrupt, BrokenPipeError):
        return 0  # we were told to end, or whoever reads our output has seen enough
    except SbeError as error:
        complain(str(error))
        return exit_code(error)
    except OSError as error:
        complain(f"{error.filename}: {error.strerror}" if error.filename else str(error))
        return 1
    return code


async def _run(options: argparse.Namespace) -> int:
    """Signals cancel what runs, so that what it has open is closed."""
    task = asyncio.current_task()
    assert task is not None
    # `inspect` has nothing open, and may wait for its input where no loop hears of signals
    is_deaf = options.run is _inspect
    with contextlib.nullcontext() if is_deaf else at_signal(task.cancel):
        return int(await options.run(options))


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        super().error(shown(message, 2000))


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="binance-sbe",
        description="Binance SBE market data: live views, a local exchange, hex dumps.",
    )
    parser.add_argument("--version", action="version", version=f"binance-sbe {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    demo = commands.add_parser(
        "demo", help="a local exchange and a client of it, for about ten seconds; needs no key"
    )
    demo.add_argument(
        "symbols", nargs="*", type=arguments.symbol, default=DEMO_SYMBOLS, metavar=_SYMBOL
    )
    demo.add_argument(
        "--seconds", type=arguments.positive, default=10.0, help="how long (default: 10)"
    )
    demo.add_argument("--rate", type=arguments.positive, default=1000.0, help=_RATE)
    demo.add_argument("--seed", type=int, default=0, help="of the market")
    demo.set_defaults(run=_demo)

    watch = commands.add_parser("watch", help="a live view of the exchange; needs BINANCE_API_KEY")
    watch.add_argument("symbols", nargs="+", type=arguments.symbol, metavar=_SYMBOL)
    watch.add_argument(
        "--streams", type=arguments.kinds, default=KINDS, metavar="KIND,...",
        help=f"some of {', '.join(KINDS)} (default: all)",
    )  # fmt: skip
    watch.add_argument(
        "--seconds", type=arguments.positive, default=None, help="stop after this long"
    )
    watch.add_argument("--once", action="store_true", help="the state of the symbols, and no more")
    watch.add_argument("--json", action="store_true", help="one event a line, as JSON")
    watch.add_argument(
        "--metrics-port",
        type=arguments.port,
        metavar="PORT",
        help="counters for Prometheus at this port",
    )
    watch.add_argument(
        "--host", type=arguments.host, default="127.0.0.1",
        help="the address of --metrics-port (default: 127.0.0.1, for this machine only)",
    )  # fmt: skip
    _where(watch)
    watch.add_argument(
        "--give-up", type=arguments.positive, default=60.0, metavar="SECONDS",
        help="end after this long without a connection (default: 60)",
    )  # fmt: skip
    watch.add_argument(
        "--lines", type=int, choices=(1, 2, 3), default=1, help="connections with the same streams"
    )
    watch.add_argument(
        "--renew-at",
        type=arguments.time_of_day,
        metavar="HH:MM",
        help="when to renew connections, in UTC",
    )
    watch.set_defaults(run=_watch)

    book = commands.add_parser(
        "book", help="the order book of one symbol, kept and checked; needs BINANCE_API_KEY"
    )
    book.add_argument("symbol", type=arguments.symbol, metavar=_SYMBOL)
    book.add_argument(
        "--levels", type=arguments.count, default=10, help="shown of each side (default: 10)"
    )
    book.add_argument(
        "--limit", type=arguments.limit, default=1000, help="levels of a snapshot (default: 1000)"
    )
    book.add_argument(
        "--seconds", type=arguments.positive, default=None, help="stop after this long"
    )
    book.add_argument("--once", action="store_true", help="the book once it is live, and no more")
    book.add_argument("--json", action="store_true", help="the book as a line of JSON")
    book.add_argument(
        "--simulate", action="store_true", help="of a local exchange, which needs no key"
    )
    _where(book)
    book.set_defaults(run=_book)

    doctor = commands.add_parser(
        "doctor", help="why nothing comes: key, host, TLS, clock, schema, first event"
    )
    doctor.add_argument(
        "--symbol", type=arguments.symbol, default="btcusdt", help="default: btcusdt"
    )
    _where(doctor)
    doctor.add_argument("--lifecycle", metavar="FILE|URL", help="which schemas are current")
    doctor.set_defaults(run=_doctor)

    simulate = commands.add_parser("simulate", help="a local exchange, until Ctrl-C")
    simulate.add_argument(
        "symbols", nargs="*", type=arguments.symbol, default=DEMO_SYMBOLS, metavar="SYMBOL"
    )
    simulate.add_argument(
        "--host", type=arguments.host, default="127.0.0.1",
        help="the address to serve on (default: 127.0.0.1, for this machine only; "
        "0.0.0.0 or :: for others too)",
    )  # fmt: skip
    simulate.add_argument(
        "--port", type=arguments.port, default=9443, help="default: 9443; 0: a free one"
    )
    simulate.add_argument("--rate", type=arguments.positive, default=1000.0, help=_RATE)
    simulate.add_argument("--seed", type=int, default=0, help="of the market")
    simulate.add_argument("--key", action="append", help="an API key to let in (default: any)")
    simulate.add_argument(
        "--faults", type=arguments.faults, default=[], metavar="FAULT,...",
        help="what goes wrong: all, or some of cut, close, silence, shutdown, damage, unknown, "
        "newer, delay, repeat, swap, cull, refuse, slow, limit, ban, old, finer; at random, or "
        "after so many seconds: cut@2.5",
    )  # fmt: skip
    simulate.add_argument(
        "--every", type=arguments.positive, default=None, metavar="SECONDS",
        help="the time between two faults, on average (default: 10)",
    )  # fmt: skip
    simulate.add_argument(
        "--lifetime", type=arguments.positive, metavar="SECONDS",
        help="how long a connection lasts (default: for ever)",
    )  # fmt: skip
    simulate.add_argument(  # ends when its standard input does: for those who start it
        "--with-parent", action="store_true", help=argparse.SUPPRESS
    )
    simulate.set_defaults(run=_simulate)

    inspect = commands.add_parser("inspect", help="an annotated hex dump of a Binance frame")
    inspect.add_argument(
        "frame", metavar="FRAME", help="a file, of hex digits or of bytes; - for stdin"
    )
    inspect.add_argument(
        "--schema",
        choices=("spot_stream", "spot_sbe", "fix_sbe"),
        help="default: by schema id and template id",
    )
    inspect.set_defaults(run=_inspect)
    for each in commands.choices.values():
        each.set_defaults(parser=each)
    return parser


def _where(command: argparse.ArgumentParser) -> None:
    where = command.add_mutually_exclusive_group()
    where.add_argument(
        "--environment", choices=("prod", "testnet", "demo"), default="prod", help="default: prod"
    )
    where.add_argument(
        "--url", type=arguments.url, help="another exchange, such as ws://127.0.0.1:9443"
    )


async def _inspect(options: argparse.Namespace) -> int:
    from . import inspector

    given = options.frame
    if given != "-" and len(given) > 16 and not given.strip("0123456789abcdefABCDEF"):
        complain(f"FRAME is a file: echo {given[:12]}... | binance-sbe inspect -")
        return 2
    content = sys.stdin.buffer.read() if given == "-" else Path(given).read_bytes()
    try:
        content = inspector.from_text(content)
    except ValueError as error:
        complain(f"{given}: {error}")
        return 1
    module = import_module(f".{options.schema}", __package__) if options.schema else None
    lines, is_whole = inspector.inspect(content, module)
    say(*lines)
    return 0 if is_whole else 1


async def _demo(options: argparse.Namespace) -> int:
    from .serving import exchange_process
    from .watching import show, streams_of

    streams = streams_of(options.symbols)
    async with exchange_process(options.symbols, options.rate, options.seed) as url:
        say(f"local exchange on {url}, {len(streams)} streams")
        return await show(
            streams,
            "local exchange",
            seconds=options.seconds,
            with_arrays=True,
            url=url,
            api_key="demo",
        )


async def _watch(options: argparse.Namespace) -> int:
    from .watching import show, streams_of

    return await show(
        streams_of(options.symbols, options.streams),
        options.url or options.environment,
        seconds=options.seconds,
        once=options.once,
        as_json=options.json,
        metrics_port=options.metrics_port,
        metrics_host=options.host,
        url=options.url,
        environment=options.environment,
        give_up_after=options.give_up,
        lines=options.lines,
        renew_at=options.renew_at,
    )


async def _book(options: argparse.Namespace) -> int:
    from .ladder import show
    from .serving import exchange_process

    async with contextlib.AsyncExitStack() as stack:
        where = {"url": options.url, "environment": options.environment}
        if options.simulate and options.url is not None:
            options.parser.error("--simulate and --url: a book is of one exchange")
        if options.simulate:
            url = await stack.enter_async_context(exchange_process([options.symbol]))
            where = {"url": url, "api_key": "any"}
        return await show(
            options.symbol,
            levels=options.levels,
            limit=options.limit,
            seconds=options.seconds,
            once=options.once,
            as_json=options.json,
            **where,
        )


async def _doctor(options: argparse.Namespace) -> int:
    from . import doctor

    patient = doctor.Patient(
        options.environment, options.url, options.symbol, lifecycle=options.lifecycle
    )
    findings = []
    async for finding in doctor.examine(patient):
        findings.append(finding)
        say(doctor.line_of(finding))
    return doctor.code_of(findings)


async def _simulate(options: argparse.Namespace) -> int:
    if options.every and not options.faults:
        options.parser.error("--every: there are no --faults that it is about")
    from .serving import serve

    return await serve(
        options.symbols,
        with_parent=options.with_parent,
        rate=options.rate,
        seed=options.seed,
        api_keys=options.key,
        host=options.host,
        port=options.port,
        faults=options.faults,
        fault_seconds=options.every or 10.0,
        lifetime=options.lifetime,
    )
