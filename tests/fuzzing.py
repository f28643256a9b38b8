"""Structure-aware mutation of frames: damage where lengths, counts and versions are.

``python tests/fuzzing.py SECONDS [SEED]`` fuzzes by itself; a frame that breaks something is
printed as a line for tests/corpus, where it belongs afterwards.
"""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType

from binance_sbe import DecodeError
from binance_sbe.commands import inspector
from sbe_codegen.runtime.inspected_bytes import Walk

CORPUS = Path(__file__).parent / "corpus"
_EXTREMES = (0, 1, 2, 7, 8, 127, 128, 254, 255, 256, 1024, 1025, 32767, 65534, 65535, 2**31 - 1,
             2**31, 2**32 - 2, 2**32 - 1)  # fmt: skip


def corpus() -> Iterator[tuple[ModuleType, str, bytes]]:
    """(module, what it is, frame) of each line of the files, which are named after modules."""
    for file in sorted(CORPUS.glob("*.txt")):
        module = import_module(f"binance_sbe.{file.stem}")
        for line in file.read_text().splitlines():
            if line and not line.startswith("#"):
                name, _, digits = line.partition(" ")
                yield module, name, bytes.fromhex(digits)


def mutated(rng: random.Random, module: ModuleType, frame: bytes, other: bytes) -> bytes:
    """The frame with one to four kinds of damage, at random or where the structure is."""
    result = bytearray(frame)
    walk = Walk(frame, 0, module)
    structure = [
        row
        for row in walk.rows()
        if row.end > row.offset and ("length" in row.path.lower() or "entries" in row.value)
    ]
    for _ in range(rng.randrange(1, 5)):
        kind = rng.randrange(7)
        at = rng.randrange(len(result)) if result else 0
        if kind <= 2 and structure:
            row = rng.choice(structure)
            if row.end <= len(result):
                size = rng.choice([1, 2, 4, row.end - row.offset])
                place = rng.randrange(row.offset, row.end)
                value = rng.choice(_EXTREMES) % (1 << 8 * size)
                result[place : place + size] = value.to_bytes(size, "little")[: row.end - place]
        elif kind == 3 and len(result) >= 8:
            result[6:8] = rng.choice((0, 1, 2, 3, 4, 5, 6, 9, 65535)).to_bytes(2, "little")
        elif kind == 4:
            del result[rng.randrange(len(result) + 1) :]
        elif kind == 5:
            cut = rng.randrange(len(other) + 1)
            result[at:at] = other[cut : cut + rng.randrange(40)]
        elif result:
            result[at] = rng.randrange(256)
    return bytes(result)


def look_at(module: ModuleType, frame: bytes) -> None:
    """Everything that there is to see; a DecodeError is fine, and anything else goes up."""
    batch = module.decode_many([frame, frame], on_error="collect")
    assert len(batch) + len(batch.rejected) == 2
    walked = module.decode_many(frame + frame, on_error="collect")
    assert walked.frame_count == len(walked) + len(walked.rejected)
    inspector.inspect(frame, module)
    try:
        message = module.decode(bytearray(frame))
    except DecodeError as error:
        assert [type(each) for each in batch.errors] == [type(error)] * 2
        return
    assert len(batch) == 2
    assert message.encoded_length <= len(frame)
    repr(message)
    message.validate()
    for name in dir(type(message)):
        if not name.startswith("_"):
            try:
                getattr(message, name)
            except DecodeError:
                continue
    try:
        message.to_dict(embedded=True)
    except DecodeError:
        return


def fuzz(seconds: float, seed: int) -> int:
    """How many frames were tried; the one that breaks something is printed."""
    rng = random.Random(seed)
    known = list(corpus())
    tried = 0
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        module, name, frame = rng.choice(known)
        damaged = mutated(rng, module, frame, rng.choice(known)[2])
        if rng.random() < 0.02:
            known.append((module, name, damaged))  # damage upon damage
        try:
            look_at(module, damaged)
        except BaseException:
            print(f"{module.__name__}: {name} {damaged.hex()} (seed {seed})", file=sys.stderr)
            raise
        tried += 1
    return tried


if __name__ == "__main__":
    chosen = int(sys.argv[2]) if len(sys.argv) > 2 else random.randrange(2**32)
    count = fuzz(float(sys.argv[1]), chosen)
    print(f"{count} damaged frames were values or DecodeErrors (seed {chosen})")
