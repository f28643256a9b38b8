"""What a venue's schemas mean beyond SBE: things that their prose says and their XML does not.

The compiler knows none by itself. `generate` takes them, and so do the options of ``sbe-codegen``.
"""

from __future__ import annotations

import fnmatch
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any

from . import limits
from .errors import SchemaError
from .runtime.framing.packets import KNOWN, PacketLayout

_LARGEST = 2**20  # bytes of a file
_TIMES: dict[str, tuple[str | None, str]] = {
    **{unit: ("timestamp", unit) for unit in ("s", "ms", "us", "ns")},
    **{f"time {unit}": ("time", unit) for unit in ("s", "ms", "us", "ns")},
    "date": ("date", "D"),
    "number": (None, ""),
}


@cache
def _pattern(text: str) -> re.Pattern[str]:
    """As of file names, but for the first ``*``, which is a group; in any case of letters."""
    first, star, rest = text.partition("*")
    made = re.sub(r"\\[zZ]$", "", fnmatch.translate(first))  # the end, which Python 3.14 spells \z
    if star:
        made += f"(.*){fnmatch.translate(rest)}"
    return re.compile(made, re.IGNORECASE)


@dataclass(frozen=True)
class Conventions:
    """``empty_is_null`` and ``embedded`` are patterns (as of file names) of var data types.

    ``empty_is_null``  no bytes mean null: the attribute is None
    ``embedded``       the bytes are a whole message of the same schema
    ``layout_since``   template id -> the first version that has today's layout, where an older one
                       had another under the same id: such frames are refused
    ``removed``        template id -> what to say of a message that later versions do not have
    ``exponent``       what an exponent that a field has by an attribute or by ``exponents`` means:
                       "power" (mantissa x 10^exponent) or "decimals" (mantissa / 10^exponent)
    ``exponents``      pattern of a mantissa's name -> the name of its exponent, in which ``*`` is
                       what the pattern's first ``*`` stands for; the exponent is looked up from the
                       mantissa's block outwards, and the first pattern that finds one counts
    ``times``          pattern of a field's or a type's name -> what its numbers are: "s", "ms",
                       "us" or "ns" since 1970 UTC, "time s" and so on since midnight, "date" for
                       days since 1970, or "number"
    ``appended_is_absent``  patterns of ``Message.element``: groups and data at the end of a message
                       that older senders do not send, though the schema has no sinceVersion
    ``packet``         how messages lie in packets: a table as of `PacketLayout`, or the name of one
                       that is known: "cme-mdp3", "b3-umdf"
    Patterns of names of fields, and of elements, are the same in capitals and small letters.
    """

    empty_is_null: tuple[str, ...] = ()
    embedded: tuple[str, ...] = ()
    layout_since: Mapping[int, int] = field(default_factory=dict)
    removed: Mapping[int, str] = field(default_factory=dict)
    exponent: str | None = None
    exponents: Mapping[str, str] = field(default_factory=dict)
    times: Mapping[str, str] = field(default_factory=dict)
    appended_is_absent: tuple[str, ...] = ()
    packet: PacketLayout | None = None

    def is_null_when_empty(self, var_data_type: str) -> bool:
        return any(fnmatchcase(var_data_type, pattern) for pattern in self.empty_is_null)

    def is_embedded(self, var_data_type: str) -> bool:
        return any(fnmatchcase(var_data_type, pattern) for pattern in self.embedded)

    def exponent_names(self, mantissa: str) -> Iterator[str]:
        """What the exponent of a field may be called, the likeliest first."""
        for pattern, wanted in self.exponents.items():
            found = _pattern(pattern).fullmatch(mantissa)
            if found is not None:
                yield wanted.replace("*", found[1] if found.re.groups else "")

    def time_of(self, *names: str) -> tuple[Any, str] | None:
        """What a field of such a name, or of a type of such a name, is: its kind and unit.

        ("timestamp", "us"), ("time", "ms"), ("date", "D") or (None, "") for a plain number; None
        where nothing is said.
        """
        for pattern, said in self.times.items():
            if any(_pattern(pattern).fullmatch(name) for name in names):
                return _TIMES[said]
        return None

    def may_end_before(self, path: str) -> bool:
        return any(_pattern(pattern).fullmatch(path) for pattern in self.appended_is_absent)

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
            raise SchemaError.unread(str(path), error.strerror) from None
        except (ValueError, RecursionError) as error:
            raise SchemaError(str(path), 0, "", f"is not TOML: {error}") from None
        known = [each.name for each in fields(cls)]
        for key in given:
            if key not in known:
                sentence = f"there is no such convention; there are {', '.join(known)}"
                raise SchemaError(str(path), 0, key, sentence)
        result: dict[str, Any] = {}
        for key in ("empty_is_null", "embedded", "appended_is_absent"):
            patterns = given.get(key, [])
            if not isinstance(patterns, list) or not all(isinstance(p, str) for p in patterns):
                what = "elements" if key == "appended_is_absent" else "type names"
                raise SchemaError(str(path), 0, key, f"is a list of patterns of {what}")
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
        if given.get("exponent", "power") not in ("power", "decimals"):
            raise SchemaError(str(path), 0, "exponent", 'is "power" or "decimals"')
        result["exponent"] = given.get("exponent")
        for key, allowed in (("exponents", None), ("times", _TIMES)):
            table = given.get(key, {})
            good = isinstance(table, dict) and all(
                isinstance(value, str) and (allowed is None or value in allowed)
                for value in table.values()
            )
            if not good:
                what = "names of exponents" if allowed is None else f"one of {', '.join(_TIMES)}"
                raise SchemaError(str(path), 0, key, f"is a table of patterns and {what}")
            result[key] = dict(table)
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
