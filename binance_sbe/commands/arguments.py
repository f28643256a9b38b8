"""What the arguments of `binance-sbe` may be: types for argparse, which says what is wrong."""

from __future__ import annotations

import argparse
import difflib
import re
from collections.abc import Iterable
from datetime import time
from pathlib import Path

from ..route import parsed_proxy
from ..venue.environments import fix_address, stream_url
from ..venue.streams import FIX_KINDS, KINDS, stream_name, symbol_name


def did_you_mean(given: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(given, list(known), 1, 0.6)
    return f": did you mean '{close[0]}'?" if close else ""


SHORTEST, LONGEST = 0.1, 600.0  # seconds of a recording, which is kept in memory
_UNITS = {"ms": 1e-3, "s": 1.0, "": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
_SIZES = {"KB": 10**3, "MB": 10**6, "GB": 10**9, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}
_NUMBER = r"([0-9]{1,9}(?:\.[0-9]{1,9})?) ?"
PICTURES = (".png", ".svg")
_LEAST_FILE = 1 << 20  # bytes, after which a new file of a tape may begin


def _seconds(text: str) -> float:
    """0 for what is no duration."""
    found = re.fullmatch(f"{_NUMBER}({'|'.join(_UNITS)})", text)
    return float(found[1]) * _UNITS[found[2]] if found else 0.0


def _duration(text: str) -> float:
    """The same, where a number alone is seconds."""
    return float(text) if re.fullmatch(_NUMBER, text) else _seconds(text)


def duration(text: str) -> float:
    """In seconds, as long as it likes."""
    seconds = _duration(text)
    if seconds <= 0:
        raise argparse.ArgumentTypeError(f"'{text}' is not a duration, such as 30s, 10m or 1h")
    return seconds


def size(text: str) -> int:
    """In bytes."""
    found = re.fullmatch(f"{_NUMBER}({'|'.join(_SIZES)})", text, re.IGNORECASE)
    if not found:
        raise argparse.ArgumentTypeError(f"'{text}' is not a size, such as 512MB or 2GiB")
    unit = next(unit for name, unit in _SIZES.items() if name.lower() == found[2].lower())
    return int(float(found[1]) * unit)


def rotation(text: str) -> dict[str, float]:
    """When a new file begins: after so long, or with so many bytes; as `Recording` has it."""
    if _seconds(text) > 0:
        return {"rotate_seconds": _seconds(text)}
    try:
        most = size(text)
    except argparse.ArgumentTypeError:
        raise argparse.ArgumentTypeError(
            f"'{text}' is neither a duration nor a size, such as 1h or 512MB"
        ) from None
    if most < _LEAST_FILE:
        raise argparse.ArgumentTypeError(
            f"'{text}' is less than 1MiB, the least with which a new file begins"
        )
    return {"rotate_bytes": most}


def durability(text: str) -> float | str:
    if text in ("batch", "os"):
        return text
    seconds = _seconds(text)
    if seconds <= 0:
        raise argparse.ArgumentTypeError(f"'{text}' is not batch, os or a duration, such as 1s")
    return seconds


def moment(text: str) -> int:
    """A time, in ns since 1970."""
    from ..tape.selecting import moment_ns

    if text.isascii() and text.isdigit() and len(text) > 8 and int(text) < 1 << 63:
        return int(text)
    try:
        found = moment_ns(text)
        if not 0 <= found < 1 << 63:
            raise argparse.ArgumentTypeError(f"'{text}' is not between 1970 and 2262")
        return found
    except (ValueError, OverflowError):
        raise argparse.ArgumentTypeError(
            f"'{text}' is not a time, such as 2026-11-27T09:30, or ns since 1970"
        ) from None


def tape_streams(text: str) -> list[str]:
    """Streams, and kinds, which stand for those of all symbols."""
    found = [name for name in text.split(",") if name]
    if not found:
        raise argparse.ArgumentTypeError(f"'{text}' names no stream: leave it out for all")
    try:
        return [name if name in KINDS else stream_name(name) for name in found]
    except ValueError as error:
        alone = "" if "@" in text else f", or a kind alone: {', '.join(KINDS)}"
        raise argparse.ArgumentTypeError(f"{error}{alone}") from None


def speed(text: str) -> float:
    """How many times faster than it came; infinity for as fast as it goes."""
    if text == "max":
        return float("inf")
    try:
        return positive(text)
    except argparse.ArgumentTypeError:
        raise argparse.ArgumentTypeError(f"'{text}' is not a speed, such as 1, 10 or max") from None


def clients(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) <= 1000):
        raise argparse.ArgumentTypeError(f"'{text}' is not a number of clients: 0 to 1000")
    return int(text)


def rows(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < int(text) < 10**15):
        raise argparse.ArgumentTypeError(f"'{text}' is not a number of frames")
    return int(text)


def span(text: str) -> float:
    """A duration that fits a picture, in seconds."""
    seconds = _duration(text)
    if not SHORTEST <= seconds <= LONGEST:
        raise argparse.ArgumentTypeError(
            f"'{text}' is not a duration from 100ms to 10m, such as 30s"
        )
    return seconds


def picture(text: str) -> Path:
    """A file to be drawn to."""
    path = Path(text)
    if path.suffix.lower() not in PICTURES:
        raise argparse.ArgumentTypeError(f"'{text}' does not end in {' or '.join(PICTURES)}")
    if path.is_dir():
        raise argparse.ArgumentTypeError(f"'{text}' is a folder")
    if not path.parent.is_dir():
        raise argparse.ArgumentTypeError(f"'{text}': there is no folder '{path.parent}'")
    return path


def kinds(text: str) -> list[str]:
    return _some_of(text, KINDS)


def fix_kinds(text: str) -> list[str]:
    """Of market data over FIX."""
    return _some_of(text, FIX_KINDS)


def _some_of(text: str, known: Iterable[str]) -> list[str]:
    found = [kind for kind in text.split(",") if kind]
    for kind in found:
        if kind not in known:
            meant = did_you_mean(kind, known)
            raise argparse.ArgumentTypeError(f"'{kind}' is none of {', '.join(known)}{meant}")
    if not found:
        raise argparse.ArgumentTypeError(f"'{text}' names none of {', '.join(known)}")
    return found


def time_of_day(text: str) -> time:
    try:
        return time.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"'{text}' is not a time of day, such as 04:30") from None


