"""The packages that only some need, and what to say where one of them is not installed."""

from __future__ import annotations

import re
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from .errors import MissingPackage

DISTRIBUTION = "binance-sbe"
_ROOT = Path(__file__).resolve().parents[1]  # of a checkout; else of all packages there are


def imported(module: str, wanted: str, extra: str) -> Any:
    """A module that is not of ours; MissingPackage where its package is not installed.

    ``wanted`` is what needs it, and ``extra`` the extra that brings it.
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != module.partition(".")[0]:
            raise  # it is there, and lacks something itself
        raise missing(module.partition(".")[0], wanted, extra) from None


def missing(package: str, wanted: str, extra: str) -> MissingPackage:
    """The error for a package that is not there."""
    text = f"{wanted} needs {package.replace('_', '-')}: {install_command(extra)}"
    return MissingPackage(text, package, extra)


def check_compiled(wanted: str) -> None:
    """MissingPackage in a checkout whose own extension modules are not compiled yet."""
    from importlib.util import find_spec

    if find_spec("sbe_codegen.runtime.decode.scaling") is None:
        text = (
            f"{wanted} needs sbe_codegen.runtime, which is not compiled in {_ROOT}: 'make build' "
            "there compiles it; or start in another directory, where it is installed"
        )
        raise MissingPackage(text, "sbe_codegen.runtime", "codegen")


def packages_of(extra: str) -> list[str]:
    """What an extra brings, as pip takes it. Empty where this was not installed by pip."""
    from importlib import metadata  # as the others below: most programs lack nothing

    try:
        lines = metadata.requires(DISTRIBUTION) or []
    except metadata.PackageNotFoundError:
        return []
    found: set[str] = set()
    for line in lines:
        package, _, marker = line.partition(";")
        if extra not in re.findall(r"extra\s*==\s*[\"']([^\"']+)", marker):
            continue
        own = re.match(rf"{DISTRIBUTION}\[(.*)\]", package.strip())
        if own is None:
            found.add(package.strip())
        else:
            found.update(each for name in own[1].split(",") for each in packages_of(name.strip()))
    return sorted(found, key=str.lower)


def install_command(extra: str, root: Path = _ROOT) -> str:
    """What installs an extra for this interpreter, in the way that all of this is installed.

    Where that is not a checkout the packages are named, since no index has this one yet.
    """
    import shlex
    import shutil

    beside = Path(sys.executable).parent
    found = shutil.which("pip")
    is_ours = found is not None and Path(found).parent == beside
    pip = "pip" if is_ours else f"{shlex.quote(sys.executable)} -m pip"
    if (root / "pyproject.toml").is_file() and (root / "sbe_codegen").is_dir():
        return f"{pip} install -e {shlex.quote(f'{root}[{extra}]')}"
    return f"{pip} install {' '.join(map(shlex.quote, packages_of(extra)))}"
