"""Decimals: composites of mantissa and exponent, and mantissas that conventions tie to one."""

from __future__ import annotations

import math
import struct
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from small import module_of, schema

import sbe_codegen
from sbe_codegen import SchemaError
from sbe_codegen.conventions import Conventions


def composite(name: str, mantissa: str, exponent: str) -> str:
    return (f"<composite name='{name}'><type name='mantissa' {mantissa}/>"
            f"<type name='exponent' {exponent}</composite>")  # fmt: skip


I64, NINE = "primitiveType='int64'", "primitiveType='int8' presence='constant'>-9</type>"
MAYBE, SENT = f"{I64} presence='optional'", "primitiveType='int8'/>"
TYPES = (
    composite("Price9", I64, NINE) + composite("PriceNull9", MAYBE, NINE)
    + composite("Decimal", I64, SENT)
    + composite("MaybeExponent", I64, "primitiveType='int8' presence='optional'/>")
    + composite("Wide", "primitiveType='uint64'", NINE)
    + "<composite name='Leg'><type name='side' primitiveType='uint8'/>"
    "<ref name='px' type='Price9'/><ref name='maybe' type='PriceNull9'/></composite>"
)  # fmt: skip
MESSAGE = """<message name='M' id='1'>
<field name='price' id='1' type='Price9'/><field name='stop' id='2' type='PriceNull9'/>
<field name='fee' id='3' type='Decimal'/><field name='leg' id='4' type='Leg'/>
<field name='late' id='5' type='Decimal' sinceVersion='1'/>
<group name='levels' id='10'><field name='px' id='1' type='Price9'/><field name='size' id='2'
type='Decimal'/><field name='odd' id='3' type='MaybeExponent'/></group>
<group name='parts' id='11'><field name='px' id='1' type='PriceNull9'/>
<group name='fills' id='2'><field name='qty' id='1' type='Wide'/></group></group></message>"""
NULL = -(2**63)


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("decimals")

    def load(text: str, **conventions: Any) -> ModuleType:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("SBE_CODEGEN_CACHE", str(folder / "cache"))
            patch.setenv("SBE_BUILD", "debug")
            path = folder / f"{abs(hash((text, str(conventions))))}.xml"
            path.write_text(text)
            return sbe_codegen.load(path, conventions=Conventions(**conventions))

    return load


def frame(block: bytes, rest: bytes = b"", version: int = 1) -> bytes:
    head = b"".join(n.to_bytes(2, "little") for n in (len(block), 1, 1, version))
    return head + block + rest


def full(price: int = 123456789012, stop: int = NULL, version: int = 1) -> bytes:
    block = struct.pack("<qqqbBqq", price, stop, 5, -3, 1, 7, NULL)
    block += struct.pack("<qb", 25, -1) if version else b""
    levels = struct.pack("<HB", 26, 2)
    levels += struct.pack("<qqbqb", 1500000000, 7, 2, 3, -1)
    levels += struct.pack("<qqbqb", -1, 9007199254740993, -1, 3, -128)
    fills = struct.pack("<HB", 8, 1) + struct.pack("<Q", 2**63 + 1)
    parts = struct.pack("<HB", 8, 1) + struct.pack("<q", 42) + fills
    return frame(block, levels + parts, version)


@pytest.fixture(scope="module")
def module(compiled: Any) -> ModuleType:
    made: ModuleType = compiled(schema(MESSAGE, TYPES))
    return made


def test_a_composite_of_mantissa_and_exponent_has_a_float_and_a_decimal(module: ModuleType) -> None:
    m = module.decode(full())
    assert (m.price_float, m.price_decimal) == (123.456789012, Decimal("123.456789012"))
    assert (m.stop, m.stop_float, m.stop_decimal) == (None, None, None)
    assert (m.fee_float, m.fee_decimal) == (0.005, Decimal("0.005"))
    assert (m.price.mantissa, m.price.exponent) == (123456789012, -9)
    assert (m.leg.px_float, m.leg.px_decimal, m.leg.maybe_float) == (7e-9, Decimal("7E-9"), None)
    assert m.astuple_float()[:3] == (123.456789012, None, 0.005)
    assert module.M.price_float.__doc__ == "mantissa x 10^exponent, as the nearest float64."
    assert set(m.to_dict()) == {"price", "stop", "fee", "leg", "late", "levels", "parts"}


def test_decimals_of_older_senders_are_none(module: ModuleType) -> None:
    assert module.decode(full()).late_float == 2.5
    m = module.decode(full(version=0))
    assert (m.late, m.late_float, m.late_decimal) == (None, None, None)
    assert m.astuple_float()[4] is None
    columns = module.decode_many([full(version=0), full()])[module.M].columns()
    assert [math.isnan(each) for each in columns["late"]] == [True, False]


