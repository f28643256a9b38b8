"""`binance_sbe.books.levels`, by the name that programs cimport."""

from .books.levels cimport *
