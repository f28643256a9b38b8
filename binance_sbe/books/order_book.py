"""What is worked out of the levels of an order book."""

from __future__ import annotations

import struct
import zlib
from decimal import Decimal
from fractions import Fraction
from math import ceil, floor
from operator import index
from typing import Literal, NamedTuple

import numpy as np

from sbe_codegen.runtime.decode.scaling import to_float

from ..errors import BookError
from .book import Book, Comparison
from .html import book_html
from .level_arrays import Level, Levels

__all__ = ["Comparison", "Level", "Levels", "OrderBook"]

_FLOATS = np.dtype([("price", "<f8"), ("qty", "<f8")])
_MANTISSA = struct.Struct("<qh")


class FloatLevel(NamedTuple):
    """One price of a book and the quantity there, in float64."""

    price: float
    qty: float


class OrderBook(Book):
    """One symbol's book. ``apply_snapshot`` and ``apply`` take it from state to state.

    - ``"syncing"``: no snapshot yet. Diffs are kept (the latest ``max_buffer``) until it comes.
    - ``"live"``: every diff since the snapshot was applied, and every check held.
    - ``"stale"``: a check failed: ``reason`` says which. The levels are those of that moment; diffs
      are kept until the next snapshot.

    With ``on_error="raise"`` a check that fails raises BookError as well; with "mark" `apply` gives
    False, and the state tells. Checked are the ids (no update is missing), the sign of prices and
    quantities, their size (64 bits at the exponents that all of them need), and that bids and
    asks do not cross.

    Prices and quantities are ints, mantissas of ``price_exponent`` and ``qty_exponent``; what ends
    in ``_float`` is in float64, correctly rounded. Events may have other exponents than the book:
    they are brought to the book's, exactly, or the book to theirs where theirs are finer.

    A side keeps ``max_levels`` levels; beyond a quarter more, the worst go. Levels that the
    snapshot did not reach are known once a diff touches them, but not those between: they are
    *unproven*, as is all beyond the worst level that was dropped. `bids` and `asks` say how many of
    their rows are proven; `volume_to` and `sweep` raise BookError rather than count on others.

    Counters: ``applied`` and ``ignored`` (old) diffs, ``overlaps`` (diffs that begin before the
    book's id), ``absent`` (removals of levels that were not there), ``pruned`` levels,
    ``snapshots``, and ``not_buffered`` diffs, which were dropped while none led from a snapshot.

    For one thread at a time. Copies (`copy`, pickle) are independent of it.
    """

    def __repr__(self) -> str:
        text = super().__repr__()
        bid, ask = self.best_bid_float, self.best_ask_float
        if bid is None and ask is None:
            return text
        sides = (side and side.price for side in (bid, ask))
        return f"{text[:-1]}, best {' / '.join(map(str, sides))}>"

    def _repr_html_(self) -> str:
        return book_html(self)

    @property
    def best_bid_float(self) -> FloatLevel | None:
        """`best_bid` in float64, or None."""
        return self._float(self.best_bid)

    @property
    def best_ask_float(self) -> FloatLevel | None:
        """`best_ask` in float64, or None."""
        return self._float(self.best_ask)

    def _float(self, level: Level | None) -> FloatLevel | None:
        if level is None:
            return None
        price = to_float(level.price, self.price_exponent)
        return FloatLevel(price, to_float(level.qty, self.qty_exponent))

    @property
    def spread(self) -> int | None:
        """The best ask less the best bid; None where a side is empty."""
        bid, ask = self.best_bid, self.best_ask
        return None if bid is None or ask is None else ask.price - bid.price

    @property
    def spread_float(self) -> float | None:
        """`spread` in float64, or None."""
        spread = self.spread
        return None if spread is None else to_float(spread, self.price_exponent)

    @property
    def mid(self) -> float | None:
        """The middle between the best prices, as a mantissa, which may end in .5; or None."""
        bid, ask = self.best_bid, self.best_ask
        return None if bid is None or ask is None else (bid.price + ask.price) / 2

    @property
    def mid_float(self) -> float | None:
        """`mid` in float64, correctly rounded, or None."""
        bid, ask = self.best_bid, self.best_ask
        if bid is None or ask is None:
            return None
        return to_float((bid.price + ask.price) * 5, self.price_exponent - 1)

    def bids_float(self, n: int | None = None) -> Levels:
        """`bids` in float64."""
        return self._floats(self.bids(n))

    def asks_float(self, n: int | None = None) -> Levels:
        """`asks` in float64."""
        return self._floats(self.asks(n))

    def _floats(self, levels: Levels) -> Levels:
        found = np.empty(len(levels), _FLOATS).view(Levels)
        found["price"] = to_float(np.asarray(levels["price"]), self.price_exponent)
        found["qty"] = to_float(np.asarray(levels["qty"]), self.qty_exponent)
        found.proven = levels.proven
        return found

    # what an order would meet

    def volume_to(self, price: int) -> int:
        """The quantity between the best price and this one, both included.

        Of the asks for a price at or above the best ask, of the bids for one at or below the best
        bid, 0 between. ``price`` and the result are mantissas. BookError where it reaches beyond
        the levels that are proven.
        """
        price = _mantissa(price, "volume_to_float takes prices")
        bid, ask = self.best_bid, self.best_ask
        if self.update_id < 0:
            raise BookError(self.symbol, str(self.reason))
        if bid is not None and price <= bid.price:
            self._check_known(price < (self.bids_known_to or 0), price)
            return self._volume(self.bids(), price, -1)
        known_to = self.asks_known_to
        self._check_known(known_to is not None and price > known_to, price)
        if ask is not None and price >= ask.price:
            return self._volume(self.asks(), price, 1)
        self._check_known(price < (self.bids_known_to or 0), price)
        return 0

    def _check_known(self, is_beyond: bool, price: int) -> None:
        if is_beyond:
            low, high = self.bids_known_to, self.asks_known_to
            raise BookError(
                self.symbol,
                f"not all levels up to {price} are known: of the bids those down to "
                f"{'0' if low is None else low}, of the asks those up to "
                f"{'any price' if high is None else high}",
            )

    def _volume(self, levels: Levels, price: int, sign: int) -> int:
        reached = int(np.searchsorted(levels["price"] * sign, price * sign, "right"))
        return sum(levels["qty"][:reached].tolist())

    def volume_to_float(self, price: float) -> float:
        """`volume_to` for a price, and with a result, in float64."""
        exact = _exact(price) / Fraction(10) ** self.price_exponent
        bid = self.best_bid
        mantissa = ceil(exact) if bid is not None and exact <= bid.price else floor(exact)
        if bid is not None and mantissa <= bid.price < exact:
            return 0.0  # just above the best bid
        return to_float(self.volume_to(mantissa), self.qty_exponent)

    def sweep(self, qty: int, side: Literal["buy", "sell"] = "buy") -> float:
        """The average price, as a mantissa, of a market order for ``qty`` (a mantissa).

        A "buy" takes asks, a "sell" bids. BookError where the proven levels do not suffice.
        """
        return float(self._sweep(Fraction(_mantissa(qty, "sweep_float takes quantities")), side))

    def sweep_float(self, qty: float, side: Literal["buy", "sell"] = "buy") -> float:
        """`sweep` for a quantity, and with a price, in float64."""
        wanted = _exact(qty) / Fraction(10) ** self.qty_exponent
        return float(self._sweep(wanted, side) * Fraction(10) ** self.price_exponent)

    def _sweep(self, qty: Fraction, side: str) -> Fraction:
        if side not in ("buy", "sell"):
            raise ValueError(f"side is 'buy' or 'sell', not {side!r}")
        if qty <= 0:
            raise ValueError(f"an order is for more than nothing, not for {qty}")
        if self.update_id < 0:
            raise BookError(self.symbol, str(self.reason))
        n = 16
        while True:
            levels = self.asks(n) if side == "buy" else self.bids(n)
            left = qty
            cost = Fraction(0)
            for price, there in levels[: levels.proven].tolist():
                taken = min(left, Fraction(there))
                cost += taken * Fraction(price)
                left -= taken
                if not left:
                    return cost / qty
            if len(levels) < n or levels.proven != len(levels):
                found = sum(levels["qty"][: levels.proven].tolist())
                raise BookError(
                    self.symbol,
                    f"the {levels.proven} levels with none missing between have {found}, not {qty}",
                )
            n *= 8

    # whether two books are the same

    def checksum(self, n: int | None = None) -> int:
        """CRC-32 of the ``n`` best levels of each side, or of all: of what they are worth.

        Books with the same prices and quantities have the same, whatever their exponents are.
        """
        crc = 0
        for levels in (self.bids(n), self.asks(n)):
            packed = [struct.pack("<I", len(levels))]
            for price, qty in levels.tolist():
                packed.append(_MANTISSA.pack(*_shortest(price, self.price_exponent)))
                packed.append(_MANTISSA.pack(*_shortest(qty, self.qty_exponent)))
            crc = zlib.crc32(b"".join(packed), crc)
        return crc

    def compare_book(self, other: OrderBook) -> Comparison | None:
        """Compares what both have proven, at the same update id: (levels, agreed); else None."""
        if self.symbol != other.symbol:
            raise ValueError(f"a book of {other.symbol}, and this one is of {self.symbol}")
        if not self.state == other.state == "live" or self.update_id != other.update_id:
            return None
        return self.compare_levels(other)

    def compare_levels(self, other: OrderBook) -> Comparison:
        """`compare_book`, whatever the states and ids are."""
        price_exponent = min(self.price_exponent, other.price_exponent)
        qty_exponent = min(self.qty_exponent, other.qty_exponent)
        compared = agreed = 0
        for sign in (1, -1):
            books = [each._worth(sign, price_exponent, qty_exponent) for each in (self, other)]
            edge = max(edge for _, edge in books)
            one, two = ({p: q for p, q in levels.items() if p >= edge} for levels, _ in books)
            compared += len(one.keys() | two.keys())
            agreed += len(one.items() & two.items())
        return Comparison(compared, agreed)

    def _worth(
        self, sign: int, price_exponent: int, qty_exponent: int
    ) -> tuple[dict[int, int], float]:
        """The bids (1) or the asks (-1, with negative prices), and from where on all are known."""
        up = sign * 10 ** (self.price_exponent - price_exponent)
        up_qty = 10 ** (self.qty_exponent - qty_exponent)
        levels, edge = (
            (self.bids(), self.bids_known_to) if sign == 1 else (self.asks(), self.asks_known_to)
        )
        worth = {price * up: qty * up_qty for price, qty in levels.tolist()}
        return worth, float("-inf") if edge is None else edge * up


def _mantissa(given: int, hint: str) -> int:
    try:
        return index(given)
    except TypeError:
        raise TypeError(f"a mantissa is an int, not {given!r}; {hint}") from None


def _exact(given: float) -> Fraction:
    try:
        return Fraction(Decimal(str(given)))
    except (ArithmeticError, ValueError, OverflowError):
        raise ValueError(f"{given!r} is not a number") from None


def _shortest(mantissa: int, exponent: int) -> tuple[int, int]:
    """The same number without zeros at the end of its mantissa."""
    while mantissa and mantissa % 10 == 0:
        mantissa //= 10
        exponent += 1
    return mantissa, exponent
