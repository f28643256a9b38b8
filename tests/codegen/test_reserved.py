"""Every reserved word, and every name that modules use themselves, in every position."""

from __future__ import annotations

from pathlib import Path

import generated_names
import pytest
from small import TYPES, module_of, plain, schema

import sbe_codegen
from sbe_codegen import names, reserved

TABLES = (reserved.ALL, reserved.MODULE, reserved.LOCALS, reserved.MESSAGE, reserved.STRUCT)
OTHERS = {"mro", "name", "value", "entries", "counted_entries", "own_header", "same_header", "body"}
WORDS = sorted({*set().union(*TABLES), *generated_names.of_modules(), *OTHERS})
PARTS = 6  # as many as there are sorts of types: a word is of each sort in one of them
SORTS = (
    "<composite name='{}'><type name='x' primitiveType='uint8'/></composite>",
    "<enum name='{}' encodingType='uint8'><validValue name='A'>1</validValue></enum>",
    "<set name='{}' encodingType='uint8'><choice name='A'>1</choice></set>",
    "<type name='{}' primitiveType='uint8'/>",
    "<composite name='{}'>"
    + TYPES.split('<composite name="groupSizeEncoding">')[1].split("</composite>")[0]
    + "</composite>",
    "<composite name='{}'>"
    + TYPES.split('<composite name="text">')[1].split("</composite>")[0]
    + "</composite>",
)
DIMENSIONS, DATA = 4, 5


def everything(words: list[str], kinds: list[str], part: int) -> str:
    """Members, fields, groups, data and messages of ``words``, and types of ``kinds``."""
    values = "".join(f"<validValue name='{w}'>{i}</validValue>" for i, w in enumerate(words))
    types = f"<enum name='anEnum' encodingType='uint16'>{values}</enum>"
    for i in range(0, len(words), 64):
        choices = (f"<choice name='{w}'>{bit}</choice>" for bit, w in enumerate(words[i : i + 64]))
        types += f"<set name='aSet{i}' encodingType='uint64'>{''.join(choices)}</set>"
    members = "".join(f"<type name='{w}' primitiveType='uint8'/>" for w in words)
    types += f"<composite name='all'>{members}</composite>"
    named = [w for w in kinds if w not in ("char", "float", "double", "side", "text")]
    sort = {w: (i + part) % len(SORTS) for i, w in enumerate(named)}
    types += "".join(SORTS[kind].format(w) for w, kind in sort.items())
    dimensions = [w for w in named if sort[w] == DIMENSIONS]
    texts = [w for w in named if sort[w] == DATA]

    def group(name: str, i: int, *inner: str) -> str:
        kind = dimensions[i % len(dimensions)]
        return f"<group name='{name}' id='{i}' dimensionType='{kind}'>{''.join(inner)}</group>"

    def data(name: str, i: int) -> str:
        return f"<data name='{name}' id='{i}' type='{texts[i % len(texts)]}'/>"

    def message(name: str, number: int, *inner: str) -> str:
        return f"<message name='{name}' id='{number}'>{''.join(inner)}</message>"

    fields = [plain(w, i) for i, w in enumerate(words)]
    typed = [plain(f"f{i}", i, w) for i, w in enumerate(named) if sort[w] < DIMENSIONS]
    made = [
        message("Fields", 1, *fields, plain("e", 9998, "anEnum"), plain("c", 9999, "all")),
        message("Types", 2, *typed),
        message("Groups", 3, *(group(w, i, plain(w, 1)) for i, w in enumerate(words))),
        message("Data", 4, *(data(w, i) for i, w in enumerate(words))),
        message("Inner", 5, *(group(w, i, plain("x", 1), data(w, 2)) for i, w in enumerate(words))),
    ]
    for i, word in enumerate(words):
        flat, deep = group("g", 7, plain("a", 1)), group("h", 8, plain("a", 1), data("d", 2))
        made.append(message(word, 100 + i, plain("a", 1), flat, deep, data("d", 3)))
    return schema("".join(made), types)


def load(words: list[str], kinds: list[str], folder: Path, part: int) -> None:
    path = folder / "words.xml"
    path.write_text(everything(words, kinds, part))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SBE_CODEGEN_CACHE", str(folder / "cache"))
        patch.setenv("SBE_BUILD", "debug")
        module = sbe_codegen.load(path)
    assert len(module.MESSAGES) == 5 + len(words)
    block = bytes(len(words)) + (len(words) - 1).to_bytes(2, "little") + bytes(len(words))
    head = b"".join(n.to_bytes(2, "little") for n in (len(block), 1, 1, 1))
    m = module.Fields.decode(head + block)
    shown = m.to_dict()
    assert shown["e"] == words[-1]
    assert list(shown.values())[: len(words)] == [0] * len(words)
    assert list(shown["c"].values()) == [0] * len(words)
    assert len(module.AnEnum) == len(words)
    for i in range(len(words)):
        values = {"a": i % 200, "g": [{"a": 1}], "h": [{"a": 2, "d": "x"}], "d": "y"}
        frame = module.encode(100 + i, values)
        assert module.decode(frame).to_dict() == values
        assert len(module.decode_many([frame] * 2)[type(module.decode(frame))]) == 2


def test_words_that_break_compilers_are_no_names(tmp_path: Path) -> None:
    words = "NULL None nogil sizeof cdef class IF DEF errno nullptr match cursor header"
    load(words.split(), words.split(), tmp_path, 0)


