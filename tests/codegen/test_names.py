"""Names of a schema in Python and C, rule by rule, and enums and sets that share one."""

from __future__ import annotations

from typing import Any

import pytest
from small import body, module_of, plain, schema

from sbe_codegen import names, reserved
from sbe_codegen.runtime.decode.names import free


@pytest.mark.parametrize(
    ("schema_name", "snake"),
    [
        ("a", "a"), ("aB", "a_b"), ("AB", "ab"), ("ABc", "a_bc"), ("a1B", "a1_b"), ("A1", "a1"),
        ("HTTPServer2Go", "http_server2_go"), ("a_B", "a_b"), ("_aB", "_a_b"), ("aBC", "a_bc"),
        ("ID", "id"), ("userID", "user_id"), ("A", "a"), ("a9b", "a9b"),
    ],
)  # fmt: skip
def test_snake_case_begins_a_word_at_each_capital(schema_name: str, snake: str) -> None:
    assert names.snake(schema_name) == snake


@pytest.mark.parametrize(
    ("name", "attribute", "member", "c"),
    [
        ("price", "price", "price", "price"),
        ("class", "class_", "class_", "class_"),  # a keyword
        ("decode", "decode_", "decode", "decode_"),  # an attribute of messages
        ("toDict", "to_dict_", "to_dict_", "to_dict_"),
        ("__a", "__a_", "__a_", "__a_"),
        ("_a", "_a", "_a", "_a"),
        ("double", "double", "double", "double_"),  # of C alone
        ("int", "int_", "int", "int__"),  # of both
        ("Match", "match", "match", "match"),
    ],
)
def test_names_that_are_taken_get_an_underscore(
    name: str, attribute: str, member: str, c: str
) -> None:
    assert (names.attribute(name), names.member(name)) == (attribute, member)
    assert names.c_member(names.attribute(name)) == c


@pytest.mark.parametrize(
    ("name", "constant"),
    [
        ("a", "A"), ("aB", "A_B"), ("_a_", "A"), ("a_", "A_"), ("_", "N"), ("__", "N"),
        ("_9", "N9"), ("A9", "A9"), ("mro", "MRO"),
    ],
)  # fmt: skip
def test_members_of_enums_are_upper_case(name: str, constant: str) -> None:
    assert names.constant(name) == constant


@pytest.mark.parametrize(
    ("group", "entry"),
    [
        ("legs", "Leg"), ("parties", "Party"), ("ties", "Tie"), ("dies", "Die"), ("pies", "Pie"),
        ("allies", "Ally"), ("passes", "Pass"), ("boxes", "Box"), ("batches", "Batch"),
        ("dishes", "Dish"), ("pass", "Pass"), ("data", "Data"), ("prices", "Price"), ("s", "S"),
    ],
)  # fmt: skip
def test_entries_are_called_by_the_singular(group: str, entry: str) -> None:
    assert names.entry_name(group) == entry


@pytest.mark.parametrize(
    ("name", "good"),
    [("a", True), ("_", True), ("a9_", True), ("a" * 64, True), ("a" * 65, False), ("", False),
     ("9a", False), ("a-b", False), ("a b", False), ("\xe9", False), ("a\n", False)],
)  # fmt: skip
def test_a_name_is_letters_digits_and_underscores(name: str, good: bool) -> None:
    assert names.is_identifier(name) == good


@pytest.mark.parametrize(
    ("name", "made"),
    [
        ("Trade", "Trade"), ("None", "None_"), ("struct", "struct_"), ("decode", "decode_"),
        ("__init", "__init_"), ("sbe_x", "sbe_x_"), ("int8_t", "int8_t_"),
        ("uint64_t", "uint64_t_"),
        ("int8_ts", "int8_ts"), ("FRAMING_1", "FRAMING_1_"), ("Xsbe_", "Xsbe_"),
    ],
)  # fmt: skip
def test_classes_keep_off_what_the_module_has(name: str, made: str) -> None:
    assert names.class_name(name) == made


def test_a_free_name_has_as_many_underscores_as_it_takes() -> None:
    assert [free("a", taken) for taken in ((), ("a",), ("a", "a_"), ("a_",))] == [
        "a", "a_", "a__", "a"
    ]  # fmt: skip


# enums and sets: each under a name of its own


def enum(name: str, value: int, tag: str = "enum") -> str:
    inner = "validValue" if tag == "enum" else "choice"
    return f"<{tag} name='{name}' encodingType='uint8'><{inner} name='v'>{value}</{inner}></{tag}>"


def composite(name: str, *members: str) -> str:
    return f"<composite name='{name}'>{''.join(members)}</composite>"


def claimed(types: str, message: str = "M") -> dict[str, Any]:
    fields = f"<message name='{message}' id='1'>{plain('a', 1)}</message>"
    made = module_of(schema(fields, types))
    return {each.name: each for each in (*made.enums, *made.sets) if each.schema_name != "side"}


