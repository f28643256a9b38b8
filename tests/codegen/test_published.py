"""What exchanges publish and no standard foresees: accepted, said, and meant as it is meant."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from small import TYPES, body, enum, module_of, plain, schema

import sbe_codegen
from sbe_codegen import names, parser, resolver
from sbe_codegen.builder import module_name


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("published")

    def load(text: str) -> ModuleType:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("SBE_CODEGEN_CACHE", str(folder / "cache"))
            patch.setenv("SBE_BUILD", "debug")
            path = folder / f"{abs(hash(text))}.xml"
            path.write_text(text)
            return sbe_codegen.load(path)

    return load


def frame(block: bytes, template: int = 1, version: int = 1) -> bytes:
    return b"".join(n.to_bytes(2, "little") for n in (len(block), template, 1, version)) + block


def value(name: str, text: object) -> str:
    return f"<validValue name='{name}'>{text}</validValue>"


def said(text: str) -> list[str]:
    return [each.partition(": ")[2] for each in module_of(text).warnings]


# nulls that have names


NAMED_NULL = schema(
    "<message name='M' id='1'><field name='side' id='1' type='Way'/>"
    "<field name='maybe' id='2' type='Way' presence='optional'/>"
    "<field name='marks' id='3' type='Marks'/>"
    "<field name='maybeMarks' id='4' type='Marks' presence='optional'/></message>",
    "<enum name='Way' encodingType='uint8'>"
    + value("Up", 1) + value("NullValue", 255)
    + "</enum><set name='Marks' encodingType='uint8'><choice name='a'>0</choice>"
    "<choice name='NullValue'>255</choice></set>",
)  # fmt: skip


def test_a_null_with_a_name_is_none_in_optional_fields_and_the_member_in_others(
    compiled: Any,
) -> None:
    module = compiled(NAMED_NULL)
    m = module.decode(frame(b"\xff\xff\xff\xff"))
    assert (m.side, m.maybe) == (module.Way.NULL_VALUE, None)
    assert (m.marks, m.maybe_marks) == (module.Marks.NULL_VALUE, None)
    wanted = {"side": "NullValue", "maybe": None, "marks": ["NullValue"], "maybe_marks": None}
    assert m.to_dict() == wanted
    assert m.validate() == []
    m = module.decode(frame(b"\x01\x01\x81\x81"))
    assert (m.side, m.maybe, m.marks) == (module.Way.UP, module.Way.UP, module.Marks(0x81))
    assert m.to_dict()["marks"] == ["a", 7]
    assert m.to_dict()["maybe_marks"] == ["a", 7]
    table = module.decode_many([frame(b"\xff\xff\xff\xff")])[module.M].to_arrow()
    row = table.to_pylist()[0]
    assert (row["side"], row["maybe"]) == (255, None)
    assert (row["marks"], row["maybe_marks"]) == (255, None)


def test_a_null_with_a_name_is_said() -> None:
    way, marks = said(NAMED_NULL)
    assert way.startswith("Way.NullValue: value NullValue is 255, which means null")
    assert marks.startswith("Marks.NullValue: 255 is no bit, but what means null")


def test_a_bit_that_is_neither_is_refused() -> None:
    with pytest.raises(sbe_codegen.SchemaError, match="bit 254 is not one of the 8"):
        module_of(NAMED_NULL.replace("'NullValue'>255</choice>", "'NullValue'>254</choice>"))


def test_a_null_value_is_kept_where_presence_comes_from_the_field(compiled: Any) -> None:
    text = schema(
        "<message name='M' id='1'><field name='plain' id='1' type='T'/>"
        "<field name='maybe' id='2' type='T' presence='optional'/>"
        "<field name='price' id='3' type='C' presence='optional'/></message>",
        "<type name='T' primitiveType='int16' nullValue='-1'/><composite name='C'>"
        "<type name='a' primitiveType='int16' nullValue='-1'/>"
        "<type name='b' primitiveType='int8'/></composite>",
    )
    assert said(text) == []
    module = compiled(text)
    m = module.decode(frame(b"\xff" * 7))
    assert (m.plain, m.maybe, m.price) == (-1, None, None)
    row = module.decode_many([frame(b"\xff" * 7)])[module.M].to_arrow().to_pylist()[0]
    assert (row["plain"], row["maybe"], row["price.a"]) == (-1, None, None)
    assert said(text.replace("nullValue='-1'/><composite", "nullValue='-1' presence='required'/>"
                             "<composite")) == [
        "T: nullValue is for optional fields, and the type is required",
        "M.maybe: presence 'optional' is taken; its type has 'required'",
    ]  # fmt: skip


NULS = schema(
    "<message name='M' id='1'><field name='letter' id='1' type='charNULL'/>"
    "<field name='way' id='2' type='Way'/><field name='sure' id='3' type='char'/></message>",
    "<type name='charNULL' primitiveType='char' presence='optional' nullValue='0'/>"
    "<enum name='Way' encodingType='charNULL'>" + value("Up", "U") + "</enum>",
)


@pytest.mark.parametrize("null", [b"\0", b"0"])
def test_nul_is_null_in_optional_characters_as_the_declared_null_is(
    compiled: Any, null: bytes
) -> None:
    module = compiled(NULS)
    m = module.decode(frame(null * 3))
    assert (m.letter, m.way, m.sure) == (None, None, null.decode())
    assert [each.path for each in m.validate()] == (["sure"] if null == b"\0" else [])
    columns = module.decode_many([frame(null * 3), frame(b"UUU")])[module.M].columns()
    arrow = columns.to_arrow()
    assert arrow.column("letter").to_pylist() == [None, b"U"]
    assert arrow.column("way").to_pylist() == [None, ord("U")]
    assert arrow.column("sure").null_count == 0
    frames = columns.to_pandas()
    assert frames["way"].isna().tolist() == [True, False]
    assert frames["letter"].isna().tolist() == [True, False]


def test_what_is_built_on_an_optional_type_is_optional(compiled: Any) -> None:
    module = compiled(schema(
        "<message name='M' id='1'><field name='tif' id='1' type='Tif'/>"
        "<field name='pair' id='2' type='Pair'/></message>",
        "<type name='u8' primitiveType='uint8' presence='optional'/>"
        "<enum name='Tif' encodingType='u8'>" + value("Day", 0) + "</enum>"
        "<composite name='Pair'><ref name='a' type='u8'/><ref name='b' type='Tif'/></composite>",
    ))  # fmt: skip
    m = module.decode(frame(b"\xff\xff\xff"))
    assert m.to_dict() == {"tif": None, "pair": None}
    assert m.validate() == []
    m = module.decode(frame(b"\0\1\xff"))
    assert m.to_dict() == {"tif": "Day", "pair": {"a": 1, "b": None}}
    assert m.validate() == []
    assert all(field.facts["optional"] for field in (module.M.tif, module.M.pair))


# members of composites that came later

STAMP = (
    "<message name='M' id='1'><field name='at' id='1' type='Stamp'/></message>",
    "<composite name='Stamp'><type name='time' primitiveType='uint32'/>"
    "<type name='unit' primitiveType='uint8' presence='optional' sinceVersion='4'/></composite>",
    "id='1' version='4'",
)


@pytest.mark.parametrize("padding", [b"", b"\7", b"\7\7\7"])
def test_a_member_that_the_sender_lacks_is_none_with_padding_or_without(
    compiled: Any, padding: bytes
) -> None:
    module = compiled(schema(*STAMP))
    old = frame(b"\1\0\0\0" + padding, version=3)
    m = module.decode(old)
    assert (m.at.time, m.at.unit) == (1, None)
    assert m.validate() == []
    assert m.block["at"]["unit"][0] == 255
    new = frame(b"\1\0\0\0\6", version=4)
    batch = module.decode_many([old, new])
    assert batch[module.M].records["at"]["unit"].tolist() == [255, 6]
    assert batch[module.M].to_arrow().column("at.unit").to_pylist() == [None, 6]
    with pytest.raises(sbe_codegen.runtime.errors.MalformedMessage):
        module.decode(frame(b"\1\0\0\0", version=4))


def test_a_composite_whose_members_are_all_newer_is_absent(compiled: Any) -> None:
    text = schema(STAMP[0].replace("<field", plain("a", 9) + "<field"), STAMP[1].replace(
        "name='time'", "name='time' sinceVersion='3'"), STAMP[2])  # fmt: skip
    module = compiled(text)
    assert module.decode(frame(b"\5", version=2)).to_dict() == {"a": 5, "at": None}
    m = module.decode(frame(b"\5\1\0\0\0", version=3))
    assert m.to_dict() == {"a": 5, "at": {"time": 1, "unit": None}}


def test_a_member_at_the_end_is_an_additive_change_and_one_that_moves_others_is_not() -> None:
    from sbe_codegen import differences

    old = schema(STAMP[0], STAMP[1].partition("<type name='unit'")[0] + "</composite>",
                 "id='1' version='3'")  # fmt: skip
    found = differences.find(module_of(old), module_of(schema(*STAMP)))
    assert {each.severity for each in found} == {"additive"}
    assert "M.at.unit" in {each.path for each in found}
    after = plain("z", 2) + "</message>"
    found = differences.find(
        module_of(old.replace("</message>", after)),
        module_of(schema(*STAMP).replace("</message>", after)),
    )
    assert [each.path for each in found if each.severity == "breaking"] == ["M.z"]


# files


@pytest.mark.parametrize("doctype", ["<!DOCTYPE xml>", "<!DOCTYPE messageSchema >"])
def test_a_doctype_that_declares_nothing_is_accepted(doctype: str) -> None:
    assert module_of(f"<?xml version='1.0'?>\n{doctype}\n{schema()}").messages


@pytest.mark.parametrize(
    "doctype",
    ["<!DOCTYPE x []>", "<!DOCTYPE x [<!ENTITY e 'f'>]>", "<!DOCTYPE x SYSTEM 'f'>",
     "<!DOCTYPE x PUBLIC 'a' 'f'>", "<!DOCTYPE x [<!ATTLIST a b CDATA 'c'>]>",
     "<!-- <!DOCTYPE x> --><!DOCTYPE x [<!ENTITY % e 'f'>]>"],
)  # fmt: skip
def test_a_doctype_that_says_more_is_refused(doctype: str) -> None:
    with pytest.raises(sbe_codegen.SchemaError, match="DOCTYPE: a schema has none"):
        module_of(doctype + schema())


XI = "<xi:include xmlns:xi='http://www.w3.org/2001/XInclude' href='{}'/>"


def included(folder: Path, main: str) -> Any:
    (folder / "main.xml").write_text(main)
    return resolver.resolve(parser.parse(folder / "main.xml"))


def test_messages_types_and_whole_schemas_are_included(tmp_path: Path) -> None:
    (tmp_path / "one.xml").write_text("<message name='One' id='2'>" + plain("b", 1) + "</message>")
    (tmp_path / "all.xml").write_text(
        "<messageSchema package='other' id='99'><types><type name='U' primitiveType='uint8'/>"
        f"</types>{XI.format('one.xml')}<message name='Two' id='3'/></messageSchema>"
    )
    (tmp_path / "kind.xml").write_text("<type name='K' primitiveType='uint16'/>")
    (tmp_path / "field.xml").write_text(plain("c", 7, "K"))
    main = schema(f"<message name='M' id='1'>{plain('a', 1)}{XI.format('field.xml')}</message>"
                  + XI.format("all.xml") + XI.format("kind.xml"))  # fmt: skip
    made = included(tmp_path, main)
    assert [each.name for each in made.messages] == ["M", "One", "Two"]
    assert [each.name for each in made.messages[0].block.fields] == ["a", "c"]
    assert (made.package, made.schema_id) == ("p", 1)
    assert made.messages[1].place.file.endswith("one.xml")


def test_what_is_included_keeps_the_order_of_a_body(tmp_path: Path) -> None:
    (tmp_path / "field.xml").write_text(plain("c", 7))
    late = f"<data name='d' id='2' type='text'/>{XI.format('field.xml')}"
    with pytest.raises(sbe_codegen.SchemaError, match="a field can't follow a data"):
        included(tmp_path, body(late))


def test_xml_base_is_where_files_are_included_from(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "one.xml").write_text("<message name='One' id='2'/>")
    here = XI.format("one.xml").replace("<xi:include", "<xi:include xml:base='b/'")
    main = schema().replace("<messageSchema", "<messageSchema xml:base='a/main.xml'")
    made = included(tmp_path, main.replace("</messageSchema>", f"{here}</messageSchema>"))
    assert [each.name for each in made.messages] == ["M", "One"]
    (tmp_path / "one.xml").write_text("<message name='Top' id='3'/>")
    for base, name in (("a/..", "Top"), ("none/../", "Top"), (".", "Top"), ("a/b/.", "One"),
                       ("a/x/../b/", "One")):  # fmt: skip
        moved = XI.format("one.xml").replace("<xi:include", f"<xi:include xml:base='{base}'")
        made = included(tmp_path, schema().replace("</messageSchema>", f"{moved}</messageSchema>"))
        assert [each.name for each in made.messages] == ["M", name], base
    for base, wrong in (("http://x/", "is not a relative path"), ("/", "is not a relative path"),
                        ("../../", "leads out of the schema's folder")):  # fmt: skip
        with pytest.raises(sbe_codegen.SchemaError, match=wrong):
            included(tmp_path, main.replace("a/main.xml", base).replace(
                "</messageSchema>", f"{XI.format('one.xml')}</messageSchema>"))  # fmt: skip


@pytest.mark.parametrize(
    ("package", "module"),
    [("my-exchange.v2", "my_exchange_v2"), ("SBE tests", "sbe_tests"), ("24x", "n24x"),
     ("com.My.Feed", "com_My_Feed"), ("  ", "n"), ("é", "n"), ("json", "json_"), ("a..b", "a_b")],
)  # fmt: skip
def test_a_module_name_is_made_of_any_package(package: str, module: str) -> None:
    assert module_name(package) == module


# names that are no identifiers


@pytest.mark.parametrize(
    ("name", "attribute", "constant", "kind"),
    [("Pre-Open", "pre_open", "PRE_OPEN", "Pre_Open"), ("24h", "n24h", "N24H", "N24h"),
     ("N/A", "n_a", "N_A", "N_A"), ("a b", "a_b", "A_B", "A_b"), ("+", "n", "N", "N"),
     ("é", "n", "N", "N"), ("-x-", "x", "X", "X")],
)  # fmt: skip
def test_names_that_are_no_identifiers_become_some(
    name: str, attribute: str, constant: str, kind: str
) -> None:
    assert names.attribute(name) == attribute
    assert names.constant(name) == constant
    assert names.type_name(name) == kind


def test_a_schema_full_of_odd_names_is_compiled_and_says_them_as_they_are(compiled: Any) -> None:
    text = schema(
        "<message name='Top of Book' id='1'><field name='Trading Status' id='1' type='Stat us'/>"
        "<field name='24h' id='2' type='De cimal'/><field name='24-h' id='3' type='Fl ags'/>"
        "<group name='Price Levels' id='4' dimensionType='Dims 8'>"
        "<field name='a/b' id='1' type='uint8'/><data name='n/a' id='2' type='te xt'/></group>"
        "<data name='Sym bol' id='5' type='te xt'/></message>",
        "<enum name='Stat us' encodingType='uint8'>" + value("Pre-Open", 1) + value("24h", 2)
        + value("PreOpen", 3) + value("Second", 1) + value("Pre-Open", 1) + "</enum>"
        "<set name='Fl ags' encodingType='uint8'><choice name='N/A'>0</choice>"
        "<choice name='also'>0</choice></set>"
        "<composite name='De cimal'><type name='x y' primitiveType='uint8'/></composite>"
        + TYPES.partition("<composite name=\"groupSizeEncoding\">")[2].join(
            ("<composite name=\"Dims 8\">", "")).replace('"text"', '"te xt"').partition("<enum")[0],
    )  # fmt: skip
    module = compiled(text)
    m = module.decode(frame(b"\1\7\1") + b"\1\0\1" + b"\5" + b"\1x" + b"\2ab")
    assert type(m).__name__ == "Top_of_Book"
    assert m.to_dict() == {
        "trading_status": "Pre-Open", "n24h": {"x_y": 7}, "n24_h": ["N/A"],
        "price_levels": [{"a_b": 5, "n_a": "x"}], "sym_bol": "ab",
    }  # fmt: skip
    assert list(module.Stat_us) == [1, 2, 3]
    assert module.Stat_us.SECOND is module.Stat_us.PRE_OPEN
    assert module.Fl_ags.ALSO is module.Fl_ags.N_A
    with pytest.raises(sbe_codegen.runtime.errors.TruncatedMessage, match="Price_Levels"):
        module.decode(frame(b"\1\7\1"))
    found = "\n".join(said(text))
    for sentence in (
        "'Top of Book' is no SBE name",
        "value 1 is used by 'Stat us.Pre-Open' already",
        "validValue 'Pre-Open' is there twice",
        "bit 0 is used by 'Fl ags.N/A' already",
    ):
        assert sentence in found


def test_what_makes_a_name_ambiguous_stays_an_error() -> None:
    with pytest.raises(sbe_codegen.SchemaError, match="name 'A' is used by 'E.A' already"):
        module_of(enum('encodingType="uint8"', value("A", 1) + value("A", 2)))


def test_a_type_that_is_defined_twice_alike_is_one() -> None:
    kind = "<type name='T' primitiveType='uint8' {} description='{}'/>\n"
    twice = schema(types=kind.format("", "one") + kind.format("", "other"))
    assert said(twice) == ["T: type 'T' is defined twice, both times alike"]
    with pytest.raises(sbe_codegen.SchemaError, match="type 'T' is defined twice"):
        module_of(schema(types=kind.format("", "") + kind.format("minValue='1'", "")))


def test_a_schema_without_messages_is_a_module_that_knows_none(compiled: Any) -> None:
    text = f'<messageSchema package="p" id="1"><types>{TYPES}</types></messageSchema>'
    assert said(text) == ["messageSchema: the schema has no messages"]
    module = compiled(text)
    assert dict(module.MESSAGES) == {}
    assert module.decode_header(frame(b"")).template_id == 1
    with pytest.raises(sbe_codegen.runtime.errors.UnknownTemplate):
        module.decode(frame(b""))
    batch = module.decode_many([frame(b"")], on_error="collect")
    assert len(batch.errors) == 1
