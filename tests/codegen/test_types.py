"""The types of a schema: kind, length, size, null, range, charset and constant of each."""

from __future__ import annotations

from typing import Any

import pytest
from small import faults, module_of, plain, schema

from sbe_codegen import ir


def one_type(attributes: str, text: str = "") -> ir.Encoding:
    """The encoding of field ``a``, whose type has these attributes."""
    made = schema(
        f"<message name='M' id='1'>{plain('a', 1, 'T')}</message>",
        f"<type name='T' {attributes}>{text}</type>\n",
    )
    return module_of(made).messages[0].block.fields[0].encoding


CHAR, U8, FLOAT = (f"primitiveType='{name}'" for name in ("char", "uint8", "float"))

# kind, length, size, null, minimum, maximum, charset, constant
TYPES: list[tuple[str, str, tuple[Any, ...]]] = [
    (U8, "", ("number", 1, 1, 255, None, None, None, None)),
    (f"{U8} length='1'", "", ("number", 1, 1, 255, None, None, None, None)),
    (f"{U8} length='2'", "", ("array", 2, 2, 255, None, None, None, None)),
    (CHAR, "", ("char", 1, 1, 0, None, None, None, None)),
    (f"{CHAR} length='1'", "", ("char", 1, 1, 0, None, None, None, None)),
    (f"{CHAR} length='2' characterEncoding=' utf8 '", "",
     ("text", 2, 2, 0, None, None, "utf-8", None)),
    ("primitiveType='int64' length='3'", "", ("array", 3, 24, -(2**63), None, None, None, None)),
    (FLOAT, "", ("number", 1, 4, None, None, None, None, None)),
    (f"{FLOAT} presence='optional' nullValue='NaN'", "",
     ("number", 1, 4, None, None, None, None, None)),
    (f"{FLOAT} presence='optional' nullValue='-1.5'", "",
     ("number", 1, 4, -1.5, None, None, None, None)),
    (f"{U8} minValue='0' maxValue='0'", "", ("number", 1, 1, 255, 0, 0, None, None)),
    (f"{U8} minValue='5' maxValue='5'", "", ("number", 1, 1, 255, 5, 5, None, None)),
    (f"{U8} presence='optional' nullValue='0'", "", ("number", 1, 1, 0, None, None, None, None)),
    (f"{U8} presence='constant'", " 255\n", ("number", 1, 0, 255, None, None, None, 255)),
    (f"{U8} presence='constant' length='1'", "0", ("number", 1, 0, 255, None, None, None, 0)),
    ("primitiveType='int8' presence='constant'", "-128",
     ("number", 1, 0, -128, None, None, None, -128)),
    ("primitiveType='double' presence='constant'", "1e3",
     ("number", 1, 0, None, None, None, None, 1000.0)),
    (f"{CHAR} presence='constant'", "A", ("char", 1, 0, 0, None, None, None, "A")),
    (f"{CHAR} presence='constant'", "\n  AB C\n  ", ("text", 4, 0, 0, None, None, None, "AB C")),
    (f"{CHAR} presence='constant'", " A", ("text", 2, 0, 0, None, None, None, " A")),
    (f"{CHAR} length='9' presence='constant'", "AB", ("text", 9, 0, 0, None, None, None, "AB")),
    (f"{CHAR} length='2' presence='constant'", "\N{LATIN SMALL LETTER E WITH ACUTE}",
     ("text", 2, 0, 0, None, None, None, "\N{LATIN SMALL LETTER E WITH ACUTE}")),
    (f"{CHAR} presence='constant' valueRef=' side.Buy '", "",
     ("char", 1, 0, 0, None, None, None, "B")),
    (f"{CHAR} minValue='A' maxValue='Z'", "", ("char", 1, 1, 0, 65, 90, None, None)),
    (f"{CHAR} minValue='65' maxValue='90'", "", ("char", 1, 1, 0, 65, 90, None, None)),
]  # fmt: skip


@pytest.mark.parametrize(("attributes", "text", "expected"), TYPES)
def test_a_type_is_exactly_this(attributes: str, text: str, expected: tuple[Any, ...]) -> None:
    made = one_type(attributes, text)
    assert (
        made.kind, made.length, made.size, made.null, made.minimum, made.maximum, made.charset,
        made.constant,
    ) == expected  # fmt: skip


