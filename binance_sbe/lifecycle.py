"""`binance_sbe.venue.lifecycle`, by the name that programs know."""

from .venue.lifecycle import FIX, SPOT, Lifecycle, Release, parse

__all__ = ["FIX", "SPOT", "Lifecycle", "Release", "parse"]
