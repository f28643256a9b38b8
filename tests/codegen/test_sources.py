"""What is read as a schema: nesting, sizes, includes; and what is not."""

from __future__ import annotations

import os
import resource
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from small import body, faults, module_of, plain, schema

from sbe_codegen import SchemaError, parser, resolver
from sbe_codegen.conventions import Conventions

ROOT = Path(__file__).parent.parent.parent


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
    with pytest.raises(SchemaError, match="zero: can't be read: it is no regular file"):
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
        ("other.xml", "other.xml:1: other: the root of an included file is 'types', 'message' or"),
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


@pytest.mark.timeout(20)
def test_the_file_of_an_entity_is_never_opened(tmp_path: Path) -> None:
    """A pipe that somebody opened to read from would be waited for."""
    os.mkfifo(tmp_path / "pipe")
    doctype = f'<!DOCTYPE x [<!ENTITY e SYSTEM "{tmp_path / "pipe"}">]>'
    with pytest.raises(SchemaError, match="a schema has none"):
        parser.parse_bytes((doctype + schema().replace(">B<", ">&e;<")).encode())


# what is no file of the schema's folder


def linked(path: Path) -> None:
    outside = path.parent.parent / "outside.xml"
    outside.write_text("<types><type name='inner' primitiveType='uint16'/></types>")
    path.symlink_to(outside)


def linked_folder(path: Path) -> None:
    outside = path.parent.parent / "outside"
    outside.mkdir()
    (outside / "x.xml").write_text("<types/>")
    path.symlink_to(outside)