def test_decimals_of_groups_are_floats_in_their_copies(module: ModuleType) -> None:
    m = module.decode(full())
    floats = m.levels_float
    assert floats.dtype.names == ("px", "size", "odd")
    assert floats["px"].tolist() == [1.5, -1e-9]
    assert floats["size"].tolist() == [700.0, 900719925474099.3]
    assert floats["odd"][0] == 0.3
    assert math.isnan(floats["odd"][1])
    assert (m.parts[0].px_float, m.parts[0].px_decimal) == (4.2e-08, Decimal("4.2E-8"))
    assert m.parts[0].fills_float["qty"].tolist() == [(2**63 + 1) / 10**9]


def test_columns_have_decimals_as_one_float_or_as_raw_numbers(module: ModuleType) -> None:
    table = module.decode_many([full(), full(-1, 5)])[module.M]
    columns = table.columns()
    assert columns["price"].tolist() == [123.456789012, -1e-9]
    assert [math.isnan(each) for each in columns["stop"]] == [True, False]
    assert columns["leg.px"].tolist() == [7e-9] * 2
    assert "price.mantissa" not in columns
    raw = table.columns("raw")
    assert "price" not in raw
    assert raw["price"] is raw["price.mantissa"]
    assert raw["price.mantissa"].tolist() == [123456789012, -1]
    assert raw["fee.exponent"].tolist() == [-3, -3]
    levels = columns.groups["levels"]
    assert levels["size"].tolist() == [700.0, 900719925474099.3] * 2
    assert columns.groups["parts"].groups["fills"]["qty"].tolist() == [(2**63 + 1) / 10**9] * 2
    arrow = table.to_arrow()
    arrow.validate(full=True)
    assert arrow.column("stop").to_pylist() == [None, 5e-09]
    assert arrow.column("levels").to_pylist()[0][1] == {
        "px": -1e-9, "size": 900719925474099.3, "odd": None
    }  # fmt: skip
    assert table.to_polars()["stop"].to_list() == [None, 5e-09]
    assert table.to_pandas()["stop"].isna().tolist() == [True, False]


@pytest.mark.parametrize(
    ("mantissa", "exponent"),
    [("primitiveType='float'", NINE), (I64, "primitiveType='float'/>"),
     (I64, "primitiveType='int32'/>"), ("primitiveType='int64' length='2'", NINE),
     (I64, NINE + "<type name='more' primitiveType='int8'/>"),
     (I64, "primitiveType='int16' presence='constant'>-999</type>")],
)  # fmt: skip
def test_what_is_no_decimal_stays_a_composite(mantissa: str, exponent: str) -> None:
    made = module_of(schema("<message name='M' id='1'><field name='p' id='1' type='C'/></message>",
                            composite("C", mantissa, exponent)))  # fmt: skip
    found = made.messages[0].block.fields[0].encoding.composite
    assert found is not None
    assert found.decimal is None


# exponents by attribute and by convention

TIED = """<message name='M' id='1'><field name='priceExponent' id='1' type='int8'/>
<field name='askPrice' id='2' type='int64' x:exponent='priceExponent'/>
<group name='g' id='3'><field name='bidPrice' id='1' type='int64' x:exponent='priceExponent'/>
</group></message>"""
ROOT = 'id="1" version="1" xmlns:x="urn:x"'


@pytest.mark.parametrize(
    ("said", "value", "text"),
    [("power", 10603425000000.0, "1.060342500E+13"), ("decimals", 106034.25, "106034.2500"),
     (None, 10603425000000.0, "1.060342500E+13")],
)  # fmt: skip
def test_conventions_say_what_an_exponent_means(
    compiled: Any, said: str | None, value: float, text: str
) -> None:
    module = compiled(schema(TIED, root=ROOT), exponent=said)
    one = frame(struct.pack("<bq", 4, 1060342500), struct.pack("<HBq", 8, 1, 1060342500))
    m = module.decode(one)
    assert (m.ask_price_float, str(m.ask_price_decimal)) == (value, text)
    assert m.astuple_float() == (4, value)
    assert m.g_float["bid_price"].tolist() == [value]
    columns = module.decode_many([one])[module.M].columns()
    assert columns["ask_price"].tolist() == columns.groups["g"]["bid_price"].tolist() == [value]


