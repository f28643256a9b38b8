"""Environments of their own for tools that can't be in that of the tests."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


def python_with(name: str, *packages: str) -> str:
    """An interpreter that has these packages; made once, in build/tools.

    ``<NAME>_PYTHON`` in the environment names one that is there already. Where packages can't be
    installed for this interpreter the test is skipped, and says so.
    """
    given = os.environ.get(f"{name.upper()}_PYTHON")
    if given:
        return given
    version = "".join(map(str, sys.version_info[:2]))
    place = ROOT / "build" / "tools" / f"{name}-{version}"
    python = place / "bin" / "python"
    if not (place / "whole").exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(place)], check=True)
        done = subprocess.run(
            [str(python), "-m", "pip", "install", "-q", *packages],
            capture_output=True, text=True, timeout=900, check=False,
        )  # fmt: skip
        if done.returncode:
            pytest.skip(f"{' '.join(packages)} can't be installed: {done.stderr.strip()[-300:]}")
        (place / "whole").touch()
    return str(python)


def node_with(name: str, *packages: str) -> tuple[str, dict[str, str]]:
    """Node.js, and the environment in which it finds these packages; made once, in build/tools.

    Where there is no Node.js, or they can't be installed, the test is skipped, and says so.
    """
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        pytest.skip("there is no Node.js with npm")
    place = ROOT / "build" / "tools" / name
    if not (place / "whole").exists():
        place.mkdir(parents=True, exist_ok=True)
        done = subprocess.run(
            [npm, "install", "--silent", "--no-fund", "--no-audit", *packages],
            cwd=place, capture_output=True, text=True, timeout=900, check=False,
        )  # fmt: skip
        if done.returncode:
            pytest.skip(f"{' '.join(packages)} can't be installed: {done.stderr.strip()[-300:]}")
        (place / "whole").touch()
    return node, os.environ | {"NODE_PATH": str(place / "node_modules")}
