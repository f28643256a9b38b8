"""The part of the build that pyproject.toml can't say: decoders are generated, then compiled."""

import os
import sys
from pathlib import Path

from setuptools import setup

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))  # the compiler that is being built compiles the schemas

from sbe_codegen import builder  # noqa: E402
from sbe_codegen.conventions import Conventions  # noqa: E402

SCHEMAS = {
    "binance_sbe.spot_stream": HERE / "schemas" / "stream_1_0.xml",
    "binance_sbe.spot_sbe": HERE / "schemas" / "spot_3_5.xml",
    "binance_sbe.fix_sbe": HERE / "schemas" / "spot-fixsbe-1_1.xml",
}
# Written by hand.
LIVE = (
    "book", "book_core", "damage", "inbox", "levels", "overflow", "reader", "sequencer", "stats",
)  # fmt: skip


def extensions(force: bool) -> list:
    sources = builder.runtime_sources()
    sources |= {f"binance_sbe.{name}": HERE / "binance_sbe" / f"{name}.pyx" for name in LIVE}
    for module, schema in SCHEMAS.items():
        package, _, name = module.rpartition(".")
        beside = schema.with_suffix(".toml")
        conventions = Conventions.read(beside) if beside.exists() else None
        sources[module] = builder.generate(schema, HERE / package, name, conventions)
    return builder.cythonized(sources, HERE, force)


def switches_changed() -> bool:
    """Whether what is built was built with other switches: then all of it is built anew."""
    stamp = HERE / "build" / "switches"
    now = ",".join(sorted(builder.switches()))
    before = stamp.read_text() if stamp.exists() else ""
    stamp.parent.mkdir(exist_ok=True)
    stamp.write_text(now)
    return now != before


force = switches_changed()
setup(
    ext_modules=extensions(force),
    options={"build_ext": {"parallel": os.cpu_count(), "force": force}},
)
