"""Files of frames as the commands read them: single frames, streams, and captures."""

from __future__ import annotations

import contextlib
import mmap
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from . import ir
from .errors import SbeError
from .runtime.framing import Capture, FramingError, LengthSplitter, Loss, PacketLayout, SofhSplitter
from .runtime.framing.pcap import is_capture
from .runtime.framing.streams import StreamSplitter

CHUNK = 1 << 20
FRAMES = 100_000  # of a stream, or packets of a capture, that are decoded together

FRAMINGS = (
    "sofh",
    "sofh-little",
    *(f"length{n}{o}{i}" for n in (2, 4) for o in ("", "-big") for i in ("", "-inclusive")),
)


def splitter(name: str) -> StreamSplitter:
    """The one that ``--framing`` names, of `FRAMINGS`."""
    if name.startswith("sofh"):
        return SofhSplitter(byte_order="little" if name.endswith("little") else "big")
    return LengthSplitter(
        int(name.removeprefix("length")[0]),
        byte_order="big" if "-big" in name else "little",
        includes_itself=name.endswith("-inclusive"),
    )


def is_capture_file(path: Path) -> bool:
    with path.open("rb") as file:
        return is_capture(file.read(4))


def check_options(port: int | None, address: str | None) -> None:
    """SbeError for options of captures, where a file is none."""
    if port is not None or address is not None:
        raise SbeError("--port and --address are for captures, and this is none")


def header_number(module: ir.Module, member: ir.Field, content: Any, at: int = 0) -> int:
    """The number of a member of the header that begins at ``at``, all of which is there."""
    if member.encoding.constant is not None:
        return int(member.encoding.constant)
    data = bytes(content[at + member.offset : at + member.end])
    return int.from_bytes(data, "big" if module.big_endian else "little")


def capture(path: Path, port: int | None, address: str | None) -> Capture:
    return Capture(path, port=port, address=address)


@contextmanager
def file_of(name: str) -> Iterator[Path]:
    """The file of that name; of a pipe, and of "-", a file with what it gives, for the while."""
    path = Path(name)
    if name != "-" and not path.is_fifo() and not path.is_char_device():
        yield path
        return
    with contextlib.ExitStack() as stack:
        source = sys.stdin.buffer if name == "-" else stack.enter_context(path.open("rb"))
        file = stack.enter_context(tempfile.NamedTemporaryFile())
        shutil.copyfileobj(source, file)
        file.flush()
        yield Path(file.name)


def inputs(
    path: Path,
    framing: str | None = None,
    layout: PacketLayout | None = None,
    port: int | None = None,
    address: str | None = None,
) -> Iterator[Any]:
    """What `decode_many` is to be given, part after part; and a Loss for what it can't be.

    A capture is told by its first bytes; other files are messages end to end, or a stream with the
    framing that is named. SbeError for what is asked of the other kind of file.
    """
    is_captured = is_capture_file(path)
    if is_captured and framing is not None:
        raise SbeError("--framing is for streams, and this is a capture of datagrams")
    if not is_captured:
        check_options(port, address)
    if is_captured:
        yield from capture(path, port, address).parts(FRAMES, layout)
    elif framing is None:
        with path.open("rb") as file:
            if path.stat().st_size:
                yield mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    else:
        yield from _stream(path, splitter(framing))


def _stream(path: Path, cut: StreamSplitter) -> Iterator[Any]:
    frames: list[bytes] = []
    size = path.stat().st_size
    try:
        with path.open("rb") as file:
            while chunk := file.read(CHUNK):
                frames += cut.feed(chunk)
                while len(frames) >= FRAMES:
                    yield frames[:FRAMES]
                    del frames[:FRAMES]
            frames += cut.feed(b"")  # a fault behind messages comes with the next call
        why = "the file ends amid a message"
    except FramingError as error:
        why = str(error)
    if frames:
        yield frames
    if cut.position < size:
        yield Loss(None, cut.position, size - cut.position, why)
