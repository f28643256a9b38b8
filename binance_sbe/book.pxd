"""`binance_sbe.books.book`, by the name that programs cimport."""

from .books.book cimport Book
