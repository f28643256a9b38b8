"""`sbe-codegen inspect`, `tables` and `new`, as a user runs them."""

from __future__ import annotations

import gzip
import json
import os
import re
import struct
import subprocess
import sys
from pathlib import Path
from typing import Literal

import pytest
from small import schema
from wire import ethernet, ipv4, pcap, udp

from sbe_codegen.runtime.framing import LengthSplitter
from sbe_codegen.runtime.framing.sofh import framed

MESSAGES = """<message name="M" id="1"><field name="a" id="1" type="uint8"/>
<data name="symbol" id="2" type="text"/></message>
<message name="N" id="2"><group name="g" id="1" dimensionType="groupSizeEncoding">
<field name="x" id="2" type="uint8"/></group></message>"""
SWITCHES = os.environ.get("SBE_BUILD") or "debug"


def m(value: int) -> bytes:
    return struct.pack("<HHHHB", 1, 1, 1, 1, value) + b"\2AB"


def n(*values: int) -> bytes:
    return struct.pack("<HHHHHB", 0, 2, 1, 1, 1, len(values)) + bytes(values)


def mdp3(sequence: int, *messages: bytes) -> bytes:
    parts = b"".join(struct.pack("<H", len(each) + 2) + each for each in messages)
    return struct.pack("<IQ", sequence, 10**18) + parts


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("frames")
    (path / "s.xml").write_text(schema(MESSAGES))
    (path / "s.toml").write_text('packet = "cme-mdp3"')
    return path


def run(place: Path, *arguments: str, given: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "sbe_codegen", *arguments],
        cwd=place,
        env=os.environ
        | {
            "SBE_CODEGEN_CACHE": str(place.parent / "cache"),
            "SBE_BUILD": SWITCHES,
            "PYTHONPATH": str(Path(__file__).parents[2]),
        },
        input=given,
        capture_output=True,
        timeout=250,
        check=False,
    )


def rows(output: bytes) -> list[str]:
    return output.decode().splitlines()


def test_a_frame_is_shown_byte_by_byte(place: Path) -> None:
    done = run(place, "inspect", "s.xml", "-", given=m(7).hex(" ").encode())
    assert done.returncode == 0, done.stderr
    lines = rows(done.stdout)
    assert lines[5].split() == ["8", "07", "a", "7"]
    assert lines[7].endswith("symbol                              'AB'")
    assert lines[-1] == "M, version 1, 12 bytes"
    cut = run(place, "inspect", "s.xml", "-", given=m(7)[:-1])
    assert cut.returncode == 1
    assert b">>> TruncatedMessage" in cut.stdout


def test_an_open_framing_header_is_shown_too(place: Path) -> None:
    for order in ("big", "little"):
        data = framed(m(7), byte_order=order)  # type: ignore[arg-type]
        done = run(place, "inspect", "s.xml", "-", given=data)
        assert done.returncode == 0, done.stderr
        assert rows(done.stdout)[1].split()[-3:] == ["SOFH", "messageLength", "18"]


@pytest.mark.parametrize("mark", [0xEB50, 0x50EB, 0x5BE0, 0xE05B])
def test_a_schema_whose_id_looks_like_the_mark_of_such_a_header_has_none(
    place: Path, mark: int
) -> None:
    (place / "marked.xml").write_text(schema(MESSAGES, root=f'id="{mark}" version="1"'))
    plain = m(7)[:4] + struct.pack("<H", mark) + m(7)[6:]
    for data, first in ((plain, "blockLength"), (framed(plain), "messageLength")):
        done = run(place, "inspect", "marked.xml", "-", given=data)
        assert done.returncode == 0, done.stdout + done.stderr
        assert rows(done.stdout)[1].split()[-2] == first


