"""The README is short, its code runs, and it says the same in both languages."""

from __future__ import annotations

import ast
import re
import tomllib

import pytest
from pages import ROOT, Program, blocks

README, CHINESE = ROOT / "README.md", ROOT / "README.zh-CN.md"


@pytest.mark.parametrize("path", [README, CHINESE], ids=lambda path: path.name)
def test_the_code_runs_and_gives_what_its_comments_say(
    path: object, capsys: pytest.CaptureFixture[str]
) -> None:
    assert path in (README, CHINESE)
    program = Program(README if path == README else CHINESE).run()
    assert program.checked >= 10
    printed = capsys.readouterr().out
    assert "BTCUSDT [" in printed
    assert "[]" in printed
    assert "live FloatLevel(price=" in printed


@pytest.mark.parametrize("path", [README, CHINESE], ids=lambda path: path.name)
def test_it_is_short_enough_to_read(path: object) -> None:
    assert path in (README, CHINESE)
    text = (README if path == README else CHINESE).read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 200
    assert len(blocks(text)) == 6
    assert len(re.findall(r"^!\[", text, re.MULTILINE)) == 1
    assert "make demo" in text
    assert "make test" in text


def test_both_languages_have_the_same_code() -> None:
    one, other = (
        [ast.dump(ast.parse(code)) for _, code in blocks(path.read_text(encoding="utf-8"))]
        for path in (README, CHINESE)
    )
    assert one == other


def test_both_languages_have_the_same_figures_and_links() -> None:
    texts = [path.read_text(encoding="utf-8") for path in (README, CHINESE)]
    one, other = (
        sorted(set(re.findall(r"\]\((?!README)([^)]+)\)", text)) - {"README.md"}) for text in texts
    )
    assert one == other
    # the times, whatever stands around them
    one, other = (re.findall(r"\| \**([\d,]+) ns", text) for text in texts)
    assert one == other
    assert len(one) == 8


def test_addresses_of_the_package_are_those_of_the_readme() -> None:
    told = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["urls"]
    found = re.findall(r"\]\((https?:[^)]+)\)", README.read_text(encoding="utf-8"))
    assert sorted(told.values()) == sorted(found)
    assert all(each.startswith("https://") for each in found)
    assert all(len(label) <= 32 for label in told)  # what an index takes
