"""What `binance-sbe convert` takes."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from ..lake.numbers import NUMBERS
from ..lake.options import DEFAULT_KINDS, FORMATS, KINDS
from . import arguments


def add(command: Any) -> None:
    command.add_argument(
        "tapes", nargs="+", metavar="TAPE", help="recordings: directories, files or URLs"
    )
    command.add_argument(
        "--out", required=True, metavar="DIR",
        help="where the archive is, or is to be, or a URL; one that is there is continued",
    )  # fmt: skip
    command.add_argument(
        "--format", choices=FORMATS, default="parquet", metavar="FORMAT",
        help=f"one of {', '.join(FORMATS)} (default: parquet)",
    )  # fmt: skip
    command.add_argument(
        "--kinds", "--streams", type=kinds, metavar="KIND,...", dest="kinds",
        help=f"some of {', '.join(KINDS)} (default: {', '.join(DEFAULT_KINDS)})",
    )  # fmt: skip
    command.add_argument(
        "--numbers", choices=NUMBERS, default="float64", metavar="FORM",
        help=f"prices and quantities: {', '.join(NUMBERS)} (default: float64)",
    )  # fmt: skip
    command.add_argument(
        "--scale", type=arguments.count, default=8, help="places of decimals (default: 8)"
    )
    command.add_argument(
        "--nested", action="store_true",
        help="levels of books as lists in the row of their event (default: a row each)",
    )  # fmt: skip
    command.add_argument(
        "--partition-by", choices=("symbol",), metavar="symbol",
        help="a directory for each symbol: for few symbols only",
    )  # fmt: skip
    command.add_argument(
        "--book-levels", type=arguments.count, default=10, metavar="N",
        help="levels of the kind book, of each side (default: 10)",
    )  # fmt: skip
    command.add_argument(
        "--book-every", type=seconds, default=1.0, metavar="DURATION",
        help="time between two samples of the kind book (default: 1s; 0: at every change)",
    )  # fmt: skip
    command.add_argument(
        "--precisions", type=precisions, metavar="FILE",
        help="of nautilus: JSON, {\"BTCUSDT\": [2, 5]} or the answer of exchangeInfo",
    )  # fmt: skip
    command.add_argument(
        "--shard", metavar="I/N", help="only this part of N, such as 3/64: a job of a batch system"
    )
    command.add_argument(
        "--workers", type=arguments.count, metavar="N",
        help="processes (default: one for each core where there are several tapes)",
    )  # fmt: skip
    command.add_argument(
        "--replace", action="store_true", help="begin anew where there is an archive already"
    )


def kinds(text: str) -> list[str]:
    found = [kind for kind in text.split(",") if kind]
    for kind in found:
        if kind not in KINDS:
            meant = arguments.did_you_mean(kind, KINDS)
            raise argparse.ArgumentTypeError(f"'{kind}' is none of {', '.join(KINDS)}{meant}")
    if not found:
        raise argparse.ArgumentTypeError(f"name some of {', '.join(KINDS)}")
    return found


def seconds(text: str) -> float:
    value = 0.0 if text == "0" else arguments.duration(text)
    if value > 86_400:
        raise argparse.ArgumentTypeError(f"'{text}' is more than 86400s, a day")
    return value


def precisions(text: str) -> dict[str, tuple[int, int]]:
    """Places of prices and sizes by symbol, of a JSON file."""
    try:
        found = json.loads(Path(text).read_bytes())
    except OSError as error:
        raise argparse.ArgumentTypeError(f"{text}: {error.strerror}") from None
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text}: not JSON") from None
    try:
        if "symbols" in found:
            return {each["symbol"]: _of_filters(each["filters"]) for each in found["symbols"]}
        return {symbol: (int(pair[0]), int(pair[1])) for symbol, pair in found.items()}
    except (TypeError, ValueError, KeyError, IndexError, AttributeError):
        raise argparse.ArgumentTypeError(
            f"{text}: neither an answer of exchangeInfo nor two numbers for each symbol"
        ) from None


def _of_filters(filters: Any) -> tuple[int, int]:
    steps = {each["filterType"]: each for each in filters}
    price, size = steps["PRICE_FILTER"]["tickSize"], steps["LOT_SIZE"]["stepSize"]
    return _places(price), _places(size)


def _places(step: str) -> int:
    return len(step.rstrip("0").partition(".")[2])
