"""Packages that only some need: one error, one command, and extras that bring them."""

from __future__ import annotations

import ast
import pickle
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import binance_sbe
from binance_sbe import MissingPackage
from sbe_codegen import extras

ROOT = Path(__file__).parent.parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS: dict[str, list[str]] = PROJECT["optional-dependencies"]
FRAME = "32001127010000007b600cba992a06007940e51700000000fef8f99e8f0000000000103adc0100000000fa9e8f0000000000206c6c02000000000742544355534454"  # noqa: E501
TABLE = f"b.decode_many([bytes.fromhex('{FRAME}')])[b.BestBidAskStreamEvent]"

# What is asked for, the package that is missing, and the extra that has it.
NEEDS = {
    "to_arrow": (f"{TABLE}.to_arrow()", "pyarrow", "pyarrow"),
    "to_polars": (f"{TABLE}.to_polars()", "polars", "polars"),
    "to_polars without pyarrow": (f"{TABLE}.to_polars()", "pyarrow", "polars"),
    "to_pandas": (f"{TABLE}.to_pandas()", "pandas", "pandas"),
    "rest.Client": ("asyncio.run(b.rest.Client().__aenter__())", "aiohttp", "rest"),
    "books": (
        "asyncio.run(b.books('btcusdt', url='ws://h:1', api_key='k').__aenter__())", "aiohttp",
        "rest",
    ),
    "metrics": ("metrics.serve(None, 0).__enter__()", "prometheus_client", "metrics"),
    "doctor": ("asyncio.run(doctor._read('https://h/x'))", "aiohttp", "rest"),
    "plot": ("drawing.check()", "matplotlib", "plot"),
    "load": ("sbe_codegen.load", "lxml", "codegen"),
}  # fmt: skip


