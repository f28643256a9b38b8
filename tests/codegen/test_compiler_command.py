"""``sbe-codegen`` inside this process: each option arrives, and each outcome has its exit code."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from small import body, plain, schema

from sbe_codegen import SchemaError, builder, cli
from sbe_codegen.conventions import Conventions
from sbe_codegen.version import __version__


@pytest.fixture
def small(tmp_path: Path) -> Path:
    path = tmp_path / "small.xml"
    path.write_text(body(plain("a", 1), "<data name='t' id='2' type='text'/>"))
    return path


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    try:
        code = cli.main([str(each) for each in arguments])
    except SystemExit as end:
        code = int(end.code or 0)
    shown = capsys.readouterr()
    return code, shown.out, shown.err


def test_the_version_and_the_commands_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "--version") == (0, f"sbe-codegen {__version__}\n", "")
    code, out, _ = run(capsys, "--help")
    assert code == 0
    for command in ("check", "emit", "build", "layout", "diff"):
        assert re.search(rf"^    {command} +\w", out, re.MULTILINE)
        code, shown, _ = run(capsys, command, "--help")
        assert code == 0
        assert shown.startswith(f"usage: sbe-codegen {command} ")
    code, _, err = run(capsys)
    assert (code, "the following arguments are required: COMMAND" in err) == (2, True)


def test_two_messages_and_one_fault_are_counted(
    small: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    two = schema("<message name='M' id='1'/><message name='N' id='2'/>")
    small.write_text(two)
    assert run(capsys, "check", small) == (
        0, f"{small}: p, schema 1, version 1: 2 messages, no errors\n", ""
    )  # fmt: skip
    small.write_text(two.replace("id='2'", "id='1'"))
    assert run(capsys, "check", small) == (
        1, f"{small}:13: N: template id 1 is used by 'M' already\n", f"{small}: 1 error\n"
    )  # fmt: skip


@pytest.mark.parametrize(
    ("name", "stem"), [(None, "p"), ("mine", "mine"), ("a.b.mine", "mine"), ("_", "_")]
)
def test_sources_are_called_by_the_last_part_of_a_name(
    small: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str | None, stem: str
) -> None:
    options = () if name is None else ("--package", name)
    code, out, err = run(capsys, "emit", small, "--out", tmp_path / "x" / "y", *options)
    files = [tmp_path / "x" / "y" / f"{stem}.{ending}" for ending in ("pyx", "pxd", "pyi")]
    assert (code, out, err) == (0, "".join(f"{file}\n" for file in files), "")
    assert all(file.exists() for file in files)
    assert "small.xml (p, schema 1, version 1)" in files[0].read_text().splitlines()[0]


NO_NAME = "is no name of a module: parts of letters, digits and _ with dots between them"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("a-b", f"'a-b' {NO_NAME}"),
        ("a..b", f"'a..b' {NO_NAME}"),
        ("", f"'' {NO_NAME}"),
        ("a.class", "'a.class' is a keyword of Python: nobody could import it"),
        ("class.a", "'class.a' is a keyword of Python: nobody could import it"),
        ("json", "'json' would hide a module that others import"),
        ("numpy.x", "'numpy.x' would hide a module that others import"),
        ("sbe_codegen", "'sbe_codegen' would hide a module that others import"),
    ],
)
@pytest.mark.parametrize("command", ["emit", "build"])
def test_names_that_no_module_can_have_are_refused(
    small: Path, capsys: pytest.CaptureFixture[str], command: str, name: str, said: str
) -> None:
    code, _, err = run(capsys, command, small, "--out", small.parent, "--package", name)
    assert code == 2
    assert err.endswith(f"sbe-codegen {command}: error: argument --package: {said}\n")


@pytest.mark.parametrize(
    ("package", "name"),
    [("a.b", "a_b"), ("json", "json_"), ("class", "class_"), ("numpy", "numpy_"), ("mine", "mine")],
)
def test_a_module_is_called_as_its_package_and_hides_no_other(package: str, name: str) -> None:
    assert builder.module_name(package) == name


@pytest.mark.parametrize("command", ["check", "emit", "build", "layout"])
def test_conventions_arrive_at_each_command(
    small: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    seen: list[Any] = []

    def stop(file: Path, conventions: Conventions | None = None) -> None:
        seen.append((file, conventions))
        raise SchemaError("x.xml", 0, "", "enough")

    monkeypatch.setattr(builder, "read", stop)
    toml = small.with_suffix(".toml")
    toml.write_text('embedded = ["te*"]\n[layout_since]\n7 = 3\n[removed]\n9 = "gone"\n')
    out = () if command in ("check", "layout") else ("--out", small.parent)
    assert run(capsys, command, small, "--conventions", toml, *out)[0] == 1
    assert run(capsys, command, small, *out)[0] == 1
    expected = Conventions((), ("te*",), {7: 3}, {9: "gone"})
    assert seen == [(small, expected), (small, None)]


def test_conventions_know_types_by_patterns() -> None:
    found = Conventions(("a*", "b"), ("c?",))
    assert [found.is_null_when_empty(name) for name in ("ax", "b", "bx", "c1", "A")] == [
        True, True, False, False, False
    ]  # fmt: skip
    assert [found.is_embedded(name) for name in ("c1", "c", "ax")] == [True, False, False]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("embedded = [1]", "embedded: is a list of patterns of type names"),
        ("empty_is_null = 'a'", "empty_is_null: is a list of patterns of type names"),
        ("layout_since = 3", "layout_since: is a table of template ids"),
        ("[layout_since]\n1 = 'x'", "layout_since: is a table of template ids"),
        ("[layout_since]\n12345678901 = 1", "layout_since: is a table of template ids"),
        ("[removed]\n1 = 2", "removed: is a table of template ids"),
        ("[removed]\n-1 = 'x'", "removed: is a table of template ids"),
        ("other = 1", "other: there is no such convention; there are empty_is_null, embedded, "
                      "layout_since, removed, exponent, exponents, times, appended_is_absent, "
                      "packet"),
    ],
)  # fmt: skip
def test_conventions_that_are_none_are_explained(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "c.toml"
    path.write_text(text)
    with pytest.raises(SchemaError) as caught:
        Conventions.read(path)
    assert str(caught.value) == f"{path}: {said}"


def test_conventions_at_their_limits_are_taken(tmp_path: Path) -> None:
    path = tmp_path / "c.toml"
    path.write_text("[layout_since]\n1234567890 = 4294967295\n2 = 0\n")
    assert Conventions.read(path) == Conventions(layout_since={1234567890: 2**32 - 1, 2: 0})
    path.write_text("")
    assert Conventions.read(path) == Conventions()
    with pytest.raises(SchemaError, match=r"none\.toml: can't be read: No such file"):
        Conventions.read(tmp_path / "none.toml")


def test_a_layout_that_there_is_not_names_those_there_are(
    small: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    small.write_text(schema("<message name='M' id='1'/><message name='N' id='2'/>"))
    assert run(capsys, "layout", small, "3") == (
        2, "", f"sbe-codegen: {small} has no message '3'; it has M (1), N (2)\n"
    )  # fmt: skip
    code, out, _ = run(capsys, "layout", small, "2")
    assert code == 0
    assert "N, template 2" in out
    assert "M, template 1" not in out


def test_exit_codes_of_what_can_not_be_read_or_written(
    small: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    none = tmp_path / "none.xml"
    frame = tmp_path / "frame.bin"
    frame.write_bytes(bytes(8))
    for command in ("check", "build", "layout", "inspect"):
        code, _, err = run(capsys, command, none, *([frame] if command == "inspect" else []))
        assert (code, "none.xml: can't be read: No such file" in err) == (2, True), command
    assert run(capsys, "diff", small, none)[0] == 2
    assert run(capsys, "diff", none, small)[0] == 2
    code, _, err = run(capsys, "emit", small, "--out", small / "x")
    assert (code, f"sbe-codegen: '{small}/x': Not a directory" in err) == (2, True)
    code, _, err = run(capsys, "check", small, "--fast")
    assert (code, "unrecognized arguments: --fast" in err) == (2, True)


def test_files_that_would_not_change_are_left_alone(small: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    builder.generate(small, out)
    for file in out.iterdir():
        file.chmod(0o400)
    before = {file: file.stat().st_mtime_ns for file in out.iterdir()}
    builder.generate(small, out)
    assert {file: file.stat().st_mtime_ns for file in out.iterdir()} == before
    (out / "p.pyi").chmod(0o600)
    (out / "p.pyi").write_text("changed")
    builder.generate(small, out)
    assert (out / "p.pyi").read_text().startswith("# Generated")


@pytest.mark.parametrize(
    ("given", "on"),
    [("", set()), ("debug", {"debug"}), (" debug , native,", {"debug", "native"}), (",", set())],
)
def test_switches_are_words_with_commas(
    monkeypatch: pytest.MonkeyPatch, given: str, on: set[str]
) -> None:
    monkeypatch.setenv("SBE_BUILD", given)
    assert builder.switches() == on


ALWAYS = ["-std=c11", "-Wno-unused-function", "-fno-strict-aliasing"]
SANITIZERS = ["-fsanitize=address,undefined", "-fno-sanitize-recover=undefined"]


@pytest.mark.parametrize(
    ("given", "compiler", "linker"),
    [
        ("", ["-O3", "-g0", "-fno-plt"], []),
        ("debug", ["-O0", "-g"], []),
        ("native", ["-O3", "-g0", "-fno-plt", "-march=native"], []),
        ("sanitize", ["-O1", "-g1", *SANITIZERS, "-fno-omit-frame-pointer"], SANITIZERS),
        ("sanitize,debug", ["-O0", "-g", *SANITIZERS, "-fno-omit-frame-pointer"], SANITIZERS),
        ("coverage,annotate", ["-O3", "-g0", "-fno-plt"], []),
    ],
)
def test_flags_are_those_of_the_switches(
    monkeypatch: pytest.MonkeyPatch, given: str, compiler: list[str], linker: list[str]
) -> None:
    monkeypatch.setenv("SBE_BUILD", given)
    monkeypatch.setenv("CC", "clang")
    assert builder.flags() == ([*ALWAYS, *compiler], linker)


def test_gcc_alone_is_told_to_be_thrifty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SBE_BUILD", "")
    found = {}
    for compiler in ("clang", "gcc", "ccache x86_64-linux-gnu-gcc-12"):
        monkeypatch.setenv("CC", compiler)
        found[compiler] = any("ggc-min" in flag for flag in builder.flags()[0])
    assert list(found.values()) == [False, True, True]


def test_an_unknown_switch_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SBE_BUILD", "debug,fast,hot")
    with pytest.raises(SystemExit) as caught:
        builder.switches()
    assert str(caught.value) == (
        "SBE_BUILD: no switch fast, hot; there are annotate, coverage, debug, native, sanitize"
    )


def test_the_help_of_each_command_has_examples_that_parse_and_exit_codes() -> None:
    parser = cli._parser()
    (commands,) = (each.choices for each in parser._actions if isinstance(each.choices, dict))
    assert len(commands) == 8
    for name, command in commands.items():
        text = command.format_help()
        examples = re.findall(rf"^  sbe-codegen ({name} +\S+(?: \S+)*)", text, re.MULTILINE)
        assert examples, name
        for example in examples:
            assert parser.parse_args(example.split()).command == name
        assert "exit codes: 0 " in text
        assert command.description


def test_sources_of_some_messages_only(tmp_path: Path) -> None:
    path = tmp_path / "two.xml"
    path.write_text(schema("<message name='A' id='1'/><message name='B' id='2'/>"))
    assert cli.main(["emit", str(path), "--out", str(tmp_path), "--messages", "B"]) == 0
    text = (tmp_path / "p.pyi").read_text()
    assert "class B(" in text
    assert "class A(" not in text
    assert cli.main(["emit", str(path), "--out", str(tmp_path), "--messages", "C"]) == 2


def test_ctrl_c_amid_the_translation_is_a_sentence(small: Path, tmp_path: Path) -> None:
    """A terminal sends it to all processes of the command."""
    command = [sys.executable, "-m", "sbe_codegen", "build", small, "--out", tmp_path]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, process_group=0) as running:
        assert running.stderr is not None
        said = []
        for line in running.stderr:
            said.append(line)
            if "translating to C" in line:
                os.killpg(running.pid, signal.SIGINT)
        assert running.wait(timeout=60) == 130
    assert said[-1] == "sbe-codegen: interrupted\n"
    assert not list(tmp_path.glob("*.so"))
