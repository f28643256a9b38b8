"""A book of 10 + 10 levels of decimals: composites of mantissa and exponent.

    .venv/bin/python benchmarks/decimals.py
    .venv/bin/python benchmarks/decimals.py --rounds 100

Decoding with both views, the numbers as they are and float64, beside the same book whose mantissas
share two exponents in the root block (a scaled pair, as Binance sends it), and beside a decoder in
pure Python of the kind that other generators write. Each is proved to give the same numbers before
it is timed. What is compared takes turns; CPU time of this thread, medians and quartiles.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import struct
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

from binance_sbe import spot_stream  # noqa: E402
from sbe_codegen import load  # noqa: E402

LEVELS = 10
CALLS = 2000
_BOOK = """\
  <sbe:message name="{kind}Book" id="{number}">
    <field name="time" id="1" type="stamp"/>
    <field name="updateId" id="2" type="stamp"/>
    <group name="bids" id="3">
      <field name="price" id="4" type="{kind}"/><field name="qty" id="5" type="{kind}"/>
    </group>
    <group name="asks" id="6">
      <field name="price" id="7" type="{kind}"/><field name="qty" id="8" type="{kind}"/>
    </group>
  </sbe:message>
"""
SCHEMA = """<?xml version="1.0" encoding="UTF-8"?>
<sbe:messageSchema xmlns:sbe="http://fixprotocol.io/2016/sbe" package="decimals" id="77"
                   version="0" byteOrder="littleEndian">
  <types>
    <composite name="messageHeader">
      <type name="blockLength" primitiveType="uint16"/>
      <type name="templateId" primitiveType="uint16"/>
      <type name="schemaId" primitiveType="uint16"/>
      <type name="version" primitiveType="uint16"/>
    </composite>
    <composite name="groupSizeEncoding">
      <type name="blockLength" primitiveType="uint16"/>
      <type name="numInGroup" primitiveType="uint16"/>
    </composite>
    <type name="stamp" primitiveType="int64"/>
    <composite name="Sent">
      <type name="mantissa" primitiveType="int64"/>
      <type name="exponent" primitiveType="int8"/>
    </composite>
    <composite name="Fixed">
      <type name="mantissa" primitiveType="int64"/>
      <type name="exponent" primitiveType="int8" presence="constant">-8</type>
    </composite>
  </types>
{books}</sbe:messageSchema>
""".replace("{books}", _BOOK.format(kind="Sent", number=1) + _BOOK.format(kind="Fixed", number=2))
Way = Callable[[int], Any]
PRICES = [[9_412_345_000_000 + i * 1_000_000 * side for i in range(LEVELS)] for side in (-1, 1)]
QTYS = [[31_210_000 + i * 7_777 for i in range(LEVELS)] for _ in range(2)]


@dataclass
class Level:
    """One level, as a decoder in pure Python has it."""

    price: float
    qty: float
    price_mantissa: int
    price_exponent: int
    qty_mantissa: int
    qty_exponent: int


def by_python(frame: bytes) -> tuple[int, int, list[Level], list[Level]]:
    """Field by field, as generated Python does."""
    when, update_id = struct.unpack_from("<qq", frame, 8)
    at, sides = 24, []
    for _ in range(2):
        length, count = struct.unpack_from("<HH", frame, at)
        at += 4
        levels = []
        for _ in range(count):
            (price,) = struct.unpack_from("<q", frame, at)
            (price_exponent,) = struct.unpack_from("<b", frame, at + 8)
            (qty,) = struct.unpack_from("<q", frame, at + 9)
            (qty_exponent,) = struct.unpack_from("<b", frame, at + 17)
            # a power below one is divided by: times 0.01 would not be the nearest float
            value = price / 10**-price_exponent
            levels.append(
                Level(value, qty / 10**-qty_exponent, price, price_exponent, qty, qty_exponent)
            )
            at += length
        sides.append(levels)
    return when, update_id, sides[0], sides[1]


def sides_of(module: Any, name: str) -> Any:
    """Encodes the book as one of the messages of the schema."""
    kind = getattr(module, name)
    exponent = {} if name == "FixedBook" else {"exponent": -8}
    bids, asks = (
        [
            {"price": {"mantissa": price} | exponent, "qty": {"mantissa": qty} | exponent}
            for price, qty in zip(PRICES[side], QTYS[side], strict=True)
        ]
        for side in (0, 1)
    )
    return kind, kind.encode(time=1, update_id=2, bids=bids, asks=asks)


def pairs() -> tuple[Any, bytes]:
    """The same book with two exponents in the root block."""
    kind = spot_stream.DepthSnapshotStreamEvent
    sides: list[Any] = []
    for side in (0, 1):
        levels = np.zeros(LEVELS, kind.BIDS_DTYPE)
        levels["price"], levels["qty"] = PRICES[side], QTYS[side]
        sides.append(levels)
    return kind, kind.encode(
        event_time=1, book_update_id=2, price_exponent=-8, qty_exponent=-8, bids=sides[0],
        asks=sides[1], symbol="BTCUSDT",
    )  # fmt: skip


def with_both(kind: Any, frame: bytes) -> Way:
    def way(calls: int) -> Any:
        decode = kind.decode
        found: Any = None
        for _ in range(calls):
            message = decode(frame)
            found = message.bids, message.asks, message.bids_float, message.asks_float
        return found

    return way


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=60)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as folder:
        schema = Path(folder) / "decimals.xml"
        schema.write_text(SCHEMA, encoding="utf-8")
        module = load(schema)
    kind, sent = sides_of(module, "SentBook")
    ways: dict[str, Way] = {
        "scaled pairs": with_both(*pairs()),
        "decimals, exponent constant": with_both(*sides_of(module, "FixedBook")),
        "decimals, exponent sent": with_both(kind, sent),
        "decimals, pure Python": lambda calls: [by_python(sent) for _ in range(calls)][-1],
    }
    proved(ways)
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            calls = CALLS // 20 if "Python" in name else CALLS
            start = time.thread_time_ns()
            way(calls)
            taken[name].append((time.thread_time_ns() - start) / calls)
    print(f"{platform.machine()}, Python {platform.python_version()}, numpy {np.__version__}\n")
    print("| a book of 10 + 10 levels, both views | ns (quartiles) | times scaled pairs |")
    print("|---|---|---|")
    for name, times in taken.items():
        low, middle, high = statistics.quantiles(times, n=4)
        against = zip(times, taken["scaled pairs"], strict=True)
        ratio = statistics.median(mine / theirs for mine, theirs in against)
        print(f"| {name} | {middle:.0f} ({low:.0f} to {high:.0f}) | {ratio:.2f} |")


def proved(ways: dict[str, Way]) -> None:
    """All give the same prices, quantities and floats."""
    for name, way in ways.items():
        found = way(1)
        for side in (0, 1):
            if "Python" in name:
                levels = found[2 + side]
                raw = [(each.price_mantissa, each.qty_mantissa) for each in levels]
                floats = [(each.price, each.qty) for each in levels]
            else:
                numbers = found[side]
                inner = [] if numbers["price"].dtype.names is None else ["mantissa"]
                columns = [
                    numbers[column][inner[0]] if inner else numbers[column]
                    for column in ("price", "qty")
                ]
                raw = list(zip(*(column.tolist() for column in columns), strict=True))
                floats = [(row["price"], row["qty"]) for row in found[2 + side]]
            wanted = list(zip(PRICES[side], QTYS[side], strict=True))
            assert raw == wanted, name
            assert floats == [(price / 1e8, qty / 1e8) for price, qty in wanted], name


if __name__ == "__main__":
    main()
