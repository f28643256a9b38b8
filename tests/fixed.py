"""FIX sessions for tests: both ends without sockets, and every message of the schema."""

from __future__ import annotations

from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from binance_sbe import DecodeError, fix_sbe
from binance_sbe.api.fix_session import Session
from binance_sbe.api.fix_wire import Now, on_the_wire
from binance_sbe.api.signing import signer_of

KEY = Ed25519PrivateKey.generate()
START = 1_790_000_000_000_000  # us since 1970


def at(seconds: float) -> Now:
    return Now(seconds, START + round(seconds * 1e6))


def session(**options: Any) -> Session:
    return Session("k" * 64, signer_of(KEY), **options)


def plainest(kind: Any) -> bytes:
    """A message of a class with zeros in all fields, no entries and no texts."""
    head = kind.BLOCK_LENGTH.to_bytes(2, "little") + kind.TEMPLATE_ID.to_bytes(2, "little")
    frame = head + (1).to_bytes(2, "little") * 2 + bytes(12 + kind.BLOCK_LENGTH)
    for _ in range(200):
        try:
            fix_sbe.decode(frame)
        except DecodeError:
            frame += b"\0"
        else:
            return frame
    raise AssertionError(kind)


class Server:
    """The other end, which says what the test wants."""

    def __init__(self) -> None:
        self.number = 1

    def says(self, kind: Any, seconds: float = 0.0, **values: Any) -> bytes:
        return self.frame(kind.encode(**values), seconds)

    def frame(self, message: bytes, seconds: float = 0.0) -> bytes:
        made = on_the_wire(message, self.number, at(seconds).micros)
        self.number += 1
        return made

    def ack(self, seconds: float = 0.0, heartbeat: int = 30) -> bytes:
        return self.says(
            fix_sbe.LogonAck, seconds, heart_bt_int=heartbeat, uuid="u",
            sbe_schema_id_version_deprecated=False,
        )  # fmt: skip


def live(**options: Any) -> tuple[Session, Server]:
    """A session that is logged on, and what has been sent before is gone."""
    made, server = session(**options), Server()
    made.log_on(at(0))
    made.to_send()
    made.receive(server.ack(heartbeat=made.heartbeat), at(0))
    assert made.state == "live"
    return made, server
