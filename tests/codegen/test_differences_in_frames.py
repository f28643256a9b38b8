"""What `diff` says, held against frames: what does not break is read alike by both sides."""

from __future__ import annotations

import re
from types import ModuleType
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from oracle import Schema, same
from small import module_of
from strategies import messages
from test_differences import DATA, LATE, NEW, RAW, ROWS, SCALED, text

from sbe_codegen import differences
from sbe_codegen.runtime.errors import DecodeError

pytestmark = pytest.mark.long

COUNTS = (
    '<type name="numGroups" primitiveType="uint8"/><type name="numVarDataFields" '
    'primitiveType="uint8"/>'
)
HEAD = (
    '<type name="version" primitiveType="uint16"/></composite>',
    f'<type name="version" primitiveType="uint16"/>{COUNTS}</composite>',
)
DIMS = ('"dims"><type name="blockLength" primitiveType="uint16"/>',
        '"dims"><type name="blockLength" primitiveType="uint16"/>' + COUNTS)  # fmt: skip
PADDED = ('name="M" id="1"', 'name="M" id="1" blockLength="30"')
Z = '<field name="z" id="1" type="uint8"/>'
INNER = '<data name="inner" id="2" type="text"/>'
K = (
    '<group name="k" id="22" sinceVersion="2" dimensionType="dims">'
    '<field name="n" id="1" type="uint32"/>{}</group>'
)

Edits = list[tuple[str, str]]

# Edits of the old schema, and further ones of the new one.
ADDITIVE: dict[str, tuple[Edits, Edits]] = {
    "padding gone": ([PADDED], [(PADDED[1], PADDED[0])]),
    "data that the header counts": (
        [HEAD], [(RAW, RAW + LATE.format(2).replace('"text"', '"bytes"'))]
    ),
    "a group in a group that the header counts": (
        [HEAD, DIMS],
        [('<data name="d"', K.format(K.replace('"k"', '"kk"').format("")) + '<data name="d"')],
    ),
    "data in a group that the dimensions count": ([HEAD, DIMS], [(INNER, INNER + LATE.format(2))]),
    "a group with data in a group that the dimensions count": (
        [HEAD, DIMS], [(INNER, K.format(INNER) + INNER)],
    ),
}  # fmt: skip


def together() -> list[tuple[Edits, Edits]]:
    """The edits of `ROWS` that break nothing, as many of them in one schema as go together."""
    rows = {
        name: edits
        for name, (edits, said) in ROWS.items()
        if not any(each.startswith("breaking") for each in said)
    }
    result: list[tuple[Edits, Edits]] = []
    while rows:
        chosen: Edits = []
        for name, edits in list(rows.items()):
            try:
                said = said_of(text(1), text(2, *chosen, *edits))
            except AssertionError:  # there is no such text any more
                continue
            if set(ROWS[name][1]) <= set(said) and not any("breaking" in each for each in said):
                chosen += edits
                del rows[name]
        result.append(([], chosen))
    return result


def said_of(old: str, new: str) -> list[str]:
    return [str(each) for each in differences.find(module_of(old), module_of(new))]


# What is said of frames that can't be read by what they were not made for.
BREAKING: dict[str, tuple[Edits, Edits]] = {
    "a group with other dimensions than those before it": (
        [HEAD, DIMS],
        [('<data name="d"', K.format("").replace(' dimensionType="dims"', "") + '<data name="d"')],
    ),
    "a group with data that nothing counts": (
        [HEAD], [('<data name="d"', K.format(INNER) + '<data name="d"')]
    ),
    "data with another length than that before it": ([HEAD], [(RAW, RAW + LATE.format(2))]),
    "a field that headers without a version do not tell of": (
        [('<type name="version" primitiveType="uint16"/></composite>', "</composite>")],
        [(SCALED, SCALED + NEW)],
    ),
    "a group that is not counted before data that are": (
        [('<composite name="messageHeader">', f'<composite name="messageHeader">{DATA}')],
        [(Z, f'{Z}<group name="k" id="22" sinceVersion="2" blockLength="200"/>' + LATE.format(2))],
    ),
    "a block whose length is not sent": (
        [('<type name="blockLength" primitiveType="uint16"/>\n<type name="templateId"',
          '<type name="templateId"')], [PADDED],
    ),
    "entries whose length is constant": (
        [('<composite name="groupSizeEncoding"><type name="blockLength" primitiveType="uint16"/>',
          '<composite name="groupSizeEncoding"><type name="blockLength" primitiveType="uint16" '
          'presence="constant">1</type>')],
        [('presence="constant">1<', 'presence="constant">2<'),
         ('name="g" id="20"', 'name="g" id="20" blockLength="2"')],
    ),
}  # fmt: skip


