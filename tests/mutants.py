"""Changes single lines of the code, one at a time, and says which changes no test noticed.

    python tests/mutants.py [--sample 40] [--seed 1] [--of PATH ...] [--list] [--whole]

A mutant is the code with one small fault: a comparison that is off by one, a condition that is
always true, a counter that is not counted. The tests of the module (those named after it, and those
in the folder of its room that import it) are run on it. A mutant that they let pass shows a
behaviour without a test, or a line without a use. With ``--whole``, those that get past them meet
all that ``make test`` runs; so do those of modules without such tests.

The sample is drawn from a seed, so that a score can be repeated. Everything happens in a copy of
the tree, in ``build/mutants``; Cython modules are compiled anew there, one at a time.
"""

from __future__ import annotations

import argparse
import io
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
import tokenize
from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
COPY = ROOT / "build" / "mutants"
PACKAGES = ("binance_sbe", "sbe_codegen")
GENERATED = ("spot_stream", "spot_sbe", "fix_sbe")
TIMEOUT = 240.0  # seconds for the tests of one mutant: a mutant that hangs is noticed

# What a token may become.
SWAPS = {
    "<": ["<="], "<=": ["<"], ">": [">="], ">=": [">"], "==": ["!="], "!=": ["=="],
    "+": ["-"], "-": ["+"], "+=": ["-=", "="], "-=": ["+=", "="], "*": ["+"], "//": ["*"],
    "|=": ["="], "&": ["|"], "<<": [">>"], ">>": ["<<"],
    "and": ["or"], "or": ["and"], "True": ["False"], "False": ["True"],
    "min": ["max"], "max": ["min"], "break": ["continue"], "continue": ["break"],
}  # fmt: skip
# Lines whose change says nothing about behaviour.
IDLE = re.compile(
    r"\s*(#|@|from |import |cimport |cdef extern|def |async def |cpdef |class |cdef class |"
    r"assert |raise |pass$|else:|try:|finally:|except|log\.|_log\.|warnings\.|logger\.|"
    r"if TYPE_CHECKING|__all__|TypeVar|ctypedef |cdef (?!.*=))"
)
# A statement that does something beyond naming a value: what it leaves out shows.
STATEMENT = re.compile(r"\s*[a-z_]\w*([.\[][^=(]*[-+|&]?=[^=]|\s*[-+|&]=|[\w.]*\()")


@dataclass(frozen=True)
class Mutant:
    path: Path  # from the root of the tree
    line: int  # from 1
    before: str
    after: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}  `{self.before.strip()}` -> `{self.after.strip()}`"


def code_lines(text: str) -> dict[int, list[tokenize.TokenInfo]]:
    """The tokens of each line that is code: no comments, no texts, no lines that are idle."""
    lines: dict[int, list[tokenize.TokenInfo]] = defaultdict(list)
    written = text.splitlines()
    with suppress(tokenize.TokenError):
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            if token.type in (tokenize.NAME, tokenize.OP, tokenize.NUMBER):
                lines[token.start[0]].append(token)
    return {row: tokens for row, tokens in lines.items() if not IDLE.match(written[row - 1])}


def mutants_of(path: Path) -> Iterator[Mutant]:
    """Every change of this file that is tried."""
    text = (ROOT / path).read_text(encoding="utf-8")
    lines = text.splitlines()
    for row, tokens in code_lines(text).items():
        line = lines[row - 1]
        if (
            path.suffix == ".pyx" and line.strip() == "return 0"
        ):  # says only that nothing was raised
            continue
        for after in {*_swapped(line, tokens), *_without(line, lines, row), *_decided(line)}:
            if after != line:
                yield Mutant(path, row, line, after)


def _swapped(line: str, tokens: list[tokenize.TokenInfo]) -> Iterator[str]:
    for token in tokens:
        begin, end = token.start[1], token.end[1]
        others = SWAPS.get(token.string, [])
        if token.string in ("+", "-", "*", "<", ">", "&"):  # between two values, with blanks
            others = others if line[begin - 1 : begin] == " " == line[end : end + 1] else []
        if token.type == tokenize.NUMBER and re.fullmatch(r"\d+", token.string):
            others = [str(int(token.string) + 1)]
        if token.string == "not":
            if re.match(r" in\b", line[end:]):
                continue
            others, end = [""], end + 1
        if token.string == "is" and not line[end:].startswith(" not"):
            others = ["is not"]
        for other in others:
            yield line[:begin] + other + line[end:]


def _without(line: str, lines: list[str], row: int) -> Iterator[str]:
    """The line left out, where it is a statement of its own."""
    indent = line[: len(line) - len(line.lstrip())]
    whole = line.count("(") == line.count(")") and line.count("[") == line.count("]")
    if not indent or not whole or not STATEMENT.match(line) or line.rstrip().endswith((",", "\\")):
        return
    before = lines[row - 2].rstrip() if row > 1 else ""
    if before.endswith((":", ")", "]", '"""')) or not before or before[-1].isalnum():
        yield f"{indent}pass"


def _decided(line: str) -> Iterator[str]:
    if found := re.fullmatch(r"(\s*(?:el)?if )(.+):(\s*#.*)?", line):
        yield f"{found[1]}True:"
        yield f"{found[1]}False:"


def sources(of: list[str]) -> list[Path]:
    """The files of the packages that are code of ours, or those that were named."""
    found = []
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py*")):
            short = path.relative_to(ROOT)
            if path.suffix in (".py", ".pyx") and path.stem not in GENERATED:
                found.append(short)
    if of:
        found = [p for p in found if any(str(p).startswith(name) or p.stem == name for name in of)]
    return found


