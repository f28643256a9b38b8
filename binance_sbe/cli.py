"""The `binance-sbe` command.

Exit codes: 0 done (Ctrl-C included), 1 the feed or the exchange failed, 2 wrong arguments or no
API key.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import shutil
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from sbe_codegen.version import __version__

from .errors import FeedError, MissingKey
from .streams import KINDS, stream_name

DEMO_SYMBOLS = ("btcusdt", "ethusdt", "solusdt", "xrpusdt")
_REFRESH = 0.25
_SYMBOL = "SYMBOL"
_RATE = "orders a second (default: 1000)"


def main(arguments: Sequence[str] | None = None) -> int:
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        return int(asyncio.run(options.run(options)))
    except KeyboardInterrupt:
        return 0
    except MissingKey as error:
        print(f"binance-sbe: {error}.", file=sys.stderr)
        return 2
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0  # whoever read our output has seen enough
    except (FeedError, OSError) as error:
        print(f"binance-sbe: {error}", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="binance-sbe",
        description="Binance SBE market data: live views, a local exchange, hex dumps.",
    )
    parser.add_argument("--version", action="version", version=f"binance-sbe {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    demo = commands.add_parser(
        "demo", help="a local exchange and a client of it, for about ten seconds; needs no key"
    )
    demo.add_argument("symbols", nargs="*", type=_symbol, default=DEMO_SYMBOLS, metavar=_SYMBOL)
    demo.add_argument("--seconds", type=_positive, default=10.0, help="how long (default: 10)")
    demo.add_argument("--rate", type=_positive, default=1000.0, help=_RATE)
    demo.add_argument("--seed", type=int, default=0, help="of the market")
    demo.set_defaults(run=_demo)

    watch = commands.add_parser("watch", help="a live view of the exchange; needs BINANCE_API_KEY")
    watch.add_argument("symbols", nargs="+", type=_symbol, metavar=_SYMBOL)
    watch.add_argument("--seconds", type=_positive, default=None, help="stop after this long")
    watch.add_argument(
        "--environment", choices=("prod", "testnet", "demo"), default="prod", help="default: prod"
    )
    watch.add_argument("--url", type=_url, help="another exchange, such as ws://127.0.0.1:9443")
    watch.add_argument(
        "--give-up", type=_positive, default=60.0, metavar="SECONDS",
        help="end after this long without a connection (default: 60)",
    )  # fmt: skip
    watch.set_defaults(run=_watch)

    simulate = commands.add_parser("simulate", help="a local exchange, until Ctrl-C")
    simulate.add_argument(
        "symbols", nargs="*", type=_symbol, default=DEMO_SYMBOLS, metavar="SYMBOL"
    )
    simulate.add_argument("--host", default="127.0.0.1", help="default: 127.0.0.1")
    simulate.add_argument("--port", type=_port, default=9443, help="default: 9443; 0: a free one")
    simulate.add_argument("--rate", type=_positive, default=1000.0, help=_RATE)
    simulate.add_argument("--seed", type=int, default=0, help="of the market")
    simulate.add_argument("--key", action="append", help="an API key to let in (default: any)")
    simulate.add_argument(
        "--faults", type=_faults, default=[], metavar="FAULT,...",
        help="what goes wrong, at random: all, or some of cut, close, silence, shutdown, damage, "
        "unknown, newer",
    )  # fmt: skip
    simulate.add_argument(
        "--every", type=_positive, default=10.0, metavar="SECONDS",
        help="the time between two faults, on average (default: 10)",
    )  # fmt: skip
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
    return parser


def _positive(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"'{text}' is not a positive number")
    return value


def _faults(text: str) -> list[str]:
    from .simulator.faults import kinds

    try:
        return kinds(text.split(","))
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) <= 65535):
        raise argparse.ArgumentTypeError(f"'{text}' is not a port: 0 to 65535")
    return int(text)


def _symbol(text: str) -> str:
    try:
        return stream_name(f"{text}@trade").partition("@")[0]
    except ValueError:
        raise argparse.ArgumentTypeError(f"'{text}' is not a symbol, such as btcusdt") from None


def _url(text: str) -> str:
    from .client import connect

    try:
        connect(url=text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return text


async def _inspect(options: argparse.Namespace) -> int:
    from . import inspector

    given = options.frame
    content = sys.stdin.buffer.read() if given == "-" else Path(given).read_bytes()
    try:
        content = inspector.from_text(content)
    except ValueError as error:
        print(f"binance-sbe: {given}: {error}", file=sys.stderr)
        return 1
    module = import_module(f".{options.schema}", __package__) if options.schema else None
    lines, is_whole = inspector.inspect(content, module)
    print("\n".join(lines))
    return 0 if is_whole else 1


async def _demo(options: argparse.Namespace) -> int:
    streams = _streams(options.symbols)
    async with _exchange_process(options) as url:
        print(f"local exchange on {url}, {len(streams)} streams")
        return await _show(streams, "local exchange", options.seconds, url=url, api_key="demo")


@contextlib.asynccontextmanager
async def _exchange_process(options: argparse.Namespace) -> AsyncIterator[str]:
    """`binance-sbe simulate` on a free port, in a process of its own; gives its URL."""
    command = [
        sys.executable, "-m", "binance_sbe", "simulate", *options.symbols, "--port", "0",
        "--rate", str(options.rate), "--seed", str(options.seed),
    ]  # fmt: skip
    process = await asyncio.create_subprocess_exec(
        *command,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,  # Ctrl-C is for us; we end it
    )
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        first = (await process.stdout.readline()).decode()
        if "ws://" not in first:
            failure = (await process.stderr.read()).decode().strip()
            raise FeedError(f"the local exchange did not start: {failure or 'no output'}")
        yield first.split()[-1]
    finally:
        if process.returncode is None:
            process.terminate()
        await process.communicate()


async def _watch(options: argparse.Namespace) -> int:
    title = options.url or options.environment
    return await _show(
        _streams(options.symbols),
        title,
        options.seconds,
        url=options.url,
        environment=options.environment,
        give_up_after=options.give_up,
    )


def _streams(symbols: Sequence[str]) -> list[str]:
    return [stream_name(f"{symbol}@{kind}") for symbol in symbols for kind in KINDS]


async def _show(streams: list[str], title: str, seconds: float | None, **where: Any) -> int:
    """The live view of a feed until the time is over or Ctrl-C, then the summary."""
    from .client import connect
    from .display import Market, summary

    market = Market()
    async with connect(*streams, **where) as feed:
        loop = asyncio.get_running_loop()
        closing: list[asyncio.Task[None]] = []

        def stop() -> None:
            closing.append(loop.create_task(feed.close()))

        loop.add_signal_handler(signal.SIGINT, stop)
        if seconds is not None:
            loop.call_later(seconds, stop)
        try:
            await _view(feed, market, f"Binance SBE, {title}")
        finally:
            loop.remove_signal_handler(signal.SIGINT)
            print(summary(market, feed.stats, shutil.get_terminal_size((100, 24)).columns))
    return 0


async def _view(feed: Any, market: Any, title: str) -> None:
    from .display import Rates, plain_lines, rich_table, status

    rates = Rates()
    live = _live()
    with live if live is not None else contextlib.nullcontext():
        shown = 0.0
        async for batch in feed.batches(max_delay=_REFRESH):
            market.update(batch)
            now = asyncio.get_running_loop().time()
            if now - shown < (_REFRESH if live else 1.0):
                continue
            shown = now
            text = status(feed.stats, rates.since(feed.stats))
            if live is not None:
                width = live.console.width
                live.update(rich_table(market, text, title, width), refresh=True)
            else:
                print("\n".join(plain_lines(market, text)), flush=True)


def _live() -> Any:
    """A rich Live on a terminal where rich is installed, else None."""
    if not sys.stdout.isatty():
        return None
    try:
        from rich.live import Live
    except ImportError:
        print("(for a live table: pip install 'binance-sbe[cli]')", file=sys.stderr)
        return None
    return Live(auto_refresh=False)


async def _simulate(options: argparse.Namespace) -> int:
    from .simulator import Exchange
    from .simulator.faults import KINDS as KINDS_OF_FAULTS

    exchange = Exchange(
        options.symbols,
        rate=options.rate,
        seed=options.seed,
        api_keys=options.key,
        host=options.host,
        port=options.port,
        faults=options.faults,
        fault_seconds=options.every,
    )
    async with exchange:
        print(f"serving {', '.join(exchange.markets)} on {exchange.url}", flush=True)
        ended = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, ended.set)
        await ended.wait()
    print(f"{exchange.events_sent:,} frames sent")
    for name, times in Counter(name for _, name in exchange.fault_schedule.done).most_common():
        print(f"{times:,} times: {KINDS_OF_FAULTS[name]}")
    return 0
