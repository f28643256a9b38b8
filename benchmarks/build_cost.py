"""What compiling costs: seconds and bytes per message, at each optimisation, whole and split.

    .venv/bin/python benchmarks/build_cost.py [SCHEMA.xml ...]

prints a Markdown table. Times are of this machine; the ratios carry over.

    .venv/bin/python benchmarks/build_cost.py --encoders

prints what encoding adds to compiling the package, and to a wheel: its modules beside all others.
It reads what `make build` has left in this directory.
"""

from __future__ import annotations

import dataclasses
import os
import resource
import subprocess
import sys
import sysconfig
import tempfile
import time
import zlib
from pathlib import Path

import numpy

from sbe_codegen import builder, ir
from sbe_codegen.conventions import Conventions

ROOT = Path(__file__).resolve().parent.parent
SCHEMAS = ROOT / "schemas"


def module_of(schema: Path) -> ir.Module:
    """A schema of ours, with its conventions."""
    beside = schema.with_suffix(".toml")
    return builder.read(schema, Conventions.read(beside) if beside.exists() else None)


def parts(module: ir.Module, count: int) -> list[ir.Module]:
    """The module cut into ``count`` modules of about as many messages."""
    size = -(-len(module.messages) // count)
    return [
        dataclasses.replace(module, messages=module.messages[i : i + size])
        for i in range(0, len(module.messages), size)
    ]


def translated(modules: list[ir.Module], folder: Path) -> tuple[float, list[Path]]:
    """Seconds to C, and the C files."""
    begin = time.perf_counter()
    sources = {}
    for i, module in enumerate(modules):
        name = f"part{i}"
        sources[name] = builder.write(module, "schema.xml", folder, name)
    builder.cythonized(sources, None)
    return time.perf_counter() - begin, [path.with_suffix(".c") for path in sources.values()]


def compiled(files: list[Path], level: str) -> tuple[float, int]:
    """Seconds, one file after the other, and bytes of the stripped modules."""
    begin, size = time.perf_counter(), 0
    for file in files:
        made = file.with_suffix(f".{level}.so")
        command = [os.environ.get("CC", "gcc"), "-shared", "-fPIC", "-std=c11", "-w", "-s"]
        command += [f"-{level}", "-fno-strict-aliasing", f"-I{numpy.get_include()}"]
        command += [f"-I{sysconfig.get_path('include')}", str(file), "-o", str(made)]
        subprocess.run(command, check=True)
        size += made.stat().st_size
    return time.perf_counter() - begin, size


def encoders() -> None:
    """Messages share tables that encode them all, so that these modules are all that it takes."""
    seconds, size = {True: 0.0, False: 0.0}, {True: 0, False: 0}
    flags, _ = builder.flags()
    includes = [numpy.get_include(), sysconfig.get_path("include"), str(ROOT)]
    with tempfile.TemporaryDirectory() as scratch:
        for file in [*ROOT.glob("binance_sbe/**/*.c"), *ROOT.glob("sbe_codegen/**/*.c")]:
            command = [os.environ.get("CC", "gcc"), "-c", "-fPIC", "-w", *flags]
            command += ["-DNPY_NO_DEPRECATED_API=NPY_1_7_API_VERSION", str(file)]
            command += [*(f"-I{each}" for each in includes), "-o", f"{scratch}/made.o"]
            before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
            subprocess.run(command, check=True)
            used = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before
            seconds["/encode/" in str(file)] += used
    for file in [*ROOT.glob("binance_sbe/**/*.so"), *ROOT.glob("sbe_codegen/**/*.so")]:
        size["/encode/" in str(file)] += len(zlib.compress(file.read_bytes(), 9))
    print(f"gcc: {seconds[True]:.0f} s beside {seconds[False]:.0f} s of all others, in a wheel: "
          f"{size[True] // 1024} KB beside {size[False] // 1024} KB")  # fmt: skip


def main() -> None:
    if "--encoders" in sys.argv:
        encoders()
        return
    given = [Path(each) for each in sys.argv[1:]] or sorted(SCHEMAS.glob("*.xml"))
    print("| schema | messages | modules | to C, s | gcc | s | KB | ms/message | KB/message |")
    print("|---|---|---|---|---|---|---|---|---|")
    for schema in given:
        module = module_of(schema)
        count = len(module.messages)
        for split in (1, 4) if count > 50 else (1,):
            with tempfile.TemporaryDirectory() as scratch:
                seconds, files = translated(parts(module, split), Path(scratch))
                for level in ("O1", "O2", "O3") if split == 1 else ("O3",):
                    took, size = compiled(files, level)
                    print(
                        f"| {schema.stem} | {count} | {split} | {seconds:.1f} | -{level} | "
                        f"{took:.1f} | {size // 1024} | {1000 * took / count:.0f} | "
                        f"{size / 1024 / count:.1f} |",
                        flush=True,
                    )


if __name__ == "__main__":
    main()
