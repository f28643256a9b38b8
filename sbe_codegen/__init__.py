"""A compiler for Simple Binary Encoding: XML schemas to Cython decoders.

``parse`` -> ``resolve`` -> ``render`` are pure; ``builder`` writes and compiles; `load` does all of
it and imports the result. `Dispatcher` decodes frames of several schemas.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .errors import SchemaError
from .version import __version__

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path
    from types import ModuleType

    from .conventions import Conventions
    from .runtime.dispatch import Dispatcher as Dispatcher

    def load(  # as in `loading`, whose imports only the compiler's users have
        schema: str | Path,
        *,
        messages: Iterable[str | int] | None = None,
        conventions: Conventions | str | Path | None = None,
        progress: Callable[[str], None] = ...,
    ) -> ModuleType: ...


__all__ = ["Dispatcher", "SchemaError", "__version__", "load"]


def __getattr__(name: str) -> Any:
    if name == "Dispatcher":  # which brings numpy
        return import_module(".runtime.dispatch", __name__).Dispatcher
    if name == "load":  # the compiler is loaded where it is used: decoders do without it
        try:
            loading = import_module(".loading", __name__)
        except ModuleNotFoundError as error:
            from .extras import missing

            raise missing(error.name or "a package", "sbe_codegen.load", "codegen") from None
        return loading.load
    raise AttributeError(f"module 'sbe_codegen' has no attribute {name!r}")
