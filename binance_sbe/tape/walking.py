"""Where the batches of a file are: message by message, and past what is damaged.

Nothing is believed that no XXH3 confirms, and none confirms how long a message is. Where one is
followed by no batch, and by no end that a footer confirms, the next is looked for from its own
beginning on: its length may be wrong, and what follows it whole.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from . import flat
from .damage import Damage
from .entry import ODD, Entry, Shape
from .rows import BATCH, CHECK, STREAMS, hashed, parsed

_CONTINUES = b"\xff\xff\xff\xff"
_END = _CONTINUES + bytes(4)
_TAIL = b"ARROW1"
_LONGEST_METADATA = 64 << 20
_STEP = 1 << 20  # bytes that are looked through at a time
_HEAD = 4096  # bytes of a batch that are read at first: its metadata are within, mostly


class Walk:
    """Through the file ``name`` of ``size`` bytes; ``read(begin, end)`` gives those that are there.

    ``is_good(entry)`` says whether the rows of a batch are those that were written.
    """

    def __init__(
        self,
        name: str,
        size: int,
        read: Callable[[int, int], bytes],
        is_good: Callable[[Entry], bool],
    ) -> None:
        self._name = name
        self._size = size
        self._read = read
        self._is_good = is_good
        self._shapes: dict[Shape, Shape] = {}

    def length(self, head: bytes, at: int) -> int | None:
        """How long the metadata is of the message that begins so; None where none does."""
        if len(head) < 8 or head[:4] != _CONTINUES:
            return None
        length = int.from_bytes(head[4:8], "little", signed=True)
        if not 0 <= length <= min(_LONGEST_METADATA, self._size - at - 8):
            return None
        return length

    def entry(self, at: int, head: bytes) -> Entry | None:
        """The batch that begins there, if its metadata are as they were written.

        ``head`` are the file's bytes there, as far as somebody has them.
        """
        length = self.length(head, at)
        if not length or not _may_be_root(head):
            return None
        if length + 8 > len(head):
            head = self._read(at, at + 8 + length)
        return _entry_of(at, length, head[8 : 8 + length], self._shapes)

    def batches_from(self, at: int, end: int) -> Iterator[Entry]:
        """The batches that begin at or after ``at``, by looking at every place where one can."""
        while at < end:
            part = self._read(at, min(at + _STEP + 8, end))
            place = part.find(_CONTINUES)
            while place >= 0:
                if (at + place) % 8 == 0:
                    entry = self.entry(at + place, part[place : place + _HEAD])
                    if entry is not None:
                        yield entry
                place = part.find(_CONTINUES, place + 1)
            at += _STEP

    def through(self, at: int) -> tuple[list[Entry], Damage | None]:
        """The batches from ``at`` on, as they lie in the file, and what is wrong with its end."""
        entries: list[Entry] = []
        while True:
            entry = self.entry(at, self._read(at, at + _HEAD))
            if entry is None:
                if self._is_end(at):
                    return entries, None
                before = entries[-1] if entries else None
                begin = at if before is None else before.offset
                entry = next(self.batches_from(begin + 1, self._size), None)
                if before is not None:
                    end = self._size if entry is None else entry.offset
                    self._mend_length(before, end)
                if entry is None:
                    return entries, self._tail(entries, at)
            entries.append(entry)
            at = entry.end

    def _is_end(self, at: int) -> bool:
        """Whether the stream ends there: with the file, or with a footer that begins behind it."""
        if at == self._size:
            return True
        if self._read(at, at + 8) != _END:
            return False
        last = self._read(self._size - 10, self._size)
        footer = int.from_bytes(last[:4], "little", signed=True)
        return last[4:] == _TAIL and at + 8 + footer + 10 == self._size

    def _mend_length(self, entry: Entry, end: int) -> None:
        """The last batch before ``end`` may be longer or shorter than it says."""
        claimed = entry.end
        if claimed > end:
            entry.end_at(end)
        elif not self._is_good(entry):
            entry.end_at(end)
            if not self._is_good(entry):
                entry.end_at(claimed)

    def _tail(self, entries: list[Entry], at: int) -> Damage | None:
        """What is behind the last batch, which is followed by none."""
        if at > self._size:
            last = entries[-1]
            if self._is_good(last):
                return None
            entries.pop()
            why = "cut off within a batch"
            return Damage(self._name, last.offset, self._size, why, last.rows, last.frames)
        if entries:
            at = entries[-1].end
        if at == self._size:
            return None
        head = self._read(at, at + 8 + _STEP)
        hidden = _entry_of(at, 0, head[8:], self._shapes) if head[:4] == _CONTINUES else None
        if hidden is not None:
            why = "the length of its metadata is damaged"
            return Damage(self._name, at, self._size, why, hidden.rows, hidden.frames)
        if head[:8] == _END:
            return None  # the footer is damaged, which is told by who reads it
        return Damage(self._name, at, self._size, "no batch", None, None)


def _may_be_root(head: bytes) -> bool:
    """Whether a flatbuffer may begin so: what is no beginning of one costs no reading."""
    return int.from_bytes(head[8:12], "little") < _STEP


def _entry_of(at: int, length: int, metadata: bytes, shapes: dict[Shape, Shape]) -> Entry | None:
    try:
        message = flat.read_message(metadata)
        found = message.metadata
        text, streams = found.get(BATCH), found.get(STREAMS)
        if message.kind != flat.RECORD_BATCH or text is None or streams is None:
            return None
        if found.get(CHECK) != hashed(text, streams).encode() or message.body_length < 0:
            return None
        return Entry.of(at, length, message.body_length, parsed(text), shapes)
    except ODD:
        return None
