"""What is read as a schema: nesting, sizes, includes; and what is not."""

from __future__ import annotations

from pathlib import Path

import pytest
from small import body, faults, module_of, plain, schema

from sbe_codegen import SchemaError, parser, resolver


def nested(depth: int) -> str:
    text = plain("x", 1)
    for _ in range(depth):
        text = f"<group name='g' id='2'>{text}</group>"
    return body(text)


def test_nesting_without_end_is_refused() -> None:
    assert module_of(nested(20))
    assert any("is nested more than" in fault for fault in faults(nested(60)))
    assert any("not well-formed" in fault for fault in faults(nested(400)))


def test_a_huge_file_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "huge.xml"
    with path.open("wb") as file:
        file.write(b"<messageSchema>")
        file.truncate(50 * 2**20)
    with pytest.raises(SchemaError, match=r"huge\.xml: is larger than 16 MB"):
        parser.parse(path)
    with pytest.raises(SchemaError, match="larger than|can't be read"):
        parser.parse(Path("/dev/zero"))


INCLUDE = '<xi:include xmlns:xi="http://www.w3.org/2001/XInclude" href="{}"/>'


def including(href: str) -> str:
    return schema().replace("<types>", INCLUDE.format(href) + "<types>", 1)


@pytest.mark.parametrize(
    ("href", "said"),
    [
        ("none.xml", "main.xml:1: include: 'none.xml' can't be read: No such file"),
        ("main.xml", "include: 'main.xml' includes itself"),
        ("loop.xml", "loop.xml:1: include: 'loop.xml' includes itself"),
        ("http://example.org/x.xml", "is not a relative path: only files beside the schema"),
        ("/etc/passwd", "is not a relative path"),
        ("file:x.xml", "is not a relative path"),
        ("", "attribute 'href' is missing"),
        ("other.xml", "other.xml:1: other: the root of an included file is 'types'"),
        ("bad.xml", "bad.xml:2: E: no type 'zz'"),
        ("broken.xml", "broken.xml:1: is not well-formed XML"),
    ],
)
def test_includes_that_can_not_be_are_explained(tmp_path: Path, href: str, said: str) -> None:
    (tmp_path / "main.xml").write_text(including(href))
    loop = f"<types>{INCLUDE.format('loop.xml')}</types>"
    (tmp_path / "loop.xml").write_text(loop)
    (tmp_path / "other.xml").write_text("<other/>")
    (tmp_path / "broken.xml").write_text("<types")
    wrong = "<enum name='E' encodingType='zz'><validValue name='A'>1</validValue></enum>"
    (tmp_path / "bad.xml").write_text(f"<types>\n{wrong}</types>")
    with pytest.raises(SchemaError) as caught:
        resolver.resolve(parser.parse(tmp_path / "main.xml"))
    assert said in str(caught.value)
    assert "\n" not in caught.value.errors[0]._text()
