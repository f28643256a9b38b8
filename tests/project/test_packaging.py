"""A clean clone gives an sdist, that a wheel, and that decodes in an empty environment."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest
import vectors
from test_binance_schemas import SPOT

ROOT = Path(__file__).parent.parent.parent

PROGRAM = f"""
import binance_sbe
message = binance_sbe.decode(bytes.fromhex("{vectors.BEST_BID_ASK.hex()}"))
assert message.bid_price_float == 94123.45
assert len(binance_sbe.decode_many([bytes(message)])) == 1
from binance_sbe import fix_sbe, spot_sbe
assert (len(spot_sbe.MESSAGES), len(fix_sbe.MESSAGES)) == (92, 29)
import importlib.util
for absent in ("Cython", "lxml", "jinja2", "rich"):
    assert importlib.util.find_spec(absent) is None, absent
print(binance_sbe.__file__)
"""

(CONSUMER,) = re.findall(
    r"```cython\n(.*?)```",
    (ROOT / "docs/howto/cython.md").read_text(encoding="utf-8"),
    re.DOTALL,
)


def run(*command: object, cwd: Path | None = None, **environment: str) -> str:
    done = subprocess.run(
        list(map(str, command)), cwd=cwd, capture_output=True, text=True, check=False,
        env=os.environ | environment,
    )  # fmt: skip
    assert done.returncode == 0, f"{command}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout


pytestmark = pytest.mark.timeout(1800)  # a wheel is built, beside other tests


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The sdist of a clean clone, and the wheel that is built of it."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a checkout")
    base = tmp_path_factory.mktemp("packaging")
    clone, out, source = base / "clone", base / "dist", base / "source"
    run("git", "clone", "-q", ROOT, clone)
    for changed in run("git", "ls-files", "-m", "-o", "--exclude-standard", cwd=ROOT).split():
        if (ROOT / changed).exists():  # what is not committed yet is tested too
            (clone / changed).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / changed, clone / changed)
    run(sys.executable, "-m", "build", "--sdist", "--no-isolation", "--outdir", out, clone)
    (sdist,) = out.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        archive.extractall(source, filter="data")
    (unpacked,) = source.iterdir()
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", out, unpacked)
    (wheel,) = out.glob("*.whl")
    return sdist, wheel


@pytest.mark.long
def test_the_sdist_has_what_a_build_needs_and_nothing_built(dist: tuple[Path, Path]) -> None:
    with tarfile.open(dist[0]) as archive:
        inside = {name.partition("/")[2] for name in archive.getnames()}
    for needed in (
        "schemas/spot_3_5.xml", "schemas/spot_3_5.toml", "tests/corpus/fix_sbe.txt",
        "sbe_codegen/templates/walks.jinja", "schemas/stream_1_0.xml",
        "sbe_codegen/runtime/tables/batch.pyx", "README.md", "LICENSE",
        "sbe_codegen/templates/module.pyx.jinja", "CHANGELOG.md", "tests/oracle.py",
        "binance_sbe/commands/web/page.html",
    ):  # fmt: skip
        assert needed in inside
    assert not [name for name in inside if name.endswith((".so", ".c", "_sbe.pyx"))]
    assert not [name for name in inside if "spot_stream.p" in name]


@pytest.mark.long
def test_the_wheel_decodes_in_an_empty_environment(dist: tuple[Path, Path], tmp_path: Path) -> None:
    _, wheel = dist
    names = zipfile.ZipFile(wheel).namelist()
    for needed in (
        "binance_sbe/spot_stream.pyi", "binance_sbe/spot_stream.pxd", "binance_sbe/py.typed",
        "binance_sbe/spot_sbe.pyi", "binance_sbe/fix_sbe.pxd", "sbe_codegen/rendering/levels.py",
        "sbe_codegen/py.typed", "sbe_codegen/runtime/decode/cursor.pxd",
        "sbe_codegen/runtime/tables/batch.pyi",
        "sbe_codegen/templates/module.pyx.jinja", "binance_sbe/commands/web/page.html",
    ):  # fmt: skip
        assert needed in names
    assert not [n for n in names if n.endswith(".c") or n.startswith(("tests", "benchmarks"))]
    size = sum(each.file_size for each in zipfile.ZipFile(wheel).infolist())
    assert size < 40 * 2**20
    assert wheel.stat().st_size <= 5 * 2**20
    empty = tmp_path / "empty"
    venv.create(empty, with_pip=True)
    python = empty / "bin" / "python"
    run(python, "-m", "pip", "install", "-q", wheel)
    installed = run(python, "-m", "pip", "list", "--format=freeze")
    assert {line.partition("==")[0] for line in installed.split()} - {"pip", "setuptools"} == {
        "binance-sbe", "numpy", "websockets",
    }  # fmt: skip
    assert str(empty) in run(python, "-c", PROGRAM, cwd=tmp_path, PYTHONPATH="")
    tried = run(python, "-W", "error", ROOT / "tests" / "wheel.py", cwd=tmp_path, PYTHONPATH="")
    assert "decodes and connects" in tried
    assert "demo" in run(empty / "bin" / "binance-sbe", "--help", cwd=tmp_path)
    done = subprocess.run([empty / "bin" / "sbe-codegen", "check", "x.xml"], cwd=tmp_path,
                          capture_output=True, text=True, check=False)  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.startswith("sbe-codegen needs lxml: ")
    packages = "'Cython>=3.1' 'jinja2>=3.1' 'lxml>=5.0' 'setuptools>=77'"
    assert done.stderr.endswith(f"pip install {packages}\n")


@pytest.mark.long
def test_other_cython_code_can_cimport_the_installed_decoders(
    dist: tuple[Path, Path], tmp_path: Path
) -> None:
    site = tmp_path / "site"
    run(sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", site, dist[1])
    (tmp_path / "consumer.pyx").write_text(CONSUMER)
    (tmp_path / "setup.py").write_text(
        "from setuptools import setup\nfrom Cython.Build import cythonize\n"
        "setup(ext_modules=cythonize('consumer.pyx'))\n"
    )
    run(
        sys.executable,
        "setup.py",
        "-q",
        "build_ext",
        "--inplace",
        cwd=tmp_path,
        PYTHONPATH=str(site),
    )
    frames = vectors.BEST_BID_ASK, vectors.TRADES, vectors.NEWER_SNAPSHOT
    balances = [{"exponent": -8, "free": free, "locked": 0, "asset": "X" * i}
                for i, free in enumerate((100000000, 28, 5000000000000))]  # fmt: skip
    values = {"event_time": 1, "update_time": 1, "subscription_id": None, "balances": balances}
    position = SPOT.encode("OutboundAccountPositionEvent", values)
    program = (
        "import consumer, binance_sbe\n"
        f"assert {str(site)!r} in binance_sbe.__file__\n"
        f"best, trades, newer = map(bytes.fromhex, {[f.hex() for f in frames]})\n"
        "assert consumer.best_bid_of(best) == 9412345\n"
        "assert consumer.best_bid_of(best[:-1]) == -1\n"
        "assert consumer.best_bid_of(trades) == -4\n"
        "assert consumer.bid_volume_of(newer) == 31210000\n"
        f"assert consumer.free_of(bytes.fromhex({position.hex()!r})) == 5000100000028\n"
    )
    run(sys.executable, "-c", program, cwd=tmp_path, PYTHONPATH=str(site))


@pytest.mark.long
def test_an_unknown_build_switch_is_named(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "setup.py", "--version"], cwd=ROOT, capture_output=True, text=True,
        env=os.environ | {"SBE_BUILD": "turbo"}, check=False,
    )  # fmt: skip
    assert done.returncode != 0
    assert "SBE_BUILD: no switch turbo; there are annotate, coverage" in done.stderr
