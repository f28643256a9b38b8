"""The part of the build that pyproject.toml can't say: decoders are generated, then compiled.

``SBE_MODULES`` says which modules: ``all`` (the default), ``live`` (what a feed needs: the stream
decoder, the runtime and the feed), or ``none`` (those that are there stay as they are). For
``SBE_BUILD`` see sbe_codegen/flags.py.
"""

import os
import shutil
import sys
import threading
import time
from pathlib import Path

from setuptools import Distribution, setup
from setuptools.command.build_ext import build_ext
from setuptools.command.build_py import build_py

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))  # the compiler that is being built compiles the schemas

from sbe_codegen import builder  # noqa: E402
from sbe_codegen.conventions import Conventions  # noqa: E402

STREAMS = {"binance_sbe.spot_stream": HERE / "schemas" / "stream_1_0.xml"}
OTHERS = {
    "binance_sbe.spot_sbe": HERE / "schemas" / "spot_3_5.xml",
    "binance_sbe.fix_sbe": HERE / "schemas" / "spot-fixsbe-1_1.xml",
}
SHARED = "sbe_codegen.runtime.cython_shared"  # made of no source
WHICH = ("all", "live", "none")
STAMP = HERE / "build" / "switches"


def decoders() -> dict[str, Path]:
    """The modules that are wanted of the schemas, written in Cython: name -> source."""
    which = os.environ.get("SBE_MODULES", "all")
    if which not in WHICH:
        raise SystemExit(f"SBE_MODULES is {', '.join(WHICH)}, not {which!r}")
    schemas = {"all": OTHERS | STREAMS, "live": STREAMS, "none": {}}[which]
    return {name: generated(name, schema) for name, schema in schemas.items()}


def extensions(force: bool) -> list:
    """All that is wanted, translated to C."""
    sources = decoders()
    if not sources:
        return []
    sources |= builder.runtime_sources()
    written = sorted((HERE / "binance_sbe").glob("*/**/*.pyx"))  # by hand: not beside the generated
    sources |= {".".join(path.relative_to(HERE).with_suffix("").parts): path for path in written}
    stale = sum(force or is_stale(path) for path in sources.values())
    if stale:
        tell(f"translating to C: {stale} of {len(sources)} modules, the large decoders for longest")
    return builder.cythonized(sources, HERE, force, SHARED)


def is_stale(path: Path) -> bool:
    """Whether the C of a module is older than its source, or is not there."""
    made = path.with_suffix(".c")
    return not made.exists() or made.stat().st_mtime < path.stat().st_mtime


def tell(text: str) -> None:
    sys.stderr.write(f"{text}\n")  # in one piece, since several threads tell
    sys.stderr.flush()


def generated(module: str, schema: Path) -> Path:
    package, _, name = module.rpartition(".")
    beside = schema.with_suffix(".toml")
    conventions = Conventions.read(beside) if beside.exists() else None
    shutil.copyfile(schema, HERE / package / f"{name}.xml")  # a tape keeps it beside the frames
    return builder.generate(schema, HERE / package, name, conventions)


def switches() -> str:
    return ",".join(sorted(builder.switches()))


def must_build_anew() -> bool:
    """Whether what is there was built with other switches, or by a build that did not end."""
    wanted = switches()  # an unknown one ends it here
    there = any(any((HERE / name).rglob("*.so")) for name in ("binance_sbe", "sbe_codegen"))
    return there and not (STAMP.exists() and STAMP.read_text() == wanted)


def remove_orphans() -> None:
    """Removes modules whose source has moved: they could be imported from where they were."""
    for package in ("binance_sbe", "sbe_codegen"):
        for path in (HERE / package).rglob("*.so"):
            stem = path.name.partition(".")[0]
            source = path.with_name(f"{stem}.pyx")
            if not source.exists() and stem != SHARED.rpartition(".")[2]:
                path.unlink()
                source.with_suffix(".c").unlink(missing_ok=True)


class Compiled(Distribution):
    """What is packed for one platform, before anything is translated to C for it."""

    def has_ext_modules(self) -> bool:
        return True


class Collect(build_py):
    """The decoders' sources are packed as well: they have to be there before it looks."""

    def run(self) -> None:
        decoders()
        super().run()


class Build(build_ext):
    """Says what it compiles, and notes the switches once all is built.

    Only a build takes the minute that translating to C takes: no sdist does, and no --version.
    """

    def finalize_options(self) -> None:
        pass  # it would look at what is built: see `run`

    def get_source_files(self) -> list:
        return []  # for an sdist: MANIFEST.in names them

    def run(self) -> None:
        self.distribution.ext_modules = extensions(bool(self.force))
        super().finalize_options()
        if not self.extensions:
            return  # what is there stays what it is
        STAMP.unlink(missing_ok=True)
        remove_orphans()
        if self.force:  # what is not built now must not pass for what is
            for name in OTHERS.keys() - {each.name for each in self.extensions}:
                package, _, stem = name.rpartition(".")
                for old in (f"{stem}.c", f"{stem}.*.so"):
                    for path in (HERE / package).glob(old):
                        path.unlink()
        self.done: list = []
        self.counting = threading.Lock()
        super().run()
        STAMP.parent.mkdir(exist_ok=True)
        STAMP.write_text(switches())

    def build_extension(self, ext: object) -> None:
        started = time.monotonic()
        before = self.mtime(ext)
        super().build_extension(ext)
        took = time.monotonic() - started
        with self.counting:  # by one of several threads
            self.done.append(ext)
            if self.mtime(ext) != before:
                place = f"[{len(self.done):2} of {len(self.extensions)}]"
                tell(f"{place} compiled {ext.name} in {took:.0f} s")

    def mtime(self, ext: object) -> float:
        path = Path(self.get_ext_fullpath(ext.name))
        return path.stat().st_mtime if path.exists() else 0.0


force = must_build_anew()
setup(
    distclass=Compiled,
    cmdclass={"build_py": Collect, "build_ext": Build},
    options={"build_ext": {"parallel": os.cpu_count(), "force": force}},
)
