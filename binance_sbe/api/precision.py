"""How finely a symbol is priced and traded, as its filters say it, and numbers printed so."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, NamedTuple

from sbe_codegen.runtime.decode.scaling import to_decimal

from .. import spot_sbe
from ..errors import FeedError
from ..output import shown
from .decimals import decimal_of


class Precision(NamedTuple):
    """The steps of a symbol's prices and quantities, and how many digits after the point they need.

    ``tick_size`` is of PRICE_FILTER and ``step_size`` of LOT_SIZE, both exact. A symbol without
    such a filter, or with one that is switched off (a step of 0), has None; its places are the
    precision of its quote asset, or of its base asset.
    """

    tick_size: Decimal | None
    step_size: Decimal | None
    price_places: int
    qty_places: int

    def price(self, mantissa: int, exponent: int) -> str:
        """A price as the exchange writes it, such as ``"94123.40"``.

        Exact: a digit that would be left out and is not 0 raises ValueError.
        """
        return decimal_of(mantissa, exponent, self.price_places)

    def qty(self, mantissa: int, exponent: int) -> str:
        """A quantity as the exchange writes it; exact, as `price` is."""
        return decimal_of(mantissa, exponent, self.qty_places)


def precision_of(answer: spot_sbe.ExchangeInfoResponse, symbol: str) -> Precision:
    """What an answer of exchangeInfo says of a symbol, whose name is taken in any case.

    Raises FeedError where the symbol is not in it.
    """
    wanted = symbol.upper()
    for each in answer.symbols:
        if each.symbol == wanted:
            return _precision(each)
    raise FeedError(f"the answer of exchangeInfo does not have {shown(wanted, 40)}")


def _precision(symbol: Any) -> Precision:
    tick = step = None
    for each in symbol.filters:
        found = each.filter_message
        if isinstance(found, spot_sbe.PriceFilter):
            tick = _step(found.tick_size, found.price_exponent)
        elif isinstance(found, spot_sbe.LotSizeFilter):
            step = _step(found.step_size, found.qty_exponent)
    return Precision(
        tick,
        step,
        symbol.quote_asset_precision if tick is None else _places(tick),
        symbol.base_asset_precision if step is None else _places(step),
    )


def _step(mantissa: int, exponent: int | None) -> Decimal | None:
    if exponent is None or mantissa <= 0:
        return None
    while mantissa % 10 == 0 and exponent < 0:  # not by `normalize`, which may round
        mantissa, exponent = mantissa // 10, exponent + 1
    step: Decimal = to_decimal(mantissa * 10 ** max(exponent, 0), min(exponent, 0))
    return step


def _places(step: Decimal) -> int:
    exponent = step.as_tuple().exponent
    assert isinstance(exponent, int)  # of a finite number
    return max(-exponent, 0)
