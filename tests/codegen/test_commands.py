"""The sbe-codegen command and `load`, as real processes over real files."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from small import body, field, plain, schema

import sbe_codegen
from sbe_codegen import builder, differences, parser, resolver

ROOT = Path(__file__).parent.parent.parent
STREAM = ROOT / "schemas" / "stream_1_0.xml"


def run(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "sbe_codegen", *map(str, arguments)]
    return subprocess.run(
        command, capture_output=True, text=True, check=False, env=os.environ | environment, cwd=ROOT
    )


@pytest.fixture
def small(tmp_path: Path) -> Path:
    path = tmp_path / "small.xml"
    path.write_text(body(plain("a", 1), "<data name='text' id='2' type='text'/>"))
    return path


FRAME = bytes([1, 0, 1, 0, 1, 0, 1, 0, 7, 2]) + b"hi"


# check


def test_check_says_that_a_schema_is_fine(small: Path) -> None:
    done = run("check", small)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"{small}: p, schema 1, version 1: 1 message, no errors\n"


def test_check_prints_every_error_on_a_line(tmp_path: Path) -> None:
    path = tmp_path / "bad.xml"
    path.write_text(
        body("<field name='a' id='1' type='x'/>\n", "<field name='b' id='1' type='y'/>")
    )
    done = run("check", path)
    assert done.returncode == 1
    lines = done.stdout.splitlines()
    assert lines[0] == f"{path}:13: M.a: no type 'x' in this schema"
    assert len(lines) == 3
    assert done.stderr == f"{path}: 3 errors\n"


def test_check_warns_of_what_is_allowed_and_not_meant(tmp_path: Path) -> None:
    path = tmp_path / "odd.xml"
    late = "<field name='a' id='1' type='uint8' sinceVersion='1'/>"
    path.write_text(body(late, plain("b", 2)))
    done = run("check", path)
    assert done.returncode == 0
    assert f"warning: {path}:13: M.b: is in the schema since version 0, after" in done.stdout


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b"spot_3_5.xml\n", "give 'spot_3_5.xml' itself"),
        (b"\x7fELF\0\0", "is not well-formed XML"),
        (b"<a/>", "the root of an SBE schema is 'messageSchema'"),
    ],
)
def test_check_of_what_is_no_schema(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "x.xml"
    path.write_bytes(content)
    done = run("check", path)
    assert done.returncode == 1
    assert said in done.stdout
    assert "Traceback" not in done.stderr


def test_wrong_use_exits_with_2(tmp_path: Path, small: Path) -> None:
    for arguments in ((), ("build", small, "--package", "class"),
                      ("build", small, "--package", "numpy"), ("compile", small), ("emit", small), ("check",),
                      ("build", small, "--package", "a-b")):  # fmt: skip
        done = run(*arguments)
        assert done.returncode == 2, arguments
        assert "usage: sbe-codegen" in done.stderr
    assert "usage: sbe-codegen check" in run("check", small, "--fast").stderr
    missing = run("check", tmp_path / "none.xml")
    assert missing.returncode == 2
    assert "can't be read: No such file" in missing.stderr
    assert run("--version").stdout.startswith("sbe-codegen ")


def test_every_command_refuses_a_bad_schema(tmp_path: Path) -> None:
    path = tmp_path / "bad.xml"
    path.write_text(field('name="a" id="1" type="zz"'))
    out = tmp_path / "out"
    for arguments in (
        ("emit", path, "--out", out),
        ("build", path, "--out", out),
        ("layout", path),
    ):
        done = run(*arguments)
        assert done.returncode == 1
        assert f"{path}:14: M.a: no type 'zz' in this schema" in done.stderr
        assert "Traceback" not in done.stderr


def test_what_looks_misspelt_is_warned_of(tmp_path: Path) -> None:
    path = tmp_path / "typos.xml"
    path.write_text(
        schema(
            "<message name='M' id='1'><feild name='a' id='1' type='uint8'/>"
            "<field name='b' id='2' type='uint8' presense='optional' exponent='e'/>"
            "<x:note xmlns:x='urn:x'/><field name='c' id='3' type='uint8' venue='y'/></message>"
            "<messge name='N' id='2'/>"
        )
    )
    done = run("check", path)
    assert done.returncode == 0
    warned = [line.partition(":13: ")[2] for line in done.stdout.splitlines()[:-1]]
    assert warned == [
        "feild 'a': is no element of SBE, and ignored: did you mean 'field'?",
        "field 'b': attribute 'presense' is ignored: did you mean 'presence'?",
        "field 'b': attribute 'exponent': without a namespace it says nothing: write x:exponent, "
        "and xmlns:x",
        "messge 'N': is no element of SBE, and ignored: did you mean 'message'?",
    ]
    path.write_text(field('name="a" id="1" type="sid"'))
    assert "no type 'sid' in this schema: did you mean 'side'?" in run("check", path).stdout


# emit and build


def test_emit_writes_sources_only(small: Path, tmp_path: Path) -> None:
    done = run("emit", small, "--out", tmp_path / "out", "--package", "mine")
    assert done.returncode == 0
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {"mine.pyx", "mine.pxd", "mine.pyi"}
    assert done.stdout.splitlines() == [
        str(tmp_path / "out" / f"mine.{ending}") for ending in ("pyx", "pxd", "pyi")
    ]


def test_build_makes_an_importable_module_and_shows_progress(small: Path, tmp_path: Path) -> None:
    done = run("build", small, "--out", tmp_path, "--package", "venue.decoders", SBE_BUILD="debug")
    assert done.returncode == 0, done.stderr
    for step in ("reading", "1 message of p: generating", "translating to C", "compiling", "done"):
        assert step in done.stderr
    code = f"import venue.decoders as m; print(m.decode({FRAME!r}).to_dict())"
    made = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True,
        env=os.environ | {"PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"},
    )  # fmt: skip
    assert made.stdout == "{'a': 7, 'text': 'hi'}\n"


def test_a_missing_compiler_is_said(small: Path, tmp_path: Path) -> None:
    done = run("build", small, "--out", tmp_path, CC="/nonexistent/cc")
    assert done.returncode == 1
    assert "compiling failed" in done.stderr
    assert "gcc or clang is needed" in done.stderr
    assert "Traceback" not in done.stderr


def test_conventions_are_an_option(small: Path, tmp_path: Path) -> None:
    conventions = tmp_path / "c.toml"
    conventions.write_text('empty_is_null = ["te*"]\n')
    done = run("emit", small, "--out", tmp_path, "--conventions", conventions)
    assert done.returncode == 0
    assert '"empty_is_null": true' in (tmp_path / "p.pyx").read_text()
    for text, said in (("empty = 1", "empty: there is no such convention"), ("=", "is not TOML"),
                       ("embedded = 'x'", "embedded: is a list of patterns"),
                       ("[removed]\nx = 'y'", "removed: is a table of template ids")):  # fmt: skip
        conventions.write_text(text)
        done = run("check", small, "--conventions", conventions)
        assert done.returncode == 1
        assert said in done.stdout


def test_conventions_that_say_something_of_nothing_are_told(small: Path, tmp_path: Path) -> None:
    conventions = tmp_path / "c.toml"
    conventions.write_text(
        'empty_is_null = ["te*", "nope"]\nembedded = ["Text", "te?t"]\n'
        'appended_is_absent = ["m.TEXT", "M.a"]\n'
        '[layout_since]\n1 = 5\n7 = 1\n[removed]\n1 = "gone"\n2 = "gone"\n[exponents]\n"*Mantissa" = "*Exponent"\n'
        '[times]\n"a" = "us"\nb = "us"\n'
    )
    done = run("check", small, "--conventions", conventions)
    assert (done.returncode, done.stderr) == (0, "")
    *said, last = done.stdout.splitlines()
    assert last.endswith("1 message, no errors")
    assert said == [
        f"warning: {conventions}: {each}"
        for each in (
            "empty_is_null: no type of var data is called 'nope'",
            "embedded: no type of var data is called 'Text'",
            "embedded: 'text' is utf-8 text, and holds no messages",
            "exponents: no number that is called '*Mantissa' has an exponent '*Exponent'",
            "times: no field and no type is called 'b'",
            "appended_is_absent: no group or data of a message is called 'M.a'",
            "layout_since: there is no message with the template id 7",
            "layout_since: 5 is above the schema's version 1: each frame of template 1 is refused",
            "removed: there is a message with the template id 1",
        )
    ]


def test_times_that_can_be_none_are_told(tmp_path: Path) -> None:
    path, conventions = tmp_path / "s.xml", tmp_path / "c.toml"
    path.write_text(body(plain("at", 1, "int64"), plain("side", 2, "side"), plain("x", 3, "float")))
    conventions.write_text(
        '[times]\nat = "number"\n"a*" = "us"\nSIDE = "ms"\nx = "date"\n"?" = "number"\n'
    )
    done = run("check", path, "--conventions", conventions)
    assert done.returncode == 0
    told = [line.split(": times: ")[1].split(": times are")[0] for line in
            done.stdout.splitlines()[:-1]]  # fmt: skip
    assert told == [f"what is called '{each}' stays what it is" for each in ("a*", "SIDE", "x")]


# layout


def test_layout_is_the_table_beside_a_hex_dump() -> None:
    done = run("layout", STREAM, "TradesStreamEvent")
    assert done.returncode == 0
    assert done.stdout == LAYOUT
    assert run("layout", STREAM, "10000").stdout == LAYOUT
    assert run("layout", STREAM).stdout.count("template 1000") == 4


LAYOUT = """\
spot_stream, schema 1, version 0, little endian

