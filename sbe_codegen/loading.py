"""`load`: from a schema file to an imported module, compiled at the first time only."""

from __future__ import annotations

import hashlib
import importlib.util
import sys
import threading
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path
from types import ModuleType

from . import builder, cache, renderer, selection
from .builder import Progress
from .conventions import Conventions
from .extras import check_compiled
from .version import __version__

_loading = threading.RLock()
_loaded: dict[str, ModuleType] = {}  # modules that are whole; in sys.modules they are before that


def load(
    schema: str | Path,
    messages: Iterable[str | int] | None = None,
    conventions: Conventions | str | Path | None = None,
    *,
    progress: Progress = builder._silent,
) -> ModuleType:
    """The decoders of the schema file ``schema``, as an imported module.

    They are compiled at the first time, which takes seconds to a minute and a C compiler, and kept
    in `cache.directory`. What is kept is used again as long as the generated text, the package,
    Cython, numpy, Python and the build switches (see `builder`) are the same. Several processes and
    threads may load the same schema at once: one compiles, the others wait. The same content gives
    the same module object.

    With ``messages``, names or template ids, only those are compiled, with what they refer to; a
    frame of another is UnknownTemplate, and its text says that it was left out. That is a module of
    its own, and compiled in a part of the time.

    Raises UnknownName for messages that the schema does not have, SchemaError for what is no
    schema, setuptools' CompileError where there is no compiler, OSError where the cache can't be
    written, PermissionError where others may write to it, and TypeError for conventions that are
    none, or the text of a schema in place of its path; MissingPackage in a checkout that is not
    compiled itself.
    """
    if isinstance(schema, str) and schema.lstrip().startswith("<"):
        raise TypeError("schema is the path of a file, not its text: write it to a file first")
    if not isinstance(conventions, Conventions | str | Path | None):
        raise TypeError(
            "conventions is the path of a file or a sbe_codegen.conventions.Conventions, not "
            f"{type(conventions).__name__}"
        )
    check_compiled("sbe_codegen.load")
    path = Path(schema)
    if isinstance(conventions, str | Path):
        conventions = Conventions.read(Path(conventions))
    module = builder.read(path, conventions)
    if messages is not None:
        module = selection.only(module, messages)
    texts = renderer.render(module, path.name, "decoders")
    key = _key(texts)
    name = f"{builder.module_name(module.package)}_{key[:12]}"  # nobody else's in sys.modules
    if name not in _loaded:
        with _loading:
            if name not in _loaded:
                file = cache.module_file(name, lambda into: _compile(texts, name, into, progress))
                _loaded[name] = _run(name, file)
    return _loaded[name]


def _run(name: str, file: Path) -> ModuleType:
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
    for file in sorted(runtime.rglob("*.pxd")):  # what generated code is compiled against
        parts.append(file.read_text(encoding="utf-8"))
    for part in parts:
        digest.update(part.encode() + b"\0")
    return digest.hexdigest()


def _compile(texts: dict[str, str], name: str, into: Path, progress: Progress) -> Path:
    for file, text in texts.items():
        (into / file).with_stem(name).write_text(text, encoding="ascii")
    source = into / f"{name}.pyx"
    made = builder.compile_module(name, source, into, progress, into.parent)
    source.with_suffix(".c").unlink()
    return made
