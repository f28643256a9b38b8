"""What a venue's schemas mean beyond SBE: things that their prose says and their XML does not.

The compiler knows none by itself. `generate` takes them, and so do the options of ``sbe-codegen``.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from . import limits
from .errors import SchemaError
from .runtime.framing.packets import KNOWN, PacketLayout

_LARGEST = 2**20  # bytes of a file


@dataclass(frozen=True)
class Conventions:
    """``empty_is_null`` and ``embedded`` are patterns (as of file names) of var data types.

    ``empty_is_null``  no bytes mean null: the attribute is None
    ``embedded``       the bytes are a whole message of the same schema
    ``layout_since``   template id -> the first version that has today's layout, where an older one
                       had another under the same id: such frames are refused
    ``removed``        template id -> what to say of a message that later versions do not have
    ``packet``         how messages lie in packets: a table as of `PacketLayout`, or the name of one
                       that is known: "cme-mdp3", "b3-umdf"
    """

    empty_is_null: tuple[str, ...] = ()
    embedded: tuple[str, ...] = ()
    layout_since: Mapping[int, int] = field(default_factory=dict)
    removed: Mapping[int, str] = field(default_factory=dict)
    packet: PacketLayout | None = None

    def is_null_when_empty(self, var_data_type: str) -> bool:
        return any(fnmatchcase(var_data_type, pattern) for pattern in self.empty_is_null)

    def is_embedded(self, var_data_type: str) -> bool:
        return any(fnmatchcase(var_data_type, pattern) for pattern in self.embedded)

    @classmethod
    def read(cls, file: str | Path) -> Conventions:
        """Those of a TOML file with these names as keys. Raises SchemaError for anything else."""
        path = Path(file)
        try:
            content = limits.content(path, _LARGEST)
            if len(content) > _LARGEST:
                raise SchemaError(str(path), 0, "", f"is larger than {_LARGEST // 2**10} KB")
            given = tomllib.loads(content.decode())
        except OSError as error:
            raise SchemaError(str(path), 0, "", f"can't be read: {error.strerror}") from None
        except (ValueError, RecursionError) as error:
            raise SchemaError(str(path), 0, "", f"is not TOML: {error}") from None
        known = [each.name for each in fields(cls)]
        for key in given:
            if key not in known:
                sentence = f"there is no such convention; there are {', '.join(known)}"
                raise SchemaError(str(path), 0, key, sentence)
        result: dict[str, Any] = {}
        for key in ("empty_is_null", "embedded"):
            patterns = given.get(key, [])
            if not isinstance(patterns, list) or not all(isinstance(p, str) for p in patterns):
                raise SchemaError(str(path), 0, key, "is a list of patterns of type names")
            result[key] = tuple(patterns)
        for key, kind in (("layout_since", int), ("removed", str)):
            table = given.get(key, {})
            good = isinstance(table, dict) and all(
                re.fullmatch("[0-9]{1,10}", number) and type(value) is kind
                for number, value in table.items()
            )
            if not good:
                raise SchemaError(str(path), 0, key, "is a table of template ids")
            if kind is int and not all(0 <= value <= 0xFFFFFFFF for value in table.values()):
                raise SchemaError(
                    str(path), 0, key, "has a version that is not from 0 to 2**32 - 1"
                )
            result[key] = {int(number): value for number, value in table.items()}
        if "packet" in given:
            result["packet"] = _packet(path, given["packet"])
        return cls(**result)


def _packet(path: Path, given: Any) -> PacketLayout:
    if isinstance(given, str) and given in KNOWN:
        return KNOWN[given]
    if not isinstance(given, dict):
        known = ", ".join(KNOWN)
        sentence = f"is a table of what is where in a packet, or the name of a known one: {known}"
        raise SchemaError(str(path), 0, "packet", sentence)
    try:
        return PacketLayout.of(given)
    except ValueError as error:
        raise SchemaError(str(path), 0, "packet", str(error)) from None
