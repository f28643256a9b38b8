"""Packets with many messages, cut up and decoded: rows know the packet that they came in."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small import schema
from wire import ethernet, ipv4, pcap, udp

from sbe_codegen import SchemaError
from sbe_codegen.conventions import Conventions
from sbe_codegen.runtime.framing import B3, CME_MDP3, Capture, PacketError, PacketLayout, Packets

MESSAGES = """<message name="M" id="1"><field name="a" id="1" type="uint8"/></message>
<message name="N" id="2"><field name="packet" id="1" type="uint8"/>
<data name="symbol" id="2" type="text"/></message>"""


@pytest.fixture(scope="module")
def module(compiled: Callable[[str, str], ModuleType]) -> Any:
    return compiled("packed", schema(MESSAGES))


def m(value: int) -> bytes:
    return struct.pack("<HHHHB", 1, 1, 1, 1, value)


def n(value: int, text: bytes = b"AB") -> bytes:
    return struct.pack("<HHHHB", 1, 2, 1, 1, value) + bytes([len(text)]) + text


def mdp3(sequence: int, *messages: bytes, time: int = 10**18) -> bytes:
    framed = b"".join(struct.pack("<H", len(each) + 2) + each for each in messages)
    return struct.pack("<IQ", sequence, time) + framed


def b3(sequence: int, *messages: bytes) -> bytes:
    framed = b"".join(struct.pack("<HH", len(each) + 4, 0xEB50) + each for each in messages)
    return struct.pack("<BBHIQ", 70, 0, 1, sequence, 10**18) + framed


@pytest.mark.parametrize(("layout", "made"), [(CME_MDP3, mdp3), (B3, b3)])
def test_rows_know_packet_sequence_and_time(
    module: Any, layout: PacketLayout, made: Callable[..., bytes]
) -> None:
    packets = Packets([made(7, m(1), n(2)), made(8), made(9, m(3))], layout, received_ns=[5, 6, 7])
    batch = module.decode_many(packets)
    rows = batch[module.M].records
    assert rows["a"].tolist() == [1, 3]
    assert rows["frame"].tolist() == [0, 2]
    assert rows["packet"].tolist() == [0, 2]
    assert rows["packet_sequence"].tolist() == [7, 9]
    assert rows["packet_time"].tolist() == [10**18] * 2
    assert rows["received_ns"].tolist() == [5, 7]
    assert batch.losses == ()
    assert len(batch) == batch.frame_count == 3


def test_a_field_keeps_its_name_where_a_column_of_packets_has_it(module: Any) -> None:
    table = module.decode_many(Packets([mdp3(7, n(200))], CME_MDP3))[module.N]
    assert table.records["packet"].tolist() == [200]
    assert table.records["packet_"].tolist() == [0]
    assert table.symbols == ["AB"]
    assert table.columns()["packet"].tolist() == [200]


def test_columns_of_packets_reach_arrow_with_their_times(module: Any) -> None:
    pytest.importorskip("pyarrow")
    layout = PacketLayout(header=12, message_header=2, length=(0, 2))
    table = module.decode_many(Packets([mdp3(7, m(1))], layout))[module.M].to_arrow()
    assert str(table.schema.field("received_ns").type).startswith("timestamp[ns")
    assert str(table.schema.field("packet_time").type).startswith("timestamp[ns")
    assert table["packet_sequence"].to_pylist() == [None]
    assert table["packet_time"].to_pylist() == [None]


def test_messages_end_to_end_need_no_lengths(module: Any) -> None:
    """As one venue of options sends them: length of the packet, channel, sequence."""
    layout = PacketLayout(header=8, sequence=(4, 4))
    packet = struct.pack("<HHI", 0, 1, 5) + n(1, b"ABC") + m(2) + n(3)
    batch = module.decode_many(Packets([packet], layout))
    assert batch[module.N].records["frame"].tolist() == [0, 2]
    assert batch[module.M].records["packet_sequence"].tolist() == [5]
    cut = module.decode_many(Packets([packet[:-1]], layout), on_error="collect")
    assert cut.frame_count == 3
    assert cut.rejected["frame"].tolist() == [2]


def test_big_endian_lengths_that_do_not_include_themselves_with_a_count(module: Any) -> None:
    layout = PacketLayout(
        header=10,
        sequence=(0, 8),
        count=(8, 2),
        message_header=2,
        length=(0, 2),
        length_includes_header=False,
        byte_order="big",
    )
    head = struct.pack(">QH", 77, 2)
    body = struct.pack(">H", 9) + m(1)
    assert len(module.decode_many(Packets([head + body * 2], layout))) == 2
    batch = module.decode_many(Packets([head + body], layout), on_error="collect")
    assert [loss.why for loss in batch.losses] == ["its header says 2 messages, and it has 1"]


def test_what_a_packet_has_lost_is_said_and_the_others_are_decoded(module: Any) -> None:
    packets = Packets([mdp3(1, m(1), m(2))[:-3], mdp3(2, m(3)), b"short", mdp3(3, m(4))], CME_MDP3)
    batch = module.decode_many(packets, on_error="collect")
    assert batch[module.M].records["a"].tolist() == [1, 3, 4]
    assert [(loss.packet, loss.offset, loss.size) for loss in batch.losses] == [
        (0, 23, 8),
        (2, 0, 5),
    ]
    assert "2 losses" in repr(batch)
    with pytest.raises(PacketError, match="needs 11 bytes, 8 are left at byte 23 of packet 0") as e:
        module.decode_many(packets)
    assert (e.value.packet, e.value.offset) == (0, 23)


def test_a_refused_message_has_the_number_of_its_frame(module: Any) -> None:
    bad = struct.pack("<HHHHB", 1, 9, 1, 1, 0)
    packets = Packets([mdp3(1, m(1), bad), mdp3(2, m(3))], CME_MDP3)
    batch = module.decode_many(packets, on_error="collect")
    assert batch.rejected["frame"].tolist() == [1]
    assert batch.errors[0].frame == 1
    assert batch.part(1, 3).rejected["frame"].tolist() == [0]
    with pytest.raises(ValueError, match="frame 1: template 9"):
        module.decode_many(packets)


def test_captures_and_their_paths_are_inputs(module: Any, tmp_path: Path) -> None:
    path = tmp_path / "x.pcap"
    packets = [ethernet(ipv4(udp(m(1)))), ethernet(ipv4(b"x", pieces=4)), ethernet(ipv4(udp(m(2))))]
    path.write_bytes(pcap(packets))
    batch = module.decode_many(path, on_error="collect")
    rows = batch[module.M].records
    assert rows["packet"].tolist() == [0, 2]
    assert rows["received_ns"].tolist() == [1_700_000_000_000_005_000, 1_700_000_000_000_007_000]
    assert len(batch.losses) == 1
    with pytest.raises(PacketError, match="fragment"):
        module.decode_many(Capture(path))
    parts = [module.decode_many(each, "collect") for each in Capture(path).parts(1)]
    assert [len(each) for each in parts] == [1, 1]


numbers = st.integers(0, 2**32 - 1)


@given(st.lists(st.tuples(numbers, st.lists(st.integers(0, 255), max_size=5)), max_size=5))
def test_all_that_was_packed_comes_out(sent: list[tuple[int, list[int]]]) -> None:
    packets = [mdp3(sequence, *map(m, values)) for sequence, values in sent]
    found = Packets(packets, CME_MDP3).split()
    assert found.losses == []
    assert found.frames == [m(value) for _, values in sent for value in values]
    wanted = [sequence for sequence, values in sent for _ in values]
    assert found.columns["packet_sequence"].tolist() == wanted


layouts = st.builds(
    PacketLayout,
    header=st.integers(0, 9),
    message_header=st.integers(2, 6),
    length=st.sampled_from([None, (0, 2), (1, 1)]),
    length_includes_header=st.booleans(),
    byte_order=st.sampled_from(["big", "little"]),
)


@given(st.binary(max_size=120), layouts)
def test_any_bytes_are_messages_framing_or_lost(packet: bytes, layout: PacketLayout) -> None:
    found = Packets([packet], layout).split()
    held = sum(map(len, found.frames)) + layout.message_header * len(found.frames)
    lost = sum(loss.size for loss in found.losses)
    assert held + lost + min(layout.header, len(packet)) - (
        len(packet) if len(packet) < layout.header else 0
    ) == len(packet)


def test_numbers_that_no_column_can_hold_are_said() -> None:
    found = Packets([mdp3(1, m(1), time=2**64 - 1)], CME_MDP3).split()
    assert found.columns["packet_time"].tolist() == [-1]
    assert "more than 63 bits hold" in str(found.losses[0])
    assert found.columns["frame"].dtype == np.int64


def test_conventions_describe_packets(tmp_path: Path) -> None:
    path = tmp_path / "x.toml"
    path.write_text('packet = "cme-mdp3"')
    assert Conventions.read(path).packet == CME_MDP3
    path.write_text(
        "[packet]\nheader = 16\nsequence = [4, 4]\ntime = [8, 8]\nmessage_header = 4\n"
        "length = [0, 2]\n"
    )
    assert Conventions.read(path).packet == B3
    for text, why in (
        ('packet = "x"', "the name of a known one: cme-mdp3, b3-umdf"),
        ("[packet]\nhead = 1", "packets have no 'head'"),
        ("[packet]\nheader = -1", "header is a number of bytes"),
        ("[packet]\nsequence = [0, 4]", "is outside of 0 bytes"),
        ("[packet]\nheader = 8\nsequence = [0, 3]", "a size of 1, 2, 4 or 8"),
        ('[packet]\ntime_unit = "h"', "time_unit is s, ms, us, ns"),
        ('[packet]\nbyte_order = "x"', "byte_order"),
        ("[packet]\nlength_includes_header = 1", "true or false"),
    ):
        path.write_text(text)
        with pytest.raises(SchemaError, match="packet") as caught:
            Conventions.read(path)
        assert why in str(caught.value)


def test_a_module_knows_the_packets_of_its_conventions(tmp_path: Path) -> None:
    import sbe_codegen

    path = tmp_path / "s.xml"
    path.write_text(schema(MESSAGES))
    module: Any = sbe_codegen.load(path, messages=["M"], conventions=Conventions(packet=B3))
    assert len(module.decode_many(Packets([b3(1, m(1))]))) == 1


def test_wrong_arguments_are_told() -> None:
    with pytest.raises(ValueError, match="1 times in received_ns for 2 packets"):
        Packets([b"", b""], received_ns=[1])
    with pytest.raises(TypeError):
        Packets(["text"]).split()
