"""What is said in the end: how much came, and by the demo, as what, and what to try next."""

from __future__ import annotations

import shutil
import sys
import textwrap
import time
from importlib.util import find_spec
from pathlib import Path

from sbe_codegen.pages import FEED, page
from sbe_codegen.printing import counted

from ..errors import COMPILE_ALL, LARGE_DECODERS
from ..feed.intake.stats import Stats
from ..spot_stream import MESSAGES
from .numbers import decode_times
from .quotes import Market

_NEXT = [("watch --simulate btcusdt", "the same until Ctrl-C")]
_WITH_KEY = [("watch btcusdt", "the exchange itself")]
# With all decoders.
_NEXT_OF_ALL = ("book --simulate btcusdt", "an order book, checked")
_WITH_KEY_OF_ALL = ("doctor", "what stands in the way")


def total(market: Market) -> str:
    passed = time.monotonic() - market.started
    rows = counted(sum(market.rows.values()), "message")
    return f"{rows} in {counted(market.batches, 'batch', 'batches')}, {passed:.1f} s"


def came(market: Market, stats: Stats, width: int = 80) -> list[str]:
    """Lines that fit a screen, with those of the ledger: what arrived, and its columns."""
    out = [f"{total(market)}, as record arrays (feed.batches):"]
    for message in MESSAGES.values():
        first = market.first.get(message)
        if first is None:
            out.append(f"{message.__name__}: none arrived")
            continue
        told = [f"{counted(market.rows[message], 'row')} of {first.records.itemsize} bytes"]
        told += [f"{market.entries[message, name]:,} {name}" for name in first.groups]
        out.append(f"{message.__name__}: {', '.join(told)}")
        out += textwrap.wrap(
            ", ".join(first.records.dtype.names), max(width - 1, 40),
            initial_indent="  ", subsequent_indent="  ",
        )  # fmt: skip
    rejected = f"rejected frames: {market.rejected}; left-over bytes: {stats.left_over_bytes}"
    out.append(f"{rejected}; decoding one: {decode_times(stats, median=50)}")
    return out


def next_steps() -> list[str]:
    """What to try after the demo."""
    name = command_name()

    def lines(*commands: tuple[str, str]) -> list[str]:
        return [f"  {name} {arguments:<24}  {what}" for arguments, what in commands]

    key = f"and with an API key in BINANCE_API_KEY ({page(FEED)}):"
    if all(find_spec(name) is not None for name in LARGE_DECODERS):
        first, with_key = [*_NEXT, _NEXT_OF_ALL], [_WITH_KEY_OF_ALL, *_WITH_KEY]
        return ["try next:", *lines(*first), key, *lines(*with_key)]
    more = f"others need more decoders: {COMPILE_ALL}; then also"
    later = lines(_NEXT_OF_ALL, _WITH_KEY_OF_ALL)
    return ["try next:", *lines(*_NEXT), key, *lines(*_WITH_KEY), more, *later]


def command_name() -> str:
    """What has to be typed to start this command again."""
    started = Path(sys.argv[0])
    if started.name == "__main__.py":
        return "python -m binance_sbe"
    found = shutil.which(started.name)
    if found is not None and Path(found).resolve() == started.resolve():
        return started.name
    here = Path.cwd()
    return str(started.relative_to(here) if started.is_relative_to(here) else started)
