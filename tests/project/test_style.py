"""Lint, types and stubs hold, and the layout of the project."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
GENERATED = ("spot_stream", "spot_sbe", "fix_sbe")


def check(*command: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", *command], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_ruff_finds_nothing() -> None:
    check("ruff", "check", "--no-cache", ".")
    check("ruff", "format", "--no-cache", "--check", ".")


def test_mypy_finds_nothing() -> None:
    check("mypy")


def test_the_stubs_agree_with_the_modules() -> None:
    check("mypy.stubtest", "--ignore-missing-stub", "--ignore-disjoint-bases",
          "binance_sbe", "sbe_codegen.runtime")  # fmt: skip


def test_the_stub_of_the_stream_module_types_a_program(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(
        "from typing import assert_type\n"
        "from binance_sbe import BestBidAskStreamEvent, decode, decode_many\n"
        "message = decode(b'')\n"
        "if isinstance(message, BestBidAskStreamEvent):\n"
        "    assert_type(message.bid_price, int)\n"
        "    assert_type(message.bid_price_float, float)\n"
        "    assert_type(message.symbol, str)\n"
        "    assert_type(message.astuple(), tuple[int, int, int, int, int, int, int, int, str])\n"
        "assert_type(len(decode_many([b'', bytearray()])), int)\n"
    )
    check("mypy", "--strict", "--config-file", "", str(program))


def test_importing_loads_no_compiler_and_no_websockets() -> None:
    heavy = (
        "lxml", "jinja2", "Cython", "websockets", "asyncio", "sbe_codegen.parser", "rich",
        "importlib.metadata", "socket", "html", "sbe_codegen.runtime.framing",
    )  # fmt: skip
    code = (
        "import sys, numpy; before = set(sys.modules); import binance_sbe; binance_sbe.decode;"
        f"print([m for m in {heavy!r} if m in sys.modules and m not in before])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_compiler_has_never_heard_of_binance() -> None:
    allowed = re.compile(r'binance-sbe (decodes|needs)|DISTRIBUTION = "binance-sbe')
    for path in (ROOT / "sbe_codegen").rglob("*"):
        if path.suffix in (".py", ".pyx", ".pxd", ".pyi", ".jinja"):
            for line in path.read_text(encoding="utf-8").splitlines():
                assert "binance" not in allowed.sub("", line).lower(), (path, line)


def test_files_are_short_enough_to_read() -> None:
    for package in ("sbe_codegen", "binance_sbe"):
        for path in (ROOT / package).rglob("*"):
            is_code = path.suffix in (".py", ".pyx", ".pxd", ".pyi", ".jinja")
            if is_code and path.stem not in GENERATED:
                assert len(path.read_text(encoding="utf-8").splitlines()) <= 400, path


# Lines of more than 100 characters that are left, by file: fewer with every change, never more.
WIDE = {
    "batch.pyx": 1, "book_handler.pyx": 1, "cursor.pxd": 1, "kinds.pxd": 1, "loads.pxd": 1,
    "module.pyx.jinja": 5, "reader.pyx": 9, "reuse.pxd": 6, "rows.pxd": 1, "rows.pyx": 3,
    "runs.pyx": 1, "tables.pxd": 1, "walks.jinja": 5,
}  # fmt: skip


def not_python() -> list[Path]:
    """What ruff does not read: Cython, stubs of it, and templates, unless they are generated."""
    found = [
        path
        for folder in ("sbe_codegen", "binance_sbe", "examples", "benchmarks", "tests")
        for ending in ("pyx", "pxd", "pyi", "jinja")
        for path in (ROOT / folder).rglob(f"*.{ending}")
    ]
    return [path for path in found if path.stem not in GENERATED]


def test_cython_and_templates_are_laid_out_as_python_is() -> None:
    """Line by line, by the rules of ruff for any text (E501, W191, W291, W292, W293, W391)."""
    paths = not_python()
    assert {path.suffix for path in paths} == {".pyx", ".pxd", ".pyi", ".jinja"}
    for path in paths:
        text = path.read_text(encoding="utf-8")
        lines = text.split("\n")
        assert lines[-1] == "", f"{path}: no end of line at the end"
        assert len(lines) < 3 or lines[-2] != "", f"{path}: blank lines at the end"
        for number, line in enumerate(lines, 1):
            assert line == line.rstrip(), f"{path}:{number}: blanks at the end of a line"
            assert "\t" not in line, f"{path}:{number}: a tab"
        wide = [number for number, line in enumerate(lines, 1) if len(line) > 100]
        assert len(wide) <= WIDE.get(path.name, 0), f"{path}: lines {wide} are too long"


def test_cython_is_made_of_modules() -> None:
    """No text is put into another, and no constant is one of the compiler's."""
    assert not list(ROOT.glob("*_*/**/*.pxi"))
    for path in not_python():
        if path.suffix in (".pyx", ".pxd"):
            for line in path.read_text(encoding="utf-8").splitlines():
                assert not re.match(r"\s*(include\s+['\"]|DEF\s|IF\s.*:$)", line), (path, line)


def test_cython_explains_its_modules() -> None:
    for path in not_python():
        if path.suffix == ".pyx":
            text = re.sub(r"\A(#.*\n|\s)*", "", path.read_text(encoding="utf-8"))
            assert text.startswith('"""'), f"{path}: no docstring"


def test_no_build_product_is_in_git() -> None:
    if not (ROOT / ".git").exists():
        pytest.skip("not a checkout")
    tracked = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    assert not [
        f
        for f in tracked
        if re.search(r"\.(so|c|cpp|o)$|binance_sbe/(spot_stream|spot_sbe|fix_sbe)\.", f)
    ]
