"""Times, texts and shared dictionaries: what columns are asked to be, and Arrow makes of them."""

from __future__ import annotations

import io
import struct
import threading
from datetime import UTC, date, datetime, time
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from small import module_of, schema

import sbe_codegen
from sbe_codegen.conventions import Conventions
from sbe_codegen.runtime.errors import MalformedMessage
from sbe_codegen.runtime.tables.symbols import Symbols

UNITS = "".join(
    f"<validValue name='{name}'>{power}</validValue>"
    for name, power in (("second", 0), ("millisecond", 3), ("microsecond", 6), ("nanosecond", 9))
)
TYPES = f"""<type name='ns' primitiveType='uint64' semanticType='UTCTimestamp'/>
<type name='maybe' primitiveType='uint64' semanticType='UTCTimestamp' presence='optional'/>
<type name='day' primitiveType='uint16' semanticType='LocalMktDate' presence='optional'/>
<type name='code' primitiveType='char' length='8'/>
<type name='maybeCode' primitiveType='char' length='4' presence='optional'/>
<enum name='Unit' encodingType='uint8'>{UNITS}</enum>
<composite name='Fixed' semanticType='UTCTimestamp'><type name='time' primitiveType='uint64'/>
<type name='unit' primitiveType='uint8' presence='constant' valueRef='Unit.millisecond'/>
</composite>
<composite name='Sent' semanticType='UTCTimestamp'>
<type name='time' primitiveType='int64' presence='optional'/><ref name='unit' type='Unit'/>
</composite>
<composite name='Clock' semanticType='UTCTimeOnly'><type name='time' primitiveType='uint32'/>
<type name='unit' primitiveType='uint8' presence='constant'>3</type></composite>"""
MESSAGE = """<message name='M' id='1'>
<field name='transactTime' id='1' type='ns' timeUnit='nanosecond' semanticType='UTCTimestamp'/>
<field name='sendingTime' id='2' type='maybe' timeUnit='microsecond'/>
<field name='clock' id='3' type='uint64' semanticType='UTCTimeOnly'/>
<field name='seconds' id='4' type='uint32' semanticType='UTCTimeOnly' timeUnit='second'/>
<field name='matures' id='5' type='day'/><field name='code' id='6' type='code'/>
<field name='maybeCode' id='7' type='maybeCode'/><field name='letter' id='8' type='char'/>
<field name='fixed' id='9' type='Fixed'/><field name='sent' id='10' type='Sent'/>
<field name='wall' id='11' type='Clock'/><field name='bookMs' id='12' type='int64'/>
<field name='unsaid' id='13' type='uint32' semanticType='UTCTimestamp'/>
<field name='other' id='14' type='uint64' semanticType='UTCTimestamp' epoch='1900'/>
<data name='symbol' id='20' type='text'/></message>"""
AT = 1_700_000_000_123_456_789
NULL64 = 2**64 - 1
WHEN = datetime(2023, 11, 14, 22, 13, 20, 123456, UTC)


