"""What the hex dump of a frame shows, held against the frame and the decoder."""

from __future__ import annotations

from types import ModuleType

from sbe_codegen.runtime import inspector
from sbe_codegen.runtime.inspected_bytes import Row, Walk


def rows_of(module: ModuleType, frame: bytes) -> list[Row]:
    """The rows of a frame, which have each byte once, in order."""
    rows = list(Walk(frame, 0, module).rows())
    end = 0
    for row in rows:
        assert row.offset == end <= row.end <= len(frame), (row, end)
        end = row.end
    assert end == len(frame)
    return rows


def check_whole(module: ModuleType, frame: bytes) -> list[Row]:
    """The same of a frame that decodes: it ends where the decoder says so."""
    rows = rows_of(module, frame)
    assert not [row for row in rows if row.path == "(cut)" or row.value == "(cut)"]
    dump = inspector.dump(frame, module)
    assert dump.is_whole
    assert dump.end == len(frame)
    assert len(dump.lines) == len(rows) + 2  # a title, and what it is
    return rows
