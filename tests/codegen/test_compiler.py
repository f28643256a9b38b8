"""parse, resolve and render: what a schema becomes, and what is said of one that can't be."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Any
from xml.sax.saxutils import quoteattr

import pytest
from small import body, module_of, plain, schema

from sbe_codegen import builder, ir, layouts, names, parser, renderer, resolver
from sbe_codegen.conventions import Conventions

STREAM = Path(__file__).parent.parent.parent / "schemas" / "stream_1_0.xml"
GOLDEN = Path(__file__).parent.parent / "golden"


EXPONENT = '<field xmlns:x="urn:x" name="price" id="2" type="int64" x:exponent="e"/>'


def test_the_stream_schema_has_the_published_layout() -> None:
    module = resolver.resolve(parser.parse(STREAM))
    assert (module.package, module.schema_id, module.version) == ("spot_stream", 1, 0)
    assert module.header.size == 8
    sizes = {m.template_id: (m.name, m.block.length) for m in module.messages}
    assert sizes == {
        10000: ("TradesStreamEvent", 18),
        10001: ("BestBidAskStreamEvent", 50),
        10002: ("DepthSnapshotStreamEvent", 18),
        10003: ("DepthDiffStreamEvent", 26),
    }
    trades, book = module.messages[0].groups[0], module.messages[3].groups[0]
    assert (trades.block.length, trades.dimension.size) == (25, 6)
    assert (book.block.length, book.dimension.size) == (16, 4)
    last = trades.block.fields[-1]
    assert (last.name, last.encoding.constant, last.since) == ("is_best_match", 1, 0)
    assert trades.block.fields[1].exponent == ir.Exponent("price_exponent", 1)
    assert module.messages[1].block.fields[4].exponent == ir.Exponent("price_exponent", 0)
    assert module.messages[0].data[0].var_data.charset == "utf-8"


def facts(value: Any, path: str = "") -> dict[str, Any]:
    """Everything that an ir or a parsed schema says but places and descriptions: path -> fact."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        result = {}
        for each in dataclasses.fields(value):
            if each.name not in ("place", "description", "file", "warnings"):
                name = getattr(value, "schema_name", getattr(value, "name", ""))
                result |= facts(getattr(value, each.name), f"{path}.{name}.{each.name}")
        return result
    if isinstance(value, tuple):
        result = {path: len(value)}
        for i, each in enumerate(value):
            result |= facts(each, f"{path}[{i}]")
        return result
    return {path: value}


@pytest.mark.parametrize("name", ["stream_1_0.xml", "spot_3_5.xml", "spot-fixsbe-1_1.xml"])
def test_our_schemas_state_the_published_facts(published: Path, name: str) -> None:
    ours, theirs = (parser.parse(folder / name) for folder in (STREAM.parent, published))
    for one, other in ((ours, theirs), (resolver.resolve(ours), resolver.resolve(theirs))):
        our_facts, their_facts = facts(one), facts(other)
        assert our_facts.keys() == their_facts.keys()
        different = [path for path in our_facts if our_facts[path] != their_facts[path]]
        assert different == []


@pytest.mark.parametrize("name", ["stream_1_0.xml", "spot_3_5.xml", "spot-fixsbe-1_1.xml"])
def test_our_schemas_have_words_of_their_own(published: Path, name: str) -> None:
    """No description, and no comment, is that of the published file."""
    ours, theirs = ((folder / name).read_text("utf-8") for folder in (STREAM.parent, published))
    prose = r'description="([^"]{12,})"|<!--(.*?)-->'
    words = [{" ".join("".join(f).split()) for f in re.findall(prose, text, re.S)}
             for text in (ours, theirs)]  # fmt: skip
    assert words[0] & words[1] == set()


def test_a_changed_fact_is_found(tmp_path: Path) -> None:
    changed = tmp_path / "changed.xml"
    for old, new in (("10003", "10004"), ('"qtyExponent"', '"sizeExponent"'),
                     ('primitiveType="int8"', 'primitiveType="uint8"')):  # fmt: skip
        changed.write_text(STREAM.read_text().replace(old, new))
        assert facts(resolver.resolve(parser.parse(changed))) != facts(
            resolver.resolve(parser.parse(STREAM))
        )


