"""Text -> compiled extensions. All reading and writing of files, and all compiler flags, are here.

The environment variable SBE_BUILD is a comma-separated list of switches:

- ``debug``     no optimisation, Cython's own bounds checks on
- ``sanitize``  AddressSanitizer and UndefinedBehaviorSanitizer
- ``coverage``  line tracing of Cython code
- ``annotate``  Cython's HTML reports beside the sources
- ``native``    code for this machine's processor only (-march=native)
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from . import parser, renderer, resolver

SWITCHES = frozenset({"debug", "sanitize", "coverage", "annotate", "native"})
_HERE = Path(__file__).resolve().parent
_RUNTIME = (
    "arrays",
    "blocks",
    "batch",
    "cursor",
    "elements",
    "frames",
    "message",
    "rows",
    "scaling",
    "tables",
    "values",
)


def switches() -> frozenset[str]:
    given = frozenset(filter(None, os.environ.get("SBE_BUILD", "").replace(" ", "").split(",")))
    if given - SWITCHES:
        unknown = ", ".join(sorted(given - SWITCHES))
        raise SystemExit(f"SBE_BUILD: no switch {unknown}; there are {', '.join(sorted(SWITCHES))}")
    return given


def generate(schema_file: Path, directory: Path, name: str | None = None) -> Path:
    """Writes ``<name>.pxd``, ``.pyx`` and ``.pyi`` into ``directory``; returns the ``.pyx``.

    ``name`` defaults to the schema's package. Files that would not change are left alone.
    Raises SchemaError.
    """
    module = resolver.resolve(parser.parse(schema_file))
    name = name or module.package.replace(".", "_")
    directory.mkdir(parents=True, exist_ok=True)
    for file, text in renderer.render(module, schema_file.name, name).items():
        path = directory / file
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
    return directory / f"{name}.pyx"


def flags() -> tuple[list[str], list[str]]:
    """Compiler and linker flags. Portable by default: nothing of this machine's processor."""
    on = switches()
    compile_flags = ["-std=c11", "-Wno-unused-function", "-fno-strict-aliasing"]
    link_flags: list[str] = []
    if "debug" in on:
        compile_flags += ["-O0", "-g"]
    elif "sanitize" in on:
        compile_flags += ["-O1", "-g"]
    else:
        compile_flags += ["-O3", "-g0", "-fno-plt"]
    if "sanitize" in on:
        sanitizers = ["-fsanitize=address,undefined", "-fno-sanitize-recover=undefined"]
        compile_flags += [*sanitizers, "-fno-omit-frame-pointer"]
        link_flags += sanitizers
    if "native" in on:
        compile_flags.append("-march=native")
    return compile_flags, link_flags


def runtime_sources() -> dict[str, Path]:
    """Module name -> source of the hand-written Cython modules."""
    return {f"sbe_codegen.runtime.{name}": _HERE / "runtime" / f"{name}.pyx" for name in _RUNTIME}


def cythonized(sources: dict[str, Path], root: Path, force: bool = False) -> list[Any]:
    """Extensions for modules (name -> .pyx), translated to C. Paths are relative to ``root``."""
    import numpy
    from Cython.Build import cythonize
    from setuptools import Extension

    if sys.byteorder != "little":
        raise SystemExit("binance-sbe decodes in place and needs a little-endian machine.")
    on = switches()
    compile_flags, link_flags = flags()
    macros: list[tuple[str, str | None]] = [("NPY_NO_DEPRECATED_API", "NPY_1_7_API_VERSION")]
    if "coverage" in on:
        macros.append(("CYTHON_TRACE_NOGIL", "1"))
    extensions = [
        Extension(
            name,
            [os.path.relpath(path, root)],
            include_dirs=[numpy.get_include()],
            define_macros=macros,
            extra_compile_args=compile_flags,
            extra_link_args=link_flags,
        )
        for name, path in sources.items()
    ]
    return list(
        cythonize(  # type: ignore[no-untyped-call]
            extensions,
            include_path=[str(root), str(_HERE.parent)],
            compiler_directives={
                "language_level": 3,
                "boundscheck": "debug" in on,
                "wraparound": False,
                "cdivision": True,
                "initializedcheck": False,
                "linetrace": "coverage" in on,
                "auto_pickle": False,
                "warn.unused": False,
            },
            annotate="annotate" in on,
            quiet=True,
            force=force,
        )
    )


def build(schema_file: Path, directory: Path, name: str | None = None) -> Path:
    """Compiles the decoders of ``schema_file`` to a module in ``directory``; returns its file.

    Raises SchemaError; a compiler that fails or is missing raises setuptools' CompileError.
    """
    from setuptools import Distribution
    from setuptools.command.build_ext import build_ext

    source = generate(schema_file, directory, name)
    previous = Path.cwd()
    os.chdir(directory)
    try:
        extensions = cythonized({source.stem: source}, directory)
        command = build_ext(Distribution({"ext_modules": extensions}))
        command.inplace = True
        command.build_temp = "build"
        command.ensure_finalized()
        command.run()
    finally:
        os.chdir(previous)
    return directory / str(command.get_ext_filename(source.stem))
