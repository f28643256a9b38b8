"""Every code block of the README runs, in order, and shows what its comments say."""

from __future__ import annotations

import ast
import asyncio
import re
from pathlib import Path
from typing import Any

import pytest

from binance_sbe.simulator import Exchange

README = (Path(__file__).parent.parent.parent / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)

SHOWN = re.compile(r"\s*('[^']*'|-?\d[\d.]*|Decimal\('.*?'\)|array\(.*?\)(?=$|:)|\[.*?\]|\(.*\))")


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SBE_CODEGEN_CACHE", str(tmp_path_factory.getbasetemp() / "readme-cache"))


def test_the_code_blocks_run_as_one_program(capsys: pytest.CaptureFixture[str]) -> None:
    assert len(BLOCKS) >= 6
    names: dict[str, Any] = {}
    for block in BLOCKS:
        exec(compile(block, "README.md", "exec"), names)
    printed = capsys.readouterr().out
    assert "symbol needs 7 bytes at offset 67, 6 are left" in printed
    assert "BTCUSDT BestBidAskStreamEvent" in printed or "ETHUSDT DepthDiff" in printed
    assert "<Batch: " in printed


def test_the_feed_handler_for_production_handles_a_feed() -> None:
    names: dict[str, Any] = {}
    for block in BLOCKS:
        if "asyncio.run" not in block:
            exec(compile(block, "README.md", "exec"), names)

    async def work() -> Any:
        async with Exchange(["btcusdt", "ethusdt"]) as exchange:
            stop = asyncio.Event()
            asyncio.get_running_loop().call_later(0.5, stop.set)
            return await names["handle"]("k", stop, exchange.url)

    ledger = asyncio.run(work())
    assert len(ledger.connections) == 2
    assert sum(stream.frames for stream in ledger.streams.values()) > 50


def test_the_comments_say_what_the_expressions_give() -> None:
    names: dict[str, Any] = {}
    checked = 0
    for block in BLOCKS:
        if "asyncio.run" in block:
            continue
        exec(compile(block, "README.md", "exec"), names)
        for line in block.splitlines():
            code, _, comment = line.partition("#")
            shown = SHOWN.match(comment)
            if line.startswith(" ") or not shown or "=" in code:
                continue
            value = eval(compile(ast.parse(code.strip(), mode="eval"), "README.md", "eval"), names)
            assert repr(value) == shown.group(1), line
            checked += 1
    assert checked >= 10


def test_the_table_of_messages_is_right() -> None:
    import binance_sbe

    for message in binance_sbe.spot_stream.MESSAGES.values():
        row = next(line for line in README.splitlines() if f"`{message.__name__}` |" in line)
        cells = [cell.strip() for cell in row.split("|")]
        assert cells[1] == str(message.TEMPLATE_ID)
        assert cells[4].split(", ") == list(message.DTYPE.names)


def test_the_conformance_table_names_tests_that_exist() -> None:
    table = README.partition("## Conformance")[2].partition("\n## ")[0]
    rows = [row for row in table.splitlines() if row.startswith("| ") and "**" not in row]
    named = [name for row in rows[1:] for name in re.findall(r"test_\w+", row.split("|")[-2])]
    assert len(rows) > 40
    assert len(named) >= len(rows) - 1
    for name in named:
        assert list(Path(__file__).parent.parent.rglob(f"{name}.py")), name
