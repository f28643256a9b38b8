"""Cython in a process of its own, which gives its memory back: hundreds of MB for a large schema.

There it knows ASCII names only, of which all generated code is. Its tables of the names that
Unicode allows take 150 MB and 0.3 s each time; in the caller's process, whose own Cython code may
have others, they stay as they are.
"""

from __future__ import annotations

import gc
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from .flags import extension, flags, switches

_HERE = Path(__file__).resolve().parent
_CODE = "from sbe_codegen.translating import main; main()"
_MOST = 4000  # characters of what Cython says are told


def cythonized(
    sources: dict[str, Path],
    root: Path | None,
    force: bool = False,
    shared: str | None = None,
) -> list[Any]:
    """Extensions for modules (name -> .pyx), translated to C; paths relative to ``root``.

    ``shared`` is the name of one more module: what of Cython's own code all of them need is there
    once (its memoryviews above all, which are 60 KB of a wheel and five seconds of a compiler).
    This process translates nothing with names that are not ASCII any more.
    """
    know_ascii_names_only()
    from Cython.Build import cythonize
    from setuptools import Extension

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
            **_options(root or Path()),
            shared_utility_qualified_name=shared,
            quiet=True,
            force=force,
            nthreads=os.cpu_count() or 1 if len(extensions) > 1 else 0,
        )
    )


def _options(root: Path) -> dict[str, Any]:
    """What Cython is told of all modules, those under ``root`` among them."""
    on = switches()
    directives = {
        "language_level": 3,
        "boundscheck": "debug" in on,
        "wraparound": False,
        "cdivision": True,
        "initializedcheck": False,
        "linetrace": "coverage" in on,
        "auto_pickle": False,
        "emit_code_comments": bool(on & {"annotate", "coverage"}),
        "warn.unused": False,
    }
    return {
        "include_path": [str(root), str(_HERE.parent)],
        "compiler_directives": directives,
        "annotate": "annotate" in on,
    }


def translate(name: str, source: Path) -> None:
    """The generated ``source`` of module ``name`` to C, beside it. CompileError where it can't."""
    from setuptools.errors import CompileError

    if not _is_python(sys.executable):
        _in_this_process(name, source)
        return
    paths = [str(Path(each).absolute()) for each in sys.path]
    made = subprocess.run(
        [sys.executable, "-P", "-c", _CODE, name, os.fspath(source)],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(paths)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        check=False,
    )
    if made.returncode:
        why = (made.stderr + made.stdout).strip()[:_MOST]
        if made.returncode < 0:
            why = f"signal {-made.returncode} has ended it; was there too little memory? {why}"
        raise CompileError(f"Cython refuses {source.name}: {why}")


def _is_python(executable: str | None) -> bool:
    """Whether that can be asked to run Python code: in a program that embeds it, it is another."""
    return bool(executable) and "python" in Path(executable or "").name.lower()


def _in_this_process(name: str, source: Path) -> None:
    from setuptools.errors import CompileError

    if not _one(name, source):
        raise CompileError(f"Cython refuses {source.name}: it has written why to standard error")


def _one(name: str, source: Path) -> bool:
    """Whether one module could be translated; nothing is looked for that it may depend on."""
    from Cython.Compiler import Main

    cython: Any = Main  # which has no types
    result = cython.compile(str(source), full_module_name=name, **_options(source.parent))
    return bool(result.num_errors == 0)


def know_ascii_names_only() -> None:
    """From now on, in this process: for one that translates no Cython code with other names.

    Where a release of Cython has its tables elsewhere, they stay as they are.
    """
    from Cython.Compiler import Lexicon

    for name in ("unicode_start_ch_any", "unicode_continuation_ch_any"):
        found = getattr(Lexicon, name, "")
        setattr(Lexicon, name, "".join(filter(str.isascii, found)) or "_")
    for name in ("unicode_start_ch_range", "unicode_continuation_ch_range"):
        found = getattr(Lexicon, name, "")  # pairs: the first character, and the last
        pairs = [found[i : i + 2] for i in range(0, len(found), 2)]
        setattr(Lexicon, name, "".join(filter(str.isascii, pairs)) or "__")


def main() -> None:
    gc.set_threshold(10_000, 10, 10)  # a fifth of the time is the collector's, which finds nothing
    know_ascii_names_only()
    name, source = sys.argv[1:]
    if not _one(name, Path(source)):
        sys.exit(1)
