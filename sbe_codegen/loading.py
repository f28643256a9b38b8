"""`load`: from a schema file to an imported module, compiled at the first time only."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.metadata import version
from pathlib import Path
from types import ModuleType

from . import builder, renderer
from .builder import Progress
from .conventions import Conventions
from .version import __version__


def cache_directory() -> Path:
    """Where compiled modules are kept: SBE_CODEGEN_CACHE, or the user's cache."""
    given = os.environ.get("SBE_CODEGEN_CACHE")
    if given:
        return Path(given).expanduser()
    home = os.environ.get("XDG_CACHE_HOME")
    return (Path(home) if home else Path.home() / ".cache") / "sbe-codegen"


def load(
    schema: str | Path,
    *,
    conventions: Conventions | str | Path | None = None,
    progress: Progress = builder._silent,
) -> ModuleType:
    """The decoders of the schema file ``schema``, as an imported module.

    They are compiled at the first time, which takes seconds to a minute and a C compiler, and kept
    in `cache_directory`. What is kept is used again as long as the generated text, the package,
    Cython, numpy, Python and the build switches (see `builder`) are the same. Two processes may
    load the same schema at once: one compiles, the other waits. The same content gives the same
    module object.

    Raises SchemaError for what is no schema, setuptools' CompileError where there is no compiler,
    and OSError where the cache can't be written.
    """
    path = Path(schema)
    if isinstance(conventions, str | Path):
        conventions = Conventions.read(Path(conventions))
    module = builder.read(path, conventions)
    texts = renderer.render(module, path.name, "decoders")
    key = _key(texts)
    name = f"{builder.module_name(module.package)}_{key[:12]}"  # nobody else's in sys.modules
    if name in sys.modules:
        return sys.modules[name]
    folder = cache_directory() / name
    if not folder.is_dir():
        with _locked(folder.with_suffix(".lock")):
            if not folder.is_dir():
                _compile(texts, name, folder, progress)
    file = next(each for each in folder.iterdir() if each.suffix == ".so")
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None
    assert spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    sys.modules[name] = made
    try:
        spec.loader.exec_module(made)
    except BaseException:
        del sys.modules[name]
        raise
    return made


def _key(texts: dict[str, str]) -> str:
    """What a compiled module depends on, as a hash."""
    digest = hashlib.sha256()
    parts = [__version__, sys.version, version("Cython"), version("numpy"), *builder.switches()]
    parts += [*texts.values(), *map(str, builder.flags())]
    runtime = Path(__file__).parent / "runtime"
    for file in sorted(
        runtime.glob("*.pxd")
    ):  # the structs that generated code is compiled against
        parts.append(file.read_text(encoding="utf-8"))
    for part in parts:
        digest.update(part.encode() + b"\0")
    return digest.hexdigest()


def _compile(texts: dict[str, str], name: str, folder: Path, progress: Progress) -> None:
    """Compiles beside ``folder`` and renames: what has that name is whole."""
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix="building-") as scratch:
        place = Path(scratch) / "module"
        place.mkdir()
        for file, text in texts.items():
            (place / file).with_stem(name).write_text(text, encoding="utf-8")
        builder.compile_module(name, place / f"{name}.pyx", place, progress)
        (place / f"{name}.c").unlink()
        place.rename(folder)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """One process at a time; where files can't be locked, several may compile, and one wins."""
    import fcntl

    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        with suppress(OSError):
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
