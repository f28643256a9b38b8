"""A frame as people keep it in a file: its bytes, or their hex digits."""

from __future__ import annotations

import re


def from_text(content: bytes) -> bytes:
    """The frame that a file holds: its bytes, or what its hex digits say.

    Blanks, quotes, commas and 0x are left out of text. Raises ValueError for text that is not hex.
    """
    if not content:
        raise ValueError("is empty")
    if not all(32 <= byte < 127 or byte in b"\t\r\n" for byte in content):
        return content
    text = content.decode("ascii")
    digits = re.sub(r"0[xX]|[\s\"',:]", "", text)
    wrong = re.search(r"[^0-9a-fA-F]", digits)
    if wrong:
        line = next(n for n, row in enumerate(text.splitlines(), 1) if wrong.group() in row)
        raise ValueError(f"is text, and {wrong.group()!r} in line {line} is no hex digit")
    if len(digits) % 2:
        raise ValueError(f"has {len(digits)} hex digits, an odd number: one is missing")
    return bytes.fromhex(digits)
