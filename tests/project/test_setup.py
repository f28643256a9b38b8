"""What a build leaves to the next one: setup.py with a compiler that does as it is told."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
SUFFIX = sysconfig.get_config_var("EXT_SUFFIX")

PROJECT = """[project]
name = "tree"
version = "1"
[tool.setuptools]
packages = []
"""
# In place of the compiler of schemas: C files that are there, and a note of what was asked for.
BUILDER = """
import os
from pathlib import Path
from setuptools import Extension

def switches():
    return frozenset(filter(None, os.environ.get("SBE_BUILD", "").split(",")))

def runtime_sources():
    return {"sbe_codegen.runtime.decode.cursor": Path("sbe_codegen/runtime/decode/cursor.pyx")}

def generate(schema, directory, name, conventions):
    return Path(directory) / f"{name}.pyx"

def cythonized(sources, root, force=False, shared=None):
    with open("asked", "a") as asked:
        asked.write("anew\\n" if force else "as needed\\n")
    made = []
    for name in [*sources, shared]:
        path = Path(name.replace(".", "/") + ".c")
        path.parent.mkdir(parents=True, exist_ok=True)
        if force or not path.exists():
            if name != shared:
                path.with_suffix(".pyx").touch()
            path.write_text("")
        made.append(Extension(name, [str(path)], extra_compile_args=["-O3"]))
    return made
