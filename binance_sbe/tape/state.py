"""Which connections are open, up to where a tape was written: each file begins with that."""

from __future__ import annotations

import json

import numpy as np

from .rows import Kind, as_json
from .taking import Chunk

_WATCHED = (Kind.OPENED, Kind.ENDED, Kind.SUBSCRIPTION, Kind.CLOCK)


class State:
    def __init__(self) -> None:
        self._names: dict[int, str] = {}  # of connections, by number
        self._streams: dict[int, dict[str, None]] = {}  # that these bring
        self._asked: dict[str, None] = {}
        self._clock: bytes | None = None

    def follow(self, chunk: Chunk) -> None:
        """What the rows of a chunk say."""
        kinds = chunk.kind[: chunk.rows]
        if not kinds.any():
            return
        for i in np.flatnonzero(np.isin(kinds, _WATCHED)).tolist():
            content = chunk.data[chunk.offsets[i] : chunk.offsets[i + 1]].tobytes()
            self._row(Kind(kinds[i]), int(chunk.connection[i]), content)

    def _row(self, kind: Kind, connection: int, content: bytes) -> None:
        if kind is Kind.CLOCK:
            self._clock = content
            return
        told = json.loads(content)
        if kind is Kind.OPENED:
            self._names[told["number"]] = told["name"]
            self._streams[told["number"]] = {}
        elif kind is Kind.ENDED:
            self._names.pop(told["number"], None)
            self._streams.pop(told["number"], None)
        elif "asked" in told:
            self._asked |= dict.fromkeys(told["asked"])
        elif "entered" in told:
            self._streams.get(told["number"], {}).update(dict.fromkeys(told["entered"]))
        else:
            for name in told["forgotten"]:
                self._asked.pop(name, None)
                for streams in self._streams.values():
                    streams.pop(name, None)

    @property
    def asked(self) -> list[str]:
        return list(self._asked)

    def rows(self, now: int) -> Chunk | None:
        """The same as rows, for a file that goes on with what another had; None for none."""
        if not (self._names or self._asked):
            return None
        chunk = Chunk(2 * len(self._names) + 2)
        if self._clock is not None:
            chunk.append(now, 0, Kind.CLOCK, self._clock)
        if self._asked:
            chunk.append(now, 0, Kind.SUBSCRIPTION, as_json({"asked": self.asked, "again": True}))
        for number, name in self._names.items():
            told: dict[str, object] = {"number": number, "name": name, "again": True}
            chunk.append(now, number, Kind.OPENED, as_json(told))
            told = {"number": number, "entered": list(self._streams[number]), "again": True}
            chunk.append(now, number, Kind.SUBSCRIPTION, as_json(told))
        return chunk