def sample(paths: list[Path], size: int, seed: int) -> list[Mutant]:
    """At random, each line of code as likely as any other."""
    chance = random.Random(seed)
    by_line: dict[tuple[Path, int], list[Mutant]] = defaultdict(list)
    for path in paths:
        for each in mutants_of(path):
            by_line[each.path, each.line].append(each)
    keys = sorted(by_line)
    return [
        chance.choice(sorted(by_line[key], key=lambda m: m.after))
        for key in chance.sample(keys, min(size, len(keys)))
    ]


def tests_of(path: Path) -> list[str]:
    """The test files of its own name, and those in the folder of its room that import it."""
    stem = path.stem if path.stem != "__init__" else path.parent.name
    own, others = [], []
    room = ROOT / "tests" / Path(*path.parent.parts[1:] or ("codegen",))
    for test in sorted((ROOT / "tests").rglob("test_*.py")):
        text = test.read_text(encoding="utf-8")
        names = "\n".join(
            re.findall(r"^\s*(?:from|import) [^(\n]*(?:\([^)]*\))?", text, re.MULTILINE)
        )
        if f"_{stem}_" in f"_{test.stem}_":  # `cli` is no part of `client`
            own.append(str(test.relative_to(ROOT)))
        elif room in test.parents and re.search(rf"\b{stem}\b", names):
            others.append(str(test.relative_to(ROOT)))
    return own + others


def copy_tree() -> None:
    """A copy of what git knows, and of what was compiled."""
    COPY.mkdir(parents=True, exist_ok=True)
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, check=True, capture_output=True,
    )  # fmt: skip
    names = [Path(name) for name in os.fsdecode(listed.stdout).split("\0") if name]
    for package in PACKAGES:
        for pattern in ("*.so", "*.c", "*.pyi", "*.pxd", "*.pyx"):
            names += [p.relative_to(ROOT) for p in (ROOT / package).rglob(pattern)]
    names.append(Path("build") / "switches")
    for name in dict.fromkeys(names):
        if (ROOT / name).is_file():
            (COPY / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, COPY / name)
    shared = COPY.parent / "shared"
    if (ROOT.parent / "shared").is_dir() and not shared.exists():
        shared.symlink_to(ROOT.parent / "shared")


def run(command: list[str], timeout: float) -> tuple[int | None, str]:
    """Exit code (None where the time was over) and output; the children end with it."""
    environment = dict(os.environ, PYTHONPATH=str(COPY), PYTHONDONTWRITEBYTECODE="1")
    process = subprocess.Popen(
        command, cwd=COPY, env=environment, text=True, start_new_session=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    try:
        output, _ = process.communicate(timeout=timeout)
        return process.returncode, output
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        return None, ""


def build() -> bool:
    code, _ = run([sys.executable, "setup.py", "-q", "build_ext", "--inplace"], 900.0)
    return code == 0


def tested(tests: list[str], timeout: float) -> str:
    """The first test that failed, "too long", or nothing: the mutant was not noticed."""
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-x",
        "-m",
        "not long",
        "-p",
        "no:cacheprovider",
    ]
    spread = ["-n", str(os.cpu_count()), "--dist", "loadfile"] if len(tests) > 1 else []
    code, output = run([*command, *spread, *tests], timeout)
    if code is None:
        return "it took too long"
    if code == 0:
        return ""
    found = re.search(r"^(?:FAILED|ERROR) (\S+)", output, re.MULTILINE)
    return found[1] if found else output.strip()[-200:] or f"exit code {code}"


def judged(mutant: Mutant, whole: bool) -> str | None:
    """What noticed the mutant; "" if nothing; None if it does not even compile."""
    path = COPY / mutant.path
    good = path.read_bytes()
    lines = good.decode().splitlines(keepends=True)
    lines[mutant.line - 1] = mutant.after + "\n"
    path.write_text("".join(lines), encoding="utf-8")
    try:
        if mutant.path.suffix == ".pyx" and not build():
            return None
        noticed = tested(tests_of(mutant.path), TIMEOUT) if tests_of(mutant.path) else ""
        if not noticed and whole:
            noticed = tested(["tests"], 1800.0)
        return noticed
    finally:
        path.write_bytes(good)
        if mutant.path.suffix == ".pyx":
            build()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--sample", type=int, default=40, help="how many changes are tried")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--of", action="append", default=[], help="a folder, a file or a module")
    parser.add_argument("--list", action="store_true", help="print the changes, and try none")
    parser.add_argument(
        "--whole", action="store_true", help="run all of `make test` on what is missed"
    )
    options = parser.parse_args()
    chosen = sample(sources(options.of), options.sample, options.seed)
    if not chosen:
        parser.error(f"no code is in {', '.join(options.of)}")
    if options.list:
        print(*chosen, sep="\n")
        return 0
    copy_tree()
    if not build() or (
        failed := tested(sorted({t for m in chosen for t in tests_of(m.path)}), 1800.0)
    ):
        print(f"the tests fail without any change: {failed}", file=sys.stderr)
        return 2
    score: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for mutant in chosen:
        started = time.monotonic()
        noticed = judged(mutant, options.whole)
        if noticed is None:
            continue
        package = str(mutant.path.parent)
        score[package][0] += bool(noticed)
        score[package][1] += 1
        seconds = time.monotonic() - started
        print(
            f"{'caught ' if noticed else 'MISSED '} {mutant}  [{noticed}, {seconds:.0f} s]",
            flush=True,
        )
    for package, (caught, tried) in sorted(score.items()):
        print(f"{package}: {caught} of {tried}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
