"""What may be in front of messages, where a file was read as if nothing, or something else, were.

A guess from the beginning of a file, for who reads that frames were refused: where a header of the
schema would be right.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from itertools import islice, product
from pathlib import Path
from typing import Any, Literal

from . import frames, ir
from .pages import FRAMING, page
from .runtime.framing import FramingError, PacketLayout
from .runtime.framing.packets import KNOWN, Packets
from .runtime.hex_text import from_text

_SOME = 1 << 16  # bytes of a stream that are looked at
_DATAGRAMS = 100
_PLACES = 5
_ORDERS: tuple[Literal["little", "big"], ...] = ("little", "big")
_PACKED = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd", b"PK\x03\x04": "zip"}
_DIGITS = 4096  # of a text, with what is between them
_FARTHEST = 64  # bytes that may be in front of the first message


def of_file(
    module: ir.Module,
    path: Path,
    framing: str | None,
    layout: PacketLayout | None,
    port: int | None,
    address: str | None,
) -> str | None:
    """A sentence with what to try; None where what was tried is as good as anything else."""
    if frames.is_capture_file(path):
        some = [each.payload for each in islice(frames.capture(path, port, address), _DATAGRAMS)]
        return _of_packets(module, some, layout) if some else _elsewhere(path)
    with path.open("rb") as file:
        return of_stream(module, file.read(_SOME), framing)


def of_stream(module: ir.Module, content: bytes, framing: str | None) -> str | None:
    """The same for a file that is no capture."""
    for magic, kind in _PACKED.items():
        if content.startswith(magic):
            return f"It is compressed ({kind}): unpack it first"
    if framing is None and begins(module, content):
        return None
    if begins(module, _of_digits(content)):
        return "It is text, hex digits of messages: xxd -r -p makes the bytes of them"
    found = {name: _cut(module, content, name) for name in frames.FRAMINGS}
    best = max(found, key=found.__getitem__)
    tried = (0, 0) if framing is None else found[framing]
    if tried[0] and tried >= found[best]:
        return None
    if found[best][0]:
        return f"This looks like a stream with a length in front of each message: --framing {best}"
    at = _lead(module, [content])
    if at is None:
        return None
    if framing is not None and not at:
        return "This looks like messages without any framing: leave --framing out"
    return f"A message seems to begin at byte {at}: what is before it, no --framing knows"


def _of_digits(content: bytes) -> bytes:
    """The bytes that the hex digits at the beginning of a text stand for; none where it is none."""
    some = content[:_DIGITS]
    for text in (some, some[:-1]):  # where that cuts the last byte in two
        with contextlib.suppress(ValueError):
            made = from_text(text)
            return b"" if made == text else made
    return b""


def _elsewhere(path: Path) -> str | None:
    """Where datagrams went, if none went to where they were looked for."""
    whole = frames.capture(path, None, None)
    places = dict.fromkeys(f"{d.address} port {d.port}" for d in islice(whole, _DATAGRAMS))
    if places:
        return f"Its first datagrams went to {', '.join(islice(places, _PLACES))}"
    return f"No packet of it is a whole UDP datagram; {whole.others:,} are of other protocols"


def _of_packets(
    module: ir.Module, packets: Sequence[Any], layout: PacketLayout | None
) -> str | None:
    tried = layout or PacketLayout()
    at = _lead(module, packets)
    if tried.length is not None and (
        at == tried.header + tried.message_header or _fitting(module, packets, tried, 2)
    ):
        return None  # what it can't cut is damaged
    for name, known in KNOWN.items():
        begin = known.header + known.message_header
        if at in (None, begin) and _fitting(module, packets, known, 2):
            line = f'packet = "{name}"'
            return f"These look like packets of {name}: --conventions FILE.toml with {line} in it"
    if at is None:
        return None
    for each in _with_lengths(at):
        if _fitting(module, packets, each, 10):
            return (
                f"In these packets messages seem to have their lengths in front, from byte "
                f"{each.header} on: --conventions FILE.toml with [packet] and {_lines(each)} in it"
            )
    if at == tried.header:
        return None
    if not at:
        return "These look like messages without anything in front: leave [packet] out"
    return (
        f"In these packets a message seems to begin at byte {at}: --conventions FILE.toml with "
        f"[packet] and header = {at} in it ({page(FRAMING)})"
    )


def _with_lengths(at: int) -> Iterator[PacketLayout]:
    """Packets whose first message begins there, behind its length."""
    for size, order, includes in product((2, 4), _ORDERS, (True, False)):
        if size <= at:
            yield PacketLayout(
                header=at - size,
                message_header=size,
                length=(0, size),
                length_includes_header=includes,
                byte_order=order,
            )


def _lines(layout: PacketLayout) -> str:
    """What of a layout has to be said in conventions."""
    said = [
        f"header = {layout.header}",
        f"message_header = {layout.message_header}",
        f"length = [0, {layout.message_header}]",
    ]
    if layout.byte_order == "big":
        said.append('byte_order = "big"')
    if not layout.length_includes_header:
        said.append("length_includes_header = false")
    return ", ".join(said)


def _cut(module: ir.Module, content: bytes, framing: str) -> tuple[int, int]:
    """How many messages that fit a framing gives, less those that do not; and how much it uses."""
    splitter = frames.splitter(framing)
    found = []
    try:
        found += splitter.feed(content)
    except FramingError:
        return 0, 0
    fitting = sum(begins(module, each) for each in found)
    return max(2 * fitting - len(found), 0), splitter.position


def _fitting(module: ir.Module, packets: Sequence[Any], layout: PacketLayout, times: int) -> bool:
    """Whether what a layout with lengths gives is messages, for ``times`` times as much as not."""
    split = Packets(packets, layout).split()
    right = sum(begins(module, each) for each in split.frames)
    wrong = len(split.losses) + len(split.frames) - right
    return right > 0 and times * wrong <= right


def _lead(module: ir.Module, packets: Sequence[Any]) -> int | None:
    """The least number of bytes behind which a message of the schema begins in most packets.

    Where headers have no schema id, too much would look like one.
    """
    if "schemaId" in module.header.implied:
        return None
    for at in range(_FARTHEST + 1):
        if 2 * sum(begins(module, each, at) for each in packets) > len(packets):
            return at
    return None


def begins(module: ir.Module, content: Any, at: int = 0) -> bool:
    """Whether a header of one of the schema's messages is there, and room for its block.

    That block is as long as the version says, as far as it is known: a header of small numbers can
    look like another that is two bytes away.
    """
    header = module.header
    left = len(content) - at - header.size
    if left < 0:
        return False

    def number(member: ir.Field) -> int:
        return frames.header_number(module, member, content, at)

    blocks = {message.template_id: message.block.length for message in module.messages}
    block = blocks.get(number(header.template_id))
    if block is None or number(header.schema_id) != module.schema_id:
        return False
    if header.block_length is None:
        return block <= left
    given, version = number(header.block_length), number(header.version)
    is_known = given <= block if version <= module.version else given >= block
    return given <= left and is_known and (given == block or version != module.version)
