"""All benchmarks: tables and plots into benchmarks/results.

    make bench                                       everything, about ten minutes
    .bench-venv/bin/python benchmarks/run.py --passes 1 -k tables        a part, printed only
    benchmarks/reuse_cost.py                         one message, with SBE_REUSE=1 and 0 in turns

Equal results are proved first. The benchmarks run in several passes, so that rivals take turns and
what else the machine does meets all of them; a figure is the median of its passes' medians.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from collections import defaultdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results"
sys.path.insert(0, str(HERE))

Groups = dict[str, dict[str, dict[str, float]]]  # group -> way -> ns, per, size


def one_pass(arguments: list[str], part: str = "", reuse: str = "1") -> list[dict[str, Any]]:
    """The benchmarks of one run of pytest. SystemExit where a proof or a benchmark fails."""
    with tempfile.TemporaryDirectory() as directory:
        report = Path(directory) / "report.json"
        command = [
            sys.executable, "-m", "pytest", "-c", str(HERE / "pytest.ini"), str(HERE / part), "-q",
            "-x", "--no-header", "-p", "no:cacheprovider", "--benchmark-disable-gc",
            "--benchmark-quiet", "--benchmark-max-time=0.4",
            "--benchmark-min-rounds=3", f"--benchmark-json={report}",
            *arguments,
        ]  # fmt: skip
        environment = os.environ | {"OPENBLAS_NUM_THREADS": "1", "SBE_REUSE": reuse}
        done = subprocess.run(command, env=environment, check=False)
        if part and done.returncode == 5:  # none of this part was asked for
            return []
        if done.returncode:
            raise SystemExit(done.returncode)
        found: list[dict[str, Any]] = json.loads(report.read_text())["benchmarks"]
        return found


def merged(passes: list[list[dict[str, Any]]]) -> Groups:
    times: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    size: dict[tuple[str, str], float] = {}
    for benchmarks in passes:
        for each in benchmarks:
            group, way = each["group"], str(each["param"] or "raw socket, Cython")
            per = each["extra_info"]["per"]
            times[group][way].append(each["stats"]["median"] / per * 1e9)
            size[group, way] = each["extra_info"].get("size", 0)
    return {
        group: {
            way: {"ns": statistics.median(ns), "size": size[group, way]} for way, ns in ways.items()
        }
        for group, ways in times.items()
    }


def tables(groups: Groups, without: Groups) -> list[str]:
    """Markdown: one table a group, with ratios to its first way.

    ``without`` has what ours take with SBE_REUSE=0, where that makes a difference.
    """
    lines = []
    for group, ways in groups.items():
        first = next(iter(ways.values()))["ns"]
        others = without.get(group, {})
        head, rule = "| way | ns | ratio |", "|---|---|---|"
        if others:
            head, rule = f"{head} ns with SBE_REUSE=0 |", f"{rule}---|"
        lines += ["", f"**{group}**", "", head, rule]
        for way, found in ways.items():
            line = f"| {way} | {found['ns']:,.1f} | {found['ns'] / first:.2f} |"
            if others:
                is_ours = way.startswith("binance_sbe") and way in others
                line += f" {others[way]['ns']:,.1f} |" if is_ours else " |"
            lines.append(line)
    return lines


def machine() -> str:
    packages = ("numpy", "msgspec", "orjson", "sbe", "websockets", "picows", "uvloop")
    versions = ", ".join(f"{name} {version(name)}" for name in packages)
    python = f"{platform.python_implementation()} {platform.python_version()}"
    return f"{python}, {os.cpu_count()} cores of {platform.machine()}; {versions}."


def main() -> None:
    parser = argparse.ArgumentParser(description="All benchmarks.")
    parser.add_argument("--passes", type=int, default=3, help="runs to take the median of")
    parser.add_argument("-k", help="only these benchmarks, and no files are written")
    given = parser.parse_args()
    arguments = ["-k", given.k] if given.k else []
    both = [
        (one_pass(arguments), one_pass(arguments, "test_messages.py", "0"))
        for _ in range(given.passes)
    ]
    groups, without = (merged(list(passes)) for passes in zip(*both, strict=True))
    lines = tables(groups, without)
    print("\n".join(lines))
    if given.k:
        return
    import module_cost
    import plots

    costs = module_cost.table()
    print("\n".join(costs))
    RESULTS.mkdir(exist_ok=True)
    head = [
        "# Results",
        "",
        f"Written by `make bench`: {machine()} Times are ns a message: medians of {given.passes} "
        "passes in one run, ratios to the first of each table.",
    ]
    text = "\n".join([*head, *lines, "", *costs, ""])
    (RESULTS / "table.md").write_text(text, encoding="utf-8")
    (RESULTS / "figures.json").write_text(json.dumps(groups, indent=1) + "\n", encoding="utf-8")
    plots.draw(groups, RESULTS)


if __name__ == "__main__":
    main()
