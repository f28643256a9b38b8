"""Cython in a process of its own: what it is given, what it says, and what stays as it was."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from setuptools.errors import CompileError

from sbe_codegen import builder, translating

SCHEMA = """<sbe:messageSchema xmlns:sbe="http://fixprotocol.io/2016/sbe" package="alone" id="7"
 version="1"><types><composite name="messageHeader">
 <type name="blockLength" primitiveType="uint16"/>
 <type name="templateId" primitiveType="uint16"/><type name="schemaId" primitiveType="uint16"/>
 <type name="version" primitiveType="uint16"/></composite></types>
 <sbe:message name="M" id="1"><field name="a" id="1" type="uint8"/></sbe:message>
</sbe:messageSchema>"""


def generated(directory: Path) -> Path:
    schema = directory / "schema.xml"
    schema.write_text(SCHEMA)
    return builder.generate(schema, directory, "alone")


def test_what_cython_refuses_is_told(tmp_path: Path) -> None:
    source = tmp_path / "wrong.pyx"
    source.write_text("cdef int x = nothing_of_that_name\n")
    with pytest.raises(CompileError, match=r"(?s)Cython refuses wrong\.pyx.*nothing_of_that_name"):
        translating.translate("wrong", source)


def test_a_module_is_built_in_a_folder_that_is_a_package(tmp_path: Path) -> None:
    schema = tmp_path / "schema.xml"
    schema.write_text(SCHEMA)
    package = tmp_path / "package"
    package.mkdir()
    (package / "__init__.py").touch()
    assert builder.build(schema, package, "alone").parent == package


def test_a_killed_cython_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(translating, "_CODE", "import os; os.kill(os.getpid(), 9)")
    with pytest.raises(CompileError, match=r"signal 9 has ended it; was there too little memory\?"):
        translating.translate("alone", generated(tmp_path))


def test_what_lies_in_the_directory_is_not_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files of the user's with the names of modules that Cython needs."""
    source = generated(tmp_path)
    for name in ("json.py", "Cython.py", "numpy.py", "sbe_codegen.py"):
        (tmp_path / name).write_text("raise SystemExit('imported')\n")
    monkeypatch.chdir(tmp_path)
    translating.translate("alone", source)
    assert source.with_suffix(".c").exists()


@pytest.mark.parametrize("executable", [None, "", "/usr/bin/uwsgi"])
def test_a_program_that_embeds_python_is_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, executable: str | None
) -> None:
    monkeypatch.setattr(sys, "executable", executable)
    monkeypatch.setattr(translating, "_CODE", "raise SystemExit('run all the same')")
    source = generated(tmp_path)
    translating.translate("alone", source)
    assert source.with_suffix(".c").exists()
    wrong = tmp_path / "wrong.pyx"
    wrong.write_text("cdef int x = nothing_of_that_name\n")
    with pytest.raises(CompileError, match=r"Cython refuses wrong\.pyx"):
        translating.translate("wrong", wrong)


CALLER = """
import os, sys
from pathlib import Path
from sbe_codegen import builder, translating

def peak():
    status = Path("/proc/self/status").read_text()
    return int(status[status.index("VmHWM:") + 6:].split()[0]) // 1024

def main():
    translating.main()
    print(peak(), file=open("child", "w"))

if __name__ == "__main__":
    translating._CODE = "import caller; caller.main()"
    builder.build(Path("schema.xml"), Path(), "alone")
    print(peak(), file=open("parent", "w"))
    import Cython.Build
    Path("other.pyx").write_text("gr\\u00f6\\u00dfe = 1\\n", encoding="utf-8")
    Cython.Build.cythonize(["other.pyx"], quiet=True, compiler_directives={"language_level": 3})
"""


@pytest.mark.skipif(sys.platform != "linux", reason="/proc tells the most memory that was taken")
def test_the_caller_keeps_its_memory_and_its_cython(tmp_path: Path) -> None:
    """Cython's tables of all names take 150 MB: neither process has them."""
    (tmp_path / "schema.xml").write_text(SCHEMA)
    (tmp_path / "caller.py").write_text(CALLER)
    done = subprocess.run(
        [sys.executable, "caller.py"], cwd=tmp_path, capture_output=True, text=True, check=False,
        env=os.environ | {"PYTHONPATH": str(Path(builder.__file__).parent.parent)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert int((tmp_path / "parent").read_text()) < 110
    assert int((tmp_path / "child").read_text()) < 150
    assert (tmp_path / "other.c").exists()


WHOLE = """
import resource, sys
from pathlib import Path
from sbe_codegen import builder

builder.build(Path("hundred.xml"), Path(), "hundred")
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024)
"""


def hundred() -> str:
    """A published schema of 92 messages with eight of its larger ones twice."""
    text = (Path(builder.__file__).parent.parent / "schemas" / "spot_3_5.xml").read_text("utf-8")
    messages = re.findall(r"<sbe:message (?:(?!<sbe:message ).)*?</sbe:message>", text, re.DOTALL)
    more = ""
    for i, message in enumerate(sorted(messages, key=len)[-12:-4]):
        named = re.sub(r'name="(\w+)"', rf'name="Second{i}\1"', message, count=1)
        more += re.sub(r'\bid="\d+"', f'id="{9000 + i}"', named, count=1)
    return text.replace("</sbe:messageSchema>", f"{more}</sbe:messageSchema>")


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.skipif("SBE_BUILD" in os.environ, reason="of a build without switches")
@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss is in KiB there")
def test_a_hundred_messages_are_compiled_in_300_mb(tmp_path: Path) -> None:
    (tmp_path / "hundred.xml").write_text(hundred(), "utf-8")
    assert len(builder.read(tmp_path / "hundred.xml").messages) == 100
    done = subprocess.run(
        [sys.executable, "-c", WHOLE], cwd=tmp_path, capture_output=True, text=True, check=False,
        env=os.environ | {"PYTHONPATH": str(Path(builder.__file__).parent.parent)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) <= 300, done.stdout