@pytest.mark.timeout(1500)  # a schema of many messages is compiled, beside other tests
@pytest.mark.long
@pytest.mark.parametrize("part", range(PARTS))
def test_every_reserved_word_in_every_position(tmp_path: Path, part: int) -> None:
    load(WORDS[part::PARTS], WORDS, tmp_path, part)


def test_what_modules_call_their_own_is_reserved() -> None:
    """But what generated text has of the schema: names of enums, and members of structs."""
    of_schema = {"Side", "side", "BUY", "num_groups", "num_var_data_fields", "nothing"}
    of_schema |= {"mantissa", "exponent", "schema_id", "exponents"}
    assert not {n for n in generated_names.of_modules() if names.message(n) == n} - of_schema


def test_messages_beside_functions_and_structs_of_another(tmp_path: Path) -> None:
    """Functions of the module give way to messages, and to what it has without a schema."""
    taken = """
        M tuple_M float_tuple_M tuple_M_ header_of_M take_header_of_M parse_M walk_M append_M take_M
        unpack_M MFrame MRow M_a M_legs M_legs_a MLegs MLegsEntry take_M_legs write_M write_M_legs
        write_M_legs_ entry_0 rows_0 v0 f0 FRAMING_a_b entry load sbe size g m take_g walk_g
    """.split()  # noqa: SIM905
    deep = "<group name='{}' id='{}'><field name='a' id='1' type='uint8'/>{}</group>".format
    text = "<data name='d' id='9' type='text'/>"
    inner = plain("a", 1) + plain("of", 2) + plain("int8Le", 3) + plain("root", 4) + plain("t", 5)
    inner += plain("price", 6, "price") + plain("x", 7, "x")
    inner += deep("legs", 10, text) + deep("take", 11, text) + deep("next", 12, text)
    inner += deep("x_b", 13, "") + text
    messages = "".join(
        f"<message name='{name}' id='{i + 1}'>{inner}</message>" for i, name in enumerate(taken)
    )
    types = "<composite name='x'><type name='b' primitiveType='uint8'/></composite>"
    types += "<composite name='price'><type name='mantissa' primitiveType='int64'/>"
    types += "<type name='exponent' primitiveType='int8'/></composite>"
    types += "".join(SORTS[1].format(name) for name in ("m_a", "parse_m", "m_legs"))
    path = tmp_path / "beside.xml"
    path.write_text(schema(messages, types))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SBE_CODEGEN_CACHE", str(tmp_path / "cache"))
        patch.setenv("SBE_BUILD", "debug")
        module = sbe_codegen.load(path)
    values = {"a": 1, "of": 2, "int8_le": 3, "root": 4, "t": 5, "x": {"b": 6}, "x_b": [{"a": 7}]}
    values |= {"price": {"mantissa": 15, "exponent": -1}, "next": [{"a": 1, "d": "x"}]}
    for i, name in enumerate(taken):
        frame = module.encode(i + 1, values | {"d": name})
        message = module.decode(frame)
        assert type(message).__name__ in (name, f"{name}_")
        assert {**message.to_dict(), **values, "d": name} == message.to_dict()
        assert message.astuple_float()[5] == 1.5
        (row,) = module.decode_many([frame])[type(message)].records
        assert (row["a"], row["x"]["b"]) == (1, 6)


def test_members_of_structs_are_no_macros_of_headers(tmp_path: Path) -> None:
    """Headers of C have macros in small letters, others on each system: stat.h has st_atime."""
    names_in_c = "stAtime st_mtime sbeX constchar npy_off_t npy_fseek linux major minor stdout"
    fields = "".join(plain(name, i) for i, name in enumerate(names_in_c.split()))
    group = f"<group name='st_ctime' id='30'>{fields}</group>"
    data = "<data name='stBlksize' id='31' type='text'/><data name='h_errno' id='32' type='text'/>"
    kinds = "<composite name='all'><type name='st_atime' primitiveType='uint8'/></composite>"
    fields += plain("all", 20, "all")
    path = tmp_path / "macros.xml"
    path.write_text(schema(f"<message name='M' id='1'>{fields}{group}{data}</message>", kinds))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SBE_CODEGEN_CACHE", str(tmp_path / "cache"))
        patch.setenv("SBE_BUILD", "debug")
        module = sbe_codegen.load(path)
    values = {"all": {"st_atime": 7}, "st_blksize": "a", "h_errno": "b", "st_ctime": []}
    values |= {names.attribute(name): i for i, name in enumerate(names_in_c.split())}
    frame = module.M.encode(**values)
    assert {**module.decode(frame).to_dict(), **values} == values
    (row,) = module.decode_many([frame])[module.M].records
    assert (row["st_atime"], row["all"]["st_atime"], row["npy_fseek"]) == (0, 7, 5)


def test_the_later_of_two_messages_with_one_name_gets_an_underscore() -> None:
    def found(*given: str) -> list[str]:
        made = "".join(f"<message name='{n}' id='{i}'/>" for i, n in enumerate(given))
        return [each.name for each in module_of(schema(made)).messages]

    assert found("A-B", "A_B", "A B") == ["A_B", "A_B_", "A_B__"]
    assert found("Class", "class", "class_") == ["Class", "class_", "class__"]
    assert found("header", "header_") == ["header_", "header__"]


def test_enums_keep_off_the_names_of_messages_that_were_changed() -> None:
    made = "<message name='A-B' id='1'/><message name='A_B' id='2'/>"
    module = module_of(schema(made, SORTS[1].format("A_B_")))
    assert [each.name for each in module.enums] == ["Side", "A_B__"]
