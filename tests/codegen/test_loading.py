"""`load` and its cache, attacked with real files, threads, and processes that are killed."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from typing import Any

import pytest
from small import schema

import sbe_codegen
from sbe_codegen import cache

ROOT = Path(__file__).parent.parent.parent
FRAME = bytes([1, 0, 1, 0, 1, 0, 1, 0, 7])
TELL = "import sbe_codegen, sys; m = sbe_codegen.load(sys.argv[1], progress=print); print(m.decode"
LOAD = f"{TELL}({FRAME!r}).a)"
_numbers = iter(range(100, 1000))


@pytest.fixture
def fresh(tmp_path: Path) -> Path:
    """A schema that this process has not loaded."""
    path = tmp_path / "s.xml"
    path.write_text(schema(root=f'id="1" version="{next(_numbers)}"'))
    return path


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "cache"
    monkeypatch.setenv("SBE_CODEGEN_CACHE", str(path))
    monkeypatch.setenv("SBE_BUILD", os.environ.get("SBE_BUILD") or "debug")
    return path


def run(path: Path, **options: Any) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", LOAD, str(path)], cwd=ROOT, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **options,
    )  # fmt: skip


def loaded(path: Path) -> str:
    done = run(path)
    output, _ = done.communicate(timeout=120)
    assert done.returncode == 0, output
    assert output.endswith("7\n")
    return output


def modules(folder: Path) -> list[Path]:
    return [each for each in folder.iterdir() if each.is_dir()]


def extension(folder: Path) -> Path:
    (module,) = modules(folder)
    return module / f"{module.name}{EXTENSION_SUFFIXES[0]}"


def until(holds: Any, what: str) -> None:
    end = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < end, what
        time.sleep(0.005)


# who may write there


def test_the_cache_is_for_its_owner_alone(fresh: Path, folder: Path) -> None:
    before = os.umask(0)
    try:
        sbe_codegen.load(fresh)
    finally:
        os.umask(before)
    (module,) = modules(folder)
    assert [each.stat().st_mode & 0o077 for each in (folder, module)] == [0, 0]
    assert extension(folder).stat().st_mode & 0o022 == 0
    assert "compiling" not in loaded(fresh)


@pytest.mark.parametrize("mode", [0o777, 0o775, 0o702, 0o1777])
def test_a_folder_that_others_may_write_to_is_refused(fresh: Path, folder: Path, mode: int) -> None:
    folder.mkdir()
    folder.chmod(mode)
    with pytest.raises(PermissionError) as caught:
        sbe_codegen.load(fresh)
    said = str(caught.value)
    assert "others may write to it (chmod go-w '" in said
    assert "SBE_CODEGEN_CACHE says where else" in said
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("what", ["module", "extension"])
def test_a_module_that_others_may_write_to_is_refused(fresh: Path, folder: Path, what: str) -> None:
    loaded(fresh)
    path = extension(folder) if what == "extension" else extension(folder).parent
    path.chmod(0o777)
    with pytest.raises(PermissionError, match="others may write to it"):
        sbe_codegen.load(fresh)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
@pytest.mark.parametrize("what", ["folder", "link", "module"])
def test_what_belongs_to_another_user_is_refused(fresh: Path, folder: Path, what: str) -> None:
    if what == "module":
        loaded(fresh)
        os.chown(extension(folder).parent, 12345, -1)
    else:
        real = folder.with_name("real") if what == "link" else folder
        real.mkdir(mode=0o700)
        os.chown(real, 12345, -1)
        if what == "link":
            folder.symlink_to(real)
    with pytest.raises(PermissionError, match=r"it belongs to another user \(uid 12345\)"):
        sbe_codegen.load(fresh)


def test_a_folder_that_all_may_rename_is_refused(
    fresh: Path, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_to_all = tmp_path / "open"
    open_to_all.mkdir()
    open_to_all.chmod(0o777)
    monkeypatch.setenv("SBE_CODEGEN_CACHE", str(open_to_all / "cache"))
    with pytest.raises(PermissionError, match=r"all may rename it, as '.*open' is not sticky"):
        sbe_codegen.load(fresh)
    open_to_all.chmod(0o1777)  # as /tmp is
    assert sbe_codegen.load(fresh).decode(FRAME).a == 7


# links, pipes and damage in the place of files


def lock_of(folder: Path) -> Path:
    (lock,) = folder.glob("*.lock")
    return lock


def test_a_lock_that_is_a_link_empties_nothing(fresh: Path, folder: Path, tmp_path: Path) -> None:
    loaded(fresh)
    lock = lock_of(folder)
    shutil.rmtree(modules(folder)[0])
    lock.unlink()
    target = tmp_path / "precious"
    target.write_text("all of it")
    lock.symlink_to(target)
    with pytest.raises(PermissionError, match="is a link, and no lock: remove it"):
        sbe_codegen.load(fresh)
    assert target.read_text() == "all of it"


def test_a_lock_that_is_something_else_is_not_waited_for(fresh: Path, folder: Path) -> None:
    loaded(fresh)
    lock = lock_of(folder)
    for make in (os.mkfifo, lambda path: Path(path).write_text("all of it")):
        shutil.rmtree(modules(folder)[0])
        lock.unlink()
        make(lock)
        assert "compiling" in loaded(fresh)
    assert lock.read_text() == "all of it"


def truncated(module: Path) -> None:
    file = module / f"{module.name}{EXTENSION_SUFFIXES[0]}"
    content = file.read_bytes()
    file.write_bytes(content[: len(content) // 2])


def zeroed(module: Path) -> None:
    file = module / f"{module.name}{EXTENSION_SUFFIXES[0]}"
    file.write_bytes(bytes(file.stat().st_size))


def emptied(module: Path) -> None:
    for each in module.iterdir():
        each.write_bytes(b"")


def without_extension(module: Path) -> None:
    (module / f"{module.name}{EXTENSION_SUFFIXES[0]}").unlink()


def without_anything(module: Path) -> None:
    shutil.rmtree(module)
    module.mkdir()


def a_file(module: Path) -> None:
    shutil.rmtree(module)
    module.write_text("")


def a_link(module: Path) -> None:
    shutil.rmtree(module)
    module.symlink_to("/nowhere")


DAMAGES = [truncated, zeroed, emptied, without_extension, without_anything, a_file, a_link]


@pytest.mark.parametrize("damage", DAMAGES)
def test_what_is_not_whole_is_made_anew(folder: Path, damage: Any) -> None:
    made: list[Path] = []

    def make(into: Path) -> Path:
        made.append(into / f"m{EXTENSION_SUFFIXES[0]}")
        made[-1].write_bytes(b"an extension")
        return made[-1]

    file = cache.module_file("m", make)
    assert (cache.module_file("m", make), len(made)) == (file, 1)
    damage(file.parent)
    assert (cache.module_file("m", make), len(made)) == (file, 2)
    assert (cache.module_file("m", make), len(made)) == (file, 2)
    assert file.read_bytes() == b"an extension"
    assert sorted(each.name for each in folder.iterdir()) == ["m", "m.lock"]


def test_a_truncated_extension_is_compiled_anew(fresh: Path, folder: Path) -> None:
    loaded(fresh)
    truncated(modules(folder)[0])
    assert "compiling" in loaded(fresh)
    assert "compiling" not in loaded(fresh)


# at once


def test_threads_that_load_at_once_get_one_whole_module(fresh: Path, folder: Path) -> None:
    for compiled in (False, True):
        barrier = threading.Barrier(4)
        said: list[str] = []

        def go(_: int, barrier: Any = barrier, said: list[str] = said) -> Any:
            barrier.wait()
            module = sbe_codegen.load(fresh, progress=said.append)
            return module, module.decode(FRAME).a

        if compiled:  # the second time only the import is new to this process
            fresh.write_text(fresh.read_text().replace('version="', 'version="1'))
            loaded(fresh)
        with ThreadPoolExecutor(4) as pool:
            done = list(pool.map(go, range(4)))
        assert len({id(module) for module, _ in done}) == 1
        assert [value for _, value in done] == [7] * 4
        assert said.count("compiling") == (0 if compiled else 1)


def test_threads_that_load_different_schemas_at_once(tmp_path: Path, folder: Path) -> None:
    paths = []
    for i in range(3):
        paths.append(tmp_path / f"{i}.xml")
        paths[i].write_text(schema(root=f'id="1" version="{next(_numbers)}"'))
    with ThreadPoolExecutor(3) as pool:
        found = list(pool.map(sbe_codegen.load, paths))
    assert [module.decode(FRAME).a for module in found] == [7] * 3
    assert len(modules(folder)) == 3


def test_processes_that_load_at_once(fresh: Path, folder: Path) -> None:
    started = [run(fresh) for _ in range(4)]
    outputs = [each.communicate(timeout=120)[0] for each in started]
    assert [each.returncode for each in started] == [0] * 4, outputs
    assert sum("compiling" in each for each in outputs) == 1


# killed


@pytest.fixture
def killed(fresh: Path, folder: Path) -> Iterator[Any]:
    """Kills a process with SIGKILL while it compiles; the compiler it started goes with it."""

    def kill(when: str) -> None:
        started = run(fresh, start_new_session=True)
        assert started.stdout is not None
        until(lambda: list(folder.glob(f"building-*/{when}")), "nothing is built")
        os.killpg(started.pid, signal.SIGKILL)
        started.wait()
        started.stdout.close()
        assert list(folder.glob("building-*"))

    return kill


@pytest.mark.parametrize("when", ["module", "module/*.pyx", "module/*.c"])
def test_what_a_killed_compiler_leaves_is_removed(
    fresh: Path, folder: Path, killed: Any, when: str
) -> None:
    killed(when)
    assert "compiling" in loaded(fresh)
    assert sorted(each.suffix for each in folder.iterdir()) == ["", ".lock"]


def test_another_schema_removes_it_too(
    fresh: Path, folder: Path, killed: Any, tmp_path: Path
) -> None:
    killed("module/*.c")
    other = tmp_path / "other.xml"
    other.write_text(schema(root=f'id="1" version="{next(_numbers)}"'))
    loaded(other)
    assert list(folder.glob("building-*")) == []


def test_what_others_are_building_is_left_alone(fresh: Path, folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.xml"
    other.write_text(schema(root=f'id="1" version="{next(_numbers)}"'))
    slow = run(fresh)
    until(lambda: list(folder.glob("building-*/module/*.pyx")), "nothing is built")
    slow.send_signal(signal.SIGSTOP)
    try:
        loaded(other)
        assert len(list(folder.glob("building-*"))) == 1
    finally:
        slow.send_signal(signal.SIGCONT)
    output, _ = slow.communicate(timeout=120)
    assert slow.returncode == 0, output
    assert list(folder.glob("building-*")) == []


def test_a_compiler_that_fails_leaves_nothing(
    fresh: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from setuptools.errors import CompileError

    monkeypatch.setenv("CC", "false")
    with pytest.raises(CompileError):
        sbe_codegen.load(fresh)
    assert [each.suffix for each in folder.iterdir()] == [".lock"]


def test_messages_and_conventions_may_be_given_by_position(fresh: Path, folder: Path) -> None:
    conventions = fresh.with_suffix(".toml")
    conventions.write_text("")
    module = sbe_codegen.load(fresh, ["M"], conventions)
    assert module is sbe_codegen.load(fresh, messages=["M"], conventions=conventions)
    with pytest.raises(TypeError):
        sbe_codegen.load(fresh, None, None, print)  # type: ignore[misc]


def test_what_the_compiler_only_warns_of_is_not_shown(
    fresh: Path, folder: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """gcc takes for uninitialized what generated code reads where nothing has been raised."""
    monkeypatch.setenv("SBE_BUILD", "native")  # optimized: gcc looks for such things then
    text = fresh.read_text()
    for name in ("blockLength", "schemaId"):
        text = text.replace(f'<type name="{name}" primitiveType="uint16"/>', "", 1)
    fresh.write_text(text)
    sbe_codegen.load(fresh)
    assert capfd.readouterr().err == ""


def test_the_error_of_a_schema_without_messages_says_so(fresh: Path, folder: Path) -> None:
    text = fresh.read_text()
    fresh.write_text(text[: text.index("<message ")] + "</messageSchema>")
    with pytest.raises(sbe_codegen.runtime.errors.UnknownTemplate, match="has no messages$"):
        sbe_codegen.load(fresh).decode(FRAME)


def test_what_is_no_path_and_no_conventions_is_told(fresh: Path, folder: Path) -> None:
    with pytest.raises(TypeError, match="the path of a file, not its text"):
        sbe_codegen.load(fresh.read_text())
    with pytest.raises(TypeError, match=r"a sbe_codegen.conventions.Conventions, not dict"):
        sbe_codegen.load(fresh, conventions={"times": {}})  # type: ignore[arg-type]