messageHeader: 8 bytes
  frame  block  size  type    name         notes
      0      0     2  uint16  blockLength
      2      2     2  uint16  templateId
      4      4     2  uint16  schemaId
      6      6     2  uint16  version

TradesStreamEvent, template 10000: root block of 18 bytes
  frame  block  size  type   name           notes
      8      0     8  int64  eventTime      timestamp in us
     16      8     8  int64  transactTime   timestamp in us
     24     16     1  int8   priceExponent
     25     17     1  int8   qtyExponent
  group trades: 6 bytes of dimensions (uint16 blockLength at 0, uint32 numInGroup at 2), then \
entries with blocks of 25
    block  size  type             name          notes
        0     8  int64            id
        8     8  int64            price         x 10^price_exponent
       16     8  int64            qty           x 10^qty_exponent
       24     1  boolEnum: uint8  isBuyerMaker
              0  boolEnum: uint8  isBestMatch   always 1
  data symbol: uint8 length, then utf-8 text
"""


def test_layout_of_a_message_that_is_not_there() -> None:
    done = run("layout", STREAM, "Nope")
    assert done.returncode == 2
    assert "has no message 'Nope'; it has TradesStreamEvent (10000)" in done.stderr


# diff


def changes(old: str, new: str) -> list[str]:
    one, other = (resolver.resolve(parser.parse_bytes(text.encode())) for text in (old, new))
    return [str(change) for change in differences.find(one, other)]


V1 = 'id="1" version="1"'
V2 = 'id="1" version="2"'
BASE = body(plain("a", 1), f"<group name='g' id='5'>{plain('x', 1)}</group>",
            "<data name='d' id='9' type='text'/>")  # fmt: skip
NEXT = BASE.replace(V1, V2)
NEW_FIELD = "<field name='b' id='2' type='uint8' sinceVersion='2'/>"


@pytest.mark.parametrize(
    ("new", "said"),
    [
        (NEXT, []),
        (NEXT.replace("<group", f"{NEW_FIELD}<group"),
         ["additive: M.b: a new uint8 at byte 1, since 2", "additive: M: the block was 1 bytes, is 2"]),
        (NEXT.replace("<group", f"{NEW_FIELD.replace(' sinceVersion=', ' x=')}<group"),
         ["breaking: M.b: a new uint8 at byte 1 without a sinceVersion above 1: older frames lack it"]),
        (NEXT.replace("<field name='a'", f"{NEW_FIELD}<field name='a'"),
         ["breaking: M.a: was at byte 0, is at 1",
          "breaking: M.b: is new at byte 0, before the end of what was there (1)"]),
        (NEXT.replace("name='a'", "name='z'"), ["cosmetic: M.a: is called z now"]),
        (NEXT.replace("'a' id='1' type='uint8'", "'a' id='1' type='int16'"),
         ["breaking: M.a: was uint8, is int16"]),
        (NEXT.replace("'a' id='1' type='uint8'", "'a' id='1' type='uint8' presence='optional'"),
         ["breaking: M.a: is optional now: new senders' null is a number to others"]),
        (NEXT.replace("<data", f"<group name='h' id='6' sinceVersion='2'>{plain('y', 1)}</group><data"),
         ["breaking: M.h: a new group that older decoders can't step over"]),
        (NEXT.replace("</message>", "<data name='e' id='10' type='text' sinceVersion='2'/></message>"),
         ["additive: M.e: a new data, since 2"]),
        (NEXT.replace("</group>", "<data name='e' id='10' type='text' sinceVersion='2'/></group>"),
         ["breaking: M.g.e: a new data that older decoders can't step over"]),
        (NEXT.replace("<data name='d' id='9' type='text'/>", ""), ["breaking: M.d: the data is gone"]),
        (NEXT.replace(plain("x", 1), plain("x", 1, "int64")), ["breaking: M.g.x: was uint8, is int64"]),
        (NEXT.replace(">B<", ">C<"), ["breaking: side.Buy: was 66, is 67"]),
        (NEXT.replace('name="Buy"', 'name="Bid"'), ["cosmetic: side.Buy: is called Bid now"]),
        (NEXT.replace("</enum>", '<validValue name="Sell">S</validValue></enum>'),
         ["additive: side.Sell: is new, 83"]),
        (NEXT.replace("name='M' id='1'", "name='N' id='1'"), ["cosmetic: M: is called N now"]),
        (NEXT.replace("name='M' id='1'", "name='M' id='2'"),
         ["breaking: M: template 1 is gone", "additive: M: template 2 is new"]),
        (NEXT.replace("<messageSchema", "<messageSchema byteOrder='bigEndian'"),
         ["breaking: schema: big_endian was False, is True"]),
        (NEXT.replace('"version" primitiveType="uint16"', '"version" primitiveType="uint32"'),
         ["breaking: messageHeader: the message header changed"]),
        (BASE.replace(V1, 'id="2" version="0"'),
         ["breaking: schema: schema_id was 1, is 2", "breaking: schema: version goes back from 1 to 0"]),
    ],
)  # fmt: skip
def test_each_kind_of_change_is_named(new: str, said: list[str]) -> None:
    found = changes(BASE, new)
    assert [change for change in said if change not in found] == [], found
    if not said:
        assert found == []


def test_what_the_exchange_changed_is_told(published: Path) -> None:
    paths = [published / f"spot_3_{version}.xml" for version in range(6)]
    done = run("diff", paths[0], paths[1])
    assert done.returncode == 1
    assert (
        "breaking: OrderAmendKeepPriorityResponse.relatedOrders.priceExponent: is gone"
        in done.stdout
    )
    breaking = [line for line in done.stdout.splitlines() if line.startswith("breaking")]
    assert all("OrderAmendKeepPriorityResponse.relatedOrders" in line for line in breaking)
    assert "additive: OrderResponse.pegPriceType: a new" in done.stdout
    assert "loggedOnApiKey" in done.stdout
    assert run("diff", paths[1], paths[2]).returncode == 0
    gone = run("diff", paths[2], paths[3])
    assert gone.returncode == 1
    assert "breaking: TPlusFilterLockEvent: template 608 is gone" in gone.stdout
    assert run("diff", paths[3], paths[4]).returncode == 0
    last = run("diff", paths[4], paths[5])
    assert (last.returncode, last.stdout) == (0, "additive: symbolStatus.CancelOnly: is new, 4\n")
    assert run("diff", paths[0], paths[0]).stdout == ""


def test_diff_of_what_is_no_schema_exits_with_2(small: Path, tmp_path: Path) -> None:
    done = run("diff", small, tmp_path / "none.xml")
    assert done.returncode == 2
    assert "can't be read" in done.stderr


# load


def test_load_compiles_once_and_again_after_a_change(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SBE_CODEGEN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("SBE_BUILD", "debug")
    steps: list[str] = []
    module = sbe_codegen.load(small, progress=steps.append)
    assert steps == ["translating to C", "compiling"]
    assert module.decode(FRAME).to_dict() == {"a": 7, "text": "hi"}
    assert sbe_codegen.load(small, progress=steps.append) is module
    assert len(steps) == 2
    small.write_text(small.read_text().replace('"a"', '"b"').replace("'a'", "'b'"))
    other = sbe_codegen.load(small)
    assert other is not module
    assert other.decode(FRAME).b == 7
    kept = [path for path in (tmp_path / "cache").iterdir() if path.is_dir()]
    assert len(kept) == 2


def test_two_processes_can_load_at_once(small: Path, tmp_path: Path) -> None:
    code = (
        f"import sbe_codegen; m = sbe_codegen.load({str(small)!r}, progress=print); "
        f"print(m.decode({FRAME!r}).text)"
    )
    environment = os.environ | {"SBE_CODEGEN_CACHE": str(tmp_path / "c"), "SBE_BUILD": "debug"}

    def go(_: int) -> subprocess.CompletedProcess[str]:
        return subprocess.run([sys.executable, "-c", code], env=environment, cwd=ROOT,
                              capture_output=True, text=True, check=False)  # fmt: skip

    with ThreadPoolExecutor(3) as pool:
        done = list(pool.map(go, range(3)))
    assert [each.returncode for each in done] == [0, 0, 0], done
    assert sorted(each.stdout.count("compiling") for each in done) == [0, 0, 1]
    assert not [path for path in (tmp_path / "c").iterdir() if path.name.startswith("building")]


def test_load_of_a_bad_schema_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SBE_CODEGEN_CACHE", str(tmp_path / "cache"))
    path = tmp_path / "bad.xml"
    path.write_text(schema(types="<type name='t' primitiveType='int9'/>"))
    with pytest.raises(sbe_codegen.SchemaError, match="'int9' is no primitive type"):
        sbe_codegen.load(path)
    assert not (tmp_path / "cache").exists()


def test_a_build_leaves_the_current_directory_alone(small: Path, tmp_path: Path) -> None:
    before = Path.cwd()
    builder.generate(small, tmp_path / "x")
    assert Path.cwd() == before
