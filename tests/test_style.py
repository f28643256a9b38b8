"""Lint, types and stubs hold, and the layout of the project."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
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
    heavy = "lxml", "jinja2", "Cython", "websockets", "asyncio", "sbe_codegen.parser", "rich"
    code = f"import sys, binance_sbe; print([m for m in {heavy!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_compiler_has_never_heard_of_binance() -> None:
    allowed = re.compile(
        r'binance-sbe (decodes|needs)|README of binance-sbe|DISTRIBUTION = "binance-sbe'
    )
    for path in (ROOT / "sbe_codegen").rglob("*"):
        if path.suffix in (".py", ".pyx", ".pxd", ".pyi", ".jinja"):
            for line in path.read_text(encoding="utf-8").splitlines():
                assert "binance" not in allowed.sub("", line).lower(), (path, line)


def test_files_are_short_enough_to_read() -> None:
    for path in [*ROOT.glob("sbe_codegen/**/*.py*"), *ROOT.glob("binance_sbe/**/*.py")]:
        if path.suffix in (".py", ".pyx", ".pxd") and path.stem not in GENERATED:
            assert len(path.read_text(encoding="utf-8").splitlines()) <= 400, path


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