def frame(
    at: int = AT, sending: int = AT // 1000, sent: tuple[int, int] = (AT // 10**6, 3),
    matures: int = 19_000, code: bytes = b"ABC", maybe: bytes = b"x", symbol: str = "BTC",
    clock: int = 3_600 * 10**9,
) -> bytes:  # fmt: skip
    block = struct.pack("<QQQIH8s4sc", at, sending, clock, 61, matures, code, maybe, b"L")
    block += struct.pack("<QqBIqIQ", AT // 10**6, *sent, 1500, AT // 10**6, 7, 8)
    text = symbol.encode()
    head = b"".join(n.to_bytes(2, "little") for n in (len(block), 1, 1, 1))
    return head + block + bytes([len(text)]) + text


@pytest.fixture(scope="module")
def module(tmp_path_factory: pytest.TempPathFactory) -> ModuleType:
    folder = tmp_path_factory.mktemp("forms")
    path = folder / "forms.xml"
    path.write_text(schema(MESSAGE, TYPES))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SBE_CODEGEN_CACHE", str(folder / "cache"))
        patch.setenv("SBE_BUILD", "debug")
        return sbe_codegen.load(path, conventions=Conventions(times={"book*": "ms"}))


def table(module: ModuleType, *frames: bytes) -> Any:
    return module.decode_many(list(frames))[module.M]


UTC_NS, UTC_US, UTC_MS = (pa.timestamp(unit, "UTC") for unit in ("ns", "us", "ms"))


def test_times_are_times_in_arrow(module: ModuleType) -> None:
    arrow = table(
        module, frame(), frame(sending=NULL64, matures=65535, sent=(-(2**63), 9))
    ).to_arrow()
    arrow.validate(full=True)
    kinds = {field.name: field.type for field in arrow.schema}
    assert kinds["transact_time"] == UTC_NS
    assert kinds["sending_time"] == UTC_US
    assert kinds["clock"] == pa.time64("ns")
    assert kinds["seconds"] == kinds["wall"] == pa.time64("us")
    assert kinds["matures"] == pa.date32()
    assert kinds["fixed"] == kinds["book_ms"] == UTC_MS
    assert kinds["sent"] == UTC_NS
    assert kinds["unsaid"] == pa.uint32()
    assert kinds["other"] == pa.uint64()
    assert not {"sent.time", "sent.unit", "fixed.time", "wall.time"} & set(kinds)
    one, two = arrow.drop_columns(["transact_time", "sent"]).to_pylist()
    assert one["sending_time"] == WHEN
    assert one["fixed"] == one["book_ms"] == WHEN.replace(microsecond=123000)
    assert (one["seconds"], one["wall"]) == (time(0, 1, 1), time(0, 0, 1, 500_000))
    assert (one["matures"], two["matures"]) == (date(2022, 1, 8), None)
    assert two["sending_time"] is None
    assert arrow.column("transact_time").cast(pa.int64()).to_pylist() == [AT, AT]
    assert arrow.column("sent").cast(pa.int64()).to_pylist() == [AT // 10**6 * 10**6, None]


@pytest.mark.parametrize("unit", [0, 3, 6, 9])
def test_a_unit_that_is_sent_counts_for_its_row(module: ModuleType, unit: int) -> None:
    at = AT // 10 ** (9 - unit)
    arrow = table(module, frame(sent=(at, unit)), frame(sent=(-at, 9))).to_arrow()
    wanted = [at * 10 ** (9 - unit), -at]
    assert arrow.column("sent").cast(pa.int64()).to_pylist() == wanted
    columns = table(module, frame(sent=(at, unit))).columns(times="datetime64")
    assert columns["sent"].dtype == "M8[ns]"
    assert columns["sent"].view("i8").tolist() == wanted[:1]


def test_columns_are_datetimes_where_asked_and_numbers_else(module: ModuleType) -> None:
    made = table(module, frame(), frame(sending=NULL64, matures=65535))
    raw, columns = made.columns(), made.columns(times="datetime64")
    assert raw["sending_time"].dtype == np.uint64
    assert raw["fixed"] is raw["fixed.time"]
    assert columns["transact_time"].dtype == "M8[ns]"
    assert columns["sending_time"].tolist() == [WHEN.replace(tzinfo=None), None]
    assert columns["matures"].tolist() == [date(2022, 1, 8), None]
    assert columns["clock"].dtype == "m8[ns]"
    assert columns["wall"].dtype == "m8[ms]"
    assert "fixed.time" not in columns
    assert "sent.unit" not in columns
    assert columns.to_arrow().equals(raw.to_arrow())
    frames = columns.to_pandas()
    assert frames["sending_time"].isna().tolist() == [False, True]
    assert raw.to_pandas()["transact_time"].equals(frames["transact_time"])
    assert (
        str(made.to_polars()["transact_time"].dtype) == "Datetime(time_unit='ns', time_zone='UTC')"
    )


def test_datetimes_of_messages_are_by_the_same_rules(module: ModuleType) -> None:
    m = module.decode(frame())
    assert m.transact_datetime == m.sending_datetime == WHEN
    assert m.book_ms_datetime == WHEN.replace(microsecond=123000)
    assert not hasattr(m, "matures_datetime")
    assert not hasattr(m, "unsaid_datetime")


@pytest.mark.parametrize(
    ("fields", "said"),
    [({"at": 2**63}, "transact_time is 9223372036854775808, which no time of 64 bits is"),
     ({"sent": (5, 4)}, "sent.unit is 4, and a unit of time is 0, 3, 6 or 9"),
     ({"sent": (2**62, 0)}, "sent.time is 4611686018427387904, which no time of 64 bits")],
)  # fmt: skip
def test_what_no_time_is_is_said_and_stays_a_number(
    module: ModuleType, fields: dict[str, Any], said: str
) -> None:
    made = table(module, frame(), frame(**fields))
    for ask in (made.to_arrow, made.to_pandas, lambda: made.columns(times="datetime64")):
        with pytest.raises(MalformedMessage) as caught:
            ask()
        assert said in str(caught.value)
    assert len(made.columns()["transact_time"]) == 2


def test_a_time_of_day_beyond_the_day_is_said_and_stays_a_number(module: ModuleType) -> None:
    day = 86_400 * 10**9
    made = table(module, frame(clock=day - 1), frame(clock=day))
    with pytest.raises(MalformedMessage) as caught:
        made.to_arrow()
    said = f"clock is {day}, which is within no day: times='numbers' gives numbers"
    assert said in str(caught.value)
    assert caught.value.element == "clock"
    assert made.columns()["clock"].tolist() == [day - 1, day]
    table(module, frame(clock=day - 1)).to_arrow().validate(full=True)


def test_times_are_numbers_in_arrow_and_pandas_where_asked(module: ModuleType) -> None:
    day = 86_400 * 10**9
    made = table(module, frame(clock=day, sending=NULL64, at=2**63, sent=(5, 4)))
    arrow = made.to_arrow(times="numbers")
    assert arrow["clock"].to_pylist() == [day]
    assert arrow["transact_time"].to_pylist() == [2**63]
    assert arrow["sending_time"].to_pylist() == [None]
    assert arrow["sent.unit"].to_pylist() == [4]
    assert made.to_pandas(times="numbers")["clock"].tolist() == [day]
    assert made.to_polars(times="numbers")["clock"].to_list() == [day]
    assert made.columns(times="numbers")["clock"].tolist() == [day]


def test_the_null_of_a_required_time_is_no_time(module: ModuleType) -> None:
    made = table(module, frame(at=NULL64), frame())
    assert made.to_arrow()["transact_time"].to_pylist()[0] is None
    assert made.to_arrow()["transact_time"].null_count == 1
    assert made.to_pandas()["transact_time"].isna().tolist() == [True, False]
    assert np.isnat(made.columns(times="datetime64")["transact_time"]).tolist() == [True, False]
    assert made.columns()["transact_time"].tolist() == [NULL64, AT]


def test_a_time_without_a_unit_is_noted() -> None:
    found = module_of(schema(MESSAGE, TYPES)).notes
    assert sum("M.unsaid: is a time of 32 bits" in each for each in found) == 1
    assert sum("nanoseconds are taken" in each for each in found) == 1  # once for all


def test_texts_are_bytes_or_strings(module: ModuleType) -> None:
    made = table(module, frame(), frame(code=b"A\0C\xff", maybe=b"\0Z"), frame(code=b"12345678"))
    plain, strings = made.columns(), made.columns(texts="string")
    assert plain["code"].dtype == "S8"
    assert strings["code"].tolist() == ["ABC", "A", "12345678"]
    assert strings["maybe_code"].tolist() == ["x", "", "x"]
    assert strings["letter"].tolist() == ["L"] * 3
    arrow = made.to_arrow(texts="string")
    assert arrow.schema.field("code").type == pa.string()
    assert arrow.column("maybe_code").to_pylist() == ["x", None, "x"]
    assert made.to_arrow().column("maybe_code").to_pylist() == [b"x", None, b"x"]
    assert made.to_arrow().schema.field("code").type == pa.binary()
    shown = made.to_pandas(texts="string")["maybe_code"]
    assert (shown.isna().tolist(), shown[0]) == ([False, True, False], "x")
    assert table(module).columns(texts="string")["code"].tolist() == []


WIDE = """<type name='le' primitiveType='char' length='8' characterEncoding='UTF-16LE'/>
<type name='be' primitiveType='char' length='8' characterEncoding='UTF-16BE' presence='optional'/>
<type name='quad' primitiveType='char' length='8' characterEncoding='UTF-32LE'/>
<type name='seven' primitiveType='char' length='6' characterEncoding='UTF-7'/>"""
WIDE_MESSAGE = """<message name='W' id='1'><field name='le' id='1' type='le'/>
<field name='be' id='2' type='be'/><field name='quad' id='3' type='quad'/>
<field name='seven' id='4' type='seven'/></message>"""
WIDE_TEXTS = [("ab", "Āb", "x"), ("abcd", "abcd", "yz"), ("", "", ""), ("a", "b", "c")]


def test_a_nul_of_wide_characters_is_more_than_a_byte(compiled: Any) -> None:
    module = compiled("forms_wide", schema(WIDE_MESSAGE, WIDE))
    frames, halves = [], [b"+2AA-", b"ok", b"\0no", b"+2AA-"]  # UTF-7 of half of a character
    for (le, be, quad), half in zip(WIDE_TEXTS, halves, strict=True):
        parts = [le.encode("utf-16-le"), be.encode("utf-16-be"), quad.encode("utf-32-le"), half]
        block = b"".join(p.ljust(n, b"\0") for p, n in zip(parts, (8, 8, 8, 6), strict=True))
        head = b"".join(n.to_bytes(2, "little") for n in (len(block), 1, 1, 1))
        frames.append(head + block)
    made = module.decode_many(frames)[module.W]
    for name, place, codec in (("le", 0, "utf-16-le"), ("be", 1, "utf-16-be"),
                               ("quad", 2, "utf-32-le")):  # fmt: skip
        texts: list[Any] = [each[place] for each in WIDE_TEXTS]
        views = [getattr(module.W.decode(each), name) for each in frames]
        may = name == "be"
        wanted = [text or None for text in texts] if may else texts
        assert [view or None if may else view for view in views] == wanted
        assert made.columns(texts="string")[name].tolist() == texts
        assert made.to_arrow(texts="string")[name].to_pylist() == wanted
        assert made.to_polars(texts="string")[name].to_list() == wanted
        contents = [text if text is None else text.encode(codec) for text in wanted]
        assert made.to_arrow()[name].to_pylist() == contents
        assert made.to_pandas()[name].tolist() == contents
    assert made.to_arrow(texts="string")["seven"].to_pylist() == ["\\ud800", "ok", "", "\\ud800"]


def test_a_time_beside_its_unit_is_in_that_unit(compiled: Any) -> None:
    types = """<composite name='C'><type name='time' primitiveType='int64'/>
    <type name='unit' primitiveType='uint8'/></composite>
    <composite name='Tenth'><type name='time' primitiveType='uint64' semanticType='UTCTimestamp'/>
    <type name='unit' primitiveType='uint8' presence='constant'>4</type></composite>"""
    fields = "<field name='c' id='1' type='C'/><field name='d' id='2' type='Tenth'/>" + "".join(
        f"<field name='t{i}' id='{9 + i}' type='uint64' semanticType='UTCTimestamp' "
        f"timeUnit='{unit}'/>"
        for i, unit in enumerate(("picosecond", "microsec", "minute", "Microseconds"))
    )
    message = f"<message name='M' id='1'>{fields}</message>"
    made = compiled("forms_units", schema(message, types), Conventions(times={"*time": "us"}))
    arrow = made.decode_many([])[made.M].to_arrow()
    kinds = {field.name: field.type for field in arrow.schema}
    assert kinds["c.time"] == pa.int64()
    assert kinds["d.time"] == kinds["t0"] == kinds["t1"] == kinds["t2"] == pa.uint64()
    assert kinds["t3"] == UTC_US
    notes = module_of(schema(message, types)).notes
    assert ["M.t0: is a time of 64 bits, and timeUnit='picosecond' is none of" in each
            for each in notes].count(True) == 1  # fmt: skip
    assert any("Tenth.time: is a time of 64 bits, and unit is 4, and none of" in n for n in notes)


@pytest.mark.parametrize(
    ("form", "said"),
    [({"times": "arrow"}, "times is 'raw' or 'datetime64' or 'numbers', not 'arrow'"),
     ({"texts": "str"}, "texts is 'bytes' or 'string', not 'str'")],
)  # fmt: skip
def test_forms_that_there_are_not_are_refused(
    module: ModuleType, form: dict[str, str], said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        table(module, frame()).columns(**form)
    with pytest.raises(TypeError):
        table(module, frame()).columns(other=1)


# dictionaries that batches share


def test_batches_with_the_same_symbols_have_the_same_codes(module: ModuleType) -> None:
    symbols = Symbols()
    one = module.decode_many([frame(symbol=s) for s in ("A", "B", "A")], symbols=symbols)
    collector = module.Collector(symbols=symbols)
    for symbol in ("C", "B"):
        collector.append(frame(symbol=symbol))
    two = collector.take()
    collector.append(frame(symbol="A"))
    three = collector.take()
    codes = [batch[module.M].records["symbol"].tolist() for batch in (one, two, three)]
    assert codes == [[0, 1, 0], [2, 1], [0]]
    assert [batch[module.M].symbols for batch in (one, two, three)] == [
        ["A", "B"], ["A", "B", "C"], ["A", "B", "C"]
    ]  # fmt: skip
    assert (symbols.texts("symbol"), len(symbols)) == (["A", "B", "C"], 3)
    assert module.decode_many([frame(symbol="B")])[module.M].records["symbol"].tolist() == [0]


@pytest.mark.parametrize("kind", ["new_stream", "new_file"])
def test_many_batches_go_into_one_arrow_stream_or_file(module: ModuleType, kind: str) -> None:
    symbols, sink, writer = Symbols(), io.BytesIO(), None
    options = pa.ipc.IpcWriteOptions(emit_dictionary_deltas=True)
    wanted = []
    for part in (["A", "B"], ["B"], ["C", "A"]):
        batch = module.decode_many([frame(symbol=s) for s in part], symbols=symbols)
        arrow = batch[module.M].to_arrow()
        if writer is None:
            writer = getattr(pa.ipc, kind)(sink, arrow.schema, options=options)
        writer.write_table(arrow)
        wanted += part
    assert writer is not None
    writer.close()
    data = pa.BufferReader(sink.getvalue())
    read = (pa.ipc.open_stream if kind == "new_stream" else pa.ipc.open_file)(data).read_all()
    assert read.column("symbol").to_pylist() == wanted


def test_threads_may_share_symbols(module: ModuleType) -> None:
    symbols = Symbols()
    found: list[tuple[list[str], list[str]]] = []

    def work(seed: int) -> None:
        for i in range(40):
            names = [f"s{(seed * 7 + i * j) % 50}" for j in range(20)]
            batch = module.decode_many([frame(symbol=n) for n in names], symbols=symbols)
            shared = batch[module.M]
            found.append((names, [shared.symbols[c] for c in shared.records["symbol"].tolist()]))

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(names == seen for names, seen in found)
    assert len(set(symbols.texts("symbol"))) == len(symbols)


def test_symbols_are_symbols(module: ModuleType) -> None:
    with pytest.raises(TypeError, match="symbols is a Symbols or None, not list"):
        module.decode_many([frame()], symbols=[])
    with pytest.raises(TypeError, match="symbols is a Symbols or None, not dict"):
        module.Collector(symbols={})
    assert repr(Symbols()) == "<Symbols: none>"


def test_what_no_time_is_within_groups_says_which_group(tmp_path: Path) -> None:
    clock = "<field name='%s' id='%d' type='uint32' semanticType='UTCTimeOnly' timeUnit='%s'/>"
    path = tmp_path / "within.xml"
    path.write_text(
        schema(
            f"<message name='M' id='1'><group name='legs' id='1' "
            f"dimensionType='groupSizeEncoding'>{clock % ('opens', 2, 'second')}"
            f"<group name='fills' id='3' dimensionType='groupSizeEncoding'>"
            f"{clock % ('at', 4, 'millisecond')}</group></group></message>"
        )
    )
    module = sbe_codegen.load(path)
    entry = struct.pack("<HBIHBI", 4, 1, 86_399, 4, 1, 86_400_000)
    made = table(module, struct.pack("<HHHH", 0, 1, 1, 1) + entry)
    assert made.columns(times="datetime64").groups["legs"]["opens"].dtype == "m8[s]"
    with pytest.raises(MalformedMessage, match=r"^legs\.fills\.at is 86400000, ") as caught:
        made.to_arrow()
    assert caught.value.element == "legs.fills.at"
