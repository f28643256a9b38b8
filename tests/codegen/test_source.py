"""Nothing of a schema becomes code, or ends what it stands in: all its places are attacked."""

from __future__ import annotations

import ast
import io
import json
import re
import string
import tokenize
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree
from markupsafe import Markup

import sbe_codegen
from sbe_codegen import SchemaError, ir, parser, renderer, resolver
from sbe_codegen.conventions import Conventions
from sbe_codegen.rendering import source
from sbe_codegen.rendering.source import Source

GOLDEN = Path(__file__).parent.parent / "golden"
CODE = Path(sbe_codegen.__file__).parent

# A schema that has every element and attribute that there is, and texts where there may be some.
SCHEMA = """<messageSchema package="p.q" id="7" version="2" semanticVersion="s" description="d"
byteOrder="littleEndian" headerType="messageHeader" xmlns:x="urn:x" x:note="n">
<types>
<composite name="messageHeader" description="d"><type name="blockLength" primitiveType="uint16"
description="d"/><type name="templateId" primitiveType="uint16"/><type name="schemaId"
primitiveType="uint16"/><type name="version" primitiveType="uint16"/></composite>
<composite name="groupSizeEncoding"><type name="blockLength" primitiveType="uint16"/>
<type name="numInGroup" primitiveType="uint8"/></composite>
<composite name="text" description="d" x:note="n"><type name="length" primitiveType="uint8"/>
<type name="varData" primitiveType="uint8" length="0" characterEncoding="UTF-8"
semanticType="s" description="d"/></composite>
<composite name="raw"><type name="length" primitiveType="uint8" maxValue="250"/>
<type name="varData" primitiveType="uint8" length="0"/></composite>
<enum name="side" encodingType="char" description="d" x:note="n"><validValue name="Buy"
description="d" sinceVersion="1" deprecated="2" x:note="n">B</validValue></enum>
<set name="marks" encodingType="uint8" description="d" x:note="n"><choice name="a"
description="d" x:note="n">0</choice></set>
<type name="word" primitiveType="char" length="4" characterEncoding="GB18030" description="d"
semanticType="s" x:note="n"/>
<type name="fixed" primitiveType="char" presence="constant" description="d">text</type>
<type name="number" primitiveType="int64" presence="optional" nullValue="5" minValue="1"
maxValue="9" description="d" x:note="n"/>
<type name="real" primitiveType="double" presence="optional" nullValue="1.5"/>
<composite name="pair" description="d"><type name="one" primitiveType="int64" description="d"
x:note="n"/><ref name="two" type="side" description="d" offset="8"/></composite>
</types>
<message name="M" id="1" description="d" semanticType="s" blockLength="64" deprecated="2"
x:note="n">
<field name="price" id="1" type="int64" description="d" semanticType="s" x:note="n"
x:exponent="power" epoch="e" timeUnit="t" offset="0"/>
<field name="power" id="2" type="int8"/><field name="side" id="3" type="side" deprecated="2"/>
<field name="marks" id="4" type="marks"/><field name="word" id="5" type="word"/>
<field name="fixed" id="6" type="fixed"/><field name="number" id="7" type="number"/>
<field name="real" id="8" type="real"/><field name="pair" id="9" type="pair"/>
<field name="always" id="10" type="side" presence="constant" valueRef="side.Buy"/>
<group name="levels" id="20" dimensionType="groupSizeEncoding" description="d" semanticType="s"
blockLength="9" x:note="n"><field name="qty" id="1" type="int64" description="d"/></group>
<group name="parts" id="21"><field name="n" id="1" type="int8"/><data name="name" id="2"
type="text" description="d"/></group>
<data name="symbol" id="30" type="text" description="d" semanticType="s" x:note="n"/>
<data name="blob" id="31" type="raw" description="d"/>
</message></messageSchema>"""

