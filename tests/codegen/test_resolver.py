"""The resolver: offsets, versions, constants and exponents exactly, and what it warns of."""

from __future__ import annotations

import pytest
from small import body, faults, module_of, plain, schema

from sbe_codegen import ir
from sbe_codegen.conventions import Conventions
from sbe_codegen.parser import parse_bytes
from sbe_codegen.resolver import resolve

V9 = "id='1' version='9'"


# blocks


def message(*elements: str, types: str = "", root: str = V9) -> ir.Module:
    text = "".join(elements)
    return module_of(schema(f"<message name='M' id='1' xmlns:x='urn:x'>{text}</message>", types,
                            root))  # fmt: skip


def since(name: str, number: int, version: int, kind: str = "uint8", more: str = "") -> str:
    return (
        f"<field name='{name}' id='{number}' type='{kind}' sinceVersion='{version}' {more}/>"
    )  # fmt: skip


LATE = "<type name='late' primitiveType='uint16' sinceVersion='4'/>"
CONSTANT = "<type name='one' primitiveType='uint16' presence='constant'>1</type>"


def late_fields(made: ir.Module) -> list[str]:
    return [each.partition(": ")[2].partition(":")[0] for each in made.warnings]


def test_fields_that_are_older_than_those_before_are_warned_of() -> None:
    """Older than the newest of all before, not only than the one before."""
    made = message(since("a", 1, 0), since("b", 2, 3), since("c", 3, 0), since("d", 4, 2),
                   since("e", 5, 3), since("f", 6, 4), since("g", 7, 3))  # fmt: skip
    assert late_fields(made) == ["M.c", "M.d", "M.g"]
    assert made.warnings[1].endswith(
        "M.d: is in the schema since version 2, after a field that is there since 3: new fields "
        "go to the end of a block"
    )


def test_the_version_of_a_type_counts_and_that_of_a_constant_does_not() -> None:
    made = message(since("a", 1, 1, "late"), since("b", 2, 3), since("c", 3, 4), types=LATE)
    assert [field.since for field in made.messages[0].block.fields] == [4, 3, 4]
    assert late_fields(made) == ["M.b"]
    made = message(since("a", 1, 5, "one"), since("b", 2, 3), since("c", 3, 0, "one"),
                   since("d", 4, 3), types=CONSTANT)  # fmt: skip
    assert late_fields(made) == []


def test_fields_of_a_group_are_there_since_the_group_is() -> None:
    def group(version: int, *fields: str) -> str:
        return f"<group name='g' id='9' sinceVersion='{version}'>{''.join(fields)}</group>"

    assert late_fields(message(group(5, since("a", 1, 5), since("b", 2, 0)))) == []
    assert late_fields(message(group(5, since("a", 1, 6), since("b", 2, 0)))) == ["M.g.b"]
    inner = group(0, since("a", 1, 4), since("b", 2, 0)).replace("'g'", "'h'")
    assert late_fields(message(group(5, inner))) == []


def test_a_block_is_at_least_as_long_as_the_fields_of_its_version() -> None:
    made = message(
        since("a", 1, 0), since("b", 2, 2, "uint16"), since("c", 3, 2, more="offset='9'"),
        since("d", 4, 5, "one"), since("e", 5, 7, "uint64"), types=CONSTANT,
    )  # fmt: skip
    block = made.messages[0].block
    assert block.minimums == (ir.Minimum(0, 1), ir.Minimum(2, 10), ir.Minimum(7, 18))
    assert (block.length, block.since) == (18, 7)
    assert [(field.offset, field.size) for field in block.fields] == [
        (0, 1), (1, 2), (9, 1), (10, 0), (10, 8)
    ]  # fmt: skip


