"""The folder of compiled modules without a compiler: who makes, who waits, and what is left."""

from __future__ import annotations

import fcntl
import hashlib
import os
import threading
import time
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

import pytest
from small import schema

from sbe_codegen import builder, cache, loading


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "a" / "cache"
    monkeypatch.setenv("SBE_CODEGEN_CACHE", str(path))
    return path


class Maker:
    """Makes extensions, and counts them."""

    def __init__(self, name: str = "m") -> None:
        self.name = name
        self.made = 0

    def __call__(self, into: Path) -> Path:
        self.made += 1
        assert list(into.iterdir()) == []
        (into.parent / "scratch").write_text("")
        file = into / f"{self.name}{EXTENSION_SUFFIXES[0]}"
        file.write_bytes(b"an extension")
        file.chmod(0o777)
        return file


@pytest.mark.parametrize(
    ("given", "home", "expected"),
    [
        ("/x/y", "/h", "/x/y"), ("~/y", "/h", "/home/me/y"), ("", "/h", "/h/sbe-codegen"),
        (None, "/h", "/h/sbe-codegen"), (None, "", "/home/me/.cache/sbe-codegen"),
        (None, None, "/home/me/.cache/sbe-codegen"),
    ],
)  # fmt: skip
def test_the_folder_is_the_one_given_or_the_users(
    monkeypatch: pytest.MonkeyPatch, given: str | None, home: str | None, expected: str
) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    for name, value in (("SBE_CODEGEN_CACHE", given), ("XDG_CACHE_HOME", home)):
        if value is None:
            monkeypatch.delenv(name, raising=False)
        else:
            monkeypatch.setenv(name, value)
    assert cache.directory() == Path(expected)


def test_a_module_is_made_once_for_its_owner_and_nothing_else_is_left(folder: Path) -> None:
    make = Maker()
    descriptors = len(list(Path("/proc/self/fd").iterdir()))
    files = [cache.module_file("m", make) for _ in range(5)]
    assert len(list(Path("/proc/self/fd").iterdir())) == descriptors
    assert make.made == 1
    assert set(files) == {folder / "m" / f"m{EXTENSION_SUFFIXES[0]}"}
    assert sorted(each.name for each in folder.iterdir()) == ["m", "m.lock"]
    assert [each.stat().st_mode & 0o777 for each in (folder, folder / "m", files[0])] == [
        0o700, 0o700, 0o600
    ]  # fmt: skip
    assert sorted(each.name for each in (folder / "m").iterdir()) == ["checksum", files[0].name]


def test_what_could_not_be_made_is_tried_again(folder: Path) -> None:
    def fails(into: Path) -> Path:
        raise RuntimeError("no compiler")

    for _ in range(2):
        with pytest.raises(RuntimeError, match="no compiler"):
            cache.module_file("m", fails)
        assert [each.name for each in folder.iterdir()] == ["m.lock"]
    make = Maker()
    assert cache.module_file("m", make).read_bytes() == b"an extension"
    assert make.made == 1


def test_a_disk_that_keeps_something_else_is_said(folder: Path) -> None:
    def misnamed(into: Path) -> Path:
        file = into / "other.so"
        file.write_bytes(b"x")
        return file

    with pytest.raises(OSError, match="is not what was written there: is the disk full, or fail"):
        cache.module_file("m", misnamed)


def test_whoever_waited_takes_what_was_made_meanwhile(folder: Path) -> None:
    folder.mkdir(parents=True)
    folder.chmod(0o700)
    make, found = Maker(), []
    lock = os.open(folder / "m.lock", os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX)
    thread = threading.Thread(target=lambda: found.append(cache.module_file("m", make)))
    thread.start()
    time.sleep(0.1)
    assert (make.made, thread.is_alive()) == (0, True)
    (folder / "m").mkdir(mode=0o700)  # another process puts it there
    (folder / "m" / f"m{EXTENSION_SUFFIXES[0]}").write_bytes(b"an extension")
    checksum = hashlib.sha256(b"an extension").hexdigest()
    (folder / "m" / "checksum").write_text(checksum)
    os.close(lock)
    thread.join(20)
    assert found == [folder / "m" / f"m{EXTENSION_SUFFIXES[0]}"]
    assert make.made == 0


def test_a_module_may_be_asked_for_while_it_is_made(folder: Path) -> None:
    """By a finalizer, say, that runs in the thread that has the lock."""
    inner = Maker()

    def outer(into: Path) -> Path:
        cache.module_file("m", inner)
        return Maker()(into)

    assert cache.module_file("m", outer).read_bytes() == b"an extension"
    assert inner.made == 1
    assert cache.module_file("m", inner).exists()
    lock = os.open(folder / "m.lock", os.O_RDWR)
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # nobody has it any more
    os.close(lock)


def test_what_a_dead_compiler_has_left_is_removed_and_not_what_a_live_one_has(folder: Path) -> None:
    folder.mkdir(parents=True)
    folder.chmod(0o700)
    for name in ("building-dead.x1", "building-alive.x2"):
        (folder / name / "module").mkdir(parents=True)
    lock = os.open(folder / "alive.lock", os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX)
    cache.module_file("m", Maker())
    os.close(lock)
    assert sorted(each.name for each in folder.glob("building-*")) == ["building-alive.x2"]
    cache.module_file("n", Maker("n"))
    assert list(folder.glob("building-*")) == []


# what a compiled module depends on


class Stop(Exception):
    pass


def test_a_module_is_compiled_again_when_anything_it_depends_on_has_changed(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names: list[str] = []

    def compiler(name: str, source: Path, *rest: object) -> Path:
        assert source.name == f"{name}.pyx"
        assert sorted(each.name for each in source.parent.iterdir()) == [
            f"{name}.{ending}" for ending in ("pxd", "pyi", "pyx")
        ]
        names.append(name)
        raise Stop

    monkeypatch.setattr(builder, "compile_module", compiler)
    monkeypatch.delenv("SBE_BUILD", raising=False)
    path = tmp_path / "s.xml"
    conventions = tmp_path / "c.toml"
    conventions.write_text('empty_is_null = ["text"]')

    def name(**options: object) -> str:
        with pytest.raises(Stop):
            loading.load(path, **options)  # type: ignore[arg-type]
        return names[-1]

    data = "<message name='M' id='1'><data name='t' id='1' type='text'/></message>"
    path.write_text(schema(data))
    first = name()
    assert first == name()
    assert first.startswith("p_")
    others = [name(conventions=conventions), name(conventions=str(conventions))]
    assert others[0] == others[1]
    for switch in ("debug", "native", "annotate"):
        monkeypatch.setenv("SBE_BUILD", switch)
        others.append(name())
    monkeypatch.delenv("SBE_BUILD")
    with monkeypatch.context() as patch:
        patch.setattr(loading, "__version__", "99")
        others.append(name())
    real = loading.version
    for package in ("Cython", "numpy"):
        with monkeypatch.context() as patch:
            patch.setattr(loading, "version", lambda n, p=package: "9" if n == p else real(n))
            others.append(name())
    with monkeypatch.context() as patch:
        patch.setattr("sys.version", "4.0")
        others.append(name())
    path.write_text(schema(data).replace("'t'", "'u'"))
    others.append(name())
    assert len({first, *others}) == len(others)  # two of them are the same
    path.write_text(schema(data))
    assert name() == first
