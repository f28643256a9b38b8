"""parse, resolve and render: what a schema becomes, and what is said of one that can't be."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any
from xml.sax.saxutils import quoteattr

import pytest

from sbe_codegen import SchemaError, builder, ir, names, parser, renderer, resolver

STREAM = Path(__file__).parent.parent / "schemas" / "stream_1_0.xml"
GOLDEN = Path(__file__).parent / "golden"


def module_of(text: str) -> ir.Module:
    return resolver.resolve(parser.parse_bytes(text.encode(), "s.xml"))


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
    assert (last.name, last.constant, last.since) == ("is_best_match", 1, 0)
    assert trades.block.fields[1].exponent == ir.Exponent("price_exponent", 1)
    assert module.messages[1].block.fields[4].exponent == ir.Exponent("price_exponent", 0)
    assert module.messages[0].data[0].var_data.encoding == "utf-8"


def facts(value: Any) -> Any:
    """An ir as plain data, without lines and descriptions, which say nothing about the wire."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {
            field.name: facts(getattr(value, field.name))
            for field in dataclasses.fields(value)
            if field.name not in ("line", "description")
        }
    return [facts(each) for each in value] if isinstance(value, tuple) else value


def test_our_schema_states_the_published_facts(published: Path) -> None:
    ours = resolver.resolve(parser.parse(STREAM))
    theirs = resolver.resolve(parser.parse(published / STREAM.name))
    assert facts(ours) == facts(theirs)
    as_written = [parser.parse(path) for path in (STREAM, published / STREAM.name)]
    assert as_written[0].semantic_version == as_written[1].semantic_version
    for part in ("types", "messages"):
        assert [type_facts(s) for s in getattr(as_written[0], part)] == [
            type_facts(s) for s in getattr(as_written[1], part)
        ]


