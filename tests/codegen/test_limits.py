"""Limits of schemas: what is at the limit is taken, and one more is refused."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path
from types import SimpleNamespace

import pytest
from small import body, module_of, plain, schema

from sbe_codegen import SchemaError, limits, parser, resolver
from sbe_codegen.conventions import Conventions
from sbe_codegen.errors import Place, SchemaTooLarge

INCLUDE = '<xi:include xmlns:xi="http://www.w3.org/2001/XInclude" href="{}"/>'


def said(call: Callable[[], object]) -> list[str]:
    """The faults that a call raises."""
    try:
        call()
    except SchemaError as error:
        return [str(each) for each in error.errors]
    return []


def compiled(text: str) -> list[str]:
    """The faults of a schema, whose blocks may be long."""
    narrow, wide = (f'"blockLength" primitiveType="uint{bits}"' for bits in (16, 32))
    return said(lambda: module_of(text.replace(narrow, wide, 1)))


# files


def padded(size: int) -> bytes:
    text = schema().encode() + (b"<!--" + b" " * 2**20 + b"-->") * 15
    return text + b"\n" * (size - len(text))


def test_sixteen_megabytes_and_one_more() -> None:
    parser.parse_bytes(padded(16 * 2**20))
    with pytest.raises(SchemaTooLarge, match="x: is larger than 16 MB, with all that is included"):
        parser.parse_bytes(padded(16 * 2**20 + 1), "x")


def test_elements_are_counted_before_there_is_memory_for_them() -> None:
    text = schema()
    most = 2 * limits.ELEMENTS - text.count("<")
    assert compiled(text + "<!---->" * most) == []
    (fault,) = compiled(text + "<!---->" * (most + 1))
    assert fault == (
        "s.xml: has more than 200000 elements, with all that is included: no SBE schema does"
    )


def included(folder: Path, hrefs: Iterator[str]) -> list[str]:
    text = schema().replace("<types>", "".join(map(INCLUDE.format, hrefs)) + "<types>", 1)
    (folder / "main.xml").write_text(text)
    return said(lambda: resolver.resolve(parser.parse(folder / "main.xml")))


def test_a_hundred_files_and_one_more(tmp_path: Path) -> None:
    """One file may be read again and again: each is closed where it ends."""
    (tmp_path / "empty.xml").write_text("<types/>")
    assert included(tmp_path, iter(["empty.xml"] * 99)) == []
    (fault,) = included(tmp_path, iter(["empty.xml"] * 100))
    assert "is more than the 100 files, with all that is included" in fault


def test_the_bytes_of_all_files_count_together(tmp_path: Path) -> None:
    def comment(size: int) -> bytes:
        return b"<types>" + (b"<!--" + b" " * 2**20 + b"-->") * size + b"</types>"

    (tmp_path / "a.xml").write_bytes(comment(8))
    (tmp_path / "b.xml").write_bytes(comment(7))
    assert included(tmp_path, iter(["a.xml", "b.xml"])) == []
    (fault,) = included(tmp_path, iter(["a.xml", "b.xml", "b.xml"]))
    assert "is larger than 16 MB, with all that is included" in fault


def test_sixteen_includes_in_includes_and_one_more(tmp_path: Path) -> None:
    for i in range(17):
        (tmp_path / f"{i}.xml").write_text(f"<types>{INCLUDE.format(f'{i + 1}.xml')}</types>")
    (tmp_path / "17.xml").write_text("<types/>")
    assert included(tmp_path, iter(["2.xml"])) == []
    (fault,) = included(tmp_path, iter(["1.xml"]))
    path = tmp_path / "16.xml"
    assert fault == f"{path}:1: include: files are included more than 16 deep"


def test_a_file_that_others_included_can_be_included_again(tmp_path: Path) -> None:
    (tmp_path / "a.xml").write_text(f"<types>{INCLUDE.format('c.xml')}</types>")
    (tmp_path / "b.xml").write_text(f"<types>{INCLUDE.format('c.xml')}</types>")
    (tmp_path / "c.xml").write_text("<types/>")
    assert included(tmp_path, iter(["a.xml", "b.xml", "c.xml"])) == []
    (tmp_path / "c.xml").write_text("<other/>")
    said_of_it = "the root of an included file is 'types', 'message' or the like"
    root = f"{tmp_path / 'c.xml'}:1: other: {said_of_it}"
    assert included(tmp_path, iter(["a.xml", "b.xml", "c.xml"])) == [root]


def test_conventions_of_a_megabyte_and_a_byte_more(tmp_path: Path) -> None:
    path = tmp_path / "c.toml"
    path.write_bytes(b"#" * 2**20)
    assert Conventions.read(path) == Conventions()
    path.write_bytes(b"#" * (2**20 + 1))
    assert said(lambda: Conventions.read(path)) == [f"{path}: is larger than 1024 KB"]


def test_at_most_one_byte_too_many_is_read(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"12345")
    assert [limits.content(path, most) for most in (2, 4, 5, 9)] == [
        b"123", b"12345", b"12345", b"12345"
    ]  # fmt: skip


# elements


def nested(depth: int) -> str:
    text = plain("x", 1)
    for _ in range(depth):
        text = f"<group name='g' id='2'>{text}</group>"
    return body(text)


def test_groups_thirty_one_deep_and_one_more() -> None:
    assert compiled(nested(31)) == []
    assert compiled(nested(32)) == ["s.xml:13: group 'g': is nested more than 32 deep"]


def composites(levels: int, more: str = "") -> str:
    """Composite ``c<levels>`` has 10**levels values, and ``more``."""
    types = "".join(f"<type name='t{i}' primitiveType='int8'/>" for i in range(10))
    made = f"<composite name='c1'>{types}</composite>"
    for level in range(2, levels + 1):
        refs = "".join(f"<ref name='r{i}' type='c{level - 1}'/>" for i in range(10))
        made += f"<composite name='c{level}'>{refs}{more * (level == levels)}</composite>"
    return made


def test_a_composite_of_a_hundred_thousand_values_and_one_more() -> None:
    assert compiled(schema(types=composites(5))) == []
    more = "<type name='more' primitiveType='int8'/>"
    (fault,) = compiled(schema(types=composites(5, more)))
    assert fault == (
        "s.xml:12: c5: has more than 100000 values, with all that it refers to"
    )  # fmt: skip


def test_fields_of_a_hundred_thousand_values_and_one_more() -> None:
    fields = "".join(plain(f"f{i}", i, "c4") for i in range(10))

    def made(more: str) -> str:
        return schema(f"<message name='M' id='1'>{fields}{more}</message>", composites(4))

    assert compiled(made("")) == []
    (fault,) = compiled(made(plain("more", 99)))
    assert "the fields up to here have more than 100000 values, or as many lines" in fault


def test_long_descriptions_count_as_values() -> None:
    def made(size: int) -> str:
        fields = "".join(plain(f"f{i}", i, "c4") for i in range(9))
        few = "".join(plain(f"g{i}", 20 + i, "c3") for i in range(9))
        last = f"<field name='d' id='99' type='int8' description='{'d' * size}'/>"
        return schema(f"<message name='M' id='1'>{fields}{few}{last}</message>", composites(4))

    assert compiled(made(99_999)) == []  # 99,000 values, one more, and 999 lines
    (fault,) = compiled(made(100_000))
    assert "M" not in fault.partition("the fields")[0]
    assert "more than 100000 values" in fault


def test_fields_of_two_hundred_and_fifty_versions_and_one_more() -> None:
    def made(versions: int) -> str:
        fields = "".join(
            f"<field name='f{i}' id='{i}' type='uint8' sinceVersion='{i}'/>"
            for i in range(versions)
        )
        return schema(f"<message name='M' id='1'>{fields}</message>", root="id='1' version='999'")

    assert compiled(made(250)) == []
    assert compiled(made(251)) == ["s.xml:13: M: got fields in more than 250 versions"]


def test_twenty_one_names_that_are_one_in_python_and_one_more() -> None:
    spelt = ["".join(each) for each in product(("a_", "A_"), repeat=5)]

    def made(count: int) -> str:
        values = "".join(
            f"<validValue name='{name}'>{i}</validValue>" for i, name in enumerate(spelt[:count])
        )
        return schema(types=f"<enum name='E' encodingType='uint8'>{values}</enum>")

    assert compiled(made(21)) == []
    (fault,) = compiled(made(22))
    assert "more than 20 names here are 'A_A_A_A_A_' in Python: rename it" in fault


@pytest.mark.parametrize("attribute", ["type='uint9'", "typ='uint8'"])
def test_a_thousand_faults_and_one_more_are_told(attribute: str) -> None:
    """Of references, that the resolver finds, and of elements, that the parser finds."""

    def made(count: int) -> str:
        return body("".join(f"<field name='f{i}' id='{i}' {attribute}/>" for i in range(count)))

    assert len(compiled(made(1000))) == 1000
    assert len(compiled(made(1001))) == 1001
    assert len(compiled(made(1500))) == 1001


def test_twenty_faults_come_with_a_guess() -> None:
    found = compiled(body("".join(plain(f"f{i}", i, "uint9") for i in range(25))))
    assert ["did you mean" in each for each in found] == [True] * 20 + [False] * 5


@pytest.mark.parametrize(
    "element", ["<feild/>", plain("{0}", 7).replace("/>", " presense=''/>")]
)  # fmt: skip
def test_a_thousand_warnings_are_told(element: str) -> None:
    def warnings(count: int) -> int:
        elements = "".join(
            element.format(f"f{i}").replace("id='7'", f"id='{i}'") for i in range(count)
        )
        return len(module_of(body(elements)).warnings)

    assert [warnings(count) for count in (999, 1000, 1001)] == [999, 1000, 1000]


def test_a_thousand_warnings_of_the_resolver_are_told() -> None:
    odd = "".join(
        f"<field name='f{i}' id='{i}' type='t' presence='required'/>" for i in range(1001)
    )
    text = "<type name='t' primitiveType='int8' presence='optional'/>"
    assert len(module_of(schema(f"<message name='M' id='1'>{odd}</message>", text)).warnings) == (
        1000
    )


# time


def test_ten_seconds_of_a_processor_are_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = SimpleNamespace(now=100.0)
    monkeypatch.setattr("sbe_codegen.limits.time.thread_time", lambda: clock.now)
    budget = limits.Budget()
    clock.now = 110.0
    budget.check(Place("s.xml", 3))
    clock.now = 110.001
    with pytest.raises(SchemaTooLarge) as caught:
        budget.check(Place("s.xml", 3))
    assert str(caught.value) == (
        "s.xml:3: the schema takes more than 10 s to read up to here: it is too large, or made to "
        "be slow"
    )


def test_each_stage_asks_for_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stage that begins in time, and then takes too long, ends at the next element."""
    parsed = parser.parse_bytes(schema().encode())
    calls = iter(range(10_000))
    monkeypatch.setattr("sbe_codegen.limits.time.thread_time", lambda: 11.0 * (next(calls) > 0))
    assert "more than 10 s" in said(lambda: parser.parse_bytes(schema().encode()))[0]
    calls = iter(range(10_000))
    assert "more than 10 s" in said(lambda: resolver.resolve(parsed))[0]


# numbers and names


@pytest.mark.parametrize(
    ("good", "bad", "fault"),
    [
        ("name='a' offset='65535'", "name='a' offset='65536'", "is not a number from 0 to 65535"),
        ("name='a' deprecated='4294967295'", "name='a' deprecated='4294967296'",
         "deprecated '4294967296' is not a number from 0 to 4294967295"),
        ("name='a' offset=' 7 '", "name='a' offset='+7'", "offset '+7' is not a number"),
        ("name='a' offset='00000000000000000007'", "name='a' offset='000000000000000000007'",
         "is not a number"),
        ("name='a' offset='7'", "name='a' offset='\N{SUPERSCRIPT TWO}'", "is not a number"),
        ("name='a' sinceVersion='1'", "name='a' sinceVersion='2'", "is above the schema's version"),
    ],
)  # fmt: skip
def test_numbers_and_names_at_their_limit(good: str, bad: str, fault: str) -> None:
    assert compiled(body(f"<field {good} id='1' type='uint8'/>")) == []
    assert any(fault in each for each in compiled(body(f"<field {bad} id='1' type='uint8'/>")))
