"""The pages of the documentation that texts of the code send their reader to.

There is no site yet, so that a page is named by where it is in a checkout. Once there is one, its
address goes in here, and into nothing else. A test compares these with the files in docs/.
"""

from __future__ import annotations

from . import extras

DECODE = "howto/decode"
OWN_SCHEMA = "howto/own_schema"
FEED = "howto/feed"
FRAMING = "howto/framing"


def page(name: str) -> str:
    """How a text names a page, such as ``docs/howto/decode.md``, and what that is a part of."""
    return f"docs/{name}.md of {extras.DISTRIBUTION}"
