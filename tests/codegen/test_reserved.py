"""Every reserved word in every position of a schema, compiled and read."""

from __future__ import annotations

from pathlib import Path

import pytest
from small import TYPES, schema

import sbe_codegen
from sbe_codegen import names, reserved

WORDS = sorted(
    {*reserved.ALL, *names._MODULE_NAMES, "None", "True", "self", "mro", "name", "value"}
)


def chunks(words: list[str], size: int) -> list[list[str]]:
    return [words[i : i + size] for i in range(0, len(words), size)]


def everything(words: list[str]) -> str:
    """Types, members, fields, groups and data of these names, and a message of each."""
    values = "".join(f"<validValue name='{w}'>{i}</validValue>" for i, w in enumerate(words))
    types = f"<enum name='anEnum' encodingType='uint16'>{values}</enum>"
    for i, part in enumerate(chunks(words, 64)):
        choices = "".join(f"<choice name='{w}'>{bit}</choice>" for bit, w in enumerate(part))
        types += f"<set name='aSet{i}' encodingType='uint64'>{choices}</set>"
    members = "".join(f"<type name='{w}' primitiveType='uint8'/>" for w in words)
    types += f"<composite name='all'>{members}</composite>"
    known = TYPES.replace('<composite name="groupSizeEncoding">', "{}").split("{}")[1]
    dims, text = known.partition("</composite>")[0], known.split('<composite name="text">')[1]
    text = text.partition("</composite>")[0]
    sorts = (
        "<composite name='{}'><type name='x' primitiveType='uint8'/></composite>",
        "<enum name='{}' encodingType='uint8'><validValue name='A'>1</validValue></enum>",
        "<set name='{}' encodingType='uint8'><choice name='A'>1</choice></set>",
        "<composite name='{}'>" + dims + "</composite>",
        "<composite name='{}'>" + text + "</composite>",
        "<type name='{}' primitiveType='uint8'/>",
    )
    primitives = {"char", "float", "double"}
    taken = [w for w in words if w not in primitives]
    of = {w: i % len(sorts) for i, w in enumerate(taken)}
    types += "".join(sorts[sort].format(w) for w, sort in of.items())
    fields = "".join(f"<field name='{w}' id='{i}' type='uint8'/>" for i, w in enumerate(words))
    typed = "".join(
        f"<field name='f{i}' id='{i}' type='{w}'/>"
        for i, w in enumerate(taken)
        if of[w] not in (3, 4)
    )

    def dims_of(word: str) -> str:
        return f"dimensionType='{word}'" if of.get(word) == 3 else ""

    groups = "".join(
        f"<group name='{w}' id='{i}' {dims_of(w)}><field name='{w}' id='1' type='uint8'/></group>"
        for i, w in enumerate(words)
    )
    inner = "".join(
        f"<group name='{w}' id='{i}'><field name='x' id='1' type='uint8'/>"
        f"<data name='{w}' id='2' type='text'/></group>" for i, w in enumerate(words[:12])
    )  # fmt: skip
    data = "".join(
        f"<data name='{w}' id='{i}' type='{w if of.get(w) == 4 else 'text'}'/>"
        for i, w in enumerate(words)
    )
    messages = [
        f"<message name='Fields' id='1'>{fields}<field name='e' id='9998' type='anEnum'/>"
        "<field name='c' id='9999' type='all'/></message>",
        f"<message name='Types' id='2'>{typed}</message>",
        f"<message name='Groups' id='3'>{groups}</message>",
        f"<message name='Data' id='4'>{data}</message>",
        f"<message name='Inner' id='5'>{inner}</message>",
    ]
    messages += [f"<message name='{w}' id='{100 + i}'/>" for i, w in enumerate(words[::3])]
    return schema("".join(messages), types)


def load(words: list[str], folder: Path) -> None:
    path = folder / "words.xml"
    path.write_text(everything(words))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SBE_CODEGEN_CACHE", str(folder / "cache"))
        patch.setenv("SBE_BUILD", "debug")
        module = sbe_codegen.load(path)
    assert len(module.MESSAGES) == 5 + len(words[::3])
    block = bytes(len(words)) + (len(words) - 1).to_bytes(2, "little") + bytes(len(words))
    head = b"".join(n.to_bytes(2, "little") for n in (len(block), 1, 1, 1))
    m = module.Fields.decode(head + block)
    shown = m.to_dict()
    assert shown["e"] == words[-1]
    assert list(shown.values())[: len(words)] == [0] * len(words)
    assert list(shown["c"].values()) == [0] * len(words)
    assert len(module.AnEnum) == len(words)


def test_words_that_break_compilers_are_no_names(tmp_path: Path) -> None:
    words = "NULL None nogil sizeof cdef class IF DEF errno nullptr match"
    load(words.split(), tmp_path)


@pytest.mark.long
@pytest.mark.parametrize("part", range(4))
def test_every_reserved_word_in_every_position(tmp_path: Path, part: int) -> None:
    load(WORDS[part::4], tmp_path)