E_ACUTE = "\N{LATIN SMALL LETTER E WITH ACUTE}"


@pytest.mark.parametrize(
    ("attributes", "text", "said"),
    [
        (f"{CHAR} length='1' presence='constant'", E_ACUTE,
         f"T: '{E_ACUTE}' is longer than the 1 of the type"),
        (f"{CHAR} length='2' presence='constant'", f"{E_ACUTE}A",
         f"T: '{E_ACUTE}A' is longer than the 2 of the type"),
        (f"{U8} length='2' presence='constant'", "1", "T: 2 items of uint8 can't be a constant"),
        (f"{U8} presence='constant'", " \n ", "T: a constant needs a value as its text"),
        (f"{CHAR} presence='constant'", "\n \n", "T: a constant needs a value as its text"),
        (f"{U8} presence='constant' valueRef='side.Buy'", "",
         "T: valueRef 'side.Buy' is char, and the type is uint8"),
        (f"{CHAR} maxValue='{E_ACUTE}'", "", f"T: '{E_ACUTE}' is not a whole number"),
        (f"{U8} minValue='6' maxValue='5'", "", "T: minValue 6 is above maxValue 5"),
        (f"{CHAR} length='2' characterEncoding='idna'", "",
         "T: characterEncoding 'idna' is a way to write text in ASCII, and no character set: "
         "leave it out"),
        (f"{CHAR} length='2' characterEncoding='unicode_escape'", "",
         "T: characterEncoding 'unicode_escape' is a way to write text in ASCII, and no character "
         "set: leave it out"),
        (f"{CHAR} length='2' characterEncoding='rot13'", "",
         "T: characterEncoding 'rot13' is not known"),
        (f"{CHAR} length='2' characterEncoding=''", "", "T: characterEncoding '' is not known"),
    ],
)  # fmt: skip
def test_a_type_that_can_not_be_is_explained(attributes: str, text: str, said: str) -> None:
    made = schema(types=f"<type name='T' {attributes}>{text}</type>\n")
    assert [each.partition(": ")[2] for each in faults(made)] == [said]


def test_a_type_with_the_name_of_its_primitive_counts() -> None:
    text = "<type name='uint8' primitiveType='uint8' minValue='3'/>\n"
    (found,) = module_of(schema(types=text)).messages[0].block.fields
    assert (found.encoding.minimum, found.type_name) == (3, "uint8")


def test_text_that_is_no_constant_is_warned_of() -> None:
    made = module_of(schema(types=f"<type name='T' {U8}>7</type>\n"))
    assert made.warnings == (
        's.xml:12: T: its text is ignored, as it has no presence="constant"',
    )  # fmt: skip


@pytest.mark.parametrize(
    ("semantic", "meant"),
    [("UTCTimstamp", "UTCTimestamp"), ("UTCTimeOnyl", "UTCTimeOnly"), ("TZTimestamp", ""),
     ("utctimestamp", ""), ("Price", ""), ("x" * 10_000, "")],
)  # fmt: skip
def test_a_time_that_is_misspelt_is_warned_of(semantic: str, meant: str) -> None:
    field = f'<field name="t" id="1" type="uint64" semanticType="{semantic}"/>'
    made = module_of(schema(f'<message name="M" id="1">{field}</message>'))
    said = f"M.t: semanticType '{semantic}' is no time: did you mean '{meant}'?"
    warned = [each for each in made.warnings if "is no time" in each]
    assert [each.endswith(said) for each in warned] == [True] * bool(meant)


def test_all_that_is_wrong_of_a_type_is_told_at_once() -> None:
    attributes = f"{U8} presence='optional' nullValue='x' minValue='300' maxValue='abc'"
    said = faults(schema(types=f"<type name='T' {attributes}/>\n"))
    assert [each.partition("T: ")[2] for each in said] == [
        "'x' is not a whole number",
        "300 does not fit uint8, which goes from 0 to 255",
        "'abc' is not a whole number",
    ]