def test_a_frame_of_another_template_or_none_is_an_error(place: Path) -> None:
    done = run(place, "inspect", "s.xml", "-", given=struct.pack("<HHHH", 0, 77, 1, 1))
    assert done.returncode == 1
    assert b">>> UnknownTemplate: template 77 is not in schema 1" in done.stdout
    assert b"which has 1, 2\n" in done.stdout  # and not what was compiled for it alone
    for given, why in ((b"", b"is empty"), (b"no hex", b"is no hex digit")):
        done = run(place, "inspect", "s.xml", "-", given=given)
        assert (done.returncode, done.stdout) == (1, b"")
        assert why in done.stderr
    for command in ("inspect", "tables"):
        done = run(place, command, "s.xml", "missing.bin")
        assert done.returncode == 2
        assert done.stderr == b"sbe-codegen: 'missing.bin': No such file or directory\n"
    (place / "m.bin").write_bytes(m(7))
    (place / "other.xml").write_text('<?xml version="1.0"?>' + schema(MESSAGES))
    swapped = run(place, "inspect", "m.bin", "other.xml")
    assert b"other.xml: is XML: the schema is named first, then the frames" in swapped.stderr


def test_the_messages_of_a_capture_are_shown_with_their_packets(place: Path) -> None:
    packets = [mdp3(7, m(1), n(5)), mdp3(8, m(2))[:-1], mdp3(9, m(3))]
    frames = [ethernet(ipv4(udp(each))) for each in packets]
    (place / "x.pcap").write_bytes(pcap([*frames, ethernet(ipv4(b"x", pieces=3))]))
    done = run(place, "inspect", "s.xml", "x.pcap", "--conventions", "s.toml")
    assert done.returncode == 1
    titles = [line for line in rows(done.stdout) if line.startswith(("---", ">>>"))]
    assert titles[0].startswith("--- packet 0, sequence 7, sent 2001-09-09")
    assert titles[1].endswith("message 1")
    assert titles[2] == (
        ">>> packet 1: 13 bytes from byte 12 on are lost: a message needs 14 bytes, 13 are left"
    )
    assert titles[3].startswith("--- packet 2, sequence 9")
    assert "fragment" in titles[4]
    one = run(place, "inspect", "s.xml", "x.pcap", "--conventions", "s.toml", "--most", "1")
    assert one.returncode == 0
    assert rows(one.stdout)[-1].startswith("... and more")
    none = run(place, "inspect", "s.xml", "x.pcap", "--port", "99")
    assert none.returncode == 1
    assert b">>> no message: 3 datagrams to other" in none.stdout


def test_the_messages_of_a_stream_are_shown_with_their_framing(place: Path) -> None:
    content = b"".join(map(LengthSplitter(2).framed, [m(1), n(5), m(3)]))
    arguments = ("inspect", "s.xml", "-", "--framing", "length2")
    done = run(place, *arguments, given=content)
    assert done.returncode == 0, done.stderr
    titles = [line for line in rows(done.stdout) if line.startswith(("---", ">>>", "M,", "N,"))]
    assert titles == [
        "--- message 0", "M, version 1, 12 bytes", "--- message 1", "N, version 1, 12 bytes",
        "--- message 2", "M, version 1, 12 bytes",
    ]  # fmt: skip
    few = run(place, *arguments, "--most", "2", given=content)
    assert few.returncode == 0
    assert rows(few.stdout)[-1] == "... and more: the first 2 messages are shown (--most)"
    cut = run(place, *arguments, given=content[:-1])
    assert cut.returncode == 1
    assert rows(cut.stdout)[-1].startswith(">>> ")
    assert rows(cut.stdout)[-1].endswith("the file ends amid a message")
    (place / "l2.bin").write_bytes(content)
    command = f"{sys.executable} -m sbe_codegen inspect s.xml <(cat l2.bin) --framing length2"
    piped = subprocess.run(
        ["bash", "-c", command], cwd=place, capture_output=True, timeout=250, check=False,
        env=os.environ | {"SBE_CODEGEN_CACHE": str(place.parent / "cache"), "SBE_BUILD": SWITCHES,
                          "PYTHONPATH": str(Path(__file__).parents[2])},
    )  # fmt: skip
    assert (piped.returncode, piped.stdout) == (0, done.stdout)
    (place / "none.bin").write_bytes(b"")
    none = run(place, "inspect", "s.xml", "none.bin", "--framing", "sofh")
    assert (none.returncode, none.stdout) == (1, b">>> no message\n")