def type_facts(value: Any) -> Any:
    """A parsed type or message without lines and descriptions."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return type(value).__name__, {
            f.name: type_facts(getattr(value, f.name))
            for f in dataclasses.fields(value)
            if f.name not in ("line", "description")
        }
    return [type_facts(each) for each in value] if isinstance(value, tuple) else value


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
    builder.generate(schema, tmp_path, schema.stem)
    for ending in ("pxd", "pyx", "pyi"):
        made = (tmp_path / f"{schema.stem}.{ending}").read_text()
        golden = GOLDEN / f"{schema.stem}.{ending}.golden"
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


def test_the_built_sources_are_what_the_generator_makes_now(tmp_path: Path) -> None:
    builder.generate(STREAM, tmp_path, "spot_stream")
    built = STREAM.parent.parent / "binance_sbe"
    for made in tmp_path.iterdir():
        assert made.read_text() == (built / made.name).read_text(), "run make build"


@pytest.mark.parametrize(
    ("schema", "attribute"),
    [
        ("bookUpdateId", "book_update_id"), ("URLPath", "url_path"), ("mantissa128", "mantissa128"),
        ("L1Price", "l1_price"), ("isBestMatch", "is_best_match"), ("class", "class_"),
        ("None", "none"), ("version", "version_"), ("block", "block_"), ("True", "true"),
        ("toDict", "to_dict_"), ("already_snake", "already_snake"), ("__reduce__", "__reduce___"),
    ],
)  # fmt: skip
def test_names_become_snake_case_and_keep_off_what_is_taken(schema: str, attribute: str) -> None:
    assert names.attribute(schema) == attribute


def test_names_of_enums() -> None:
    assert names.constant("NonRepresentable") == "NON_REPRESENTABLE"
    assert names.type_name("boolEnum") == "BoolEnum"


TYPES = """<composite name="messageHeader"><type name="blockLength" primitiveType="uint16"/>
<type name="templateId" primitiveType="uint16"/><type name="schemaId" primitiveType="uint16"/>
<type name="version" primitiveType="uint16"/></composite>
<composite name="groupSizeEncoding"><type name="blockLength" primitiveType="uint16"/>
<type name="numInGroup" primitiveType="uint8"/></composite>
<composite name="text"><type name="length" primitiveType="uint8"/>
<type name="varData" primitiveType="uint8" length="0" characterEncoding="UTF-8"/></composite>
<enum name="side" encodingType="char"><validValue name="Buy">B</validValue></enum>
"""


def schema(message: str = "", types: str = "", root: str = 'id="1" version="1"') -> str:
    """A schema whose message begins at line 13, where there are no extra types."""
    text = f'<messageSchema package="p" {root}><types>\n{TYPES}</types>\n<types>\n{types}</types>\n'
    message = (
        message or '<message name="M" id="1">\n<field name="a" id="1" type="uint8"/></message>'
    )
    return f"{text}{message}\n</messageSchema>"


def faults(text: str) -> list[str]:
    with pytest.raises(SchemaError) as caught:
        module_of(text)
    assert str(caught.value) == "\n".join(map(str, caught.value.errors))
    return [str(error) for error in caught.value.errors]


def field(attributes: str) -> str:
    return schema(f'<message name="M" id="1">\n<field {attributes}/></message>')


def test_the_test_schema_itself_is_fine() -> None:
    assert module_of(schema()).messages[0].block.length == 1


def enum(attributes: str, values: str) -> str:
    return schema(types=f"<enum name='E' {attributes}>{values}</enum>\n")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is not well-formed XML: "),
        ("<a", "is not well-formed XML"),
        ("stream_1_0.xml", "is not well-formed XML"),
        ("<other/>", "s.xml:1: other: the root of an SBE schema is 'messageSchema'"),
        (schema(root='version="1"'), "s.xml:1: messageSchema: attribute 'id' is missing"),
        (schema(root='id="70000"'), "id '70000' is not a number from 0 to 65535"),
        (schema(root='id="-1"'), "id '-1' is not a number"),
        (schema(root='id="1" byteOrder="big"'), "byteOrder 'big' is not one of"),
        (schema(root='id="1" headerType="h"'), "s.xml:1: messageSchema: no composite 'h'"),
        (schema(root='id="1" headerType="side"'), "'side' is not a composite"),
        (f'<messageSchema package="p" id="1"><types>{TYPES}</types></messageSchema>',
         "the schema has no messages"),
        (field('name="a" id="1" type="zz"'), "s.xml:14: M.a: no type 'zz' in this schema"),
        (field('name="a" type="uint8"'), "field 'a': attribute 'id' is missing"),
        (field('id="1" type="uint8"'), "attribute 'name' is missing"),
        (field('name="a b" id="1" type="uint8"'), "'a b' is no SBE name"),
        (field('name="a" id="1" type="uint8" presence="maybe"'), "presence 'maybe' is not one of"),
        (field('name="a" id="1" type="uint8" sinceVersion="2"'),
         "M.a: sinceVersion 2 is above the schema's version 1"),
        (field('name="a" id="1" type="side" presence="constant"'), "needs a valueRef"),
        (field('name="a" id="1" type="side" presence="constant" valueRef="side.Up"'),
         "enum 'side' has no value 'Up'"),
        (field('name="a" id="1" type="side" presence="constant" valueRef="other.Buy"'),
         "does not name a value of 'side'"),
        (field('xmlns:x="urn:x" name="a" id="1" type="int64" x:exponent="e"'),
         "no field 'e' before it or above it"),
        (field('name="a" id="1" type="text"'), "a composite as field is not supported yet"),
        (field('name="a" id="1" type="char"'), "characters and arrays are not supported yet"),
        (enum('encodingType="uint8"', "<validValue name='A'>255</validValue>"),
         "value A is 255, which means null"),
        (enum('encodingType="uint8"', "<validValue name='A'>256</validValue>"),
         "256 does not fit uint8"),
        (enum('encodingType="uint8"', "<validValue name='A'>x</validValue>"),
         "'x' is not a whole number"),
        (enum('encodingType="uint8"', "<validValue name='A'/>"), "validValue 'A': has no value"),
        (enum('encodingType="uint8"', "<validValue name='A'>1</validValue>"
              "<validValue name='A'>2</validValue>"), "name 'A' is used by 'E.A' already"),
        (enum('encodingType="uint8"', "<validValue name='A'>1</validValue>"
              "<validValue name='B'>1</validValue>"), "value 1 is used by 'E.A' already"),
        (enum('encodingType="uint8"', ""), "an enum needs at least one validValue"),
        (enum('encodingType="float"', "<validValue name='A'>1</validValue>"),
         "an enum can't be encoded as float"),
        (enum('encodingType="char"', "<validValue name='A'>AB</validValue>"),
         "is not one ASCII character"),
        (schema(types="<type name='side' primitiveType='uint8'/>\n"),
         "side: type 'side' is defined twice"),
        (schema(types="<enum name='E' encodingType='e'><validValue name='A'>1</validValue></enum>"),
         "no type 'e'"),
        (schema("<message name='M' id='1'/>\n<message name='N' id='1'/>"),
         "s.xml:14: N: template id 1 is used by 'M' already"),
        (schema("<message name='M' id='1'/>\n<message name='M' id='2'/>"),
         "M: name 'M' is used by 'M' already"),
        (schema("<message name='M' id='1' blockLength='1'><field name='a' id='1' type='int16'/>"
                "</message>"), "M: blockLength 1 is less than the 2 of its fields"),
        (schema("<message name='M' id='1'><field name='a' id='1' type='int16'/>\n"
                "<field name='b' id='2' type='int16' offset='1'/></message>"),
         "s.xml:14: M.b: offset 1 overlaps what ends at 2"),
        (schema("<message name='M' id='1'><field name='aB' id='1' type='int16'/>"
                "<field name='a_b' id='2' type='int16'/></message>"),
         "M.a_b: the generated name 'a_b' is taken by 'M.aB'"),
        (schema("<message name='M' id='1'><field name='a' id='1' type='int16'/>"
                "<field name='b' id='1' type='int16'/></message>"),
         "M.b: id 1 is used by 'M.a' already"),
        (schema("<message name='M' id='1'><data name='d' id='1' type='text'/>"
                "<field name='b' id='2' type='int16'/></message>"),
         "field 'b': a field can't follow a data: move it up"),
        (schema("<message name='M' id='1'><data name='d' id='1' type='text'/>"
                "<group name='g' id='2'><field name='b' id='2' type='int16'/></group></message>"),
         "a group can't follow a data"),
        (schema("<message name='M' id='1'><data name='d' id='1' type='side'/></message>"),
         "'side' is not a composite"),
        (schema("<message name='M' id='1'><data name='d' id='1' type='text' presence='optional'/>"
                "</message>"), "var data can't be optional"),
        (schema("<message name='M' id='1'><data name='d' id='1' type='groupSizeEncoding'/>"
                "</message>"), "var data is 'length', then 'varData'"),
        (schema("<message name='M' id='1'><group name='g' id='2' dimensionType='zz'>"
                "<field name='b' id='2' type='int16'/></group></message>"),
         "M.g: no composite 'zz'"),
        (schema("<message name='M' id='1'><group name='g' id='2' dimensionType='text'>"
                "<field name='b' id='2' type='int16'/></group></message>"),
         "text: the group dimensions lack 'blockLength'"),
        (schema("<message name='M' id='1'><group name='g' id='2' dimensionType='d'>"
                "<field name='b' id='2' type='int16'/></group></message>",
                "<composite name='d'><type name='blockLength' primitiveType='uint16'/>"
                "<type name='numInGroup' primitiveType='uint32'/></composite>\n"),
         "d.numInGroup: uint32 needs a maxValue"),
        (schema("<message name='M' id='1'><group name='g' id='2' dimensionType='d'>"
                "<field name='b' id='2' type='int16'/></group></message>",
                "<composite name='d'><type name='blockLength' primitiveType='uint16'/>"
                "<type name='numInGroup' primitiveType='uint32' maxValue='4294967294'/>"
                "</composite>\n"), "maxValue is above 2147483647"),
        (schema("<message name='M' id='1'><group name='g' id='2' dimensionType='d'>"
                "<field name='b' id='2' type='int16'/></group></message>",
                "<composite name='d'><type name='blockLength' primitiveType='int16'/>"
                "<type name='numInGroup' primitiveType='uint8'/></composite>\n"),
         "blockLength must be unsigned, not int16"),
        (schema("<message name='M' id='1'><group name='g' id='2'/></message>"),
         "a group without fields is not supported yet"),
        (schema().replace("UTF-8", "KLINGON").replace("</message>",
            "<data name='d' id='9' type='text'/></message>"),
         "characterEncoding 'KLINGON' is not known"),
        (schema().replace('package="p"', 'package="p&quot;; import os; &quot;"'),
         "is not names with dots between them"),
        (schema().replace('name="templateId"', 'name="template Id"'), "is no SBE name"),
        (schema(types="<composite name='c'><type name='x' primitiveType='uint8'/><group/>"
                "</composite>"), "has no place inside 'composite'"),
    ],
)  # fmt: skip
def test_a_wrong_schema_is_explained(text: str, said: str) -> None:
    found = faults(text)
    assert any(said in fault for fault in found), found


def test_a_header_that_lacks_a_member_is_explained() -> None:
    text = schema().replace('<type name="schemaId" primitiveType="uint16"/>', "")
    assert "messageHeader: the message header lacks 'schemaId'" in faults(text)[0]


def test_all_faults_are_reported_in_the_order_of_the_file() -> None:
    text = schema(
        "<message name='M' id='1'><field name='a' id='1' type='x'/>\n"
        "<field name='b' id='2' type='y'/></message>\n<message name='M' id='1'/>"
    )
    found = faults(text)
    assert [line.split(": ")[0] for line in found] == [
        "s.xml:13",
        "s.xml:14",
        "s.xml:15",
        "s.xml:15",
    ]


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SchemaError, match=r"none\.xml: can't be read: No such file"):
        parser.parse(tmp_path / "none.xml")
    with pytest.raises(SchemaError, match="can't be read"):
        parser.parse(tmp_path)


def test_entities_are_not_expanded_and_files_not_read(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("uint8")
    external = f'<!DOCTYPE x [<!ENTITY e SYSTEM "file://{secret}">]>'
    laughs = "".join(f'<!ENTITY l{i} "{f"&l{i - 1};" * 10}">' for i in range(1, 10))
    bomb = f'<!DOCTYPE x [<!ENTITY l0 "ha">{laughs}<!ENTITY e "&l9;">]>'
    for doctype in (external, bomb, f'<!DOCTYPE x SYSTEM "file://{secret}">'):
        text = doctype + schema().replace(">B<", ">&e;<")
        with pytest.raises(SchemaError, match="DOCTYPE: a schema has none|not well-formed"):
            parser.parse_bytes(text.encode())


def body(*elements: str) -> str:
    return schema(f"<message name='M' id='1'>{''.join(elements)}</message>")


def plain(name: str, number: int, kind: str = "uint8") -> str:
    return f"<field name='{name}' id='{number}' type='{kind}'/>"


EXPONENT = '<field xmlns:x="urn:x" name="price" id="2" type="int64" x:exponent="e"/>'


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (body(plain("e", 1, "int8"), EXPONENT, plain("priceFloat", 3)), "'price_float' is taken"),
        (body(plain("e", 1, "int8"), EXPONENT, plain("priceDecimal", 3)), "'price_decimal' is"),
        (body(plain("tBytes", 1), "<data name='t' id='2' type='text'/>"), "'t_bytes' is taken"),
        (body(plain("bidsX", 1), f"<group name='bids' id='2'>{plain('x', 1)}</group>"),
         "'M_bids_x' is taken"),
        (enum('encodingType="uint8"', "<validValue name='aB'>1</validValue>"
              "<validValue name='a_b'>2</validValue>"), "member A_B is used by 'E.aB' already"),
        (enum('encodingType="uint8"', "<validValue name='A'>1</validValue>"
              "<validValue name='B'>01</validValue>"), "value 1 is used by 'E.A' already"),
        (enum('encodingType="uint8"', "<validValue name='A'>1_0</validValue>"),
         "'1_0' is not a whole number"),
        (enum('encodingType="uint8"', "<validValue name='_a_'>1</validValue>"),
         "begins with an underscore"),
        (schema().replace('name="side"', 'name="header"'), "'Header' is taken by the generated"),
        (schema().replace('name="side"', 'name="collector"'), "'Collector' is taken by"),
        (schema().replace('name="side"', 'name="none"'), "'None' is taken by the generated"),
        (schema().replace('name="side"', 'name="m"'), "'M' is taken by 'm'"),
        (schema("<message name='None' id='1'/>"), "'None' is taken by the generated module"),
        (schema("<message name='Collector' id='1'/>"), "'Collector' is taken by"),
        (schema("<message name='M' id='1'/><message name='MFrame' id='2'/>"),
         "'MFrame' is taken by 'M'"),
        (schema().replace('"groupSizeEncoding"', '"entries"').replace("</message>",
            f"<group name='g' id='7' dimensionType='entries'>{plain('x', 1)}</group></message>"),
         "'take_entries' is taken by the generated module"),
        (body(plain("e", 1, "int32"), EXPONENT), "the exponent 'e' is not an int8"),
        (body(plain("e", 1, "int8"), EXPONENT.replace("int64", "double")),
         "only a whole number has an exponent"),
        (schema().replace("UTF-8", "hex").replace("</message>",
            "<data name='d' id='9' type='text'/></message>"),
         "characterEncoding 'hex' is not known"),
    ],
)  # fmt: skip
def test_names_and_kinds_that_can_not_be_are_explained(text: str, said: str) -> None:
    found = faults(text)
    assert any(said in fault for fault in found), found


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
        builder.cythonized({}, Path())


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
