"""What may be in front of messages, where a file was read as if nothing, or something else, were.

A guess from the beginning of a file, for who reads that frames were refused: where a header of the
schema would be right.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from . import frames, ir
from .pages import FRAMING, page
from .runtime.framing import FramingError, PacketLayout
from .runtime.framing.packets import KNOWN, Packets

_SOME = 1 << 16  # bytes of a stream that are looked at
_DATAGRAMS = 100
_PLACES = 5
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
    if framing is None and _begins(module, content):
        return None
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


def _elsewhere(path: Path) -> str | None:
    """Where datagrams went, if none went to where they were looked for."""
    places = dict.fromkeys(
        f"{each.address} port {each.port}"
        for each in islice(frames.capture(path, None, None), _DATAGRAMS)
    )
    if not places:
        return None
    return f"Its first datagrams went to {', '.join(islice(places, _PLACES))}"


def _of_packets(
    module: ir.Module, packets: Sequence[Any], layout: PacketLayout | None
) -> str | None:
    if _fitting(module, packets, layout or PacketLayout()):
        return None
    for name, known in KNOWN.items():
        if _fitting(module, packets, known):
            line = f'packet = "{name}"'
            return f"These look like packets of {name}: --conventions FILE.toml with {line} in it"
    at = _lead(module, packets)
    if at is None:
        return None
    if not at:
        return "These look like messages without anything in front: leave [packet] out"
    return (
        f"In these packets a message seems to begin at byte {at}: [packet] of --conventions says "
        f"what is in front of it ({page(FRAMING)})"
    )


def _cut(module: ir.Module, content: bytes, framing: str) -> tuple[int, int]:
    """How many messages that fit a framing gives, less those that do not; and how much it uses."""
    splitter = frames.splitter(framing)
    found = []
    try:
        found += splitter.feed(content)
    except FramingError:
        return 0, 0
    fitting = sum(_begins(module, each) for each in found)
    return max(2 * fitting - len(found), 0), splitter.position


def _fitting(module: ir.Module, packets: Sequence[Any], layout: PacketLayout) -> bool:
    """Whether the first messages of most packets fit."""
    found = [Packets([each], layout).split().frames[:1] for each in packets]
    return 2 * sum(_begins(module, each) for some in found for each in some) > len(packets)


def _lead(module: ir.Module, packets: Sequence[Any]) -> int | None:
    """The least number of bytes behind which a message of the schema begins in most packets.

    Where headers have no schema id, too much would look like one.
    """
    if "schemaId" in module.header.implied:
        return None
    for at in range(_FARTHEST + 1):
        if 2 * sum(_begins(module, each, at) for each in packets) > len(packets):
            return at
    return None


def _begins(module: ir.Module, content: Any, at: int = 0) -> bool:
    """Whether a header of one of the schema's messages is there, and room for its block.

    That block is as long as the version says, as far as it is known: a header of small numbers can
    look like another that is two bytes away.
    """
    header = module.header
    left = len(content) - at - header.size
    if left < 0:
        return False

    def number(member: ir.Field) -> int:
        if member.encoding.constant is not None:
            return int(member.encoding.constant)
        data = bytes(content[at + member.offset : at + member.end])
        return int.from_bytes(data, "big" if module.big_endian else "little")

    blocks = {message.template_id: message.block.length for message in module.messages}
    block = blocks.get(number(header.template_id))
    if block is None or number(header.schema_id) != module.schema_id:
        return False
    if header.block_length is None:
        return block <= left
    given, version = number(header.block_length), number(header.version)
    is_known = given <= block if version <= module.version else given >= block
    return given <= left and is_known and (given == block or version != module.version)