def test_a_block_of_an_older_field_at_the_end_needs_what_is_before_it() -> None:
    block = message(since("a", 1, 3), since("b", 2, 0), since("c", 3, 5)).messages[0].block
    assert block.minimums == (ir.Minimum(0, 2), ir.Minimum(3, 2), ir.Minimum(5, 3))
    assert message().messages[0].block.minimums == (ir.Minimum(0, 0),)
    assert message(since("a", 1, 3)).messages[0].block.minimums == (
        ir.Minimum(0, 0), ir.Minimum(3, 1)
    )  # fmt: skip


@pytest.mark.parametrize(("given", "length"), [(0, 3), (3, 3), (4, 4), (65535, 65535)])
def test_a_block_length_is_room_for_more(given: int, length: int) -> None:
    text = f"<message name='M' id='1' blockLength='{given}'>{plain('a', 1, 'int16')}"
    made = module_of(schema(f"{text}{plain('b', 2)}</message>"))
    assert made.messages[0].block.length == length


def test_every_fault_of_a_block_is_told() -> None:
    text = "".join(plain(name, i, "zz") for i, name in enumerate("ab", 1))
    inner = f"<group name='g' id='8'>{text}</group><data name='d' id='9' type='zz'/>"
    inner += "<data name='e' id='10' type='zz'/>"
    inner += f"<group name='h' id='11' dimensionType='zz'>{plain('c', 1, 'zz')}</group>"
    inner = inner.replace("<data name='d'", "<data  name='d'")
    found = [each.partition(": ")[2].partition(":")[0] for each in faults(body(text, inner))]
    assert sorted(found) == sorted(
        ["M.a", "M.b", "M.g.a", "M.g.b", "M.d", "M.e", "M.h.c", "M.h", "group 'h'"]
    )


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (('"blockLength" primitiveType="uint16"', '"blockLength" primitiveType="uint8"'),
         ["M: a block of 256 does not fit blockLength, which is uint8"]),
        (('"templateId" primitiveType="uint16"', '"templateId" primitiveType="uint8"'),
         ["M: id 256 does not fit templateId, which is uint8"]),
        (('"version" primitiveType="uint16"',
          '"version" primitiveType="uint16" presence="constant"'),
         ["messageHeader.version: a constant needs a value as its text"]),
        (('"version" primitiveType="uint16"/>',
          '"version" primitiveType="uint16" presence="constant">2</type>'),
         ["messageSchema: version 1 where the constant version is 2"]),
        (('"version" primitiveType="uint16"/>',
          '"version" primitiveType="uint16" presence="constant">1</type>'), []),
        (('"blockLength" primitiveType="uint16"/>',
          '"blockLength" primitiveType="uint16" presence="constant">255</type>'),
         ["M: a block of 256 where the constant blockLength is 255"]),
    ],
)  # fmt: skip
def test_what_the_header_says_has_to_fit(edit: tuple[str, str], said: list[str]) -> None:
    good = schema("<message name='M' id='255' blockLength='255'/>").replace(*edit, 1)
    bad = schema("<message name='M' id='256' blockLength='256'/>").replace(*edit, 1)
    if edit[1].endswith('uint8"'):
        assert module_of(good).messages
    found = faults(bad) if said else []
    assert [each.partition(": ")[2] for each in found] == said
    if not said:
        assert module_of(bad).messages


# what a field says and its type does too


def test_a_presence_that_differs_from_the_types_is_taken_and_said() -> None:
    kind = "<type name='t' primitiveType='int8' presence='optional'/>"
    made = message(since("a", 1, 0, "t"), since("b", 2, 0, "t", "presence='required'"),
                   since("c", 3, 0, "t", "presence='optional'"),
                   since("d", 4, 0, "int8", "presence='optional'"), types=kind)  # fmt: skip
    assert [field.optional for field in made.messages[0].block.fields] == [True, False, True, True]
    (warning,) = made.warnings
    assert warning.endswith("M.b: presence 'required' is taken; its type has 'optional'")


