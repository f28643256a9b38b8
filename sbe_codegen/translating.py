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
        why = (made.stderr + made.stdout).strip()[-_MOST:]
        if made.returncode < 0:
            why = f"signal {-made.returncode} has ended it; was there too little memory? {why}"
        raise CompileError(f"Cython refuses {source.name}: {why}")


def _is_python(executable: str | None) -> bool:
    """Whether that can be asked to run Python code: in a program that embeds it, it is another."""
    return bool(executable) and "python" in Path(executable or "").name.lower()


def _in_this_process(name: str, source: Path) -> None:
    from Cython.Compiler.Errors import CompileError as CythonError
    from setuptools.errors import CompileError

    try:
        cythonized({name: source}, None, ascii_names=False)
    except CythonError as error:
        raise CompileError(f"Cython refuses {source.name}: {error}") from None


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
    name, source = sys.argv[1:]
    cythonized({name: Path(source)}, None)
