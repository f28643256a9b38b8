"""Archives of frames: JSON as the exchange would have sent it, and packets for Wireshark."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from typing import Any, BinaryIO

import numpy as np

from sbe_codegen.runtime.errors import DecodeError

from .. import spot_stream
from ..api.json_stream import combined, stream_events
from ..venue.streams import KINDS
from .events import ordered
from .options import Options
from .pcapng import Packets
from .source import Source
from .tables import NAMES

SUFFIXES = {"jsonl": ".jsonl.gz", "pcapng": ".pcapng"}


def chosen(source: Source, options: Options) -> Any:
    """The numbers of the frames that are written, in the order of their arrival.

    For JSON each event once, of the kinds that are wanted; for packets all that came.
    """
    count = source.batch.frame_count
    if options.format == "pcapng":
        return np.arange(source.fresh, count)
    found = [
        ordered(source.batch[kind.message], source.fresh).records["frame"]
        for kind in KINDS.values()
        if NAMES[kind.name] in options.kinds and len(source.batch[kind.message])
    ]
    return np.sort(np.concatenate(found)) if found else np.empty(0, np.int64)


def write(
    source: Source, numbers: Any, options: Options, file: BinaryIO, problems: list[str]
) -> int:
    """Writes some frames; how many rows that are."""
    if options.format == "pcapng":
        packets = Packets(file)
        received, connection = source.arrivals.received_ns, source.arrivals.connection
        for i in numbers.tolist():
            packets.put(int(received[i]), int(connection[i]), _frame(source, i))
        return len(numbers)
    count = 0
    with gzip.GzipFile(fileobj=file, mode="wb", filename="", mtime=0, compresslevel=1) as packed:
        for line in _lines(source, numbers, problems):
            packed.write(line)
            count += 1
    return count


def _frame(source: Source, i: int) -> bytes:
    data, offsets = source.frames
    found: bytes = data[offsets[i] : offsets[i + 1]].tobytes()
    return found


def _lines(source: Source, numbers: Any, problems: list[str]) -> Iterator[bytes]:
    without, first = 0, ""
    for i in numbers.tolist():
        message = spot_stream.decode(_frame(source, i))
        try:
            for event in stream_events(message):
                text = json.dumps(combined(message, event), ensure_ascii=False)
                yield text.encode() + b"\n"
        except DecodeError as error:  # a symbol that is not UTF-8
            without += 1
            first = first or str(error)
    if without:
        problems.append(f"{without} frames have no JSON, the first since {first}")