def positive(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"'{text}' is not a positive number")
    return value


def count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) > 0):
        raise argparse.ArgumentTypeError(f"'{text}' is not a number of levels")
    return int(text)


def limit(text: str) -> int:
    if count(text) > 5000:
        raise argparse.ArgumentTypeError(f"'{text}' is more than 5000 levels")
    return int(text)


def faults(text: str) -> list[str]:
    from ..simulator.faults import kinds as known

    try:
        return known(text.split(","))
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) <= 65535):
        raise argparse.ArgumentTypeError(f"'{text}' is not a port: 0 to 65535")
    return int(text)


def host(text: str) -> str:
    if not text or any(c.isspace() for c in text):
        raise argparse.ArgumentTypeError(f"'{text}' is not an address to serve on")
    return text


def symbol(text: str) -> str:
    try:
        return symbol_name(text)
    except ValueError:
        name, at, _ = text.partition("@")
        alone = f"; give {name} alone" if at and name.isalnum() else ""
        why = f"'{text}' is not a symbol, such as btcusdt{alone}"
        raise argparse.ArgumentTypeError(why) from None


def url(text: str) -> str:
    try:
        stream_url("prod", text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return text


def fix_url(text: str) -> str:
    try:
        fix_address("prod", "market_data", text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return text


def proxy(text: str) -> str | None:
    """The URL of one, or None for none."""
    if text == "none":
        return None
    try:
        parsed_proxy(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return text