@pytest.mark.parametrize(
    ("field", "kind", "said"),
    [("Qty", "Qty", 0), ("Qty", "", 0), ("", "Qty", 0), ("", "", 0), ("Qty", "Price", 1)],
)
def test_semantic_types_of_field_and_type_are_one(field: str, kind: str, said: int) -> None:
    text = f"<field name='a' id='1' type='t' semanticType='{field}'/>"
    made = schema(f"<message name='M' id='1'>{text}</message>",
                  f"<type name='t' primitiveType='int8' semanticType='{kind}'/>")  # fmt: skip
    assert len(faults(made)) == said if said else module_of(made).messages


def test_a_description_is_the_fields_own_or_that_of_its_type() -> None:
    kinds = """<type name='t' primitiveType='int8' description='of t'/>
<enum name='e' encodingType='int8' description='of e'><validValue name='A'>1</validValue></enum>
<set name='s' encodingType='int8' description='of s'><choice name='A'>1</choice></set>
<composite name='c' description='of c'><ref name='r' type='t'/></composite>"""
    made = message(*(since(k, i, 0, k) for i, k in enumerate("tesc", 1)),
                   since("own", 9, 0, "t", "description='own'"), types=kinds)  # fmt: skip
    fields = made.messages[0].block.fields
    assert [field.description for field in fields] == ["of t", "of e", "of s", "of c", "own"]
    composite = fields[3].encoding.composite
    assert composite is not None
    assert composite.members[0].description == "of t"


@pytest.mark.parametrize("tag", ["enum", "set", "composite"])
def test_versions_and_semantic_types_of_all_kinds_count(tag: str) -> None:
    inner = {
        "enum": "<validValue name='A'>1</validValue>", "set": "<choice name='A'>1</choice>",
        "composite": "<type name='m' primitiveType='int8'/>",
    }[tag]  # fmt: skip
    encoding = "" if tag == "composite" else "encodingType='int8'"
    kind = f"<{tag} name='t' {encoding} sinceVersion='3' semanticType='S'>{inner}</{tag}>"
    (field,) = message(since("a", 1, 2, "t"), types=kind).messages[0].block.fields
    assert (field.since, field.encoding.semantic_type) == (3, "S")


# constants


CONSTANTS = """<enum name="E" encodingType="uint8"><validValue name="A">4</validValue></enum>
<type name="k" primitiveType="uint8" presence="constant">4</type>
<type name="word" primitiveType="char" length="2"/>
"""


@pytest.mark.parametrize(
    ("attributes", "constant"),
    [
        ("type='E' presence='constant' valueRef='E.A'", 4),
        ("type='uint8' presence='constant' valueRef='E.A'", 4),
        ("type='char' presence='constant' valueRef='side.Buy'", "B"),
        ("type='k'", 4),
        ("type='k' presence='constant'", 4),
        ("type='k' valueRef='E.A'", 4),
    ],
)
def test_a_constant_field_takes_no_bytes(attributes: str, constant: object) -> None:
    made = message(f"<field name='a' id='1' {attributes}/>", plain("b", 2), types=CONSTANTS)
    first, second = made.messages[0].block.fields
    assert (first.encoding.constant, first.size, first.optional) == (constant, 0, False)
    assert second.offset == 0
    assert first.is_constant
    assert not second.is_constant


@pytest.mark.parametrize(
    ("attributes", "said"),
    [
        ("type='word' presence='constant' valueRef='E.A'", "a text can't have a valueRef"),
        ("type='text' presence='constant' valueRef='E.A'", "a composite can't have a valueRef"),
        (
            "type='E' presence='constant'",
            "a constant enum field needs a valueRef, or a type that is constant",
        ),
        (
            "type='uint16' presence='constant' valueRef='E.A'",
            "valueRef 'E.A' is uint8, and the type is uint16",
        ),
        ("type='E' presence='constant' valueRef='E.B'", "enum 'E' has no value 'B'"),
    ],
)
def test_a_constant_field_without_its_value_is_explained(attributes: str, said: str) -> None:
    text = f"<message name='M' id='1'><field name='a' id='1' {attributes}/></message>"
    (found,) = faults(schema(text, CONSTANTS))
    assert found.partition("M.a: ")[2] == said


