"""An annotated hex dump: every byte of a frame, and what it is, as far as the frame goes.

Where the walk over its bytes stops, the decoder's own error says why.
"""

from __future__ import annotations

from types import ModuleType
from typing import NamedTuple

from .errors import DecodeError
from .framing import sofh
from .framing.sofh import SOFH_LENGTH, FramingError
from .hex_text import from_text as from_text
from .inspected_bytes import Row, Walk

_SHOWN = 12  # bytes of one element that are printed


class Dump(NamedTuple):
    """The lines of a frame, whether it is whole, and where it ends in what was given."""

    lines: list[str]
    is_whole: bool
    end: int


def inspect(
    content: bytes, module: ModuleType, splitter: sofh.Splitter | None = None
) -> tuple[list[str], bool]:
    """The lines of the dump of a frame of ``module``, and whether the frame is whole: `dump`."""
    return dump(content, module, splitter)[:2]


def dump(content: bytes, module: ModuleType, splitter: sofh.Splitter | None = None) -> Dump:
    """The dump of a frame of ``module``.

    With ``splitter`` it has a Simple Open Framing Header in front, as that takes it.
    """
    rows: list[Row] = []
    start = 0
    fault: Exception | None = None
    if splitter is not None:
        start = SOFH_LENGTH
        length, encoding = (
            int.from_bytes(content[at:end], splitter.byte_order) for at, end in ((0, 4), (4, 6))
        )
        rows.append(Row(0, 4, "SOFH messageLength", str(length)))
        rows.append(Row(4, 6, "SOFH encodingType", f"0x{encoding:04X}"))
        try:
            if not splitter.feed(content):
                fault = FramingError(f"{len(content)} of {length} bytes of a message", 0)
        except FramingError as error:
            fault = error
    walk = Walk(content, start, module)
    rows += walk.rows()
    try:
        message = module.decode(content, start)
        end = start + message.encoded_length
        summary = f"{type(message).__name__}, version {message.version}, {end - start} bytes"
    except DecodeError as error:
        fault, end, summary = error, len(content), ""
    lines = [_line(content, row) for row in rows]
    if fault is not None:
        at = getattr(fault, "offset", None)
        place = sum(row.offset < (len(content) if at is None else at) for row in rows)
        lines.insert(place, f">>> {type(fault).__name__}: {fault}")
    elif end < len(content):
        row = Row(end, len(content), "(left over)", f"{len(content) - end} bytes")
        lines.append(_line(content, row))
    title = f"{'offset':>6}  {'bytes':<{3 * _SHOWN + 6}}  {'field':<34}  value"
    return Dump([title, *lines, *filter(None, [summary])], fault is None, end)


def _line(content: bytes, row: Row) -> str:
    data = content[row.offset : row.end]
    shown = data[:_SHOWN].hex(" ")
    if len(data) > _SHOWN:
        shown += f" +{len(data) - _SHOWN}"
    return f"{row.offset:>6}  {shown:<{3 * _SHOWN + 6}}  {row.path:<34}  {row.value}".rstrip()
