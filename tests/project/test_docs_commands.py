"""The commands on the pages can be typed: their options, targets and extras are there."""

from __future__ import annotations

import re
import shlex
import tomllib
from collections.abc import Iterator

import pytest
from test_docs import PAGES, ROOT

from binance_sbe.commands import options
from sbe_codegen import cli

TEXTS = {
    name: (ROOT / name).read_text(encoding="utf-8") for name in PAGES if name != "CHANGELOG.md"
}


def commands(program: str) -> Iterator[tuple[str, str, list[str]]]:
    """Page, command as it is written, and its arguments: of indented lines and of code in lines."""
    for name, text in TEXTS.items():
        prose = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
        indented = re.findall(r"^(?: {4}|\t)(\S.*)$", prose, re.MULTILINE)
        for line in [*indented, *re.findall(r"`([^`\n]+)`", prose)]:
            words = shlex.split(line, comments=True) if line.count("'") % 2 == 0 else []
            while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
                del words[0]
            if words and words[0].rpartition("/")[2] == program and len(words) > 1:
                yield name, line, words[1:]


def test_commands_take_what_pages_give_them(capsys: pytest.CaptureFixture[str]) -> None:
    found = list(commands("binance-sbe"))
    assert len(found) > 20
    for name, line, words in found:
        if words in (["--help"], ["--version"]) or words[0][0].isdigit():  # a version
            continue
        try:
            options.parsed(words)
        except SystemExit as error:
            said = capsys.readouterr().err
            is_only_named = len(words) == 1 and "required" in said  # `binance-sbe plot`
            assert error.code == 0 or is_only_named, f"{name}: {line}\n{said}"


def test_the_compiler_takes_what_pages_give_it(capsys: pytest.CaptureFixture[str]) -> None:
    found = list(commands("sbe-codegen"))
    assert len(found) > 4
    for name, line, words in found:
        try:
            cli._parser().parse_args(words)
        except SystemExit as error:
            said = capsys.readouterr().err
            is_only_named = len(words) == 1 and "required" in said
            assert error.code == 0 or is_only_named, f"{name}: {line}\n{said}"


def test_targets_of_make_are_in_the_makefile() -> None:
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    found = list(commands("make"))
    assert len(found) > 10
    for name, line, words in found:
        assert words[0] in targets, f"{name}: {line}"


def test_extras_of_pages_are_those_of_the_project() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    found = [
        (name, extra)
        for name, text in TEXTS.items()
        for listed in re.findall(r"pip install (?:-e )?'?\.\[([\w,-]+)\]", text)
        for extra in listed.split(",")
    ]
    assert len(found) > 8
    for name, extra in found:
        assert extra in project["optional-dependencies"], f"{name}: {extra}"


def test_files_that_pages_name_are_there() -> None:
    for name, text in TEXTS.items():
        for path in re.findall(r"`((?:examples|benchmarks|tests|schemas)/[\w/.-]+\.\w+)`", text):
            assert (ROOT / path).is_file(), f"{name}: {path}"