def socket_at(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(os.path.relpath(path))


PLACES: list[tuple[str, str, Callable[[Path], object], str]] = [
    ("../outside.xml", "x", Path.touch, "'../outside.xml' leads out of the schema's folder"),
    ("sub/../../outside.xml", "x", Path.touch, "leads out of the schema's folder: only files in"),
    ("x.xml", "x.xml", linked, "'x.xml' leads out of the schema's folder"),
    ("x/x.xml", "x", linked_folder, "'x/x.xml' leads out of the schema's folder"),
    ("x.xml", "x.xml", lambda path: path.symlink_to("/etc/passwd"), "leads out of the schema's"),
    ("x.xml", "x.xml", lambda path: path.symlink_to("/dev/zero"), "leads out of the schema's"),
    ("x.xml", "x.xml", lambda path: path.symlink_to("x.xml"), "can't be read: "),
    ("x.xml", "x.xml", os.mkfifo, "'x.xml' can't be read: it is no regular file"),
    ("x.xml", "x.xml", Path.mkdir, "'x.xml' can't be read: it is no regular file"),
    ("x.xml", "x.xml", socket_at, "'x.xml' can't be read: it is no regular file"),
]


@pytest.mark.timeout(20)
@pytest.mark.parametrize(("href", "name", "make", "said"), PLACES)
def test_only_regular_files_in_the_folder_are_read(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    href: str,
    name: str,
    make: Callable[[Path], object],
    said: str,
) -> None:
    folder = tmp_path / "schema"
    (folder / "sub").mkdir(parents=True)
    (tmp_path / "outside.xml").write_text("<types><type name='a' primitiveType='int8'/></types>")
    monkeypatch.chdir(folder)  # the path of a socket is short
    make(folder / name)
    (folder / "main.xml").write_text(including(href))
    (fault,) = parser.parse(folder / "main.xml").faults
    assert said in str(fault)


def test_links_inside_the_folder_are_followed(tmp_path: Path) -> None:
    folder = tmp_path / "schema"
    (folder / "sub").mkdir(parents=True)
    types = "<types><type name='inner' primitiveType='uint16'/></types>"
    (folder / "sub" / "real.xml").write_text(types)
    (folder / "link.xml").symlink_to("sub/real.xml")
    (folder / "main.xml").write_text(including("link.xml"))
    (tmp_path / "given.xml").symlink_to(folder / "main.xml")
    (tmp_path / "link.xml").write_text(types)  # the user has said that it is about this folder
    for path in (folder / "main.xml", tmp_path / "given.xml"):
        assert resolver.resolve(parser.parse(path)).package == "p"


@pytest.mark.timeout(20)
@pytest.mark.parametrize("make", [os.mkfifo, Path.mkdir, lambda p: p.symlink_to("/dev/zero")])
def test_a_schema_that_is_no_file_is_not_waited_for(
    tmp_path: Path, make: Callable[[Path], object]
) -> None:
    make(tmp_path / "s.xml")
    with pytest.raises(SchemaError, match=r"s\.xml: can't be read: it is no regular file"):
        parser.parse(tmp_path / "s.xml")
    with pytest.raises(SchemaError, match=r"s\.xml: can't be read: it is no regular file"):
        Conventions.read(tmp_path / "s.xml")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a = " + "[" * 5000, "is not TOML"),
        ("\udcff", "is not TOML"),
        ("[layout_since]\n'\N{SUPERSCRIPT TWO}' = 1", "layout_since: is a table of template ids"),
        (f"[layout_since]\n{'9' * 5000} = 1", "layout_since: is a table of template ids"),
        ("[layout_since]\n1 = true", "layout_since: is a table of template ids"),
        ("[layout_since]\n1 = -1", "has a version that is not from 0 to 2"),
        ("[layout_since]\n1 = 4294967296", "has a version that is not from 0 to 2"),
        ("#" * (2**20 + 1), "is larger than 1024 KB"),
    ],
)
def test_conventions_that_can_not_be_are_explained(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "c.toml"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(SchemaError) as caught:
        Conventions.read(path)
    assert said in str(caught.value)


# what would take for ever, or all memory: each in a process that may not take much


def copies(folder: Path, files: int, times: int) -> None:
    """Files that include the next one so many times each."""
    for i in range(files):
        inner = INCLUDE.format(f"{i + 1}.xml") * times if i + 1 < files else ""
        (folder / f"{i}.xml").write_text(f"<types>{inner}</types>")
    (folder / "main.xml").write_text(including("0.xml"))


def doubled(folder: Path) -> None:
    copies(folder, 15, 2)


def often(folder: Path) -> None:
    copies(folder, 2, 50_000)


def large_together(folder: Path) -> None:
    copies(folder, 2, 90)
    (folder / "1.xml").write_text(f"<types><!--{' ' * 2**18}--></types>")


def many_elements(folder: Path) -> None:
    (folder / "main.xml").write_text(body("<field/>" * 10, "<x/>" * 3_900_000))


def many_composites(folder: Path) -> None:
    """Each has the one before twice: 2**30 values in all."""
    types = ["<composite name='c0'><type name='a' primitiveType='int8'/></composite>"]
    for i in range(30):
        refs = "".join(f"<ref name='{name}' type='c{i}'/>" for name in "ab")
        types.append(f"<composite name='c{i + 1}'>{refs}</composite>")
    (folder / "main.xml").write_text(schema(types="".join(types)))


def many_values(folder: Path) -> None:
    members = "".join(f"<type name='m{i}' primitiveType='int8'/>" for i in range(1000))
    fields = "".join(plain(f"f{i}", i, "c") for i in range(1000))
    types = f"<composite name='c'>{members}</composite>"
    message = f"<message name='M' id='1'>{fields}</message>"
    (folder / "main.xml").write_text(schema(message, types))


def one_long_description(folder: Path) -> None:
    fields = "".join(plain(f"f{i}", i, "t") for i in range(20_000))
    types = f"<type name='t' primitiveType='int8' description='{'d' * 2**20}'/>"
    (folder / "main.xml").write_text(schema(f"<message name='M' id='1'>{fields}</message>", types))


def many_faults(folder: Path) -> None:
    """Each of them looks for a name that is meant."""
    types = "".join(f"<type name='type{i}' primitiveType='int8'/>" for i in range(50_000))
    fields = "".join(plain(f"f{i}", i, f"typ{i}") for i in range(50_000))
    (folder / "main.xml").write_text(schema(f"<message name='M' id='1'>{fields}</message>", types))


def many_unknown_elements(folder: Path) -> None:
    (folder / "main.xml").write_text(body(plain("a", 1), "<fieldd/>" * 190_000))


def names_that_are_one_in_python(folder: Path) -> None:
    """Each would need one more underscore to differ from those before."""
    spelt = (format(i, "016b").translate({48: "a_", 49: "A_"}) for i in range(2**16))
    values = "".join(f"<validValue name='{name}'>{i}</validValue>" for i, name in enumerate(spelt))
    enum = f"<enum name='E' encodingType='uint32'>{values}</enum>"
    (folder / "main.xml").write_text(schema(types=enum))


def many_values_of_enums(folder: Path) -> None:
    values = "".join(f"<validValue name='v{i}'>{i}</validValue>" for i in range(60_000))
    enum = f"<enum name='E' encodingType='uint32'>{values}</enum>"
    (folder / "main.xml").write_text(schema(types=enum))


def many_versions(folder: Path) -> None:
    fields = "".join(
        f"<field name='f{i}' id='{i}' type='uint8' sinceVersion='{i}'/>" for i in range(30_000)
    )
    message = f"<message name='M' id='1'>{fields}</message>"
    (folder / "main.xml").write_text(schema(message, root="id='1' version='60000'"))


def many_exponents(folder: Path) -> None:
    """Each is looked for among all the fields."""
    fields = "".join(
        f"<field name='f{i}' id='{i}' type='int64' x:exponent='e'/>" for i in range(50_000)
    )
    message = f"<message name='M' id='1' xmlns:x='urn:x'>{fields}{plain('e', 99999, 'int8')}"
    (folder / "main.xml").write_text(schema(f"{message}</message>"))


def many_inline_composites(folder: Path) -> None:
    """Each is another one, and all have one name."""
    types = "".join(
        f"<composite name='c{i}'><composite name='x'><type name='a{i}' primitiveType='int8'/>"
        "</composite></composite>"
        for i in range(20_000)
    )
    fields = "".join(plain(f"f{i}", i, f"c{i}") for i in range(20_000))
    (folder / "main.xml").write_text(schema(f"<message name='M' id='1'>{fields}</message>", types))


def long_attributes(folder: Path) -> None:
    (folder / "main.xml").write_text(field_with(f"{'primitiveTyp' * 80_000}='1'"))


def field_with(attribute: str) -> str:
    return body(f"<field name='a' id='1' type='uint8' {attribute}/>")


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (doubled, "is more than the 100 files"),
        (often, "is more than the 100 files"),
        (large_together, "is larger than 16 MB"),
        (many_elements, "has more than 200000 elements"),
        (many_composites, "has more than 100000 values, with all that it refers to"),
        (many_values, "the fields up to here have more than 100000 values"),
        (one_long_description, "of description: no SBE schema does"),
        (many_faults, "no type 'typ0' in this schema: did you mean 'type0'?"),
        (many_unknown_elements, ""),
        (
            names_that_are_one_in_python,
            "more than 20 names here are 'A_A_A_A_",
        ),
        (long_attributes, "Name too long"),
        (many_values_of_enums, ""),
        (many_versions, "got fields in more than 250 versions"),
        (many_exponents, "takes more than 10 s to read up to here"),
        (many_inline_composites, "takes more than 10 s to read up to here"),
    ],
)
def test_a_schema_that_is_made_to_hurt_is_refused_in_time(
    tmp_path: Path, make: Callable[[Path], None], said: str
) -> None:
    make(tmp_path)
    command = [sys.executable, "-m", "sbe_codegen", "emit", str(tmp_path / "main.xml")]
    command += ["--out", str(tmp_path / "out")]

    def limited() -> None:
        # Not ru_maxrss afterwards: that of a child begins with what the tests themselves take.
        resource.setrlimit(resource.RLIMIT_DATA, (600 * 2**20, 600 * 2**20))

    done = subprocess.run(
        command, cwd=ROOT, preexec_fn=limited, capture_output=True, text=True, check=False,
        env=os.environ | {"OPENBLAS_NUM_THREADS": "1"},
    )  # fmt: skip
    assert "Traceback" not in done.stderr, done.stderr[-2000:]
    assert done.returncode == (1 if said else 0), done.stderr[-2000:]
    assert said in done.stdout + done.stderr
    assert len(done.stdout + done.stderr) < 500_000
