"""In the place of a connection's shell: it notes what the reader gives it. No sockets."""

from __future__ import annotations

from typing import Any

from intake import intake
from raw_server import BINARY, CONTINUATION

from binance_sbe.feed.intake.streams import Source
from binance_sbe.feed.transport.reader import FrameReader


class Shell:
    """In the place of `transports.Transport`: it puts messages together, and notes the rest."""

    def __init__(self, limit: int) -> None:
        self.line = Source(0, "one")
        _, self.backlog = intake(limit)
        self.data = b""  # what it was given, from where it has understood it
        self.given = b""  # all of it
        self.parts = b""
        self.heard: list[tuple[int, bytes]] = []  # opcode and payload of what is no message
        self.calls: list[Any] = []
        self.reading: list[bool] = []  # of the socket: each change
        self.fails: BaseException | None = None
        self.resumes = False  # whoever hears it has the reading go on, amid that
        self.reader = FrameReader(self.backlog, self.line, self, self)

    # the shell

    def take(self, data: bytes) -> None:
        if self.fails is not None:
            raise self.fails
        self.given += data
        self.data += data
        while (size := self.whole()) is not None:
            frame, self.data = self.data[:size], self.data[size:]
            self.understand(frame)
        if self.resumes:
            self.reader.resume()

    def whole(self) -> int | None:
        """The size of the first frame, where all of it is there."""
        data = self.data
        if len(data) < 2:
            return None
        size, header = data[1] & 127, 2
        if size > 125:
            header = 4 if size == 126 else 10
            size = int.from_bytes(data[2:header], "big")
        header += 4 if data[1] & 128 else 0
        return header + size if len(data) >= header + size else None

    def understand(self, frame: bytes) -> None:
        opcode, size = frame[0] & 15, frame[1] & 127
        payload = frame[{126: 4, 127: 10}.get(size, 2) :]
        if frame[1] & 128 or frame[0] & 0x70 or opcode not in (BINARY, CONTINUATION):
            self.heard.append((opcode, payload))
            return
        self.parts += payload
        if frame[0] & 128:
            message, self.parts = self.parts, b""
            self.reader.put(message)

    def cut_off(self) -> None:
        self.calls.append("cut off")

    def refuse(self, code: int, reason: str) -> None:
        self.calls.append((code, reason))
        self.reader.over = True

    def socket_lost(self, error: BaseException | None) -> None:
        self.calls.append(("lost", error))

    def drained(self) -> None:
        self.calls.append("drained")

    def fail(self, error: BaseException) -> None:
        self.calls.append(error)

    # the socket

    def pause_reading(self) -> None:
        self.reading.append(False)

    def resume_reading(self) -> None:
        self.reading.append(True)

    # the test

    def bring(self, *chunks: bytes) -> bytes:
        """As a socket that is read while nobody pauses it; what is left over."""
        for i, chunk in enumerate(chunks):
            while chunk:
                view = self.reader.buffer()
                part, chunk = chunk[: len(view)], chunk[len(view) :]
                view[: len(part)] = part
                self.reader.take_read(len(part))
                if self.reading and not self.reading[-1]:
                    return chunk + b"".join(chunks[i + 1 :])
        return b""

    def taken(self, most: int = 1 << 30) -> list[bytes]:
        """What the consumer takes, and gives room for."""
        frames = self.backlog.frames
        return [frames.popleft()[0] for _ in range(min(most, len(frames)))]