class Pair:
    """Two versions of a schema, compiled and for the oracle, and what `diff` says of them."""

    def __init__(self, compiled: Any, name: str, edits: tuple[Edits, Edits]) -> None:
        before, after = edits
        texts = text(1, *before), text(2, *before, *after)
        self.schemas = [Schema(each) for each in texts]
        self.said = said_of(*texts)
        self.modules: list[ModuleType] = [
            compiled(f"pair_{name}_{i}", each) for i, each in enumerate(texts)
        ]
        everything = "\n".join(self.said)
        called = re.findall(r"(\w+)\.(\w+): is called (\w+) now", everything)
        self.names = {old: new for top, old, new in called if top == "M"}
        self.labels = {old: new for top, old, new in called if top != "M"}
        self.names |= {b: a for a, b in re.findall(r"(\w+): stands where (\w+) was", everything)}
        self.may_be_null = bool(re.search("is (optional|required) now|was kind: uint8", everything))
        self.may_be_unnamed = bool(re.search(r"is new, \d|was kind: uint8", everything))

    def templates(self) -> list[tuple[str, str]]:
        """The names of each message that both have."""
        ids = [{n.get("id"): name for name, n in s.messages.items()} for s in self.schemas]
        return [(ids[0][number], ids[1][number]) for number in ids[0]]

    def agree(self, old: Any, new: Any) -> bool:
        """Whether what both read is the same, but for names, and what only one has a name for."""
        if isinstance(old, dict) and isinstance(new, dict):
            return all(self.agree(old[name], new[self.names.get(name, name)]) for name in old)
        if isinstance(old, list) and isinstance(new, list):
            return len(old) == len(new) and all(map(self.agree, old, new))
        if {type(old), type(new)} == {int, str}:
            return self.may_be_unnamed
        if None in (old, new) and old != new:
            return self.may_be_null
        return same(old, new) or self.labels.get(old) == new

    def check(self, data: st.DataObject) -> None:
        for sender, reader in ((0, 1), (1, 0)):
            names = data.draw(st.sampled_from(self.templates()))
            values = data.draw(messages(self.schemas[sender], names[sender]))
            frame = self.schemas[sender].encode(names[sender], values, sender + 1)
            found = self.modules[reader].decode(frame).to_dict()
            wanted = self.schemas[sender].expected(names[sender], values, sender + 1)
            old, new = (wanted, found) if sender == 0 else (found, wanted)
            assert self.agree(old, new), (old, new)


def check(pair: Pair, examples: int) -> None:
    without_shrinking = [Phase.explicit, Phase.generate]

    @settings(max_examples=examples, phases=without_shrinking, report_multiple_bugs=False)
    @given(st.data())
    def run(data: st.DataObject) -> None:
        pair.check(data)

    run()


def test_what_breaks_nothing_is_read_alike(compiled: Any) -> None:
    groups = together()
    assert 1 < len(groups) < 9
    for i, edits in enumerate(groups):
        check(Pair(compiled, f"together_{i}", edits), 100)


@pytest.mark.parametrize("row", ADDITIVE)
def test_what_can_be_stepped_over_is(compiled: Any, row: str) -> None:
    pair = Pair(compiled, f"additive_{list(ADDITIVE).index(row)}", ADDITIVE[row])
    assert not [each for each in pair.said if each.startswith("breaking")]
    check(pair, 50)


@pytest.mark.parametrize("row", BREAKING)
def test_what_breaks_is_not_read_alike(compiled: Any, row: str) -> None:
    pair = Pair(compiled, f"breaking_{list(BREAKING).index(row)}", BREAKING[row])
    assert [each for each in pair.said if each.startswith("breaking")]
    with pytest.raises((AssertionError, DecodeError)):
        check(pair, 200)