"""
# In place of the compiler of C: notes what it makes, unless it ends who asked for it.
COMPILER = """#!/bin/sh
case $HOW in kill) kill -9 $PPID; exit 1 ;; esac
while [ $# -gt 1 ]; do
    [ "$1" = -o ] && echo "$SBE_BUILD" > "$2"
    shift
done
"""


class Tree:
    """A copy of setup.py, with what it asks replaced."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.told: list[str] = []  # by the last build, on standard error
        shutil.copy(ROOT / "setup.py", root)
        (root / "pyproject.toml").write_text(PROJECT)
        (root / "sbe_codegen").mkdir()
        (root / "sbe_codegen" / "__init__.py").touch()
        (root / "sbe_codegen" / "builder.py").write_text(BUILDER)
        (root / "sbe_codegen" / "conventions.py").write_text("class Conventions: pass\n")
        (root / "binance_sbe" / "books").mkdir(parents=True)
        (root / "binance_sbe" / "books" / "book.pyx").touch()
        shutil.copytree(ROOT / "schemas", root / "schemas", ignore=shutil.ignore_patterns("*.toml"))
        (root / "cc").write_text(COMPILER)
        (root / "cc").chmod(0o755)

    def build(self, switches: str = "", how: str = "well", modules: str = "all") -> tuple[int, str]:
        """Its exit code, and how it asked for the modules."""
        compiler = str(self.root / "cc")
        given = {"SBE_BUILD": switches, "SBE_MODULES": modules, "HOW": how}
        done = subprocess.run(
            [sys.executable, "setup.py", "-q", "build_ext", "--inplace"],
            cwd=self.root, env=os.environ | given | {"CC": compiler, "LDSHARED": compiler},
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        self.told = done.stderr.splitlines()
        asked = self.root / "asked"
        said = asked.read_text().split("\n")[-2] if asked.exists() else done.stderr
        asked.unlink(missing_ok=True)
        return done.returncode, said

    @property
    def stamp(self) -> str | None:
        path = self.root / "build" / "switches"
        return path.read_text() if path.exists() else None

    def switches_of(self, module: str) -> str | None:
        """With which the module that lies there was compiled, None where there is none."""
        path = self.root / f"{module.replace('.', '/')}{SUFFIX}"
        return path.read_text().strip() if path.exists() else None


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path)


def test_a_build_with_the_switches_of_the_last_makes_what_is_needed(tree: Tree) -> None:
    assert tree.build() == (0, "as needed")
    assert tree.stamp == ""
    assert tree.build() == (0, "as needed")
    assert tree.build("sanitize,debug") == (0, "anew")
    assert tree.stamp == "debug,sanitize"
    assert tree.build("debug,sanitize") == (0, "as needed")
    assert tree.build() == (0, "anew")
    assert tree.switches_of("binance_sbe.books.book") == ""


def test_a_build_tells_which_of_how_many_modules_it_has_made(tree: Tree) -> None:
    assert tree.build()[0] == 0
    assert tree.told[0].startswith("translating to C: 5 of 5 modules, ")
    compiled = [re.fullmatch(r"\[ (\d) of 6\] compiled ([\w.]+) in \d+ s", line)
                for line in tree.told[1:]]  # fmt: skip
    assert sorted(found[1] for found in compiled if found) == list("123456")
    assert "binance_sbe.spot_sbe" in [found[2] for found in compiled if found]
    assert tree.build()[0] == 0
    assert tree.told == []  # nothing was to be done
    source = tree.root / "binance_sbe" / "fix_sbe.pyx"
    os.utime(source, (source.stat().st_mtime + 9,) * 2)
    assert tree.build()[0] == 0
    assert tree.told[0].startswith("translating to C: 1 of 5 modules, ")


def test_after_a_build_that_did_not_end_all_is_built_anew(tree: Tree) -> None:
    """Or what it made with other switches would pass for what the next one would make."""
    assert tree.build() == (0, "as needed")
    code, asked = tree.build("sanitize", how="kill")
    assert (code == 0, asked) == (False, "anew")
    assert tree.stamp is None
    assert tree.build() == (0, "anew")
    assert (tree.stamp, tree.switches_of("binance_sbe.books.book")) == ("", "")


def test_modules_of_other_switches_do_not_stay_beside_those_of_these(tree: Tree) -> None:
    assert tree.build("sanitize") == (0, "as needed")
    assert tree.build(modules="live") == (0, "anew")
    assert tree.switches_of("binance_sbe.spot_stream") == ""
    assert tree.switches_of("binance_sbe.spot_sbe") is None
    assert tree.build() == (0, "as needed")
    assert tree.switches_of("binance_sbe.spot_sbe") == tree.stamp == ""


def test_a_build_of_nothing_leaves_what_is_there(tree: Tree) -> None:
    assert tree.build() == (0, "as needed")
    assert tree.build("sanitize", modules="none")[0] == 0
    assert (tree.stamp, tree.switches_of("binance_sbe.books.book")) == ("", "")
    assert tree.build() == (0, "as needed")


def test_a_module_whose_source_is_gone_is_removed(tree: Tree) -> None:
    assert tree.build()[0] == 0
    for ending in (".pyx", ".c"):
        shutil.copy(tree.root / "binance_sbe/books/book.c", tree.root / f"binance_sbe/old{ending}")
    (tree.root / f"binance_sbe/old{SUFFIX}").touch()
    assert tree.build()[0] == 0
    assert (tree.root / f"binance_sbe/old{SUFFIX}").exists()
    assert tree.switches_of("sbe_codegen.runtime.cython_shared") == ""  # it never had one
    (tree.root / "binance_sbe/old.pyx").unlink()
    assert tree.build()[0] == 0
    assert [path.name for path in (tree.root / "binance_sbe").glob("old*")] == []
    assert tree.switches_of("binance_sbe.books.book") == ""


def test_which_modules_are_built_is_chosen(tree: Tree) -> None:
    code, said = tree.build(modules="some")
    assert (code == 0, "SBE_MODULES is all, live, none, not 'some'" in said) == (False, True)
    assert tree.build(modules="live")[0] == 0
    assert tree.switches_of("binance_sbe.spot_stream") == ""
    assert tree.switches_of("binance_sbe.fix_sbe") is None
    assert tree.build()[0] == 0
    assert tree.switches_of("binance_sbe.fix_sbe") == ""
