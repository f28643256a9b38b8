"""Tapes become an archive that other programs read: Parquet, and the formats of some tools.

`convert` makes it, `scan` reads one, and `dask` reads tapes.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__all__ = ["Manifest", "Part", "Record", "Seam", "convert", "dask", "scan"]

if TYPE_CHECKING:
    from .bulk import convert
    from .manifest import Manifest, Part, Record, Seam
    from .reading import dask, scan
else:
    # What reads tapes and writes files is loaded by those who do.
    _HOMES = {"convert": "bulk", "dask": "reading", "scan": "reading"}

    def __getattr__(name: str) -> Any:
        if name not in __all__:
            raise AttributeError(f"module 'binance_sbe.lake' has no attribute '{name}'")
        found = getattr(import_module(f".{_HOMES.get(name, 'manifest')}", __name__), name)
        globals()[name] = found
        return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__} - {"TYPE_CHECKING", "Any", "import_module"})
