"""Text -> compiled extensions. All reading and writing of files, and all compiler flags, are here.

The environment variable SBE_BUILD is a comma-separated list of switches:

- ``debug``     no optimisation, Cython's own bounds checks on
- ``sanitize``  AddressSanitizer and UndefinedBehaviorSanitizer
- ``coverage``  line tracing of Cython code
- ``annotate``  Cython's HTML reports beside the sources
- ``native``    code for this machine's processor only (-march=native)
"""

from __future__ import annotations

import keyword
import os
import sys
import sysconfig
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from . import ir, names, parser, renderer, resolver, selection
from .conventions import Conventions
from .translating import know_ascii_names_only, translate

SWITCHES = frozenset({"debug", "sanitize", "coverage", "annotate", "native"})
Progress = Callable[[str], None]
_LARGE = 800_000  # bytes of generated Cython: some sixty messages
_HERE = Path(__file__).resolve().parent


def _silent(_: str) -> None:
    pass


def switches() -> frozenset[str]:
    given = frozenset(filter(None, os.environ.get("SBE_BUILD", "").replace(" ", "").split(",")))
    if given - SWITCHES:
        unknown = ", ".join(sorted(given - SWITCHES))
        raise SystemExit(f"SBE_BUILD: no switch {unknown}; there are {', '.join(sorted(SWITCHES))}")
    return given


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


def flags() -> tuple[list[str], list[str]]:
    """Compiler and linker flags. Portable by default: nothing of this machine's processor."""
    on = switches()
    compile_flags = ["-std=c11", "-Wno-unused-function", "-fno-strict-aliasing"]
    link_flags: list[str] = []
    if "debug" in on:
        compile_flags += ["-O0", "-g"]
    elif "sanitize" in on:
        compile_flags += ["-O1", "-g1"]
    else:
        compile_flags += ["-O3", "-g0", "-fno-plt"]
    if "sanitize" in on:
        sanitizers = ["-fsanitize=address,undefined", "-fno-sanitize-recover=undefined"]
        compile_flags += [*sanitizers, "-fno-omit-frame-pointer"]
        link_flags += sanitizers
    if "native" in on:
        compile_flags.append("-march=native")
    return compile_flags, link_flags


def of_large(flags: list[str]) -> list[str]:
    """Compiler flags for a module of many messages, where -O3 takes half as long again as -O2.

    Most of it is never hot. gcc gives back what it does not need more often, too: that takes a
    fifth more of the time and a third less memory.
    """
    made = ["-O2" if flag == "-O3" else flag for flag in flags]
    compiler = os.environ.get("CC") or sysconfig.get_config_var("CC") or ""
    if "gcc" in compiler:
        made += ["--param=ggc-min-expand=5", "--param=ggc-min-heapsize=32768"]
    return made


def runtime_sources() -> dict[str, Path]:
    """Module name -> source of the hand-written Cython modules."""
    found = sorted((_HERE / "runtime").rglob("*.pyx"))
    return {".".join(path.relative_to(_HERE.parent).with_suffix("").parts): path for path in found}


def extension(name: str, source: Path) -> Any:
    """One of a module written in Cython, or in the C that Cython has made of it."""
    import numpy
    from setuptools import Extension

    if sys.byteorder != "little":
        raise SystemExit("binance-sbe decodes in place and needs a little-endian machine.")
    compile_flags, link_flags = flags()
    macros: list[tuple[str, str | None]] = [("NPY_NO_DEPRECATED_API", "NPY_1_7_API_VERSION")]
    if "coverage" in switches():
        macros.append(("CYTHON_TRACE_NOGIL", "1"))
    return Extension(
        name,
        [str(source)],
        include_dirs=[numpy.get_include()],
        define_macros=macros,
        extra_compile_args=compile_flags,
        extra_link_args=link_flags,
    )


def cythonized(
    sources: dict[str, Path],
    root: Path | None,
    force: bool = False,
    shared: str | None = None,
    ascii_names: bool = True,
) -> list[Any]:
    """Extensions for modules (name -> .pyx), translated to C; paths relative to ``root``.

    ``shared`` is the name of one more module: what of Cython's own code all of them need is there
    once (its memoryviews above all, which are 60 KB of a wheel and five seconds of a compiler).
    With ``ascii_names`` this process translates nothing with other names any more.
    """
    if ascii_names:
        know_ascii_names_only()
    from Cython.Build import cythonize
    from setuptools import Extension

    on = switches()
    compile_flags, link_flags = flags()
    extensions = [
        extension(name, path if root is None else Path(os.path.relpath(path, root)))
        for name, path in sources.items()
    ]
    if shared is not None:
        made = f"{shared.replace('.', '/')}.c"
        extensions.append(
            Extension(shared, [made], extra_compile_args=compile_flags, extra_link_args=link_flags)
        )
    return list(
        cythonize(  # type: ignore[no-untyped-call]
            extensions,
            include_path=[str(root or Path()), str(_HERE.parent)],
            compiler_directives={
                "language_level": 3,
                "boundscheck": "debug" in on,
                "wraparound": False,
                "cdivision": True,
                "initializedcheck": False,
                "linetrace": "coverage" in on,
                "auto_pickle": False,
                "emit_code_comments": bool(on & {"annotate", "coverage"}),
                "warn.unused": False,
            },
            annotate="annotate" in on,
            shared_utility_qualified_name=shared,
            quiet=True,
            force=force,
            nthreads=os.cpu_count() or 1 if len(extensions) > 1 else 0,
        )
    )


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
    count = len(module.messages)
    progress(f"{count} message{'s' * (count != 1)} of {module.package}: generating")
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
    if source.stat().st_size > _LARGE:
        made.extra_compile_args = of_large(made.extra_compile_args)
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
