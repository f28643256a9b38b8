"""The rooms of the two packages, and which of them may import which.

The layout is told in docs/design.md. What is read here are the imports and cimports of all files
that are written by hand, also those inside functions and of types only.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
GENERATED = ("spot_stream", "spot_sbe", "fix_sbe")
IMPORT = re.compile(
    r"^[ \t]*(?:from[ \t]+(?P<of>[.\w]+)[ \t]+c?import[ \t]+(?P<names>\([^)]*\)|[^\n#]+)"
    r"|c?import[ \t]+(?P<whole>[\w.]+))",
    re.MULTILINE,
)

# Floors of binance_sbe, from the ground up: a room imports rooms of floors below its own, only.
FLOORS = (
    {"keys", "headers", "asynchronous", "route"},
    {"output"},
    {"errors"},
    {"logs"},
    {"generated"},
    {"venue"},
    {"api"},
    {"feed.settings"},
    {"feed.intake", "feed.protocol", "feed.html"},
    {"feed.recording", "feed.shells"},
    {"feed.ledger"},
    {"feed.remarks"},
    {"feed.engine"},
    {"feed.transport"},
    {"feed"},
    {"books"},
    {"tape"},
    {"lake"},
    {"live"},
    {"sync"},
    {"replayed"},
    {"serving"},
    {"simulator"},
    {"commands"},
    {"names"},
)
# Public names of the package that point into rooms.
NAMES = {
    "binance_sbe",
    *(
        f"binance_sbe.{name}"
        for name in (
            "__main__", "book", "book_core", "fix", "levels", "lifecycle", "metrics", "rest",
            "tape", "websocket_api", "ws_api",
        )
    ),
}  # fmt: skip


class Import(NamedTuple):
    path: Path
    line: int
    module: str  # that imports
    target: str  # a module or package

    def __str__(self) -> str:
        return f"{self.path.relative_to(ROOT)}:{self.line}: {self.module} imports {self.target}"


def modules() -> dict[str, Path]:
    """Every module of both packages by its dotted name; of several files, each under its name."""
    found = {}
    for package in ("binance_sbe", "sbe_codegen"):
        for path in sorted((ROOT / package).rglob("*.p*")):
            if path.suffix in (".py", ".pyx", ".pxd"):
                name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
                found[f"{name.removesuffix('.__init__')}{path.suffix}"] = path
    return found


KNOWN = {re.sub(r"\.(py|pyx|pxd)$", "", name) for name in modules()}
KNOWN |= {f"binance_sbe.{name}" for name in GENERATED}


def imports() -> Iterator[Import]:
    for name, path in modules().items():
        if path.stem in GENERATED:
            continue
        module = re.sub(r"\.(py|pyx|pxd)$", "", name)
        package = module if path.stem == "__init__" else module.rpartition(".")[0]
        text = path.read_text(encoding="utf-8")
        for found in IMPORT.finditer(text):
            line = text.count("\n", 0, found.start()) + 1
            if found["whole"]:
                targets = [found["whole"]]
            else:
                of = absolute(found["of"], package)
                names = re.findall(r"(\w+)(?:\s+as\s+\w+)?", found["names"].strip("()"))
                inner = [f"{of}.{each}" for each in names if f"{of}.{each}" in KNOWN]
                targets = inner or [of]
            for target in targets:
                if target in KNOWN:
                    yield Import(path, line, module, target)


def absolute(name: str, package: str) -> str:
    dots = len(name) - len(name.lstrip("."))
    if not dots:
        return name
    base = package.split(".")
    base = base[: len(base) - dots + 1]
    return ".".join([*base, name[dots:]] if name[dots:] else base)


def room(module: str) -> str:
    """The room of a module of binance_sbe, as FLOORS names it."""
    if module in NAMES:
        return "names"
    short = module.removeprefix("binance_sbe.")
    if short in GENERATED:
        return "generated"
    rooms = {each for floor in FLOORS for each in floor}
    while short not in rooms:
        short, _, _ = short.rpartition(".")
        assert short, f"{module} is in no room: is it at the top of binance_sbe?"
    return short


def floor(name: str) -> int:
    return next(i for i, rooms in enumerate(FLOORS) if name in rooms)


@pytest.fixture(scope="module")
def found() -> list[Import]:
    every = list(imports())
    assert len(every) > 300  # else the files are not read as they should be
    return every


def test_rooms_import_what_is_below_them_only(found: list[Import]) -> None:
    wrong = []
    for each in found:
        if not each.module.startswith("binance_sbe") or not each.target.startswith("binance_sbe"):
            continue
        here, there = room(each.module), room(each.target)
        if here != there and floor(there) >= floor(here):
            wrong.append(str(each))
    assert not wrong, "\n".join(wrong)


def test_the_compiler_does_not_know_binance_sbe(found: list[Import]) -> None:
    wrong = [
        str(each)
        for each in found
        if each.module.startswith("sbe_codegen") and each.target.startswith("binance_sbe")
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    ("house", "others"),
    [("decode", ("tables", "encode")), ("tables", ("encode",)), ("encode", ("tables",))],
)
def test_houses_of_the_runtime_do_not_know_each_other(
    found: list[Import], house: str, others: tuple[str, ...]
) -> None:
    """But for decoding, on which the others stand."""
    wrong = [
        str(each)
        for each in found
        if each.module.startswith(f"sbe_codegen.runtime.{house}")
        and each.target.startswith(tuple(f"sbe_codegen.runtime.{other}" for other in others))
    ]
    assert not wrong, "\n".join(wrong)


def test_what_runs_at_import_does_not_need_the_compiler(found: list[Import]) -> None:
    """The runtime uses the small parts of the compiler's package that need no other package."""
    allowed = {"sbe_codegen.errors", "sbe_codegen.extras", "sbe_codegen.pages"}
    allowed |= {"sbe_codegen.printing", "sbe_codegen.version", "sbe_codegen"}
    wrong = [
        str(each)
        for each in found
        if each.module.startswith(("sbe_codegen.runtime", "binance_sbe"))
        and each.target.startswith("sbe_codegen")
        and not each.target.startswith("sbe_codegen.runtime")
        and each.target not in allowed
    ]
    assert not wrong, "\n".join(wrong)