MARK = "PWNED"
RUN = f"__import__('builtins').{MARK}()"
ATTACKS = [
    f'"; {RUN}; "',
    f"'; {RUN}; '",
    f'"""\n{RUN}\n"""',
    f'\\"""\n{RUN}\n"""',
    f'"""); {RUN}; (r"""',
    f"\\u0022\\u0022\\u0022\n{RUN}\n#",
    "\\N{QUOTATION MARK}" * 3 + f"\n{RUN}\n#",
    "\\042" * 3 + f"; {RUN}",
    f"\\\n{RUN}",
    "\\",
    "\\" * 3,
    '"',
    '""',
    '"' * 3,
    f"\x85{RUN}",
    f"\u2028{RUN}\u2029{RUN}",
    f"\r{RUN}\r\n{RUN}",
    f"\t{RUN}",
    "\u202e\u2066 // evil \u2069\u2066",
    "\u200b\ufeff\u200f",
    "\U000e0041\U0001f600\u00e9",
    f"{{{{ {MARK} }}}} {{% raw %}}{{% endraw %}} {{# #}}",
    f"{{{RUN}}} %(x)s %s {{0.__class__}}",
    f"*/ {MARK}(); /*",
    f"??/\n*/ {MARK}",
    f"//\\\n{MARK}",
    f"# -*- coding: utf-7 -*- {MARK}",
    f"# distutils: sources={MARK}\n# cython: language_level=2",
    "+AAo-import os",
    f"\x7f{MARK}",
    f"<!-- {MARK} --> &lt;![CDATA[",
    "0 if True else 1",
    "x" * 9000,
]
SOME = ["\\", '"', '"' * 3, "\\" * 3, " ".join(ATTACKS[:-1])]


def attacked() -> Iterator[tuple[str, Any, str]]:
    """Each attribute and text of SCHEMA: what it is, and what sets it in a tree."""
    for i, node in enumerate(etree.fromstring(SCHEMA).iter()):
        for key in node.attrib:
            yield f"{node.tag} {node.get('name')} {key}", (i, key), node.get(key)
        if node.text and node.text.strip():
            yield f"{node.tag} {node.get('name')} text", (i, None), node.text


PLACES = list(attacked())


def changed(place: tuple[int, str | None], value: str) -> bytes:
    root = etree.fromstring(SCHEMA)
    node = list(root.iter())[place[0]]
    if place[1] is None:
        node.text = value
    else:
        node.set(place[1], value)
    made: bytes = etree.tostring(root, encoding="utf-8")
    return made


def rendered(content: bytes, name: str = "s.xml", **options: Any) -> dict[str, str]:
    module = resolver.resolve(parser.parse_bytes(content, "s.xml"), Conventions(**options))
    return renderer.render(module, name, "m")


def skeleton(text: str) -> list[str]:
    """What is code, and where numbers, strings and comments are, but not what they say."""
    result = []
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.STRING:
            assert token.start[0] == token.end[0] or '"""' in token.string
            result.append("STRING")
        elif token.type == tokenize.NUMBER:
            result.append("NUMBER")
        elif token.type == tokenize.COMMENT:
            result.append("COMMENT")
        elif token.type not in (tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT):
            result.append(token.string)
    return result


def _named(token: str) -> str:
    return "NAME" if re.fullmatch(r"[A-Za-z_]\w*", token) else token


def check(texts: dict[str, str], expected: dict[str, str], is_name: bool = False) -> None:
    for name, text in texts.items():
        assert re.fullmatch(r"[\n -~]*", text)
        cookie = re.compile(r"^[ \t\f]*#.*?coding[:=][ \t]*([-\w.]+)")
        assert not [line for line in text.split("\n")[:2] if cookie.match(line)]
        found, wanted = skeleton(text), skeleton(expected[name])
        if is_name:  # names are made of it: letters, digits and _, in the places of other names
            found, wanted = ([_named(each) for each in part] for part in (found, wanted))
        assert found == wanted, name
    ast.parse(texts["m.pyi"])


def test_the_schema_that_is_attacked_has_all_there_is() -> None:
    known = {key for _, (_, key), _ in PLACES if key}
    missing = parser._KNOWN - {key.rpartition("}")[2] for key in known} - {"variableLength"}
    assert missing == set()
    assert {node.tag for node in etree.fromstring(SCHEMA).iter()} >= set(parser._ELEMENTS)
    assert "x" in rendered(SCHEMA.encode())["m.pyx"]


def can_change(place: tuple[int, str | None]) -> bool:
    """Whether the name is one that nothing else in the schema refers to."""
    try:
        rendered(changed(place, "Named"))
    except SchemaError:
        return False
    return True


