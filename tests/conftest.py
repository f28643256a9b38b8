"""Modules compiled for the tests, and where the published files are."""

from __future__ import annotations

import gc
import importlib.util
import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

# The helpers are here; some test files have helpers for others.
sys.path += [
    str(path)
    for path in (Path(__file__).parent, *sorted(Path(__file__).parent.rglob("*/")))
    if not {"__pycache__", "golden", "corpus"} & set(path.parts)
]

from oracle import Schema
from random_schema import SEEDS, conventions, has_counts, random_schema

from sbe_codegen import builder
from sbe_codegen.conventions import Conventions

ROOT = Path(__file__).resolve().parent.parent
SHARED = ROOT.parent / "shared"

settings.register_profile(
    "default", deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=100
)
settings.register_profile("ci", parent=settings.get_profile("default"), derandomize=True)
settings.register_profile("ci-short", parent=settings.get_profile("ci"), max_examples=40)
settings.register_profile("long", parent=settings.get_profile("default"), max_examples=2000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))


def leave_alone() -> None:
    """What is there now the collector does not look at again."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="module", autouse=True)
def little_garbage() -> None:
    """The collector looks at what the tests of a file make, not at all that others have left."""
    leave_alone()


@pytest.fixture(autouse=True)
def no_key_of_another_test() -> Iterator[None]:
    """A process takes each key that it has used out of its texts: here, those of one test only."""
    yield
    if keys := sys.modules.get("binance_sbe.keys"):
        keys._keys = ()  # type: ignore[attr-defined]


@pytest.fixture
def hangups() -> Iterator[None]:
    """Commands that are started end at SIGHUP, also where the tests run under nohup."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def published() -> Path:
    path = SHARED / "published-schemas"
    if not path.is_dir():
        pytest.skip("the published schema files are not beside the project")
    return path


@pytest.fixture(scope="session")
def captures() -> Path:
    path = SHARED / "captures"
    if not path.is_dir():
        pytest.skip("the captured frames are not beside the project")
    return path


@pytest.fixture(scope="session")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., ModuleType]:
    """Compiles the text of a schema to an importable module, without optimisation."""

    def build(name: str, text: str, conventions: Conventions | None = None) -> ModuleType:
        directory = tmp_path_factory.mktemp(name)
        schema = directory / f"{name}.xml"
        schema.write_text(text, encoding="utf-8")
        before = os.environ.get("SBE_BUILD", "")
        os.environ["SBE_BUILD"] = before or "debug"
        try:
            path = builder.build(schema, directory, name, conventions)
        finally:
            os.environ["SBE_BUILD"] = before
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
        leave_alone()  # the compiler leaves many objects
        return module

    return build


@pytest.fixture(scope="session", params=SEEDS)
def random_module(request: pytest.FixtureRequest, compiled: Any) -> tuple[ModuleType, Schema]:
    """A module of random messages, and the oracle for the same schema.

    Even seeds are big-endian; of every four, two have counts in header and dimensions. The two
    that always run have one of each.
    """
    seed = request.param
    order = "littleEndian" if seed % 2 else "bigEndian"
    text = random_schema(seed, order, 14, has_counts(seed))
    return compiled(f"random_{seed}", text, Conventions(**conventions(seed))), Schema(text)


def pytest_configure(config: pytest.Config) -> None:
    is_worker = hasattr(config, "workerinput")  # started by the process that deals the tests out
    starts_workers = getattr(config.option, "numprocesses", None) and not is_worker
    if "sanitize" in os.environ.get("SBE_BUILD", "") and not starts_workers:
        os.environ.pop("LD_PRELOAD", None)  # this process has the sanitizers: gcc does without


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with long tests are first, so that no worker begins with one when others are done."""
    long = {item.path for item in items if item.get_closest_marker("long")}
    items.sort(key=lambda item: item.path not in long)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="write the golden files anew")