NEVER = [
    ("binance_sbe.feed.protocol", r"^(asyncio|cython|socket|threading|time)$|intake|transport"),
    ("binance_sbe.feed.intake", r"^(asyncio|socket|threading)$|ledger$|transport"),
    ("binance_sbe.feed.engine", r"^(asyncio|socket|threading)$"),
]


@pytest.mark.parametrize(("part", "never"), NEVER, ids=[part for part, _ in NEVER])
def test_some_parts_never_import_some_others(part: str, never: str) -> None:
    wrong = []
    for name, path in modules().items():
        if not name.startswith(part):
            continue
        text = path.read_text(encoding="utf-8")
        for found in IMPORT.finditer(text):
            target = found["whole"] or found["of"]
            names = found["names"] or ""
            if re.search(never, target) or re.search(r"\bimport\s+asyncio", names):
                line = text.count("\n", 0, found.start()) + 1
                wrong.append(f"{path.relative_to(ROOT)}:{line}: {name} imports {target}")
    assert not wrong, "\n".join(wrong)


def test_there_are_no_circles(found: list[Import]) -> None:
    """Of modules. A package that only holds modules is no part of one."""
    graph: dict[str, dict[str, Import]] = defaultdict(dict)
    for each in found:
        if each.target != each.module and each.module not in NAMES:
            graph[each.module][each.target] = each
    done: set[str] = set()

    def follow(module: str, way: list[str]) -> None:
        if module in way:
            circle = [*way[way.index(module) :], module]
            steps = [graph[a][b] for a, b in pairwise(circle)]
            pytest.fail("a circle:\n" + "\n".join(map(str, steps)))
        if module in done:
            return
        for target in graph[module]:
            follow(target, [*way, module])
        done.add(module)

    for module in list(graph):
        follow(module, [])
