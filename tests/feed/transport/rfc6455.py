"""What a server may send by RFC 6455, and what it may not: a table, numbered as Autobahn's is.

Each row says what the server sends when it has acknowledged the subscription, which trades the user
must see, and how it must end. The trades are numbered: 1 comes before the row, `LAST` after it, by
the same connection where that goes on, else by the next.
"""

from __future__ import annotations

import itertools
import struct
from typing import NamedTuple

import vectors
from raw_server import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, wire

LAST = 9
GOES_ON = 0  # in the place of a code: the connection does
NOTHING = -1  # no close frame, since the server has hung up


class Case(NamedTuple):
    name: str
    section: str  # of RFC 6455
    sent: bytes
    code: int = GOES_ON  # what the server must be told in a close frame; 1005 for none in it
    trades: tuple[int, ...] = ()  # that the user must see
    pongs: tuple[bytes, ...] = ()
    texts: int = 0
    damaged: int = 0  # messages that are no SBE
    said: str = "the connection was lost: "  # the cause in the ledger, where it ends
    hangs_up: bool = False  # the server, behind the row


def trade(number: int, size: int = 0) -> bytes:
    """A frame of SBE, of that many bytes if any: its root block is longer, as a later schema's."""
    frame = vectors.TRADES
    more = max(size - len(frame), 0)
    block = struct.pack("<H", struct.unpack_from("<H", frame)[0] + more)
    return block + frame[2:26] + bytes(more) + frame[26:32] + struct.pack("<q", number) + frame[40:]


def message(number: int, size: int = 0) -> bytes:
    return wire(BINARY, trade(number, size))


def parts(number: int, *places: int, kind: int = BINARY, amid: bytes = b"") -> bytes:
    """A trade in fragments that are cut at these places, with something between them."""
    payload = trade(number)
    marks = [0, *places, len(payload)]
    pieces = [payload[a:b] for a, b in itertools.pairwise(marks)]
    frames = [
        wire(CONTINUATION if i else kind, piece, fin=i == len(pieces) - 1)
        for i, piece in enumerate(pieces)
    ]
    return amid.join(frames)


def close(code: int, reason: bytes = b"") -> bytes:
    return wire(CLOSE, struct.pack(">H", code) + reason)


def _framing() -> list[Case]:
    found = [
        Case(f"1.2 a message of {size} bytes", "5.2", message(2, size) + message(3), trades=(2, 3))
        for size in (125, 126, 127, 128, 65_535, 65_536)
    ]
    for size in (0, 1, 125, 126, 127, 128, 65_535, 65_536):
        text = wire(TEXT, b"*" * size) + message(2)
        found.append(Case(f"1.1 a text of {size} bytes", "5.2, 5.6", text, texts=1, trades=(2,)))
    found.append(Case("1.2 a message of nothing", "5.2, 5.6", wire(BINARY, b"") + message(2),
                      damaged=1, trades=(2,)))  # fmt: skip
    for size, form in ((0, 126), (125, 126), (0, 127), (126, 127), (65_535, 127)):
        for kind in (BINARY, TEXT, PING):
            if kind == PING and size > 125:
                continue
            name = f"1.3 opcode {kind}, {size} bytes in the form of {form}"
            sent = message(2) + wire(kind, bytes(size), form=form) + message(3)
            found.append(Case(name, "5.2", sent, 1002, trades=(2,)))
    for length in (1 << 63, (1 << 64) - 1):
        sent = message(2) + b"\x82\x7f" + struct.pack(">Q", length)
        found.append(Case(f"1.3 a length of {length}", "5.2", sent, 1002, trades=(2,)))
    for length in ((16 << 20) + 1, 1 << 40, (1 << 63) - 1):
        sent = message(2) + b"\x82\x7f" + struct.pack(">Q", length)
        found.append(Case(f"1.3 {length} bytes", "7.4.1, 10.4", sent, 1009, trades=(2,)))
    sent = wire(BINARY, bytes(16), fin=False) + b"\x80\x7f" + struct.pack(">Q", 16 << 20)
    found.append(Case("1.3 more than 16 MiB in fragments", "7.4.1, 10.4", sent, 1009))
    for kind in (BINARY, TEXT, PING, CLOSE, CONTINUATION):
        sent = message(2) + wire(kind, b"ab", mask=b"\1\2\3\4") + message(3)
        found.append(Case(f"1.4 opcode {kind} masked", "5.1", sent, 1002, trades=(2,)))
    sent = wire(BINARY, trade(2, 200), mask=bytes(4))
    found.append(Case("1.4 masked with zeros", "5.1", sent, 1002))
    return found


