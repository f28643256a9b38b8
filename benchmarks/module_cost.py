"""What each module costs: bytes on disk and in a wheel, time and memory of its import.

.bench-venv/bin/python benchmarks/module_cost.py
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import zlib
from pathlib import Path

ROUNDS = 15
MODULES = {
    "numpy": "import numpy",
    "binance_sbe": "import binance_sbe",
    "binance_sbe.spot_stream": "import binance_sbe.spot_stream",
    "binance_sbe.spot_sbe": "import binance_sbe.spot_sbe",
    "binance_sbe.fix_sbe": "import binance_sbe.fix_sbe",
}
_MEASURE = """
import re, time
started = time.perf_counter()
{statement}
took = time.perf_counter() - started
status = open("/proc/self/status").read()
print(took * 1e3, int(re.search(r"VmRSS:\\s+(\\d+)", status)[1]) / 1024)
"""


def imported(statement: str) -> tuple[float, float]:
    """Milliseconds, and the resident MiB of the process (Linux)."""
    code = _MEASURE.format(statement=statement)
    environment = os.environ | {"OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    took, memory = done.stdout.split()
    return float(took), float(memory)


def measured(modules: dict[str, str], rounds: int = ROUNDS) -> dict[str, tuple[float, float]]:
    """The medians of several rounds, in which all modules take turns."""
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in modules}
    for _ in range(rounds):
        for name, statement in modules.items():
            found[name].append(imported(statement))
    return {
        name: (statistics.median(t for t, _ in each), statistics.median(m for _, m in each))
        for name, each in found.items()
    }


def table() -> list[str]:
    import binance_sbe

    home = Path(binance_sbe.__file__).parent
    base = imported("pass")[1]
    lines = [
        "**Modules: import in a process of its own (with numpy), memory over a bare Python**",
        "",
        "| module | import, ms | times numpy | MiB | KB on disk | KB in a wheel |",
        "|---|---|---|---|---|---|",
    ]
    costs = measured(MODULES)
    for name, (took, memory) in costs.items():
        sizes = "| | |"
        built = list(home.glob(f"{name.partition('.')[2]}.*.so")) if "." in name else []
        if built:
            content = built[0].read_bytes()
            sizes = f"| {len(content) / 1024:,.0f} | {len(zlib.compress(content)) / 1024:,.0f} |"
        ratio = took / costs["numpy"][0]
        lines.append(f"| {name} | {took:.0f} | {ratio:.2f} | {memory - base:.0f} {sizes}")
    return [*lines, "", "What compiling them costs is in the README beside this folder."]


if __name__ == "__main__":
    print("\n".join(table()))
