"""What the simulated exchange says of its symbols: their filters and precisions."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from .. import spot_sbe
from .market import Market

_MOST = 10**8  # of a price or a quantity
_UNIT = 8  # digits after the point of assets
_QUOTES = ("USDT", "USDC", "FDUSD", "BTC", "ETH", "BNB")


def exchange_info(markets: Iterable[Market]) -> bytes:
    """An ExchangeInfoResponse."""
    return spot_sbe.ExchangeInfoResponse.encode(symbols=[_symbol(each) for each in markets])


def _symbol(market: Market) -> dict[str, Any]:
    quote = next((each for each in _QUOTES if market.symbol.endswith(each)), market.symbol[-3:])
    price = spot_sbe.PriceFilter.encode(
        price_exponent=market.price_exponent, min_price=1,
        max_price=_MOST * 10**-market.price_exponent, tick_size=1,
    )  # fmt: skip
    lot = spot_sbe.LotSizeFilter.encode(
        qty_exponent=market.qty_exponent, min_qty=1,
        max_qty=_MOST * 10**-market.qty_exponent, step_size=1,
    )  # fmt: skip
    return {
        "status": "Trading",
        "base_asset_precision": _UNIT, "quote_asset_precision": _UNIT,
        "base_commission_precision": _UNIT, "quote_commission_precision": _UNIT,
        "order_types": ["Limit", "Market"],
        "iceberg_allowed": False, "oco_allowed": False, "oto_allowed": False,
        "quote_order_qty_market_allowed": False, "allow_trailing_stop": False,
        "cancel_replace_allowed": False, "amend_allowed": False,
        "is_spot_trading_allowed": True, "is_margin_trading_allowed": False,
        "default_self_trade_prevention_mode": "None",
        "allowed_self_trade_prevention_modes": ["None"],
        "peg_instructions_allowed": False,
        "filters": [{"filter": price}, {"filter": lot}],
        "permission_sets": [{"permissions": [{"permission": "SPOT"}]}],
        "symbol": market.symbol,
        "base_asset": market.symbol.removesuffix(quote) or market.symbol,
        "quote_asset": quote,
    }  # fmt: skip
