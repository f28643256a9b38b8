"""What compilers are told.

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
import sysconfig
from pathlib import Path
from typing import Any

SWITCHES = frozenset({"debug", "sanitize", "coverage", "annotate", "native"})


def switches() -> frozenset[str]:
    given = frozenset(filter(None, os.environ.get("SBE_BUILD", "").replace(" ", "").split(",")))
    if given - SWITCHES:
        unknown = ", ".join(sorted(given - SWITCHES))
        raise SystemExit(f"SBE_BUILD: no switch {unknown}; there are {', '.join(sorted(SWITCHES))}")
    return given


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
        compile_flags += ["-O3", "-g0", "-fno-plt", *_thrift()]
    if "sanitize" in on:
        sanitizers = ["-fsanitize=address,undefined", "-fno-sanitize-recover=undefined"]
        compile_flags += [*sanitizers, "-fno-omit-frame-pointer"]
        link_flags += sanitizers
    if "native" in on:
        compile_flags.append("-march=native")
    return compile_flags, link_flags


def _thrift() -> list[str]:
    """gcc gives back what it does not need more often: for 92 messages 191 MB and not 359."""
    compiler = os.environ.get("CC") or sysconfig.get_config_var("CC") or ""
    heap = ["--param=ggc-min-expand=30", "--param=ggc-min-heapsize=65536"]
    return heap if "gcc" in compiler else []


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