def test_tables_of_a_capture_become_parquet(place: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    frames = [ethernet(ipv4(udp(mdp3(7, m(1), n(5, 6))))), ethernet(ipv4(udp(mdp3(8, m(2)))))]
    (place / "y.pcap").write_bytes(pcap(frames))
    arguments = ("tables", "s.xml", "y.pcap", "--conventions", "s.toml", "--to", "parquet")
    done = run(place, *arguments, "--out", "day")
    assert done.returncode == 0, done.stderr
    assert rows(done.stdout) == ["day/M.parquet: 2 rows", "day/N.parquet: 1 row"]
    table = parquet.read_table(place / "day" / "M.parquet")
    assert table["a"].to_pylist() == [1, 2]
    assert table["symbol"].to_pylist() == ["AB", "AB"]
    assert table["packet_sequence"].to_pylist() == [7, 8]
    again = run(place, *arguments, "--out", "day")
    assert again.returncode == 2
    assert b"is there already" in again.stderr
    assert sorted(path.name for path in (place / "day").iterdir()) == ["M.parquet", "N.parquet"]


@pytest.mark.parametrize("framing", ["none", "sofh", "length2-big-inclusive", "length4"])
def test_tables_of_a_stream_become_arrow_and_what_is_lost_is_said(
    place: Path, framing: str
) -> None:
    ipc = pytest.importorskip("pyarrow.ipc")
    messages = [m(1), m(2), m(3)]
    options = ["--framing", framing]
    if framing == "none":
        content, options = b"".join(messages), []
    elif framing == "sofh":
        content = b"".join(map(framed, messages))
    elif framing == "length4":
        content = b"".join(map(LengthSplitter(4).framed, messages))
    else:
        cut = LengthSplitter(2, byte_order="big", includes_itself=True)
        content = b"".join(map(cut.framed, messages))
    path = place / f"{framing}.bin"
    arguments = ["tables", "s.xml", path.name, "--to", "arrow", *options]
    path.write_bytes(content)
    done = run(place, *arguments, "--out", framing)
    assert done.returncode == 0, done.stderr
    with ipc.open_stream(place / framing / "M.arrows") as reader:
        assert reader.read_all()["a"].to_pylist() == [1, 2, 3]
    path.write_bytes(content[:-1])
    cut_short = run(place, *arguments, "--out", f"{framing}-cut")
    assert cut_short.returncode == 1
    assert rows(cut_short.stdout) == [f"{framing}-cut/M.arrows: 2 rows"]
    expected = b"1 frame refused, 0 losses" if framing == "none" else b"0 frames refused, 1 loss"
    assert expected in cut_short.stderr


def test_frames_are_numbered_through_however_many_there_are(place: Path) -> None:
    ipc = pytest.importorskip("pyarrow.ipc")
    cut = LengthSplitter(4)
    count = 100_003  # more than are decoded together
    messages = [n(7) if i % 50_000 == 1 else m(i % 200) for i in range(count)]
    messages[100_001] = m(1)[:-1]
    (place / "many.bin").write_bytes(b"".join(map(cut.framed, messages)))
    done = run(place, "tables", "s.xml", "many.bin", "--framing", "length4", "--to", "arrow",
               "--out", "many")  # fmt: skip
    assert done.returncode == 1
    assert b"frame 100001: " in done.stderr
    found: list[int] = []
    for name, expected in (("M", count - 3), ("N", 2)):
        with ipc.open_stream(place / "many" / f"{name}.arrows") as reader:
            numbers = reader.read_all()["frame"].to_pylist()
        assert (len(numbers), sorted(numbers)) == (expected, numbers)
        found += numbers
    assert sorted([*found, 100_001]) == list(range(count))


def test_wrong_use_of_tables_is_told(place: Path) -> None:
    (place / "e.bin").write_bytes(b"")
    for command in ("tables", "inspect"):
        wrong = run(place, command, "s.xml", "e.bin", "--framing", "magic")
        assert wrong.returncode == 2
        assert b"argument --framing: it is sofh" in wrong.stderr
    unknown = run(place, "tables", "s.xml", "e.bin", "--messages", "X")
    assert unknown.returncode == 2
    assert b"no message 'X'" in unknown.stderr
    empty = run(place, "tables", "s.xml", "e.bin", "--out", "e")
    assert empty.returncode == 1
    assert b"no message of p" in empty.stderr
    assert not (place / "e").exists()
    (place / "mine").mkdir()
    for given, out in (("absent.bin", "never"), ("e.bin", "mine")):
        assert run(place, "tables", "s.xml", given, "--out", out).returncode in (1, 2)
    assert ((place / "never").exists(), (place / "mine").exists()) == (False, True)


def test_options_for_another_kind_of_file_are_told(place: Path) -> None:
    (place / "plain.bin").write_bytes(m(1))
    (place / "few.pcap").write_bytes(pcap([ethernet(ipv4(udp(m(1))))]))
    for given, said in (
        (["few.pcap", "--framing", "sofh"], b"--framing is for streams"),
        (["plain.bin", "--port", "9000"], b"--port and --address are for captures"),
    ):
        for command in (["tables", "--out", "told"], ["inspect"]):
            done = run(place, *command, "s.xml", *given)
            assert (done.returncode, said in done.stderr) == (2, True), done.stderr
            assert done.stdout == b""
    for option, given, said in (
        ("--port", "99999", b"65535 is the last"),
        ("--address", "nowhere", b"'nowhere' is no IPv4 or IPv6 address"),
    ):
        done = run(place, "tables", "s.xml", "few.pcap", option, given)
        assert (done.returncode, said in done.stderr) == (2, True), done.stderr
    done = run(place, "tables", "s.xml", "-", "--out", "piped", given=m(1) + m(2))
    assert done.returncode == 0, done.stderr
    assert (place / "piped" / "M.parquet").exists()


def lengths(
    size: int, *messages: bytes, order: Literal["big", "little"] = "little", itself: bool = False
) -> bytes:
    cut = LengthSplitter(size, byte_order=order, includes_itself=itself)
    return b"".join(map(cut.framed, messages))


def datagrams(*payloads: bytes) -> bytes:
    return pcap([ethernet(ipv4(udp(each))) for each in payloads])


@pytest.mark.parametrize(
    ("content", "options", "said"),
    [
        (b"".join(map(framed, [m(1), n(2)])), [], "--framing sofh"),
        (lengths(2, m(1), m(2)), [], "--framing length2"),
        (lengths(2, m(1)), ["--framing", "length4"], "--framing length2"),
        (lengths(4, m(1), n(3), order="big"), [], "--framing length4-big"),
        (lengths(2, m(1), n(3), itself=True), [], "--framing length2-inclusive"),
        (lengths(4, n(1), n(3), order="big", itself=True), ["--framing", "length4-big"],
         "--framing length4-big-inclusive"),
        (m(1) + m(2), ["--framing", "length4"], "leave --framing out"),
        (b"12345" + m(1), [], "A message seems to begin at byte 5"),
        (datagrams(mdp3(1, m(1)), mdp3(2, n(1))), [], 'packet = "cme-mdp3" in it'),
        (datagrams(mdp3(1, m(1), m(2)), mdp3(2, m(1)), mdp3(3, m(1))[:-3]), [],
         'packet = "cme-mdp3" in it'),
        (datagrams(mdp3(1, m(1), m(2)), mdp3(2, m(1)), mdp3(3, m(1))[:-3]),
         ["--conventions", "s.toml"], ""),
        (datagrams(mdp3(1, m(1)), mdp3(2, m(1))[:-3]), ["--conventions", "s.toml"], ""),
        (datagrams(m(1), m(2)), ["--conventions", "s.toml"], "leave [packet] out"),
        (datagrams(b"123" + m(1), b"123" + m(2)), [], "[packet] and header = 3 in it"),
        (datagrams(*(b"ab" + lengths(2, m(1), n(i), order="big") for i in range(3))), [],
         'header = 2, message_header = 2, length = [0, 2], byte_order = "big", '
         "length_includes_header = false in it"),
        (datagrams(lengths(4, m(1), m(2), itself=True)), [],
         "header = 0, message_header = 4, length = [0, 4] in it"),
        (pcap([ethernet(ipv4(bytes(30), protocol=6))] * 3), [], "3 are of other protocols"),
        (gzip.compress(m(1)), [], "compressed (gzip): unpack it first"),
        (datagrams(m(1)), ["--port", "5"], "went to 224.0.31.1 port 7"),
        ((m(1) * 5000).hex(" ").encode(), ["--framing", "sofh"], "hex digits of messages: xxd"),
        (n(1) + n(2)[:-1], [], ""),
        (datagrams(m(1), m(2)[:-1]), [], ""),
        (b"", [], ""),
        (b"\xff" * 999, [], ""),
    ],
    ids=map(str, range(24)),
)  # fmt: skip
def test_what_is_in_front_of_messages_is_guessed_where_nobody_said_it(
    place: Path, tmp_path: Path, content: bytes, options: list[str], said: str
) -> None:
    """And nothing is said where nothing is better than what was tried."""
    (tmp_path / "given").write_bytes(content)
    path = str(tmp_path / "given")
    for command in (["tables", "--out", str(tmp_path / "out")], ["inspect"]):
        done = run(place, *command, "s.xml", path, *options)
        hints = [line for line in rows(done.stderr) if re.match(rf"{path}: [A-Z]", line)]
        if command == ["inspect"] and done.returncode == 0:
            hints = [each for each in hints if not each.endswith("reads all of them")]
        else:
            assert done.returncode == 1
        assert len(hints) == bool(said)
        assert all(re.search(rf"{re.escape(said)}(?![-\w])", each) for each in hints)


def test_tables_are_made_of_bytes_and_not_of_hex_digits(place: Path, tmp_path: Path) -> None:
    (tmp_path / "hex").write_bytes(m(1).hex().encode())
    assert run(place, "inspect", "s.xml", str(tmp_path / "hex")).returncode == 0
    done = run(place, "tables", "s.xml", str(tmp_path / "hex"), "--out", str(tmp_path / "out"))
    assert done.returncode == 1
    assert b"hex digits of messages: xxd -r -p" in done.stderr


def test_messages_that_nobody_asked_for_are_stepped_over_and_counted(
    place: Path, tmp_path: Path
) -> None:
    """Where they lie end to end, nothing but their decoders says where they end."""
    ipc = pytest.importorskip("pyarrow.ipc")
    frames = [m(1), n(5, 6), m(2), n(), m(3)]
    options: list[str]
    for name, content, options in (
        ("plain", b"".join(frames), []),
        ("pcap", datagrams(b"".join(frames[:2]), b"".join(frames[2:])), []),
        ("framed", lengths(2, *frames), ["--framing", "length2"]),
    ):
        (tmp_path / name).write_bytes(content)
        out = tmp_path / f"{name}-out"
        done = run(place, "tables", "s.xml", str(tmp_path / name), *options, "--messages", "M",
                   "--to", "arrow", "--out", str(out))  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert [each.name for each in out.iterdir()] == ["M.arrows"]
        with ipc.open_stream(out / "M.arrows") as reader:
            assert reader.read_all()["a"].to_pylist() == [1, 2, 3]
        said = [line for line in rows(done.stderr) if not line.startswith("[")]
        assert said == ["2 messages of kinds that --messages leaves out"]
    done = run(place, "tables", "s.xml", str(tmp_path / "plain"), "--messages", "O")
    assert (done.returncode, b"no message 'O'" in done.stderr) == (2, True)


def test_more_messages_behind_a_frame_are_told(place: Path) -> None:
    done = run(place, "inspect", "s.xml", "-", given=m(1) + m(2))
    assert done.returncode == 0
    assert rows(done.stderr)[-1].endswith("'sbe-codegen tables' reads all of them")
    done = run(place, "inspect", "s.xml", "-", given=framed(m(1)))
    assert (done.returncode, b"This looks like" in done.stderr) == (0, False)


def test_forms_of_tables_may_be_chosen(place: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    types = """<type name="four" primitiveType="char" length="4"/><composite name="price">
<type name="mantissa" primitiveType="int32"/><type name="exponent" primitiveType="int8"
presence="constant">-2</type></composite>"""
    message = """<message name="F" id="1"><field name="text" id="1" type="four"/>
<field name="price" id="2" type="price"/></message>"""
    (place / "f.xml").write_text(schema(message, types))
    frame = struct.pack("<HHHH4si", 8, 1, 1, 1, b"AB", 1234)
    found = {}
    for out, options in (("as-is", []), ("asked", ["--texts", "string", "--decimals", "raw"])):
        done = run(place, "tables", "f.xml", "-", "--out", out, *options, given=frame)
        assert done.returncode == 0, done.stderr
        (row,) = parquet.read_table(place / out / "F.parquet").to_pylist()
        found[out] = {name: row[name] for name in row if name.startswith(("text", "price"))}
    assert found == {
        "as-is": {"text": b"AB", "price": 12.34},
        "asked": {"text": "AB", "price.mantissa": 1234},
    }


def test_a_time_that_is_none_is_a_number_where_asked(place: Path) -> None:
    (place / "t.xml").write_text(
        schema(
            "<message name='T' id='1'><field name='at' id='1' type='uint64' "
            "semanticType='UTCTimestamp' timeUnit='nanosecond'/></message>"
        )
    )
    (place / "t.bin").write_bytes(struct.pack("<HHHHQ", 8, 1, 1, 1, 2**63))
    done = run(place, "tables", "t.xml", "t.bin", "--out", "times")
    assert done.returncode == 1
    assert b"at is 9223372036854775808, which no time of 64 bits is" in done.stderr
    assert b"--times numbers" in done.stderr
    done = run(place, "tables", "t.xml", "t.bin", "--out", "times", "--times", "numbers")
    assert done.returncode == 0, done.stderr
    assert (place / "times" / "T.parquet").exists()


def test_build_compiles_some_messages(place: Path) -> None:
    done = run(place, "build", "s.xml", "--package", "some", "--out", ".", "--messages", "N")
    assert done.returncode == 0, done.stderr
    assert b"1 message of p: generating" in done.stderr
    code = "import some; print(list(some.MESSAGES))"
    made = subprocess.run(
        [sys.executable, "-c", code],
        cwd=place,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        check=True,
    )
    assert made.stdout == b"[2]\n"
    wrong = run(place, "build", "s.xml", "--messages", "X")
    assert wrong.returncode == 2
    assert b"no message 'X'" in wrong.stderr


def test_a_new_project_builds_and_passes_its_own_test(tmp_path: Path) -> None:
    done = run(tmp_path, "new", "venue")
    assert done.returncode == 0, done.stderr
    folder = tmp_path / "venue"
    assert {path.name for path in folder.iterdir()} == {
        "README.md", "build.py", "explore.ipynb", "test_venue.py", "venue.toml", "venue.xml",
    }  # fmt: skip
    environment = os.environ | {
        "PYTHONPATH": str(Path(__file__).parents[2]),
        "SBE_BUILD": SWITCHES,
        "SBE_CODEGEN_CACHE": str(tmp_path / "cache"),
    }

    def python(*arguments: str) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            [sys.executable, *arguments], cwd=folder, env=environment, capture_output=True,
            timeout=250, check=False,
        )  # fmt: skip

    built = python("build.py")
    assert built.returncode == 0, built.stderr
    tested = python("-m", "unittest")
    assert tested.returncode == 0, tested.stderr
    assert b"Ran 4 tests" in tested.stderr
    cells = json.loads((folder / "explore.ipynb").read_text())["cells"]
    code = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
    noted = python("-c", f"{code}\nprint(NAME.decode(frame).price)".replace("NAME", "venue"))
    assert noted.stdout == b"12345\n", noted.stderr
    again = run(tmp_path, "new", "venue")
    assert again.returncode == 2
    assert b"not empty" in again.stderr
    for name in ("no-name", "numpy", "class"):
        assert run(tmp_path, "new", name).returncode == 2
