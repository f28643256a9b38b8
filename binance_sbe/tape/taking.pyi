from collections.abc import Callable
from queue import SimpleQueue

import numpy as np
from numpy.typing import NDArray

from ..feed.intake.tap import Tap

class Chunk:
    received_ns: NDArray[np.int64]
    connection: NDArray[np.uint16]
    kind: NDArray[np.uint8]
    offsets: NDArray[np.int32]
    data: NDArray[np.uint8]
    rows: int
    frames: int
    used: int
    def __init__(self, most: int) -> None: ...
    def append(self, received: int, connection: int, kind: int, content: bytes) -> None: ...
    def clear(self) -> None: ...

class Taking(Tap):
    full: SimpleQueue[Chunk | None]
    free: SimpleQueue[Chunk]
    most_rows: int
    limit: int
    waiting: int
    offset: int
    note_clock: Callable[[int, int], object]
    note_lost: Callable[[int, int, int, int], object]
    frames: int
    frame_bytes: int
    lost_frames: int
    lost_bytes: int
    lost_rows: int
    lost_since: int
    lost_until: int
    def __init__(self, most_rows: int, limit: int) -> None: ...
    def set_clock(self, received: int, offset: int) -> None: ...
    def put(self, received: int, connection: int, kind: int, content: bytes) -> None: ...
    def cut(self) -> None: ...
    def stop(self) -> None: ...
    def lose_all(self, chunk: Chunk) -> None: ...
    def done(self, chunk: Chunk) -> None: ...