@pytest.mark.parametrize(("what", "place", "value"), PLACES, ids=[what for what, *_ in PLACES])
def test_no_attribute_becomes_code(what: str, place: tuple[int, str | None], value: str) -> None:
    """Refused, or what is generated differs inside of strings and comments only."""
    is_name = place[1] in ("name", "package")
    if place[1] == "{urn:x}exponent":  # one that names no field: no floats are made
        expected = rendered(changed(place, "nothing"))
    elif is_name:
        expected = rendered(changed(place, "Named")) if can_change(place) else {}
    else:
        expected = rendered(SCHEMA.encode())
    accepted = 0
    is_free = what.split()[-1] in ("description", "semanticType", "{urn:x}note", "semanticVersion")
    for attack in ATTACKS[::3] + SOME if is_free else ATTACKS:
        for text in (attack,) if is_free else (attack, value + attack):
            try:
                content = changed(place, text)
            except ValueError:  # no XML can say it
                continue
            try:
                made = rendered(content)
            except SchemaError as error:
                assert error.sentence
                continue
            accepted += 1
            check(made, expected, is_name)
    assert accepted > 10 or not is_free


@pytest.mark.parametrize("attack", [*ATTACKS, "\x00", "\n", "\x0b\x0c\x1b[2J", "\udcff\ud800"])
def test_no_file_name_becomes_code(attack: str) -> None:
    expected = rendered(SCHEMA.encode())
    names = (f"{attack}.xml", f"x coding={attack}.xml", f"# coding: {attack}.xml", f"a\n{attack}")
    for name in names:
        check(rendered(SCHEMA.encode(), name), expected)


@pytest.mark.parametrize("attack", ATTACKS)
def test_no_convention_becomes_code(attack: str, tmp_path: Path) -> None:
    given = tmp_path / "c.toml"
    given.write_text(
        f"[removed]\n9 = {json.dumps(attack, ensure_ascii=False)}\n".replace("\x7f", "\\u007F")
    )
    expected = rendered(SCHEMA.encode(), removed={9: "a"})
    removed = Conventions.read(given).removed
    assert removed == {9: attack}
    check(rendered(SCHEMA.encode(), removed=removed), expected)


def test_what_a_schema_says_arrives_unchanged_and_nothing_of_it_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Compiled and loaded, from a file whose name says how Python should read what is generated."""
    import builtins

    ran: list[str] = []
    monkeypatch.setattr(builtins, MARK, lambda: ran.append("attack"), raising=False)
    monkeypatch.setenv("SBE_CODEGEN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("SBE_BUILD", "debug")
    everything = " ".join(ATTACKS[:-1])
    root = etree.fromstring(SCHEMA)
    for node in root.iter():
        for key in node.attrib:
            if key in ("description", "{urn:x}note"):
                node.set(key, everything)
    folder = tmp_path / f'{RUN}"\n\\ \u202e coding=raw_unicode_escape '
    folder.mkdir()
    path = folder / 'x coding=raw_unicode_escape \u2028 ".xml'
    path.write_bytes(etree.tostring(root, encoding="utf-8"))
    module = sbe_codegen.load(path)
    said = " ".join(everything.split())
    assert module.M.__doc__.startswith(f"{said}")
    assert said in module.M.price.__doc__
    note = root[1].get("{urn:x}note")
    assert module.M.FACTS["metadata"]["note"] == note
    assert ran == []


# the one place that it goes through

ANY = st.text(st.characters(exclude_categories=()), max_size=60)


@given(ANY)
def test_docstrings_and_literals_say_the_text(text: str) -> None:
    assert ast.literal_eval(f'"""{source.doc(text)}"""') == text
    assert ast.literal_eval(f'"""{source.doc(text)}."""') == text + "."
    for value in (text, (text, 1, None), {1: text, 2: {text: True}}):
        assert ast.literal_eval(source.literal(value)) == value
    spec = source.json_text(json.dumps({text: [text]}))
    assert json.loads(ast.literal_eval(f'r"""\n{spec}\n"""')) == {text: [text]}
    for made in (source.doc(text), source.literal(text), spec, source.comment(text)):
        assert re.fullmatch(r"[ -~]*", made)
        assert isinstance(made, Source)
    assert "coding:" not in source.comment(text)
    assert "coding=" not in source.comment(text)


@given(ANY)
def test_what_nobody_made_harmless_is_not_printed(text: str) -> None:
    allowed = re.fullmatch(r"-?[0-9]+|([A-Za-z0-9_]+(\.[A-Za-z0-9_]+)*)?", text)
    for go in (
        lambda: source.checked(text),
        lambda: source.code("a {} b", text),
        lambda: source.joined(", ", ["x", text]),
        lambda: Source("a") + text,
    ):
        if allowed:
            assert text in go()
        else:
            with pytest.raises(TypeError, match="is no Source: see rendering/source"):
                go()


@pytest.mark.parametrize("value", [True, None, 1.5, b"x", ["x"], {"x": 1}, object()])
def test_only_numbers_and_names_are_printed(value: Any) -> None:
    with pytest.raises(TypeError, match="is no Source"):
        source.checked(value)


def test_what_does_not_fit_is_refused() -> None:
    for text in ('{"a": """', "{", "\u00e9", '"\u2028"', '"a"\r'):
        with pytest.raises(ValueError, match="JSON|Expecting|Invalid"):
            source.json_text(text)
    for value in (1.5, b"x", ["x"], {"x": [1]}, ("x", {1.5: "a"})):
        with pytest.raises(TypeError, match="has no literal"):
            source.literal(value)
    for text in ("\u00e9", "a\tb", "a\rb", "# coding=utf-7", "\n# coding: x", "\x7f"):
        with pytest.raises(ValueError, match="not printable ASCII, or declares"):
            source.finished(text)
    assert source.finished("\n\ncoding=is further down\n")


