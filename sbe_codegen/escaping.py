"""Text that others wrote, made fit to be printed."""

from __future__ import annotations


def escaped(text: str) -> str:
    r"""The text with escapes (``\x1b``, ``\u202e``) for all that is not printable.

    Those are control characters, what changes the direction of writing, what has no width, ends of
    lines and paragraphs, blanks other than the space, and halves of surrogate pairs. Letters of any
    script stay, and so do escapes: what was escaped once does not change again.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
