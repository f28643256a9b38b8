"""Prints the results as Markdown tables: medians of one run, and ratios to the first of a group."""

from __future__ import annotations

import platform
import sys
from collections import defaultdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--table", help="write the table of ratios to this file")


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    benchmarks = config._benchmarksession.benchmarks  # type: ignore[attr-defined]
    if not benchmarks:
        return
    table = "\n".join(rows(benchmarks))
    terminalreporter.write_line("")
    terminalreporter.write_line(table)
    if path := config.getoption("--table"):
        Path(path).write_text(table + "\n", encoding="utf-8")


def rows(benchmarks: Any) -> list[str]:
    groups = defaultdict(list)
    for each in benchmarks:
        groups[each.group].append(each)
    out = []
    for group, members in groups.items():
        first = per_item(members[0])
        out += [
            "",
            f"**{group}**",
            "",
            "| way | ns per message | times the first |",
            "|---|---|---|",
        ]
        out += [
            f"| {each.param} | {per_item(each):,.0f} | {per_item(each) / first:.2f} |"
            for each in members
        ]
    packages = ("numpy", "msgspec", "orjson", "Cython")
    versions = ", ".join(f"{name} {version(name)}" for name in packages)
    machine = (
        f"{platform.python_implementation()} {platform.python_version()}, {platform.machine()}"
    )
    return [*out[1:], "", f"({machine}; {versions}; medians)"]


def per_item(benchmark: Any) -> float:
    return float(benchmark["median"] / benchmark["extra_info"]["per"] * 1e9)