@pytest.mark.parametrize(
    ("types", "found"),
    [
        (enum("kind", 1), ["Kind"]),
        (enum("kind", 1) + enum("Kind", 2), ["Kind", "Kind_"]),
        (enum("kind", 1) + enum("Kind", 2, "set"), ["Kind", "Kind_"]),
        # Inline ones have that of their composite in front, where another is called so;
        (enum("kind", 1) + composite("leg", enum("kind", 2)), ["Kind", "LegKind"]),
        (composite("leg", enum("kind", 2)) + enum("kind", 1), ["Kind", "LegKind"]),
        (composite("leg", enum("kind", 2)), ["Kind"]),
        (composite("a", enum("kind", 1)) + composite("b", enum("kind", 2)), ["Kind", "BKind"]),
        (enum("aKind", 3) + enum("kind", 1) + composite("a", enum("kind", 2)),
         ["AKind", "Kind", "AKind_"]),
        # those that say the same are one.
        (composite("a", enum("kind", 1)) + composite("b", enum("kind", 1)), ["Kind"]),
        (enum("kind", 1) + composite("a", enum("kind", 1)), ["Kind"]),
        (enum("m", 1), ["M_"]),
        (composite("a", enum("m", 1)), ["AM"]),
    ],
)  # fmt: skip
def test_enums_and_sets_have_names_of_their_own(types: str, found: list[str]) -> None:
    """A message keeps its name, and those at the top come before those inside composites."""
    assert sorted(claimed(types)) == sorted(found)


def test_names_that_the_module_has_are_no_enums() -> None:
    assert list(claimed(enum("collector", 1) + enum("decode", 2))) == ["Collector_", "Decode"]


@pytest.mark.parametrize(
    ("encoding", "backing", "null", "good", "bad"),
    [
        ("int8", "", -128, (-127, 127), (-129, 128)),
        ("uint16", "", 65535, (0, 65534), (65536, -1)),
        ("t", "primitiveType='uint8' minValue='3' maxValue='5'", 255, (3, 5), (2, 6)),
        ("t", "primitiveType='uint8' maxValue='255' presence='optional' nullValue='0'", 0, (1, 255),
         (-1, 256)),
        ("t", "primitiveType='int16' length='1'", -32768, (-5, 5), (-32769, 40000)),
    ],
)  # fmt: skip
def test_values_of_an_enum_at_the_limits_of_its_type(
    encoding: str, backing: str, null: int, good: tuple[int, int], bad: tuple[int, int]
) -> None:
    def made(number: int) -> Any:
        kind = f"<type name='t' {backing}/>" if backing else ""
        value = f"<validValue name='v'>{number}</validValue>"
        return module_of(schema(types=f"{kind}<enum name='E' encodingType='{encoding}'>{value}"
                                      "</enum>"))  # fmt: skip

    for number in good:
        found = made(number).enums[-1]
        assert (found.null, found.values[0].value) == (null, number)
    for number in bad:
        with pytest.raises(Exception, match=r"E\.v"):
            made(number)


@pytest.mark.parametrize("bits", [8, 16, 32, 64])
@pytest.mark.parametrize("sign", ["", "u"])
def test_choices_of_a_set_are_the_bits_of_its_type(bits: int, sign: str) -> None:
    def made(bit: int) -> Any:
        return module_of(schema(types=f"<set name='S' encodingType='{sign}int{bits}'>"
                                      f"<choice name='c'>{bit}</choice></set>"))  # fmt: skip

    (found,) = made(bits - 1).sets
    assert (found.primitive.name, found.choices[0].value) == (f"uint{bits}", bits - 1)
    for bit in (bits, -1):
        with pytest.raises(Exception, match=f"bit {bit} is not one of the {bits} of uint{bits}"):
            made(bit)


@pytest.mark.parametrize(
    ("text", "number"), [("B", 66), (" B ", 66), (" ", 32), ("\n B\n", 66), ("1", 49)]
)
def test_a_value_of_chars_is_one_character(text: str, number: int) -> None:
    made = schema().replace(">B<", f">{text}<")
    assert module_of(made).enums[0].values[0].value == number


def test_values_keep_their_version_and_metadata() -> None:
    made = module_of(
        schema().replace('name="Buy"', 'name="Buy" sinceVersion="1" x:k="v" xmlns:x="urn:x"')
    )
    (value,) = made.enums[0].values
    assert (value.since, value.metadata, value.name) == (1, {"k": "v"}, "BUY")


def test_members_of_composites_are_optional_where_their_type_is() -> None:
    kinds = "<type name='maybe' primitiveType='int8' presence='optional'/>"
    members = "<type name='a' primitiveType='int8'/><ref name='b' type='maybe'/>"
    members += "<type name='c' primitiveType='int8' presence='constant'>1</type>"
    made = module_of(
        schema(f"<message name='M' id='1'>{plain('f', 1, 'c')}</message>",
               kinds + composite("c", members))
    )  # fmt: skip
    found = made.messages[0].block.fields[0].encoding.composite
    assert found is not None
    assert [each.optional for each in found.members] == [False, True, False]
    assert [each.type_name for each in found.members] == ["a", "maybe", "c"]
    assert (found.size, found.count) == (2, 3)


def test_types_before_an_include_stay(tmp_path: Any) -> None:
    from sbe_codegen import parser

    include = '<xi:include xmlns:xi="http://www.w3.org/2001/XInclude" href="more.xml"/>'
    (tmp_path / "more.xml").write_text("<types><type name='more' primitiveType='int8'/></types>")
    for before in ('<composite name="text">', '<enum name="side"'):
        (tmp_path / "main.xml").write_text(body().replace(before, include + before))
        found = [each.name for each in parser.parse(tmp_path / "main.xml").types]
        wanted = ["messageHeader", "groupSizeEncoding", "text", "side"]
        wanted.insert(2 if "text" in before else 3, "more")
        assert found == wanted


def test_members_of_structs_stay_different() -> None:
    words = sorted({*reserved.ALL, "root", "price"})
    asked = [f"{word.lower()}{'_' * count}" for word in words for count in range(4)]
    attributes = sorted({names.attribute(each) for each in asked})
    members = [names.c_member(each) for each in attributes]
    assert len(set(members)) == len(members)
    assert not {each for each in members if each in reserved.NOT_IN_C}
