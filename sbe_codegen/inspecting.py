"""``sbe-codegen inspect``: every byte of a frame, or of the messages of a stream or a capture."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

from . import frames, ir, loading
from .builder import Progress, read
from .conventions import Conventions
from .guessing import begins
from .runtime import inspector
from .runtime.errors import DecodeError
from .runtime.framing import Loss, PacketLayout, SofhSplitter
from .runtime.framing.sofh import SOFH_LENGTH
from .runtime.inspected_values import date

_MOST = 16 * 2**20  # bytes of a frame


def read_frame(path: Path) -> bytes:
    """The frame that a file holds, as bytes or as hex digits.

    Raises ValueError for what is too large, or text that is no hex.
    """
    with path.open("rb") as file:
        content = file.read(_MOST + 1)
    if len(content) > _MOST:
        raise ValueError(f"is larger than {_MOST >> 20} MB: too much for one frame")
    if content.lstrip().startswith(b"<?xml"):
        raise ValueError("is XML: the schema is named first, then the frames")
    return inspector.from_text(content)


def of_frame(
    schema: Path, content: bytes, conventions: Conventions | None, progress: Progress
) -> inspector.Dump:
    """The dump of one frame. Only its own message is compiled.

    A Simple Open Framing Header in front is shown too.
    """
    module = read(schema, conventions)
    cut = sofh_in_front(content)
    if cut and begins(module, content) and not begins(module, content, SOFH_LENGTH):
        cut = None  # the mark is the id of the schema
    wanted = _template(module, content[SOFH_LENGTH:] if cut else content)
    known = {message.template_id for message in module.messages}
    inside = any(data.is_embedded for data in module.var_data)
    # Of a template that is not there nothing can be shown but the header: any message will do.
    chosen = wanted if wanted in known else min(known, default=None)
    only = None if inside or chosen is None else [chosen]
    made = loading.load(schema, messages=only, conventions=conventions, progress=progress)
    dump = inspector.dump(content, made, cut)
    if chosen != wanted and only is not None:  # the error knows of what was compiled
        told = f"which has {_few(known)}"
        lines = [line.replace(f"which has {chosen}", told) for line in dump.lines]
        dump = dump._replace(lines=lines)
    return dump


def _few(numbers: set[int]) -> str:
    shown = sorted(numbers)
    return ", ".join(map(str, shown[:20])) + (" and more" if len(shown) > 20 else "")


def sofh_in_front(content: bytes) -> SofhSplitter | None:
    """A splitter, where a Simple Open Framing Header is in front."""
    marks = {b"\xeb\x50": "big", b"\x5b\xe0": "big", b"\x50\xeb": "little", b"\xe0\x5b": "little"}
    if content[4:6] not in marks:
        return None
    order = marks[content[4:6]]
    length = int.from_bytes(content[:4], "big" if order == "big" else "little")
    if length not in range(6, _MOST):
        return None
    return SofhSplitter(byte_order="big" if order == "big" else "little", max_length=_MOST + 6)


def _template(module: ir.Module, content: bytes) -> int | None:
    member = module.header.template_id
    if member.encoding.constant is None and len(content) < module.header.size:
        return None
    return frames.header_number(module, member, content)


def of_capture(
    module: ModuleType,
    path: Path,
    layout: PacketLayout | None,
    port: int | None,
    address: str | None,
    most: int,
) -> Iterator[tuple[str, bool]]:
    """Lines of the first ``most`` messages of a capture, and losses; False where it is bad."""
    found = frames.capture(path, port, address)
    shown = 0

    def end(buffer: bytes, offset: int) -> int:
        try:
            return offset + int(module.decode(buffer, offset).encoded_length)
        except DecodeError:
            return len(buffer)

    for part in found.parts(1, layout):
        split = part.split(layout, end)
        for i, message in enumerate(split.frames):
            if shown == most:
                yield _and_more(most)
                return
            packet, sequence, time = (
                int(split.columns[name][i]) for name in ("packet", "packet_sequence", "packet_time")
            )
            told = [f"packet {packet}"]
            told += [f"sequence {sequence}"] if sequence >= 0 else []
            told += [f"sent {date(time, 'ns')}"] if time >= 0 else []
            yield f"--- {', '.join(told)}, message {i}", True
            lines, whole = inspector.inspect(message, module)
            yield "\n".join(lines), whole
            shown += 1
        for loss in split.losses:
            yield f">>> {loss}", False
    if not shown:
        yield _nothing(found.skipped, found.others), False


def of_stream(
    module: ModuleType, path: Path, framing: str, port: int | None, address: str | None, most: int
) -> Iterator[tuple[str, bool]]:
    """Lines of the first ``most`` messages of a stream, and what could not be cut.

    Raises SbeError for a capture, and for a port or an address, which streams do not have.
    """
    shown = 0
    for part in frames.inputs(path, framing, None, port, address):
        if isinstance(part, Loss):
            yield f">>> {part}", False
            continue
        for message in part:
            if shown == most:
                yield _and_more(most)
                return
            yield f"--- message {shown}", True
            lines, whole = inspector.inspect(message, module)
            yield "\n".join(lines), whole
            shown += 1
    if not shown:
        yield ">>> no message", False


def _and_more(most: int) -> tuple[str, bool]:
    return f"... and more: the first {most} messages are shown (--most)", True


def _nothing(skipped: int, others: int) -> str:
    return (
        f">>> no message: {skipped} datagrams to other addresses or ports, "
        f"{others} packets of other protocols"
    )
