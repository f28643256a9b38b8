"""What each module costs: compiling, bytes on disk and in a wheel, time and memory of its import.

.bench-venv/bin/python benchmarks/module_cost.py
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import zlib
from pathlib import Path

import build_cost

ROUNDS = 15
SCHEMAS = {
    "binance_sbe.spot_stream": "stream_1_0.xml",
    "binance_sbe.spot_sbe": "spot_3_5.xml",
    "binance_sbe.fix_sbe": "spot-fixsbe-1_1.xml",
}
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


def compiling(module: str) -> float:
    """Seconds from the schema to the compiled module, on one core."""
    with tempfile.TemporaryDirectory() as scratch:
        schema = build_cost.SCHEMAS / SCHEMAS[module]
        translating, files = build_cost.translated([build_cost.module_of(schema)], Path(scratch))
        return translating + build_cost.compiled(files, "O3")[0]


def table() -> list[str]:
    import binance_sbe

    home = Path(binance_sbe.__file__).parent
    base = imported("pass")[1]
    lines = [
        "**Modules: import in a process of its own (with numpy), memory over a bare Python**",
        "",
        "| module | import, ms | times numpy | MiB | KB on disk | KB in a wheel | compiling, s |",
        "|---|---|---|---|---|---|---|",
    ]
    costs = measured(MODULES)
    for name, (took, memory) in costs.items():
        sizes = "| | | |"
        built = list(home.glob(f"{name.partition('.')[2]}.*.so")) if "." in name else []
        if built:
            content = built[0].read_bytes()
            sizes = (
                f"| {len(content) / 1024:,.0f} | {len(zlib.compress(content)) / 1024:,.0f} "
                f"| {compiling(name):.0f} |"
            )
        ratio = took / costs["numpy"][0]
        lines.append(f"| {name} | {took:.0f} | {ratio:.2f} | {memory - base:.0f} {sizes}")
    return [
        *lines,
        "",
        "Compiling: one core, gcc -O3; per message, and at other switches: see `build_cost.py`.",
    ]


if __name__ == "__main__":
    print("\n".join(table()))
