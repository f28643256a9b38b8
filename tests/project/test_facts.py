"""No fact of the exchange stands twice: what the table in venue/ says is not said elsewhere."""

from __future__ import annotations

import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

from binance_sbe import spot_stream
from binance_sbe.venue import streams

ROOT = Path(__file__).resolve().parent.parent.parent / "binance_sbe"
GENERATED = ("spot_stream", "spot_sbe", "fix_sbe")
# The local exchange encodes by hand, so that it can judge the decoders.
ELSEWHERE = ("venue", "simulator")

FACTS = {
    "a template id": re.compile(r"\b1000[0-3]\b"),
    "an offset in the header": re.compile(r"\b(data|start|frame)\[[2-7]\]"),
    "the name of a kind": re.compile(r"""["'@](bestBidAsk|depth20)["']"""),
}


def code_of(path: Path) -> Iterator[tuple[int, str]]:
    """The lines of a file without comments and docstrings, numbered from 1."""
    text = path.read_text(encoding="utf-8")
    lines = text.splitlines()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        is_doc = token.type == tokenize.STRING and token.string.startswith(('"""', 'r"""'))
        if is_doc or token.type == tokenize.COMMENT:
            first, last = token.start[0], token.end[0]
            for row in range(first, last + 1):
                begin = token.start[1] if row == first else 0
                end = token.end[1] if row == last else len(lines[row - 1])
                lines[row - 1] = lines[row - 1][:begin] + lines[row - 1][end:]
    yield from enumerate(lines, 1)


@pytest.mark.parametrize("fact", FACTS)
def test_facts_of_the_exchange_stand_in_venue_only(fact: str) -> None:
    wrong = []
    for path in sorted(ROOT.rglob("*.p*")):
        short = path.relative_to(ROOT)
        if path.suffix not in (".py", ".pyx", ".pxd") or path.stem in GENERATED:
            continue
        if short.parts[0] in ELSEWHERE or short.name == "reader.pyx":  # frames of WebSocket
            continue
        wrong += [
            f"binance_sbe/{short}:{number}: {line.strip()}"
            for number, line in code_of(path)
            if FACTS[fact].search(line)
        ]
    assert not wrong, f"{fact} is in venue/streams.py:\n" + "\n".join(wrong)


def test_the_table_of_kinds_is_the_schema_s() -> None:
    assert [kind.message for kind in streams.KINDS.values()] == list(spot_stream.MESSAGES.values())
    assert list(streams.KINDS) == ["trade", "bestBidAsk", "depth20", "depth"]
    assert streams.REPLACED == ("bestBidAsk", "depth20")
    assert streams.STREAM_TIMEOUT == {
        "trade": None, "bestBidAsk": 300.0, "depth20": 300.0, "depth": 300.0,
    }  # fmt: skip
    assert [name for name, kind in streams.KINDS.items() if kind.ids_jump] == [
        "bestBidAsk", "depth20",
    ]  # fmt: skip
