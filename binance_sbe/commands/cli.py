"""The `binance-sbe` command.

Exit codes: 0 done (Ctrl-C, SIGTERM and SIGHUP included), 1 the feed or the exchange failed, 2 wrong
arguments or no API key, 3 no route to the exchange, 4 the exchange refuses the key or the address;
of `doctor` also 5 the clock is off, 6 the schema is outdated. Of `record` 1 is also that the disk
did not take all that came, of `tape verify` that the tape is not whole.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from sbe_codegen.printing import close_output, counted, open_streams
from sbe_codegen.runtime.errors import SbeError

from ..errors import exit_code, not_compiled
from ..output import complain, say
from ..venue.streams import DEPTH, KINDS
from .common import DEMO_SYMBOLS
from .options import WEB_PORT, parsed
from .signals import at_signal, interrupting

LOCAL = "local exchange"


def main(given: Sequence[str] | None = None) -> int:
    open_streams()
    try:
        return _main(given)
    finally:
        close_output()


def _main(given: Sequence[str] | None) -> int:
    options = parsed(given)
    try:
        if options.command == "tape":
            from . import tapes

            with interrupting():
                code = tapes.run(options)
        else:
            code = int(asyncio.run(_run(options)))
        sys.stdout.flush()
    except (asyncio.CancelledError, KeyboardInterrupt, BrokenPipeError):
        return 0  # we were told to end, or whoever reads our output has seen enough
    except SbeError as error:
        complain(str(error))
        return exit_code(error)
    except ModuleNotFoundError as error:
        said = not_compiled(error)
        if said is None:
            raise
        complain(said)
        return 1
    except OSError as error:
        complain(f"{error.filename}: {error.strerror}" if error.filename else str(error))
        return 1
    return code


async def _run(options: argparse.Namespace) -> int:
    """Signals cancel what runs, so that what it has open is closed."""
    task = asyncio.current_task()
    assert task is not None
    # These do not go back to the loop while they work, so that it would not hear of signals.
    is_deaf = options.command in ("inspect", "convert")
    with contextlib.nullcontext() if is_deaf else at_signal(task.cancel):
        return int(await _COMMANDS[options.command](options))


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
    module = import_module(f"..{options.schema}", __package__) if options.schema else None
    lines, is_whole = inspector.inspect(content, module)
    say(*lines)
    return 0 if is_whole else 1


async def _convert(options: argparse.Namespace) -> int:
    from .convert import run

    return run(options)


@contextlib.asynccontextmanager
async def _exchange(options: argparse.Namespace) -> AsyncIterator[dict[str, Any]]:
    """Where the exchange is, for `connect`; a local one serves meanwhile if that was asked for."""
    from .serving import exchange_process

    if not options.simulate:
        yield {"url": options.url, "environment": options.environment, "proxy": options.proxy}
        return
    market = {name: getattr(options, name) for name in ("rate", "seed") if name in options}
    async with exchange_process(options.symbols, **market) as url:
        yield {"url": url, "api_key": "any", "proxy": None}


def _title(options: argparse.Namespace) -> str:
    return LOCAL if options.simulate else str(options.url or options.environment)


def _feed_options(options: argparse.Namespace) -> dict[str, Any]:
    """What `_feed` of the options is for: of a view, and of its connections."""
    return {
        "seconds": options.seconds,
        "metrics_port": options.metrics_port,
        "metrics_host": options.host,
        "lines": options.lines,
        "renew_at": options.renew_at,
        "give_up_after": options.give_up,
    }


async def _demo(options: argparse.Namespace) -> int:
    from .watch import show, streams_of

    options.simulate = True
    streams = streams_of(options.symbols)
    async with _exchange(options) as where:
        say(f"local exchange on {where['url']}, {counted(len(streams), 'stream')}")
        return await show(streams, LOCAL, is_demo=True, **_feed_options(options), **where)


async def _watch(options: argparse.Namespace) -> int:
    if options.web:
        return await _watch_web(options)
    if options.port is not None:
        options.parser.error("--port: there is no --web that it is about")
    if options.form is not None and not options.json:
        options.parser.error("--as: there is no --json that it is about")
    from .watch import show, streams_of

    kinds = dict.fromkeys(options.streams) if options.streams else None
    streams = streams_of(options.symbols, kinds) if kinds else streams_of(options.symbols)
    async with _exchange(options) as where:
        return await show(
            streams,
            _title(options),
            once=options.once,
            form=(options.form or "own") if options.json else None,
            **_feed_options(options),
            **where,
        )


async def _watch_web(options: argparse.Namespace) -> int:
    from .watch import streams_of
    from .web.view import show

    for name, given in (
        ("once", options.once),
        ("json", options.json),
        ("as", options.form),
        ("streams", options.streams),
    ):
        if given:
            options.parser.error(f"--{name} is not for --web, which shows all of it, all the time")
    view = _feed_options(options)
    view["host"] = view.pop("metrics_host")
    async with _exchange(options) as where:
        return await show(
            streams_of(options.symbols),
            _title(options),
            port=WEB_PORT if options.port is None else options.port,
            **view,
            **where,
        )


async def _book(options: argparse.Namespace) -> int:
    from .book import show

    async with _exchange(options) as where:
        return await show(
            options.symbols,
            levels=options.levels,
            limit=options.limit,
            once=options.once,
            as_json=options.json,
            **_feed_options(options),
            **where,
        )


async def _plot(options: argparse.Namespace) -> int:
    from .plot import show

    options.symbols = [options.symbol]
    async with _exchange(options) as where:
        return await show(
            options.symbol, _title(options), seconds=options.seconds, out=options.out, **where
        )


async def _doctor(options: argparse.Namespace) -> int:
    from . import doctor
    from .lines import say_wrapped

    options.symbols = options.symbol or options.symbols
    async with _exchange(options) as where:
        patient = doctor.Patient(
            symbols=tuple(options.symbols), lifecycle=options.lifecycle, **where
        )
        findings = []
        async for finding in doctor.examine(patient):
            findings.append(finding)
            say_wrapped([doctor.line_of(finding)])
        return doctor.code_of(findings)


async def _record(options: argparse.Namespace) -> int:
    from ..tape.settings import Recording
    from .record import record

    given: dict[str, Any] = {"durability": options.durability, "on_failure": options.on_failure}
    for rotation in options.rotate or ():
        if not given.keys().isdisjoint(rotation):
            options.parser.error("--rotate is given a duration once, and a size once")
        given |= rotation
    if options.min_free is not None:
        given["min_free"] = options.min_free
    given["compression"] = None if options.compression == "none" else options.compression
    try:
        settings = Recording(options.out, **given)
    except ValueError as error:
        options.parser.error(str(error))
    kinds = list(dict.fromkeys(options.streams or KINDS))
    if options.books and DEPTH not in kinds:
        options.parser.error(f"--books needs the kind {DEPTH}, which --kinds leaves out")
    async with _exchange(options) as where:
        return await record(
            options.symbols,
            kinds,
            settings,
            _title(options),
            with_books=options.books,
            **_feed_options(options),
            **where,
        )


async def _replay(options: argparse.Namespace) -> int:
    from ..tape.tape import Tape
    from .tapes import streams_chosen
    from .watch import played

    with Tape(options.path) as tape:
        streams = streams_chosen(tape, options.streams)
    return await played(
        options.path,
        speed=None if options.speed == float("inf") else options.speed,
        start=options.start,
        end=options.end,
        streams=streams,
        seconds=options.seconds,
        as_json=options.json,
    )


def _first_given(options: argparse.Namespace, *names: str) -> str | None:
    """The first of these that is not as it is by default, as it is written."""
    for action in options.parser._actions:
        default = [] if action.nargs == "*" else action.default
        if action.dest in names and getattr(options, action.dest) != default:
            return str(action.option_strings[0] if action.option_strings else action.metavar)
    return None


async def _relay(options: argparse.Namespace) -> int:
    from . import relaying
    from .watch import streams_of

    serving = {"host": options.host, "port": options.port, "api_keys": options.key}
    if options.tape is None:
        if given := _first_given(options, "speed", "start", "end", "wait_for"):
            options.parser.error(f"{given}: there is no --tape")
        if options.simulate and not options.symbols:
            options.symbols = list(DEMO_SYMBOLS)
        streams = streams_of(options.symbols, options.streams or KINDS)
        async with _exchange(options) as where:
            return await relaying.live(
                streams, _title(options), serving, **_feed_options(options), **where
            )
    of_an_exchange = "environment", "url", "simulate", "proxy", "lines", "renew_at", "give_up"
    if given := _first_given(options, "symbols", "streams", *of_an_exchange):
        options.parser.error(f"--tape takes the place of an exchange: leave {given} out")
    return await relaying.tape(
        options.tape,
        speed=None if options.speed == float("inf") else options.speed or 1.0,
        start=options.start,
        end=options.end,
        serving=serving | {"wait_for": 1 if options.wait_for is None else options.wait_for},
        seconds=options.seconds,
        metrics_port=options.metrics_port,
        metrics_host=options.host,
    )


async def _simulate(options: argparse.Namespace) -> int:
    if options.every and not options.faults:
        options.parser.error("--every: there are no --faults that it is about")
    from .serving import serve
    from .signed import Signed

    signed = None
    if options.fix is not None or options.ws_api is not None:
        if options.keys is None:
            options.parser.error("--fix and --ws-api need --keys DIR, for the key that signs")
        signed = Signed(options.fix, options.ws_api, options.keys)
    elif options.keys is not None:
        options.parser.error("--keys: there is neither --fix nor --ws-api that it is about")
    return await serve(
        options.symbols,
        with_parent=options.with_parent,
        signed=signed,
        rate=options.rate,
        seed=options.seed,
        api_keys=options.key,
        host=options.host,
        port=options.port,
        faults=options.faults,
        fault_seconds=options.every or 10.0,
        lifetime=options.lifetime,
    )


async def _fix(options: argparse.Namespace) -> int:
    from . import fix

    if options.simulate and options.private_key is not None:
        options.parser.error("--private-key is for the exchange: with --simulate there is a key")
    if options.action == "doctor":
        return await fix.doctor(options)
    return await fix.watch(options, f"Binance FIX SBE, {_title(options)}")


_COMMANDS = {
    "fix": _fix,
    "demo": _demo,
    "watch": _watch,
    "book": _book,
    "plot": _plot,
    "doctor": _doctor,
    "record": _record,
    "replay": _replay,
    "relay": _relay,
    "simulate": _simulate,
    "convert": _convert,
    "inspect": _inspect,
}
