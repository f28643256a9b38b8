"""pcap and pcapng files, damaged ones too: datagrams that are whole, and losses for all others."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wire import block, enhanced, ethernet, interface, ipv4, ipv6, pcap, section, udp

from sbe_codegen.runtime.framing import Capture, Datagram, PacketError


def payloads(capture: Capture) -> list[bytes]:
    return [bytes(each.payload) for each in capture]


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("nano", [False, True])
def test_pcap_of_both_orders_and_units(tmp_path: Path, order: str, nano: bool) -> None:
    path = tmp_path / "x.pcap"
    path.write_bytes(pcap([ethernet(ipv4(udp(b"one"))), ethernet(ipv4(udp(b"two")))], order, nano))
    first, second = Capture(path)
    unit = 1 if nano else 1000
    assert first._replace(payload=memoryview(b"")) == Datagram(
        0, 1_700_000_000 * 10**9 + 5 * unit, "10.0.0.1", 9, "224.0.31.1", 7, memoryview(b"")
    )
    assert bytes(first.payload) == b"one"
    assert (second.number, second.received_ns % 10**9) == (1, 6 * unit)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(
    ("resolution", "per_second"), [(None, 10**6), (9, 10**9), (3, 10**3), (0x80 | 20, 2**20)]
)
def test_pcapng_of_both_orders_and_any_unit(
    order: str, resolution: int | None, per_second: int
) -> None:
    time = 1_700_000_000 * per_second + 7
    data = section(order) + interface(order, 1, resolution)
    data += enhanced(order, ethernet(ipv4(udp(b"abc"))), time)
    (found,) = Capture(data)
    assert found.received_ns == time * 10**9 // per_second
    assert bytes(found.payload) == b"abc"


def test_sections_have_orders_and_interfaces_of_their_own() -> None:
    one = section("<") + interface("<", 101) + enhanced("<", ipv4(udp(b"raw")), 1)
    two = section(">") + interface(">", 1) + block(">", 99, b"unknown")
    two += enhanced(">", ethernet(ipv4(udp(b"eth"))), 1)
    packet = ethernet(ipv4(udp(b"simple")))
    simple = struct.pack(">I", len(packet)) + packet
    capture = Capture(one + two + block(">", 3, simple))
    assert payloads(capture) == [b"raw", b"eth", b"simple"]
    assert not capture.losses


@pytest.mark.parametrize(
    ("link", "packet"),
    [
        (1, ethernet(ipv4(udp(b"abc")), vlans=(0x8100,))),
        (1, ethernet(ipv4(udp(b"abc")), vlans=(0x88A8, 0x8100))),
        (1, ethernet(ipv6(udp(b"abc")), 0x86DD)),
        (1, ethernet(ipv6(bytes([17, 0]) + bytes(6) + udp(b"abc"), 0), 0x86DD)),
        (1, ethernet(ipv6(bytes([17, 0]) + bytes(6) + udp(b"abc"), 44), 0x86DD)),  # of one piece
        (101, ipv4(udp(b"abc"))),
        (229, ipv6(udp(b"abc"))),
        (0, struct.pack("<I", 2) + ipv4(udp(b"abc"))),
        (113, bytes(14) + b"\x08\x00" + ipv4(udp(b"abc"))),
        (276, b"\x08\x00" + bytes(18) + ipv4(udp(b"abc"))),
    ],
)
def test_a_datagram_is_found_in_what_is_around_it(link: int, packet: bytes) -> None:
    capture = Capture(pcap([packet], link=link))
    assert payloads(capture) == [b"abc"]
    assert not capture.losses


@pytest.mark.parametrize(
    ("packet", "why"),
    [
        (ethernet(ipv4(udp(b"abc"), pieces=0x2000)), "a fragment of an IPv4 datagram"),
        (ethernet(ipv4(b"the rest", pieces=4)), "a fragment of an IPv4 datagram"),
        (
            ethernet(ipv6(bytes([17, 0, 0, 1]) + bytes(4) + udp(b"abc"), 44), 0x86DD),
            "a fragment of an IPv6 datagram",
        ),
        (ethernet(ipv4(udp(b"abc")[:6])), "ends amid its headers"),
        (ethernet(ipv4(struct.pack(">HHHH", 1, 7, 7, 0))), "a UDP length of 7"),
    ],
)
def test_what_is_not_whole_is_a_loss(packet: bytes, why: str) -> None:
    capture = Capture(pcap([packet, ethernet(ipv4(udp(b"good")))]))
    assert payloads(capture) == [b"good"]
    (loss,) = capture.losses
    assert loss.packet == 0
    assert why in loss.why


def test_packets_that_the_capture_has_cut_short_are_losses() -> None:
    capture = Capture(pcap([ethernet(ipv4(udp(bytes(100))))], kept=60))
    assert payloads(capture) == []
    assert "has cut off 82 bytes" in capture.losses[0].why


def test_other_protocols_and_ports_are_counted_and_no_losses() -> None:
    packets = [
        ethernet(b"arp", 0x0806),
        ethernet(ipv4(b"tcp", protocol=6)),
        ethernet(ipv4(udp(b"no", port=8))),
        ethernet(ipv4(udp(b"yes", port=7))),
    ]
    capture = Capture(pcap(packets), port=7, address="224.0.31.1")
    assert payloads(capture) == [b"yes"]
    assert (capture.others, capture.skipped, capture.losses) == (2, 1, [])
    assert payloads(Capture(pcap(packets), address="224.0.31.2")) == []


@pytest.mark.parametrize("order", ["<", ">"])
def test_a_simple_block_has_as_much_of_a_packet_as_its_interface_keeps(order: str) -> None:
    """What fills its last four bytes up is none of it."""
    packet = ethernet(ipv4(udp(b"a" * 40)))
    for kept in (0, len(packet), len(packet) - 1, len(packet) - 3, len(packet) + 99):
        interfaces = block(order, 1, struct.pack(f"{order}HHI", 1, 0, kept))
        simple = struct.pack(f"{order}I", len(packet)) + packet[: kept or None]
        capture = Capture(section(order) + interfaces + block(order, 3, simple))
        whole = not 0 < kept < len(packet)
        assert payloads(capture) == ([b"a" * 40] if whole else [])
        assert [loss.why.startswith("the capture has cut off") for loss in capture.losses] == (
            [] if whole else [True]
        )


@pytest.mark.parametrize("form", ["pcap", "pcapng"])
def test_a_file_that_is_cut_anywhere_gives_what_is_whole_and_one_loss(form: str) -> None:
    packets = [ethernet(ipv4(udp(bytes([i]) * 9))) for i in range(3)]
    whole = pcap(packets)
    if form == "pcapng":
        whole = section("<") + interface("<") + b"".join(enhanced("<", p, 1) for p in packets)
    counts = []
    for size in range(28, len(whole) + 1):
        capture = Capture(whole[:size])
        counts.append(len(payloads(capture)))
        lost = sum(loss.size for loss in capture.losses)
        assert len(capture.losses) <= 1
        assert lost < len(whole)
    assert counts == sorted(counts)
    assert counts[-1] == 3


@given(st.binary(max_size=300), st.sampled_from([b"", b"\n\r\r\n", b"\xd4\xc3\xb2\xa1"]))
def test_any_bytes_end(content: bytes, start: bytes) -> None:
    try:
        capture = Capture(start + content)
        payloads(capture)
    except PacketError:
        assert not start or len(content) < 8


@given(st.integers(0, 400), st.integers(0, 255), st.booleans())
def test_a_changed_byte_loses_or_changes_but_never_raises(at: int, value: int, ng: bool) -> None:
    packets = [ethernet(ipv4(udp(bytes([i]) * 9))) for i in range(3)]
    whole = bytearray(pcap(packets))
    if ng:
        blocks = (enhanced("<", each, 1) for each in packets)
        whole = bytearray(section("<") + interface("<") + b"".join(blocks))
    whole[4 + at % (len(whole) - 4)] = value
    list(Capture(bytes(whole)))


def test_parts_are_the_whole(tmp_path: Path) -> None:
    packets = [ethernet(ipv4(udp(bytes([i])))) for i in range(5)]
    packets.insert(3, ethernet(ipv4(b"x", pieces=4)))
    capture = Capture(pcap(packets))
    parts = list(capture.parts(2))
    assert [len(each) for each in parts] == [2, 2, 1]
    assert [number for each in parts for number in each.numbers] == [0, 1, 2, 4, 5]
    assert [loss.packet for each in parts for loss in each.losses] == [3]
    with pytest.raises(ValueError, match="at least 1"):
        next(capture.parts(0))


def test_what_is_no_capture_is_said(tmp_path: Path) -> None:
    with pytest.raises(PacketError, match="no pcap or pcapng"):
        Capture(b"something else")
    empty = tmp_path / "empty"
    empty.touch()
    with pytest.raises(PacketError, match="is empty"):
        Capture(empty)
    with pytest.raises(FileNotFoundError):
        Capture(tmp_path / "none")
    with pytest.raises(ValueError, match="IPv4 or IPv6 address, not 'x'"):
        Capture(pcap([]), address="x")
    for port, error in (("x", TypeError), (0, ValueError), (65536, ValueError)):
        with pytest.raises(error):
            Capture(pcap([]), port=port)  # type: ignore[arg-type]