@pytest.mark.parametrize("schema", sorted(GOLDEN.glob("*.xml")), ids=lambda path: path.stem)
def test_the_output_is_the_golden_output(
    schema: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """Golden files show what a change of the generator does; `--update-golden` writes them."""
    beside = schema.with_suffix(".toml")
    conventions = Conventions.read(beside) if beside.exists() else None
    builder.generate(schema, tmp_path, schema.stem, conventions)
    for ending in ("pxd", "pyx", "pyi"):
        made = (tmp_path / f"{schema.stem}.{ending}").read_text()
        golden = GOLDEN / f"{schema.stem}.{ending}.golden"
        check_golden(made, golden, request)


@pytest.mark.parametrize("schema", sorted(GOLDEN.glob("*.xml")), ids=lambda path: path.stem)
def test_the_layout_is_the_golden_layout(schema: Path, request: pytest.FixtureRequest) -> None:
    made = layouts.of_module(resolver.resolve(parser.parse(schema))) + "\n"
    check_golden(made, GOLDEN / f"{schema.stem}.layout.golden", request)


def check_golden(made: str, golden: Path, request: pytest.FixtureRequest) -> None:
    if request.config.getoption("--update-golden"):
        golden.write_text(made)
    assert made == golden.read_text(), f"{golden.name}: run pytest --update-golden"


def test_output_is_the_same_each_time_and_names_its_source() -> None:
    module = resolver.resolve(parser.parse(STREAM))
    first = renderer.render(module, "stream_1_0.xml", "m")
    assert first == renderer.render(module, "stream_1_0.xml", "m")
    for text in first.values():
        line = text.splitlines()[0]
        assert "sbe-codegen" in line
        assert "stream_1_0.xml (spot_stream, schema 1, version 0)" in line


@pytest.mark.parametrize(
    ("schema", "name"),
    [("stream_1_0", "spot_stream"), ("spot_3_5", "spot_sbe"), ("spot-fixsbe-1_1", "fix_sbe")],
)
def test_the_built_sources_are_what_the_generator_makes_now(
    tmp_path: Path, schema: str, name: str
) -> None:
    source = STREAM.with_name(f"{schema}.xml")
    beside = source.with_suffix(".toml")
    conventions = Conventions.read(beside) if beside.exists() else None
    builder.generate(source, tmp_path, name, conventions)
    built = STREAM.parent.parent / "binance_sbe"
    for made in tmp_path.iterdir():
        assert made.read_text() == (built / made.name).read_text(), "run make build"


@pytest.mark.parametrize(
    ("schema", "attribute"),
    [
        ("bookUpdateId", "book_update_id"), ("URLPath", "url_path"), ("mantissa128", "mantissa128"),
        ("L1Price", "l1_price"), ("isBestMatch", "is_best_match"), ("class", "class_"),
        ("None", "none"), ("version", "version_"), ("block", "block_"), ("True", "true"),
        ("toDict", "to_dict_"), ("validate", "validate_"),
        ("already_snake", "already_snake"), ("__reduce__", "__reduce___"),
    ],
)  # fmt: skip
def test_names_become_snake_case_and_keep_off_what_is_taken(schema: str, attribute: str) -> None:
    assert names.attribute(schema) == attribute


def test_names_of_enums() -> None:
    assert names.constant("NonRepresentable") == "NON_REPRESENTABLE"
    assert names.type_name("boolEnum") == "BoolEnum"
    assert [names.constant(name) for name in ("_a_", "__b", "_1", "None", "mro")] == [
        "A", "B", "N1", "NONE", "MRO"
    ]  # fmt: skip


def test_whatever_the_templates_use_is_reserved() -> None:
    """What the generated module imports or defines itself is no message's name."""
    templates = Path(builder.__file__).parent / "templates"
    used = set()
    for template in ("module.pxd.jinja", "module.pyx.jinja"):
        text = (templates / template).read_text()
        for block in re.findall(r"cimport \((.*?)\)|cimport ([\w, ]+)$", text, re.S | re.M):
            parts = re.split(r"[,\s]+", "".join(block).strip())
            used |= set(re.findall(r"\w+", re.sub(r"(\w+) as ", "", " ".join(parts))))
        used |= set(re.findall(r"^cdef [\w* ]*?(\w+)\(", text, re.M))
        used |= set(re.findall(r"^(\w+)(?:, \w+)* = ", text, re.M))
        used |= set(re.findall(r"^def (\w+)\(", text, re.M))
    used -= {"as", "Message", "Schema"}  # imported under other names
    assert len(used) > 60
    assert sorted(name for name in used if names.class_name(name) == name) == []


def test_names_of_classes_keep_off_what_is_taken() -> None:
    taken = (
        "None",
        "True",
        "class",
        "struct",
        "Collector",
        "decode",
        "uint8_t",
        "__x",
        "Exception",
    )
    for name in taken:
        assert names.class_name(name) == f"{name}_"
    assert names.class_name("Trade") == "Trade"


@pytest.mark.parametrize("verb", ["walk", "parse", "append", "write"])
def test_accessors_keep_off_the_functions_of_messages(verb: str) -> None:
    """``walk_quote`` is what walks message ``quote``, and no field of message ``walk``."""
    text = schema(
        f"<message name='quote' id='1'/><message name='{verb}' id='2'>{plain('quote', 1)}</message>"
    )
    made = renderer.render(module_of(text), "s.xml", "m")["m.pxd"]
    assert f" {verb}_quote_(" in made


def test_names_of_entries_are_singular() -> None:
    plurals = {"symbols": "Symbol", "bids": "Bid", "securities": "Security", "classes": "Class",
               "legs": "Leg", "RelatedSym": "RelatedSym", "boxes": "Box"}  # fmt: skip
    assert {plural: names.entry_name(plural) for plural in plurals} == plurals


def test_an_exponent_attribute_of_no_namespace_says_nothing() -> None:
    text = body(plain("e", 1, "int8"), EXPONENT.replace("x:exponent", "exponent"))
    assert module_of(text).messages[0].block.fields[1].exponent is None


def test_names_that_c_or_the_generated_code_uses_are_no_trouble(compiled: Any) -> None:
    inside = plain("i", 1) + plain("int", 2) + plain("errno", 3) + plain("frame", 4)
    groups = "".join(
        f"<group name='{name}' id='{i}'>{inside}</group>"
        for i, name in enumerate(("table", "row", "i", "root", "cursor", "header", "tables"), 20)
    )
    data = "<data name='size' id='40' type='text'/><data name='data' id='41' type='text'/>"
    fields = plain("frame", 1) + plain("receivedNs", 2) + plain("double", 3) + plain("class", 4)
    module = compiled("awkward", body(fields, groups, data))
    frame = bytes([4, 0, 1, 0, 1, 0, 1, 0, 1, 2, 3, 4])
    frame += bytes([4, 0, 1, 5, 6, 7, 8]) * 7 + b"\x01a\x01b"
    message = module.decode(frame)
    assert (message.frame_, message.received_ns_, message.double, message.class_) == (1, 2, 3, 4)
    assert message.table.tolist() == [(5, 6, 7, 8)]
    assert (message.size, message.data) == ("a", "b")
    table = module.decode_many([frame])[module.M]
    assert table.records["frame_"].tolist() == [1]
    assert table.groups["root"].records.dtype.names == ("i", "int_", "errno", "frame_")


def test_descriptions_are_text_and_never_code(compiled: Any) -> None:
    hostile = '''"""\\" + open("/nonexistent") \\n {{ x }} %s \\\\'''
    text = schema(
        '<message name="M" id="1"><field name="a" id="1" type="uint8"/></message>'
    ).replace("<message ", f"<message description={quoteattr(hostile)} ")
    text = text.replace("<field ", f"<field description={quoteattr(hostile)} ")
    module = compiled("hostile", text)
    shown = " ".join(hostile.split())
    assert shown in module.M.__doc__
    assert shown in module.M.a.__doc__


def test_a_big_endian_machine_is_refused_with_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.byteorder", "big")
    with pytest.raises(SystemExit, match="needs a little-endian machine"):
        builder.extension("module", Path("module.pyx"))


def test_builds_are_portable_unless_asked_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SBE_BUILD", raising=False)
    assert not [flag for flag in builder.flags()[0] if flag.startswith("-march")]
    monkeypatch.setenv("SBE_BUILD", "native, debug")
    assert {"-march=native", "-O0"} <= set(builder.flags()[0])


def test_namespaces_and_prefixes_do_not_matter() -> None:
    plain = module_of(schema())
    for uri in ("http://fixprotocol.io/2016/sbe", "urn:other"):
        prefixed = schema().replace("<messageSchema", f'<x:messageSchema xmlns:x="{uri}"')
        prefixed = prefixed.replace("</messageSchema", "</x:messageSchema")
        prefixed = prefixed.replace("<message ", "<x:message ").replace(
            "</message>", "</x:message>"
        )
        assert facts(module_of(prefixed)) == facts(plain)


def test_comments_inside_values_do_not_matter() -> None:
    text = schema().replace(">B<", "><!-- buy -->\n B <")
    assert module_of(text).enums[0].values[0].value == ord("B")
