"""Local order books: ``async with binance_sbe.books("btcusdt") as kept`` (see `live_books.books`).

Programs call ``binance_sbe.books``, and this package has the same name: so it can be called.
"""

from __future__ import annotations

import inspect
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .live_books import Books


class _Room(ModuleType):
    def __call__(self, *symbols: str, **options: Any) -> Books:
        from .live_books import books

        return books(*symbols, **options)

    @property
    def __signature__(self) -> inspect.Signature:
        from .live_books import books

        return inspect.signature(books)


sys.modules[__name__].__class__ = _Room