def _signs() -> list[Case]:
    full = bytes(range(125))
    return [
        Case("2.1 a ping of nothing", "5.5.2", wire(PING, b"") + message(2), pongs=(b"",),
             trades=(2,)),
        Case("2.2 a ping with a payload", "5.5.2", wire(PING, b"Hi") + message(2), pongs=(b"Hi",),
             trades=(2,)),
        Case("2.3 a ping that is no text", "5.5.2", wire(PING, b"\0\xff\xfe"),
             pongs=(b"\0\xff\xfe",)),
        Case("2.4 a ping of 125 bytes", "5.5", wire(PING, full), pongs=(full,)),
        Case("2.5 a ping of 126 bytes", "5.5", message(2) + wire(PING, bytes(126)) + message(3),
             1002, trades=(2,)),
        Case("2.5 a pong of 126 bytes", "5.5", wire(PONG, bytes(126)), 1002),
        Case("2.5 a ping of 65,536 bytes", "5.5", wire(PING, bytes(65_536)), 1002),
        Case("2.7 a pong that nobody asked for", "5.5.3", wire(PONG, b"") + message(2),
             trades=(2,)),
        Case("2.8 one with a payload", "5.5.3", wire(PONG, b"unsolicited") + message(2),
             trades=(2,)),
        Case("2.9 one, and a ping", "5.5.2, 5.5.3", wire(PONG, b"no") + wire(PING, b"yes"),
             pongs=(b"yes",)),
        Case("2.10 ten pings", "5.5.2", b"".join(wire(PING, b"%d" % i) for i in range(10)),
             pongs=tuple(b"%d" % i for i in range(10))),
        Case("2.11 ten pings between messages", "5.5.2",
             b"".join(wire(PING, b"%d" % i) + message(2 + i // 2) * (i % 2) for i in range(10)),
             pongs=tuple(b"%d" % i for i in range(10)), trades=(2, 3, 4, 5, 6)),
        Case("2.12 a ping in fragments", "5.5", wire(PING, b"no", fin=False), 1002),
        Case("2.12 a pong in fragments", "5.5", wire(PONG, b"no", fin=False), 1002),
    ]  # fmt: skip


def _reserved() -> list[Case]:
    found = []
    for bits in range(1, 8):
        for kind, payload in ((BINARY, trade(3)), (TEXT, b"no"), (PING, b""), (CLOSE, b"")):
            sent = message(2) + wire(kind, payload, bits=bits) + message(4)
            name = f"3 opcode {kind} with the reserved bits {bits}"
            found.append(Case(name, "5.2", sent, 1002, trades=(2,)))
    sent = wire(BINARY, trade(2)[:9], fin=False) + wire(CONTINUATION, b"", bits=4)
    found.append(Case("3 a fragment with a reserved bit", "5.2, 5.4", sent, 1002))
    for opcode in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15):
        for payload in (b"", b"reserved"):
            sent = message(2) + wire(opcode, payload) + message(3)
            name = f"4 opcode {opcode} with {len(payload)} bytes"
            found.append(Case(name, "5.2", sent, 1002, trades=(2,)))
        sent = wire(BINARY, b"a", fin=False) + wire(opcode, b"")
        found.append(Case(f"4 opcode {opcode} amid a message", "5.2, 5.4", sent, 1002))
    return found


def _fragments() -> list[Case]:
    ping, nothing = wire(PING, b"amid"), wire(CONTINUATION, b"", fin=False)
    begun = wire(BINARY, trade(3)[:20], fin=False)
    text = wire(TEXT, b"one ", fin=False)
    amid = message(2) + begun
    return [
        Case("5.3 a message in two", "5.4", parts(2, 20) + message(3), trades=(2, 3)),
        Case("5.3 a text in two", "5.4", text + wire(CONTINUATION, b"two") + message(2), texts=1,
             trades=(2,)),
        Case("5.5 in bytes", "5.4", parts(2, *range(1, len(trade(2)))) + message(3), trades=(2, 3)),
        Case("5.5 a text in bytes", "5.4",
             text + b"".join(wire(CONTINUATION, b"%c" % c, fin=False) for c in b"many")
             + wire(CONTINUATION, b""), texts=1),
        Case("5.6 a ping amid", "5.4", parts(2, 20, amid=ping) + message(3), pongs=(b"amid",),
             trades=(2, 3)),
        Case("5.7 pings amid", "5.4", parts(2, 20, 40, amid=ping * 2), pongs=(b"amid",) * 4,
             trades=(2,)),
        Case("5.8 a pong amid", "5.4", parts(2, 20, amid=wire(PONG, b"")) + message(3),
             trades=(2, 3)),
        Case("5.9 a continuation of nothing", "5.4", message(2) + wire(CONTINUATION, trade(3)),
             1002, trades=(2,)),
        Case("5.10 one of nothing that is not the last", "5.4", message(2) + nothing + message(3),
             1002, trades=(2,)),
        Case("5.11 one behind a message in two", "5.4", parts(2, 9) + wire(CONTINUATION, b"x"),
             1002, trades=(2,)),
        Case("5.15 a whole message amid", "5.4", amid + message(4), 1002, trades=(2,)),
        Case("5.15 a text amid", "5.4", amid + wire(TEXT, b"no"), 1002, trades=(2,)),
        Case("5.18 a message that begins amid", "5.4", amid + begun, 1002, trades=(2,)),
        Case("5.18 a message amid a text", "5.4", message(2) + text + message(3), 1002,
             trades=(2,)),
        Case("5.19 empty fragments", "5.4",
             wire(BINARY, b"", fin=False) + nothing * 50 + wire(CONTINUATION, trade(2))
             + message(3), trades=(2, 3)),
        Case("5.19 of nothing in two", "5.4",
             wire(BINARY, b"", fin=False) + wire(CONTINUATION, b"") + message(2), damaged=1,
             trades=(2,)),
        Case("5.20 a long message in two", "5.4",
             wire(BINARY, trade(2, 65_536)[:40_000], fin=False)
             + wire(CONTINUATION, trade(2, 65_536)[40_000:]) + message(3), trades=(2, 3)),
    ]  # fmt: skip


VALID = {
    "Greek": "κόσμε".encode(), "the last": "\U0010ffff".encode(), "a null": b"\0",
    "no characters": "\ufffe\uffff\U0001fffe".encode(), "4 bytes": "\U00010000".encode(),
    "before the surrogates": "\ud7ff\ue000".encode(), "its mark": b"\xef\xbb\xbf",
}  # fmt: skip
INVALID = {
    "a continuation": b"\x80", "no start": b"\xbf\xbf", "cut": "κ".encode()[:1],
    "cut, of 4 bytes": b"\xf0\x90\x80", "5 bytes": b"\xf8\x88\x80\x80\x80",
    "overlong": b"\xc0\xaf", "overlong, of 3 bytes": b"\xe0\x80\xaf",
    "a surrogate": b"\xed\xa0\x80",
    "two surrogates": b"\xed\xa0\x80\xed\xb0\x80", "over the last": b"\xf4\x90\x80\x80",
    "FE": b"\xfe", "FF": b"ok \xff ok",
}  # fmt: skip


def _texts() -> list[Case]:
    found = []
    for name, text in VALID.items():
        sent = wire(TEXT, text) + message(2)
        found.append(Case(f"6.2 {name}", "5.6, 8.1", sent, texts=1, trades=(2,)))
        for place in range(1, len(text)):
            sent = wire(TEXT, text[:place], fin=False) + wire(CONTINUATION, text[place:])
            name_of_one = f"6.2 {name}, cut at {place}"
            found.append(Case(name_of_one, "5.6, 8.1", sent + message(2), texts=1, trades=(2,)))
    for name, text in INVALID.items():
        sent = message(2) + wire(TEXT, text) + message(3)
        found.append(Case(f"6.3 {name}", "8.1", sent, 1007, trades=(2,)))
        sent = message(2) + wire(TEXT, b"a" + text[:1], fin=False) + wire(CONTINUATION, text[1:])
        found.append(Case(f"6.4 {name}, in two", "8.1", sent + message(3), 1007, trades=(2,)))
    return found


# Those of 7.4.1 that are sent, and what IANA's registry has beside them: 1012 to 1014.
CODES = (1000, 1001, 1002, 1003, *range(1007, 1015), 3000, 3999, 4000, 4999)
# 1004 means nothing yet, 1005, 1006 and 1015 are never sent (7.4.1); the rest nobody has (7.4.2).
NO_CODES = (0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535)


def _ends() -> list[Case]:
    first, end, said = message(2), close(1000, b"bye"), "the exchange closed with 1000: bye"
    late = message(3) + wire(PING, b"late") + wire(TEXT, b"late")
    cut = wire(BINARY, b"begun", fin=False)
    agreed = [
        ("7.1 a close", "5.5.1, 7.1.2", end, 1000, said),
        ("7.1 data behind a close", "5.5.1", end + late, 1000, said),
        ("7.1 faults behind a close", "5.5.1", end + wire(3, b"") + b"\xff" * 20, 1000, said),
        ("7.1 a close twice", "5.5.1", end + close(1001), 1000, said),
        ("7.1 a close, and half a frame", "5.5.1", end + message(3)[:9], 1000, said),
        ("7.3 of nothing", "5.5.1, 7.1.5", wire(CLOSE, b""), 1005, "the exchange closed with 1005"),
        ("7.3 of 125 bytes", "5.5", close(1000, b"*" * 123), 1000, "the exchange closed with 1000"),
        ("7.3 with a reason that is text", "5.5.1", close(1000, "κόσμε".encode()), 1000, "κόσμε"),
    ]  # fmt: skip
    agreed += [
        (f"7.7 code {code}", "7.4", close(code), code, f"the exchange closed with {code}")
        for code in CODES
    ]
    faults = [
        ("7.1 a close amid a message", "5.4, 5.5.1", cut + end, 1000),
        ("7.1 an invalid close amid a message", "5.4, 7.4", cut + close(999), 1002),
        ("7.3 of one byte", "5.5.1", wire(CLOSE, b"\x03"), 1002),
        ("7.3 of 126 bytes", "5.5", close(1000, bytes(124)), 1002),
        ("7.3 in fragments", "5.5", wire(CLOSE, b"\x03\xe8", fin=False), 1002),
        *((f"7.9 code {code}", "7.4", close(code, b"no"), 1002) for code in NO_CODES),
        *((f"7.5 a reason with {name}", "5.5.1, 8.1", close(1000, text), 1007)
          for name, text in INVALID.items()),
    ]  # fmt: skip
    hanging = [
        ("7.1 no close", "7.1.5", b""),
        ("7.1 no close, amid a header", "7.1.5", message(3)[:1]),
        ("7.1 no close, amid a message", "7.1.5", message(3)[:30]),
        ("7.1 no close, amid fragments", "7.1.5", cut),
        ("7.1 no close, amid a close frame", "7.1.5", end[:3]),
    ]
    found = [
        Case(name, section, first + sent, code, trades=(2,), said=told)
        for name, section, sent, code, told in agreed
    ]
    found += [Case(*row[:2], first + row[2], row[3], trades=(2,)) for row in faults]
    found += [
        Case(name, section, first + sent, NOTHING, trades=(2,), hangs_up=True,
             said="the connection was lost: no close frame came")
        for name, section, sent in hanging
    ]  # fmt: skip
    return found


GROUPS = {
    "framing": _framing(),
    "pings and pongs": _signs(),
    "reserved bits and opcodes": _reserved(),
    "fragments": _fragments(),
    "text": _texts(),
    "close": _ends(),
}
CASES = [case for group in GROUPS.values() for case in group]
