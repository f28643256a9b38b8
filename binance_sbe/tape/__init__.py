"""What a feed received, kept as it came: recorded, proven, mended and played again.

`Tape` reads a recording, ``connect(..., record=PATH)`` makes one, `Recording` says how. Needs
pyarrow and xxhash, the extra ``tape``. The files are described in docs/formats/tape.md.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ..errors import RecordingError, TapeError

__all__ = [
    "Kind",
    "Recorder",
    "Recording",
    "RecordingError",
    "Report",
    "Tape",
    "TapeError",
    "replay",
]

if TYPE_CHECKING:
    from ..replayed import replay
    from .proving import Report
    from .recorder import Recorder
    from .rows import Kind
    from .settings import Recording
    from .tape import Tape
else:
    _HOMES = {
        "Kind": "rows",
        "Recorder": "recorder",
        "Recording": "settings",
        "Report": "proving",
        "Tape": "tape",
        "replay": ".replayed",
    }

    def __getattr__(name: str) -> Any:
        if name not in _HOMES:
            raise AttributeError(f"module 'binance_sbe.tape' has no attribute '{name}'")
        found = getattr(import_module(f".{_HOMES[name]}", __name__), name)
        globals()[name] = found
        return found
