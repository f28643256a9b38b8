"""What a client has to make of a server's bytes, from RFC 6455 alone: it shares no code with ours.

It reads all of it at once, and does not ask how fast it may be.
"""

from __future__ import annotations

from dataclasses import dataclass, field

MOST = 16 * 1024 * 1024  # bytes of a message
CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10


@dataclass
class Verdict:
    """``codes`` has those that a close frame of ours may have; nothing is in it while all is well.

    A frame that breaks several rules may be refused for any of them. ``is_certain`` says that all
    was there to know it: a client may wait for a payload before it says what is wrong with it.
    """

    messages: list[bytes] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    pings: list[bytes] = field(default_factory=list)
    codes: set[int] = field(default_factory=set)
    is_certain: bool = True
    agreed: tuple[int, str] | None = None  # code and reason of a close that came whole
    answer: bytes | None = None  # the payload of the close frame that it asks for


def is_code(code: int) -> bool:
    """7.4.1 and 7.4.2, and 1012 to 1014 of IANA's registry."""
    return code in (1000, 1001, 1002, 1003) or 1007 <= code <= 1014 or 3000 <= code <= 4999


def is_text(data: bytes) -> bool:
    try:
        data.decode("utf-8", "strict")
    except UnicodeDecodeError:
        return False
    return True


def judged(data: bytes) -> Verdict:
    """Of all that a server sends behind its answer to the handshake."""
    verdict = Verdict()
    kind: int | None = None  # of the message that has begun
    parts = b""
    at = 0
    while True:
        # 5.2: two bytes, then the length where it is longer, then the mask
        if len(data) - at < 2:
            return verdict
        first, second = data[at], data[at + 1]
        at += 2
        fin, bits, opcode = bool(first & 0x80), first & 0x70, first & 0x0F
        length, width = second & 0x7F, 0
        if length >= 126:
            width = 2 if length == 126 else 8
        faults: set[int] = set()
        if bits:
            faults.add(1002)
        if opcode not in (CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG):
            faults.add(1002)
        if second & 0x80:  # 5.1
            faults.add(1002)
        if opcode >= 8 and (not fin or width):  # 5.5
            faults.add(1002)
        if opcode == CONTINUATION and kind is None:  # 5.4
            faults.add(1002)
        if opcode in (TEXT, BINARY) and kind is not None:
            faults.add(1002)
        has_no_end = False
        if len(data) - at < width:
            verdict.codes, verdict.is_certain = faults, False
            return verdict
        if width:
            length = int.from_bytes(data[at : at + width], "big")
            at += width
            if length < (126 if width == 2 else 65_536):
                faults.add(1002)
            if length >> 63:
                faults.add(1002)
                has_no_end = True
            elif len(parts) + length > MOST:
                faults.add(1009)
                has_no_end = opcode < 8 or length > MOST  # a control frame is not of the message
        if second & 0x80:
            at += 4
        payload = data[at : at + length]
        if has_no_end or len(data) - at < length:
            verdict.codes, verdict.is_certain = faults, has_no_end
            return verdict
        at += length
        if opcode == CLOSE and not faults:
            if len(payload) == 1 or (payload and not is_code(int.from_bytes(payload[:2], "big"))):
                faults.add(1002)
            if not is_text(payload[2:]):
                faults.add(1007)
        if faults:
            verdict.codes = faults
            return verdict
        if opcode == PING:
            verdict.pings.append(payload)
        elif opcode == CLOSE:
            code = int.from_bytes(payload[:2], "big") if payload else 1005
            verdict.answer = payload
            if kind is None:  # else a message was cut off, and no end is the right one
                verdict.agreed = code, payload[2:].decode()
            return verdict
        elif opcode != PONG:
            kind = opcode if kind is None else kind
            parts += payload
            if fin:
                if kind == BINARY:
                    verdict.messages.append(parts)
                elif is_text(parts):
                    verdict.texts.append(parts.decode())
                else:
                    verdict.codes = {1007}
                    return verdict
                kind, parts = None, b""
