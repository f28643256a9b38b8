"""The notebook of the examples runs in a real kernel, and a real browser shows what it gives."""

from __future__ import annotations

import asyncio
import os
import re
from pathlib import Path
from typing import Any

import nbformat
import pytest
from browser import chromium, tab
from nbclient import NotebookClient
from parsed import Parsed

from binance_sbe import decode_many
from binance_sbe.simulator.encoder import encode
from binance_sbe.simulator.events import Trade, Trades

EXAMPLES = Path(__file__).parent.parent.parent / "examples"
MARKUP = "<img src=x onerror='document.title=1'>"
PICTURES = os.environ.get("WEB_PICTURES")  # a folder for them, to look at


@pytest.fixture(scope="module")
def notebook() -> Any:
    """The notebook after it was run; a cell that raises is an error here."""
    found: Any = nbformat.read(EXAMPLES / "live.ipynb", as_version=4)
    client = NotebookClient(found, timeout=60, kernel_name="python3")
    return client.execute()


def outputs(notebook: Any) -> list[Any]:
    return [
        output
        for cell in notebook.cells
        if cell.cell_type == "code"
        for output in cell.outputs
        if output.output_type in ("execute_result", "display_data")
    ]


def test_the_notebook_is_kept_without_what_it_gave() -> None:
    found: Any = nbformat.read(EXAMPLES / "live.ipynb", as_version=4)
    nbformat.validate(found)
    cells = [cell for cell in found.cells if cell.cell_type == "code"]
    assert len(cells) > 8
    assert all(cell.outputs == [] and cell.execution_count is None for cell in cells)


@pytest.mark.long
@pytest.mark.filterwarnings("default")
def test_the_notebook_runs_and_shows_tables(notebook: Any) -> None:
    errors = [
        output.text
        for cell in notebook.cells
        for output in cell.get("outputs", ())
        if output.output_type == "stream" and output.name == "stderr"
    ]
    assert not errors
    shown = [each.data["text/html"] for each in outputs(notebook) if "text/html" in each.data]
    ours = [Parsed(text) for text in shown if "dataframe" not in text]
    titles = [found.notes[0] for found in ours]
    for title, wanted in zip(
        titles,
        (
            r"Batch of \d+ frames", r"BestBidAskStreamEvent: \d+ rows",
            r"Ledger: 0 holes, 0 damaged frames, 0 dropped, 1 connections", "Books: 2, 2 live",
            r"OrderBook BTCUSDT, live, .*, best [\d.]+ / [\d.]+",
            r"Feed ws://[\d.:]+, closed, 1 stream, \d+ frames, .*",
        ),
        strict=True,
    ):  # fmt: skip
        assert re.fullmatch(wanted, title), title
    assert ours[0].column("message") == ["TradesStreamEvent", "BestBidAskStreamEvent"]
    assert len(shown) == len(ours) + 1  # and the one of pandas
    texts = [each.data["text/plain"] for each in outputs(notebook)]
    assert any(re.search(r"bid_price=\d+ \(\d+\.\d+\)", text) for text in texts)
    assert any("tzinfo=datetime.timezone.utc" in text for text in texts)


@pytest.mark.long
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_browser_shows_what_the_notebook_gives_and_no_markup_of_others(
    notebook: Any, scheme: str, tmp_path: Path
) -> None:
    chromium()
    trade = Trades(MARKUP, -2, -8, 1, 1, (Trade(1, 100, 5, False),))
    hostile = decode_many([encode(trade)])
    parts = [each.data["text/html"] for each in outputs(notebook) if "text/html" in each.data]
    parts += [found._repr_html_() for found in (hostile, *hostile.tables.values())]
    page = tmp_path / "page.html"
    head = "<!doctype html><meta charset=utf-8><meta name=color-scheme content='light dark'>"
    page.write_text(f"{head}<title>as it was</title>{'<hr>'.join(parts)}", encoding="utf-8")

    async def main() -> None:
        async with asyncio.timeout(100), tab(page.as_uri()) as opened:
            await opened.scheme(scheme)
            await opened.size(1100, 2400)
            await opened.until("document.querySelectorAll('table').length > 8")
            assert await opened.value("document.title") == "as it was"
            assert await opened.value("document.querySelectorAll('img, script').length") == 0
            text = await opened.text()
            assert MARKUP in text
            assert re.search(r"BTCUSDT\s+live\s+\d+\.\d+", text)
            cell, caption = [
                sum(map(int, re.findall(r"\d+", await opened.value(code))[:3]))
                for code in (
                    "getComputedStyle(document.querySelector('td')).color",
                    "getComputedStyle(document.querySelector('caption')).color",
                )
            ]
            # the text is that of the page around, which is dark on light or light on dark
            assert (cell > 600, caption > 600) == (scheme == "dark",) * 2
            assert not opened.complaints
            if PICTURES:
                await opened.picture(Path(PICTURES) / f"notebook_{scheme}.png")

    asyncio.run(main())