def test_a_note_says_that_the_power_was_taken(tmp_path: Path) -> None:
    from sbe_codegen import builder

    path = tmp_path / "s.xml"
    path.write_text(schema(TIED, root=ROOT))
    (note,) = builder.read(path).notes
    assert note.startswith(f"{path}:1: messageSchema: 2 fields have an attribute exponent, taken")
    for said in ("power", "decimals"):
        assert builder.read(path, Conventions(exponent=said)).notes == ()
    path.write_text(schema(SIBLINGS))
    (note,) = builder.read(path, Conventions(exponents={"*Mantissa": "*Exponent"})).notes
    assert "an exponent by [exponents], taken as a power of ten" in note


SIBLINGS = """<message name='M' id='1'><field name='pxExponent' id='1' type='int8'/>
<field name='szExponent' id='2' type='int8'/><field name='askPxMantissa' id='3' type='int64'/>
<field name='askSzMantissa' id='4' type='int64'/><group name='bids' id='5'>
<field name='pxMantissa' id='6' type='int64'/><field name='szMantissa' id='7' type='int64'/></group>
</message>"""


@pytest.mark.parametrize(
    "exponents",
    [{"*pxMantissa": "pxExponent", "*szMantissa": "szExponent"},
     {"*Mantissa": "*Exponent", "ask*Mantissa": "*Exponent"}],
)  # fmt: skip
def test_patterns_tie_mantissas_to_exponents_beside_and_around_them(
    compiled: Any, exponents: dict[str, str]
) -> None:
    module = compiled(schema(SIBLINGS), exponents=exponents, exponent="power")
    block = struct.pack("<bbqq", -2, -3, 12345, 6789)
    one = frame(block, struct.pack("<HBqq", 16, 1, 11, 22))
    m = module.decode(one)
    assert (m.ask_px_mantissa_float, m.ask_sz_mantissa_decimal) == (123.45, Decimal("6.789"))
    assert m.bids_float.tolist() == [(0.11, 0.022)]
    assert m.ask_px_mantissa == 12345
    columns = module.decode_many([one])[module.M].columns()
    assert columns.groups["bids"]["sz_mantissa"].tolist() == [0.022]


