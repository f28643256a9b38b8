"""Cython in a process of its own, which gives its memory back: hundreds of MB for a large schema.

There it knows ASCII names only, of which all generated code is. Its tables of the names that
Unicode allows take 150 MB and 0.3 s each time; in the caller's process, whose own Cython code may
have others, they stay as they are.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

_CODE = "from sbe_codegen.translating import main; main()"
_MOST = 4000  # characters of what Cython says are told


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

    from .builder import cythonized

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
    from .builder import cythonized

    name, source = sys.argv[1:]
    cythonized({name: Path(source)}, None)
