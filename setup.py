"""The part of the build that pyproject.toml can't say: decoders are generated, then compiled."""

import importlib.metadata
import importlib.util
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
# Written by hand; the listener needs picows, without which it is left out.
LIVE = ("book", "book_core", "inbox", "levels", "listener", "overflow", "sequencer", "stats")


def extensions(force: bool) -> list:
    sources = builder.runtime_sources()
    live = [name for name in LIVE if name != "listener" or importlib.util.find_spec("picows")]
    sources |= {f"binance_sbe.{name}": HERE / "binance_sbe" / f"{name}.pyx" for name in live}
    for module, schema in SCHEMAS.items():
        package, _, name = module.rpartition(".")
        beside = schema.with_suffix(".toml")
        conventions = Conventions.read(beside) if beside.exists() else None
        sources[module] = builder.generate(schema, HERE / package, name, conventions)
    made = builder.cythonized(sources, HERE, force)
    for each in made:
        if each.name == "binance_sbe.listener":
            each.define_macros.append(("SBE_PICOWS", f'"{importlib.metadata.version("picows")}"'))
    return made


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
