"""Text -> compiled extensions. All reading and writing of files is here.

What compilers are told is in `flags`, what Cython is in `translating`.
"""

from __future__ import annotations

import keyword
import sys
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

from . import ir, names, parser, renderer, resolver, selection
from .conventions import Conventions
from .flags import extension as extension
from .flags import flags as flags
from .flags import switches as switches
from .printing import counted
from .translating import cythonized as cythonized
from .translating import translate

Progress = Callable[[str], None]
_HERE = Path(__file__).resolve().parent


def _silent(_: str) -> None:
    pass


def module_name(package: str) -> str:
    """The name of the module for a schema's package: importable, and hiding no other."""
    name = names.module(package)
    return f"{name}_" if is_taken(name) else name


def is_taken(name: str) -> bool:
    """Whether a module of that name could not be imported, or would hide one that is needed."""
    needed = {"sbe_codegen", "numpy", "Cython", "cython"}
    return keyword.iskeyword(name) or name in needed or name in sys.stdlib_module_names


def read(schema_file: Path, conventions: Conventions | None = None) -> ir.Module:
    """The resolved schema. Raises SchemaError."""
    return resolver.resolve(parser.parse(schema_file), conventions)


def write(module: ir.Module, source: str, directory: Path, name: str) -> Path:
    """Writes ``<name>.pxd``, ``.pyx`` and ``.pyi`` into ``directory``; returns the ``.pyx``.

    ``source`` is the schema's name for the first line. Files that would not change are left alone.
    """
    directory.mkdir(parents=True, exist_ok=True)
    for file, text in renderer.render(module, source, name).items():
        path = directory / file
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
    return directory / f"{name}.pyx"


def generate(
    schema_file: Path,
    directory: Path,
    name: str | None = None,
    conventions: Conventions | None = None,
    messages: Iterable[str | int] | None = None,
) -> Path:
    """`read` and `write`; ``name`` defaults to the schema's package, ``messages`` to all.

    Raises SchemaError, and UnknownName for messages.
    """
    module = read(schema_file, conventions)
    if messages is not None:
        module = selection.only(module, messages)
    return write(module, schema_file.name, directory, name or module_name(module.package))


def runtime_sources() -> dict[str, Path]:
    """Module name -> source of the hand-written Cython modules."""
    found = sorted((_HERE / "runtime").rglob("*.pyx"))
    return {".".join(path.relative_to(_HERE.parent).with_suffix("").parts): path for path in found}


def build(
    schema_file: Path,
    directory: Path,
    name: str | None = None,
    conventions: Conventions | None = None,
    progress: Progress = _silent,
    messages: Iterable[str | int] | None = None,
) -> Path:
    """Compiles the decoders of ``schema_file`` to a module in ``directory``; returns its file.

    ``name`` may have dots: then it is a module inside packages, which are made where they are not
    there. ``messages`` are names or template ids of those that are wanted, None for all.
    ``progress`` is told what is being done. Raises SchemaError, and UnknownName for messages; a
    compiler that fails or is missing raises setuptools' CompileError.
    """
    module = read(schema_file, conventions)
    if messages is not None:
        module = selection.only(module, messages)
    progress(f"{counted(len(module.messages), 'message')} of {module.package}: generating")
    name = name or module_name(module.package)
    package, _, stem = name.rpartition(".")
    folder = directory.joinpath(*filter(None, package.split(".")))
    source = write(module, schema_file.name, folder, stem)
    parents = [folder, *folder.parents]
    for parent in parents[: parents.index(directory)]:
        (parent / "__init__.py").touch()
    path = compile_module(name, source, directory, progress)
    source.with_suffix(".c").unlink(missing_ok=True)
    return path


def compile_module(
    name: str,
    source: Path,
    directory: Path,
    progress: Progress = _silent,
    scratch: Path | None = None,
) -> Path:
    """Compiles the generated ``source`` to the module ``name`` under ``directory``.

    What is made on the way goes into ``scratch``, or a folder of its own that is removed.
    """
    from setuptools import Distribution
    from setuptools.command.build_ext import build_ext

    directory, source = directory.resolve(), source.resolve()
    made = extension(name, source.with_suffix(".c"))
    # What gcc warns of in generated code is nothing that its user could mend: it takes
    # for uninitialized what is only read where a call before it has not raised.
    made.extra_compile_args = [*made.extra_compile_args, "-w"]
    progress("translating to C")
    translate(name, source)
    with tempfile.TemporaryDirectory(prefix="sbe-codegen-", dir=scratch) as temporary:
        command = build_ext(Distribution({"ext_modules": [made]}))
        command.build_lib = str(directory)
        command.build_temp = temporary
        command.ensure_finalized()
        progress("compiling")
        command.run()
    return Path(command.get_ext_fullpath(name))
