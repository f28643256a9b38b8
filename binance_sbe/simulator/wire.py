"""What becomes of the frames of one connection on their way to the client: nothing, or faults."""

from __future__ import annotations

from collections.abc import Callable

CULLED = 5  # of so many events of bestBidAsk one is sent, under load


class Wire:
    """``pass_on`` gives the frames that go out for one that is sent; ``due`` those that waited.

    All is well unless one of the attributes says otherwise; ``plain`` says that none does.
    """

    def __init__(self) -> None:
        self.is_mute = False
        self.change: Callable[[bytes], bytes] | None = None  # of the next frame
        self.repeats = False  # the next frame comes twice
        self.swaps = False  # the next frame of a stream comes after the one that follows it
        self.late_until = 0.0  # until then frames wait
        self.culls_until = 0.0  # until then most events of bestBidAsk are left out
        self.plain = True
        self._waiting: list[bytes] = []
        self._swapped: tuple[str, bytes] | None = None
        self._skipped = 0

    def pass_on(self, stream: str, frame: bytes, now: float) -> list[bytes]:
        if self.is_mute:
            return []
        if now < self.culls_until and stream.endswith("@bestBidAsk"):
            self._skipped += 1
            if self._skipped % CULLED:
                return []
        if self.change is not None:
            change, self.change = self.change, None
            frame = change(frame)
        frames = [frame]
        if self.repeats:
            self.repeats = False
            frames = [frame, frame]
        if self._swapped is not None and self._swapped[0] == stream:
            frames.append(self._swapped[1])
            self._swapped = None
        elif self.swaps:
            self.swaps = False
            self._swapped = stream, frame
            frames = []
        if now < self.late_until or self._waiting:
            self._waiting += frames
            frames = []
        return frames

    def due(self, now: float) -> list[bytes]:
        """The frames whose wait is over."""
        if now >= self.culls_until and now >= self.late_until:
            nothing_else = self.change is None and self._swapped is None
            nothing_else = nothing_else and not (self.is_mute or self.repeats or self.swaps)
            frames, self._waiting = self._waiting, []
            self.plain = nothing_else
            return frames
        return []
