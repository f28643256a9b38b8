"""Messages of the FIX API as they go onto the wire, for both ends of a session."""

from __future__ import annotations

import struct
import time
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from sbe_codegen.runtime.errors import DecodeError

from .. import fix_sbe
from .fix import framed

_HEADER: Any = fix_sbe.Header  # what it is made of is no part of its stub
_PLACES = {each.facts["name"]: each.facts["offset"] for each in _HEADER._ELEMENTS}
_SEQ_NUM, _SENDING_TIME = _PLACES["seq_num"], _PLACES["sending_time"]
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

# Those that the session itself sends and answers, and does not hand to its user.
SESSION_MESSAGES = (
    fix_sbe.Logon, fix_sbe.LogonAck, fix_sbe.Logout, fix_sbe.Heartbeat, fix_sbe.TestRequest,
)  # fmt: skip


class Now(NamedTuple):
    """A time, by two clocks: seconds of one that never goes back, and us since 1970."""

    seconds: float
    micros: int


def now() -> Now:
    """By this machine's clocks."""
    return Now(time.monotonic(), time.time_ns() // 1000)


def on_the_wire(message: bytes, seq_num: int, micros: int) -> bytes:
    """A message that was encoded, with its number, the time of sending, and the framing header."""
    made = bytearray(message)
    struct.pack_into("<I", made, _SEQ_NUM, seq_num & 0xFFFFFFFF)
    struct.pack_into("<q", made, _SENDING_TIME, micros)
    return framed(bytes(made))


def signed_text(sender: str, target: str, seq_num: int, micros: int) -> bytes:
    """What the signature of a logon is of: FIX fields 35, 49, 56, 34 and 52, with SOH between."""
    at = (_EPOCH + timedelta(microseconds=micros)).strftime("%Y%m%d-%H:%M:%S.%f")
    return "\x01".join(["A", sender, target, str(seq_num), at]).encode()


def name_of(kind: Any) -> str:
    """The name of a message class, or of a message's class."""
    found: str = (kind if isinstance(kind, type) else type(kind)).__name__
    return found


def text_of(message: Any, name: str) -> str:
    """A text of a message that is to be shown, whatever its bytes are."""
    try:
        return getattr(message, name) or ""
    except DecodeError:
        raw: bytes = getattr(message, f"{name}_bytes")
        return bytes(raw).decode("utf-8", "backslashreplace")


def reason_of(message: Any) -> str:
    """Why something is refused, by the text of a message."""
    return text_of(message, "text") or "without a reason"