def without(package: str, code: str) -> str:
    """What the error of this code says where a package is not installed."""
    program = f"""
import asyncio, sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == {package!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Absent())
import binance_sbe as b, sbe_codegen
from binance_sbe import metrics
from binance_sbe.commands import doctor, drawing
try:
    {code}
except b.MissingPackage as error:
    assert isinstance(error, ImportError) and isinstance(error, b.SbeError)
    print(error.package, error.extra, error)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("wanted", NEEDS)
def test_a_missing_package_is_one_kind_of_error(wanted: str) -> None:
    code, package, extra = NEEDS[wanted]
    said = without(package, code)
    assert said.startswith(f"{package} {extra} ")
    assert f"needs {package.replace('_', '-')}: " in said
    assert said.endswith(f"{extras.install_command(extra)}\n")


@pytest.mark.parametrize("extra", sorted({extra for _, _, extra in NEEDS.values()}))
def test_the_extra_that_is_named_has_the_package(extra: str) -> None:
    named = " ".join(EXTRAS[extra])
    for _, package, of in NEEDS.values():
        if of == extra:
            assert package.replace("_", "-").lower() in named.lower()


def test_what_is_broken_is_not_called_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "broken_peer.py").write_text("import a_package_that_there_is_not")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="a_package_that_there_is_not") as caught:
        extras.imported("broken_peer", "a test", "rest")
    assert not isinstance(caught.value, MissingPackage)


def test_the_command_is_that_of_how_it_is_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    python = Path(sys.executable)
    monkeypatch.setenv("PATH", str(python.parent))
    has_pip = (python.parent / "pip").exists()
    pip = "pip" if has_pip else f"{python} -m pip"
    assert extras.install_command("rest") == f"{pip} install -e '{ROOT}[rest]'"
    assert extras.install_command("rest", tmp_path) == f"{pip} install 'aiohttp>=3.10'"
    monkeypatch.setenv("PATH", str(tmp_path))  # where the pip that is found is another's, or none
    assert extras.install_command("polars", tmp_path) == (
        f"{python} -m pip install 'polars>=1.0' 'pyarrow>=17.0'"
    )


def test_the_packages_of_an_extra_are_those_of_the_project() -> None:
    for extra, packages in EXTRAS.items():
        own = [each for each in packages if each.startswith("binance-sbe[")]
        if not own:
            assert extras.packages_of(extra) == sorted(set(packages), key=str.lower), extra
    assert set(EXTRAS["rest"] + EXTRAS["codegen"] + EXTRAS["pandas"]) <= set(
        extras.packages_of("all")
    )
    assert extras.packages_of("there is not") == []


def test_the_command_is_made_in_one_place() -> None:
    for path in [*ROOT.glob("binance_sbe/**/*.py*"), *ROOT.glob("sbe_codegen/**/*.py*")]:
        if path.suffix in (".py", ".pyx") and path.name != "extras.py":
            assert "pip install" not in path.read_text(encoding="utf-8"), path


def test_all_has_what_every_other_extra_for_users_has() -> None:
    users = set(EXTRAS) - {"all", "bench", "docs", "test"}
    (found,) = EXTRAS["all"]
    assert set(re.findall(r"\w+", found.partition("[")[2])) == users
    page = (ROOT / "docs/start.md").read_text(encoding="utf-8")
    table = page.partition("| extra |")[2].partition("\n\n")[0]
    rows = {row.split("`")[1]: row for row in table.splitlines() if row.startswith("| `")}
    assert set(rows) == users | {"all", "docs"}
    for extra in users:
        for package in EXTRAS[extra]:
            name = re.split(r"[>=\[]", package)[0]
            assert name in rows[extra], (extra, name)


def test_the_error_pickles_with_all_that_it_says() -> None:
    error = extras.missing("prometheus_client", "metrics.serve", "metrics")
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), again.package, again.extra) == (str(error), "prometheus_client", "metrics")
    assert error.name == "prometheus_client"
    assert binance_sbe.MissingPackage is MissingPackage


def calls() -> list[tuple[str, str, str]]:
    """Where `imported` is called in the package: the place, the module, and the extra."""
    found = []
    for package in ("binance_sbe", "sbe_codegen"):
        for path in sorted((ROOT / package).rglob("*.py")):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            constants = {
                each.targets[0].id: each.value.value
                for each in tree.body
                if isinstance(each, ast.Assign) and isinstance(each.value, ast.Constant)
                if isinstance(each.targets[0], ast.Name)
            }
            for node in ast.walk(tree):
                if not (isinstance(node, ast.Call) and getattr(node.func, "id", "") == "imported"):
                    continue
                module, _, extra = (
                    each.value
                    if isinstance(each, ast.Constant)
                    else constants.get(getattr(each, "id", ""))
                    for each in node.args
                )
                if isinstance(module, str) and isinstance(extra, str):
                    found.append((f"{path.name}:{node.lineno}", module, extra))
    return found


def test_every_extra_that_code_names_exists_and_has_the_package() -> None:
    found = calls()
    assert len(found) > 12
    assert {"tape", "lake", "fix", "rest"} <= {extra for _, _, extra in found}
    for place, module, extra in found:
        assert extra in EXTRAS, place
        package = module.partition(".")[0].replace("_", "-").lower()
        assert any(each.lower().startswith(package) for each in EXTRAS[extra]), (place, package)


def test_every_extra_that_a_docstring_names_exists() -> None:
    named = {
        name: path.name
        for package in ("binance_sbe", "sbe_codegen")
        for path in (ROOT / package).rglob("*.py*")
        if path.suffix in (".py", ".pyi", ".pyx")
        for name in re.findall(r"the extra ``(\w+)``", path.read_text(encoding="utf-8"))
    }
    assert len(named) > 5
    assert not set(named) - set(EXTRAS), named


@pytest.mark.parametrize(
    "arguments",
    [
        ["-m", "sbe_codegen", "inspect", "s.xml", "s.xml"],
        ["-m", "sbe_codegen", "tables", "s.xml", "s.xml"],
        ["-c", "import sbe_codegen; sbe_codegen.load('s.xml')"],
    ],
)
def test_a_checkout_that_is_not_compiled_says_so(tmp_path: Path, arguments: list[str]) -> None:
    ignored = shutil.ignore_patterns("*.so", "*.pyd", "*.c", "__pycache__")
    shutil.copytree(ROOT / "sbe_codegen", tmp_path / "sbe_codegen", ignore=ignored)
    shutil.copy(ROOT / "schemas" / "stream_1_0.xml", tmp_path / "s.xml")
    done = subprocess.run(
        [sys.executable, *arguments], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert f"is not compiled in {tmp_path}: 'make build' there compiles it" in done.stderr
    assert ("Traceback" in done.stderr) == ("-c" in arguments)
    assert done.returncode == (1 if "-c" in arguments else 2)