def test_a_value_ref_of_a_field_that_is_sent_is_ignored_with_a_warning() -> None:
    text = "<message name='M' id='1'><field name='a' id='1' type='E' valueRef='E.A'/></message>"
    made = module_of(schema(text, CONSTANTS))
    (warning,) = made.warnings
    assert "M.a: valueRef 'E.A' is ignored: it is for constants, and this is sent" in warning
    (field,) = made.messages[0].block.fields
    assert (field.size, field.is_constant) == (1, False)


# exponents


def exponent(made: ir.Module, name: str) -> ir.Exponent | None:
    levels = [level for message in made.messages for level in ir.levels(message)]
    fields = [field for level in levels for field in level.block.fields]
    return next(field.exponent for field in fields if field.schema_name == name)


def scaled(name: str, number: int, kind: str, wanted: str = "e") -> str:
    return f"<field name='{name}' id='{number}' type='{kind}' x:exponent='{wanted}'/>"


KINDS = """<type name="wide" primitiveType="uint8" length="16"/>
<type name="signed" primitiveType="int8" length="3"/>
<type name="longs" primitiveType="int64" length="2"/>
<type name="five" primitiveType="int32" presence="constant">5</type>
<type name="maybe" primitiveType="int8" presence="optional"/>
<type name="minus" primitiveType="int8" presence="constant">-2</type>
"""
IS = {
    "int64": True, "uint8": True, "wide": True, "signed": True, "longs": False, "float": False,
    "double": False, "char": False, "five": False, "side": False, "text": False,
}  # fmt: skip


@pytest.mark.parametrize("kind", IS)
def test_only_whole_numbers_are_mantissas(kind: str) -> None:
    made = message(scaled("m", 1, kind), plain("e", 2, "int8"), types=KINDS)
    field = made.messages[0].block.fields[0]
    if IS[kind]:
        assert field.exponent == ir.Exponent("e", 0)
        assert (field.encoding.kind == "mantissa") == (kind in ("wide", "signed"))
        assert made.warnings == made.notes
    else:
        assert field.exponent is None
        assert field.encoding.kind != "mantissa"
        (warning,) = made.warnings
        assert warning.endswith("M.m: exponent 'e' is ignored: only a whole number can have one")


def test_the_null_of_a_wide_mantissa_is_the_most_negative_number() -> None:
    made = message(scaled("a", 1, "wide"), scaled("b", 2, "signed"), plain("e", 3, "int8"),
                   types=KINDS)  # fmt: skip
    assert [field.encoding.null for field in made.messages[0].block.fields[:2]] == [
        -(2**127), -(2**23)
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("int8", ir.Exponent("e", 0)), ("uint8", ir.Exponent("e", 0)),
        ("maybe", ir.Exponent("e", 0, is_null=True)), ("minus", ir.Exponent("e", 0)),
        ("int16", None), ("char", None), ("side", None), ("wide", None), ("float", None),
    ],
)  # fmt: skip
def test_only_small_numbers_are_exponents(kind: str, expected: ir.Exponent | None) -> None:
    made = message(scaled("m", 1, "int64"), plain("e", 2, kind), types=KINDS)
    assert exponent(made, "m") == expected
    warnings = [each for each in made.warnings if each not in made.notes]
    assert [each.partition("M.m: ")[2] for each in warnings] == (
        []
        if expected
        else ["exponent 'e' is ignored: no int8 field has that name, in its block or around it"]
    )


def test_an_exponent_that_came_later_may_be_null() -> None:
    made = message(scaled("m", 1, "int64"), since("e", 2, 3, "int8"))
    assert exponent(made, "m") == ir.Exponent("e", 0, is_null=True)