@given(st.floats(allow_nan=False))
def test_doubles_are_those_that_they_were(value: float) -> None:
    assert float(source.real(value)) == value


def test_templates_print_nothing_that_is_not_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    """A renderer that forgets is an error, whatever it forgets."""
    given = resolver.resolve(parser.parse_bytes(SCHEMA.encode(), "s.xml"))
    assert isinstance(given, ir.Module)
    original = renderer._Renderer.model
    model = original(renderer._Renderer(given), "s.xml")
    printed = [key for key, value in model.items() if isinstance(value, str)]
    assert len(printed) > 5
    for key in printed:
        monkeypatch.setattr(
            renderer._Renderer, "model",
            lambda self, name, key=key: original(self, name) | {key: str(model[key]) + "; x"},
        )  # fmt: skip
        if not any(key in path.read_text() for path in CODE.glob("templates/*")):
            continue
        with pytest.raises(TypeError, match="is no Source"):
            renderer.render(given, "s.xml", "m")


def test_forms_are_literals_of_ours() -> None:
    """`code` and `joined` trust their first argument; `Source` and Markup are made in one place."""
    calls = 0
    for path in CODE.rglob("*.py"):
        if path.name == "source.py":
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        literals = {
            target.id: node.value
            for node in ast.walk(tree) if isinstance(node, ast.Assign)
            for target in node.targets if isinstance(target, ast.Name)
        }  # fmt: skip
        for node in ast.walk(tree):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
                continue
            assert node.func.id not in ("Source", "Markup"), (path, node.lineno)
            if node.func.id in ("code", "joined"):
                calls += 1
                for form in choices(node.args[0]):
                    if isinstance(form, ast.Name) and form.id in ("form", "place"):
                        continue  # assigned, or listed, in the lines above: see the next loop
                    assert isinstance(form, ast.Constant), (path, node.lineno)
        for name in ("form", "place"):
            if name in literals and "rendering" in str(path) and name == "form":
                for form in choices(literals[name]):
                    assert isinstance(form, ast.Constant), path
    assert calls > 40
    assert issubclass(Source, Markup)


def choices(node: ast.expr) -> list[ast.expr]:
    """The values of a conditional expression."""
    if isinstance(node, ast.IfExp):
        return [*choices(node.body), *choices(node.orelse)]
    return [node]


def test_the_templates_have_no_way_around() -> None:
    for path in CODE.glob("templates/*.jinja"):
        text = path.read_text()
        assert "| safe" not in text
        assert "autoescape" not in text
        assert set(text) <= set(string.printable)
