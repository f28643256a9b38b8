from collections.abc import Callable
from queue import SimpleQueue
from typing import Self, final

import numpy as np
from numpy.typing import NDArray

from ..feed.intake.tap import Tap

@final
class Chunk:
    received_ns: NDArray[np.int64]
    connection: NDArray[np.uint16]
    kind: NDArray[np.uint8]
    offsets: NDArray[np.int32]
    data: NDArray[np.uint8]
    rows: int
    frames: int
    used: int
    def __new__(cls, most: int) -> Self: ...
    def append(self, received: int, connection: int, kind: int, content: bytes) -> None: ...
    def clear(self) -> None: ...

@final
class Taking(Tap):
    full: SimpleQueue[Chunk | None]
    free: SimpleQueue[Chunk]
    most_rows: int
    limit: int
    waiting: int
    offset: int
    note_clock: Callable[[int, int], object]
    note_full: Callable[[], object]
    note_lost: Callable[[int, int, int, int], object]
    frames: int
    frame_bytes: int
    lost_frames: int
    lost_bytes: int
    lost_rows: int
    lost_since: int
    lost_until: int
    def __new__(cls, most_rows: int, limit: int) -> Self: ...
    def set_clock(self, received: int, offset: int) -> None: ...
    def put(self, received: int, connection: int, kind: int, content: bytes) -> None: ...
    def cut(self) -> None: ...
    def end(self) -> None: ...
    def stop(self) -> None: ...
    def lose_all(self, chunk: Chunk) -> None: ...
    def lose_more(self, frames: int, size: int) -> None: ...
    def done(self, chunk: Chunk) -> None: ...
