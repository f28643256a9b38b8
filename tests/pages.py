"""Pages of Markdown: their code runs as one program, and their links lead somewhere."""

from __future__ import annotations

import ast
import asyncio
import inspect
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
# A comment that begins so shows what the expression before it gives.
SHOWN = re.compile(r"""['"\[({]|-?\d|(?:Decimal|array|Level|FloatLevel)\(|(?:True|False|None)\b""")
# Pages whose code is for a place where `await` may stand by itself, as in a notebook.
WITH_AWAIT = {"docs/howto/notebooks.md"}
_FENCE = re.compile(r"^(`{3,}|:{3,})(.*?)\n(.*?)^\1\s*$", re.MULTILINE | re.DOTALL)


def blocks(text: str, language: str = "python") -> list[tuple[int, str]]:
    """The code blocks of a language: the line where each begins, and its code."""
    return [
        (text.count("\n", 0, found.start(3)), found[3])
        for found in _FENCE.finditer(text)
        if found[2].strip() == language
    ]


def prose(text: str) -> str:
    """A page without its code."""
    text = _FENCE.sub("", text)
    text = re.sub(r"^( {4,}|\t).*$", "", text, flags=re.MULTILINE)
    return re.sub(r"`[^`\n]*`", "", text)


class Program:
    """The code of one page, run statement by statement, by the names that it has so far.

    With ``has_await``, `await` may stand outside of functions.
    """

    def __init__(self, path: Path, has_await: bool | None = None) -> None:
        self.path = path
        if has_await is None:
            has_await = (
                path.is_relative_to(ROOT) and path.relative_to(ROOT).as_posix() in WITH_AWAIT
            )
        self._flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT if has_await else 0
        self.names: dict[str, Any] = {}
        self.checked = 0  # expressions whose value a comment shows

    def run(self) -> Program:
        text = self.path.read_text(encoding="utf-8")
        with asyncio.Runner() as runner:  # for `await` at the top, as in a notebook
            for first, code in blocks(text):
                self._run_block(first, code, runner)
        return self

    def _run_block(self, first: int, code: str, runner: asyncio.Runner) -> None:
        lines = code.splitlines()
        for node in ast.parse(code, str(self.path)).body:
            end = node.end_lineno or node.lineno
            rest = lines[end - 1].encode()[node.end_col_offset :].decode().strip()
            comment = rest.removeprefix("#").strip()
            ast.increment_lineno(node, first)
            if isinstance(node, ast.Expr):
                value = self._value(compile_node(node, self.path, self._flags), runner)
                if SHOWN.match(comment):
                    where = f"{self.path}:{first + end}"
                    is_shown = re.match(re.escape(repr(value)) + r"(?=$|:|\s)", comment)
                    assert is_shown, f"{where}: it gives {value!r}, not {comment}"
                    self.checked += 1
            else:
                self._value(compile_node(node, self.path, self._flags), runner)

    def _value(self, code: Any, runner: asyncio.Runner) -> Any:
        value = eval(code, self.names)
        if code.co_flags & inspect.CO_COROUTINE:
            return runner.run(value)
        return value


def not_run(text: str) -> Iterator[tuple[int, str]]:
    """What looks like Python on a page and is not run: the line of the block, and its text.

    That is what compiles, with an import or an `await` in it, in blocks of text and without a
    language, and in indented ones.
    """
    found = [*blocks(text, "text"), *blocks(text, "")]
    outside = _FENCE.sub(lambda block: "\n" * block[0].count("\n"), text)
    for each in re.finditer(r"(?:^(?: {4}|\t).*\n|^\n(?=    ))+", outside, re.MULTILINE):
        code = textwrap.dedent(each[0]).strip("\n") + "\n"
        found.append((text.count("\n", 0, each.start()), code))
    for line, code in found:
        try:
            tree = compile(code, "page", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT | ast.PyCF_ONLY_AST)
        except SyntaxError:
            continue
        if any(
            isinstance(node, ast.Import | ast.ImportFrom | ast.Await | ast.AsyncWith | ast.AsyncFor)
            for node in ast.walk(tree)
        ):
            yield line, code


def compile_node(node: ast.stmt, path: Path, flags: int) -> Any:
    if isinstance(node, ast.Expr):
        return compile(ast.Expression(node.value), str(path), "eval", flags)
    return compile(ast.Module([node], []), str(path), "exec", flags)


def anchors(text: str) -> set[str]:
    """The anchors that the headings of a page have."""
    found: dict[str, int] = {}
    for title in re.findall(r"^#{1,4} (.+)$", _FENCE.sub("", text), re.MULTILINE):
        title = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", title).replace("`", "")
        slug = re.sub(r"[^\w\- ]", "", title.strip().lower()).replace(" ", "-")
        found[slug] = found.get(slug, 0) + 1
    return {
        slug if i == 0 else f"{slug}-{i}" for slug, times in found.items() for i in range(times)
    }


def links(text: str) -> Iterator[str]:
    """What the links and pictures of a page point to."""
    yield from re.findall(r"\[(?:[^\[\]]|\[[^]]*\])*\]\(([^)\s]+)\)", prose(text))


def broken(name: str, text: str, pages: dict[str, str]) -> list[str]:
    """The links of a page that lead nowhere; ``pages`` are those that there are, by their paths.

    Links to other hosts are not followed.
    """
    wrong = []
    for link in links(text):
        if re.match(r"[a-z]+:", link):
            continue
        target, _, anchor = link.partition("#")
        path = str(resolved(name, target)) if target else name
        if path in pages:
            if anchor and anchor not in anchors(pages[path]):
                wrong.append(f"{name}: {link}: there is no such heading")
        elif anchor or not (ROOT / path).exists():
            wrong.append(f"{name}: {link}: there is no such page")
    return wrong


def resolved(name: str, target: str) -> Path:
    """The path from the root of the project that a link of a page means."""
    return (ROOT / name).parent.joinpath(target).resolve().relative_to(ROOT)