@pytest.mark.parametrize(
    ("text", "said"),
    [("exponent = 'power of ten'", 'exponent: is "power" or "decimals"'),
     ("exponent = 2", 'exponent: is "power" or "decimals"'),
     ("exponents = 3", "exponents: is a table of patterns"),
     ("[exponents]\n'*' = 3", "exponents: is a table of patterns"),
     ("[times]\n'*' = 'hours'", "times: is a table of patterns and one of s, ms, us"),
     ("appended_is_absent = [1]", "appended_is_absent: is a list of patterns of elements")],
)  # fmt: skip
def test_conventions_that_can_not_be_are_explained(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "c.toml"
    path.write_text(text)
    with pytest.raises(SchemaError) as caught:
        Conventions.read(path)
    assert said in str(caught.value)


def test_conventions_of_all_kinds_are_read(tmp_path: Path) -> None:
    path = tmp_path / "c.toml"
    path.write_text(
        "exponent = 'decimals'\nappended_is_absent = ['M.*']\n[exponents]\n'a*' = 'b*'\n"
        "[times]\n'*Time' = 'time ms'\n'*' = 'number'\n"
    )
    found = Conventions.read(path)
    assert found.exponent == "decimals"
    assert list(found.exponent_names("AX")) == ["bX"]
    assert found.time_of("sendingTime", "x") == ("time", "ms")
    assert found.time_of("other", "y") == (None, "")
    assert (found.may_end_before("M.x"), found.may_end_before("N.x")) == (True, False)


def test_a_frame_may_end_before_what_conventions_say_was_appended(compiled: Any) -> None:
    text = schema(
        "<message name='M' id='1'><field name='a' id='1' type='int32'/><group name='g' id='2'>"
        "<field name='x' id='1' type='uint8'/></group><data name='s' id='3' type='text'/></message>"
    )
    module = compiled(text, appended_is_absent=("M.g", "M.s"))
    one = frame(b"\5\0\0\0")
    m = module.decode(one)
    assert m.to_dict() == {"a": 5, "g": [], "s": None}
    assert (m.s_bytes, m.astuple(), m.encoded_length) == (None, (5, None), len(one))
    whole = frame(b"\5\0\0\0", b"\1\0\1\7" + b"\1z")
    batch = module.decode_many([one, whole])
    assert batch[module.M].to_arrow().column("s").to_pylist() == [None, "z"]
    assert batch[module.M].groups["g"].offsets.tolist() == [0, 0, 1]
    for size in (len(one) + 1, len(whole) - 1):
        with pytest.raises(sbe_codegen.runtime.errors.TruncatedMessage):
            module.decode(whole[:size])
    assert module.decode(whole[: len(one) + 4]).s is None


@pytest.mark.parametrize(
    ("members", "why"),
    [
        ("<type name='exponent' primitiveType='int16'/>", "is one byte, not 2"),
        ("<ref name='exponent' type='power'/>", "the exponent is no whole number"),
        ("<type name='exponent' primitiveType='int8'/><type name='x' primitiveType='int8'/>",
         "there are other members"),
        ("<type name='exponent' primitiveType='int16' presence='constant'>300</type>",
         "the exponent within 255"),
        ("<type name='exponent' primitiveType='int8'/>", ""),
    ],
)  # fmt: skip
def test_a_note_says_why_a_mantissa_with_an_exponent_has_no_float(members: str, why: str) -> None:
    types = "<enum name='power' encodingType='int8'><validValue name='A'>-2</validValue></enum>"
    types += (
        f"<composite name='p'><type name='mantissa' primitiveType='int64'/>{members}</composite>"
    )
    notes = module_of(schema(types=types)).notes
    assert [note.endswith(why) and ": p: its mantissa and" in note for note in notes] == (
        [True] if why else []
    )


NULLED = "primitiveType='int64' presence='optional' nullValue='5'"
LADDER = (
    composite("Fixed", I64, NINE) + composite("Five", NULLED, NINE)
    + composite("Large", I64, "primitiveType='int8' presence='constant'>25</type>")
    + composite("Sent", I64, SENT) + composite("SentFive", NULLED, SENT)
    + composite("Short", "primitiveType='int32'", SENT)
    + composite("Maybe", I64, "primitiveType='int8' presence='optional'/>")
)  # fmt: skip
RUNGS = {"Fixed": -9, "Five": -9, "Sent": None, "SentFive": None, "Short": None, "Maybe": None}


@pytest.fixture(scope="module")
def ladder(compiled: Any) -> ModuleType:
    fields = "".join(
        f"<field name='{name.lower()}' id='{i}' type='{name}'/>" for i, name in enumerate(RUNGS, 2)
    )
    # 10^25 is nothing that C code multiplies by: it has a group of its own.
    groups = f"<group name='levels' id='1'>{fields}</group>"
    groups += "<group name='others' id='9'><field name='large' id='2' type='Large'/></group>"
    made: ModuleType = compiled(schema(f"<message name='M' id='1'>{groups}</message>", LADDER))
    return made


EDGES = [0, 1, -1, 5, 2**53, 2**53 + 1, -(2**53), -(2**53) - 1, 2**63 - 1, NULL, NULL + 1]
mantissas = st.one_of(st.sampled_from(EDGES), st.integers(NULL, 2**63 - 1), st.integers(-99, 99))
in_c = st.integers(-19, 0)  # whatever the mantissa is: beyond, all of a group is made in Python
powers = st.one_of(st.integers(-128, 127), st.sampled_from([-23, -22, -19, -8, 0, 1, 22, 23]))


@given(st.data(), st.sampled_from([in_c, powers]))
def test_floats_of_groups_are_the_nearest_whatever_comes(
    ladder: ModuleType, data: Any, powers: Any
) -> None:
    """Exact mantissas, and others between them, nulls of any value, exponents of all sizes."""
    rows = data.draw(st.lists(st.tuples(*([mantissas, powers] * len(RUNGS))), max_size=12))
    block, wanted = b"", []
    for row in rows:
        expected = []
        for i, (name, constant) in enumerate(RUNGS.items()):
            mantissa, power = row[2 * i : 2 * i + 2]
            if name == "Short":
                mantissa >>= 32
            power = power if constant is None else constant
            is_null = (name.endswith("Five") and mantissa == 5) or (
                name == "Maybe" and power == -128
            )
            number = Fraction(mantissa) * Fraction(10) ** power
            expected.append(None if is_null else float(number))
            block += struct.pack("<i" if name == "Short" else "<q", mantissa)
            block += b"" if constant is not None else struct.pack("<b", power)
        wanted.append(expected)
    large = [row[0] for row in rows]
    others = struct.pack("<HB", 8, len(large)) + struct.pack(f"<{len(large)}q", *large)
    message = ladder.decode(frame(b"", struct.pack("<HB", 48, len(rows)) + block + others))
    assert message.others_float["large"].tolist() == [float(each * 10**25) for each in large]
    found = [
        [None if math.isnan(value) else value for value in row]
        for row in message.levels_float.tolist()
    ]
    assert found == wanted