def test_an_exponent_is_looked_for_from_the_inside_out_and_is_never_the_mantissa_itself() -> None:
    inner = f"<group name='h' id='8'>{scaled('c', 1, 'int8', 'c')}{scaled('d', 2, 'int8', 'g')}"
    inner += f"{scaled('n', 3, 'int8', 'e')}</group>"
    outer = f"<group name='g' id='9'>{scaled('b', 1, 'int8', 'e')}{plain('e', 2, 'int8')}{inner}"
    made = message(scaled("e", 1, "int8", "e"), plain("c", 2, "int8"), f"{outer}</group>")
    assert exponent(made, "e") is None
    assert exponent(made, "b") == ir.Exponent("e", 0)
    assert exponent(made, "d") is None  # a group is no exponent
    assert exponent(made, "n") == ir.Exponent("e", 1)
    (inside,) = made.messages[0].groups[0].groups
    assert inside.block.fields[0].exponent == ir.Exponent("c", 2)


def test_a_wrong_exponent_inside_hides_the_right_one_outside() -> None:
    inner = f"<group name='g' id='9'>{scaled('m', 1, 'int64')}{plain('e', 2, 'int32')}</group>"
    made = message(plain("e", 1, "int8"), inner)
    assert exponent(made, "m") is None


# names and numbers


def test_names_and_ids_are_those_of_fields_groups_and_data_together() -> None:
    text = body(plain("a", 1), "<group name='a' id='2'/>", "<data name='b' id='2' type='text'/>")
    assert [each.partition(": ")[2] for each in faults(text)] == [
        "M.a: name 'a' is used by 'M.a' already", "M.b: id 2 is used by 'M.a' already"
    ]  # fmt: skip


def test_names_that_are_one_in_python_differ_by_an_underscore_on_a_level() -> None:
    inner = f"<group name='aB' id='2'>{plain('a_b', 1)}{plain('aB', 2)}</group>"
    made = message(plain("a_b", 1), inner, "<group name='AB' id='3'/>",
                   "<data name='a_B' id='4' type='text'/>",
                   "<data name='ab' id='5' type='text'/>")  # fmt: skip
    (m,) = made.messages
    assert [field.name for field in m.block.fields] == ["a_b"]
    assert [group.name for group in m.groups] == ["a_b_", "ab"]
    assert [each.name for each in m.data] == ["a_b__", "ab_"]
    assert [field.name for field in m.groups[0].block.fields] == ["a_b", "a_b_"]


@pytest.mark.parametrize(
    ("package", "good"),
    [("a.b_c", True), ("a", True), ("a..b", False), (".a", False), ("a-b", False)],
)
def test_a_package_is_names_with_dots_between_them(package: str, good: bool) -> None:
    text = schema().replace('package="p"', f'package="{package}"')
    if good:
        assert module_of(text).package == package
    else:
        (said,) = module_of(text).warnings
        assert f"package '{package}' is not names with dots between them: the module is" in said


def test_conventions_arrive_where_they_are_meant_for() -> None:
    text = schema(
        "<message name='M' id='1'><data name='a' id='1' type='text'/>"
        "<data name='b' id='2' type='raw'/></message><message name='N' id='2'/>",
        "<composite name='raw'><type name='length' primitiveType='uint8'/>"
        "<type name='varData' primitiveType='uint8' length='0'/></composite>",
    )
    made = resolve(
        parse_bytes(text.encode()),
        Conventions(("te*",), ("r?w",), {2: 7, 9: 9}, {60: "gone"}),
    )
    first, second = made.messages
    assert [each.var_data.empty_is_null for each in first.data] == [True, False]
    assert [each.var_data.is_embedded for each in first.data] == [False, True]
    assert (first.layout_since, second.layout_since) == (0, 7)
    assert made.removed == {60: "gone"}
