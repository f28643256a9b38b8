"""Which of Binance's schemas a frame is of; the dump itself is that of any schema."""

from __future__ import annotations

from types import ModuleType

from sbe_codegen.runtime import inspector
from sbe_codegen.runtime.inspector import from_text as from_text
from sbe_codegen.runtime.sofh import SOFH_LENGTH


def module_of(frame: bytes) -> ModuleType:
    """The module whose schema a frame is of, by schema id and template id.

    Schema id 1 is that of the streams and of FIX: their template ids differ.
    """
    schema, template = (
        int.from_bytes(frame[at : at + 2], "little") if len(frame) >= 8 else 0 for at in (4, 2)
    )
    if schema == 3:
        from .. import spot_sbe

        return spot_sbe
    from ..venue.streams import is_stream_template

    if is_stream_template(template) or schema != 1:
        from .. import spot_stream

        return spot_stream
    from .. import fix_sbe

    return fix_sbe


def inspect(content: bytes, module: ModuleType | None = None) -> tuple[list[str], bool]:
    """The lines of the dump, and whether the frame is whole. ``module`` overrides the guess."""
    if content[4:6] in (b"\x50\xeb", b"\xeb\x50") and (
        module is None or module.__name__.endswith("fix_sbe")
    ):
        from ..api.fix import Splitter

        found = module or module_of(content[SOFH_LENGTH:])
        return inspector.inspect(content, found, Splitter())
    return inspector.inspect(content, module or module_of(content))
