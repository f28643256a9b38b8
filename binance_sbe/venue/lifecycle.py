"""When schemas were released, deprecated and retired, as the exchange publishes it."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

_OBJECT = re.compile(r'\{[^{}]*"id"[^{}]*\}')
_COMMA = re.compile(r",(\s*[\]}])")


@dataclass(frozen=True)
class Release:
    """One version of a schema; dates are ``YYYY-MM-DD``, None where that has not come yet."""

    id: int
    version: int
    released: str
    deprecated: str | None = None
    retired: str | None = None

    @property
    def state(self) -> str:
        """``"latest"``, ``"deprecated"`` or ``"retired"``."""
        if self.retired:
            return "retired"
        return "deprecated" if self.deprecated else "latest"


@dataclass(frozen=True)
class Lifecycle:
    """The releases of an environment, newest first; ``problems``: what was wrong with the file."""

    environment: str
    releases: tuple[Release, ...]
    problems: tuple[str, ...] = ()

    def of(self, schema_id: int, version: int) -> Release | None:
        """The release of that schema, or None."""
        found = (r for r in self.releases if (r.id, r.version) == (schema_id, version))
        return next(found, None)


# As published in July 2026, of the schemas that this package decodes.
SPOT = Lifecycle(
    "PROD",
    (
        Release(3, 5, "2026-07-07"),
        Release(3, 4, "2026-05-08", "2026-07-07"),
        Release(3, 3, "2026-03-25", "2026-05-08"),
        Release(3, 2, "2025-12-18", "2026-03-25"),
        Release(3, 1, "2025-08-19", "2025-12-18", "2026-06-29"),
        Release(3, 0, "2025-04-24", "2025-08-19", "2026-02-19"),
        Release(2, 1, "2024-12-12", "2025-04-24", "2025-10-24"),
        Release(2, 0, "2024-04-25", "2024-12-12", "2025-06-12"),
        Release(1, 0, "2024-03-05", "2024-04-25", "2024-10-25"),
    ),
)
FIX = Lifecycle(
    "PROD",
    (Release(1, 1, "2026-03-25"), Release(1, 0, "2025-12-18", "2026-03-25")),
)


def parse(text: str) -> Lifecycle:
    """A lifecycle file of the exchange.

    Those files are not always JSON: commas that stand before a bracket are taken out, and of what
    is damaged beyond that every release that can be read is taken. ``problems`` says so. Raises
    ValueError where no release is found.
    """
    problems: list[str] = []
    try:
        document = json.loads(text)
    except ValueError:
        problems.append("not JSON as it is")
        try:
            document = json.loads(_COMMA.sub(r"\1", text))
            problems[-1] = "commas before a closing bracket"
        except ValueError:
            document = None
    if isinstance(document, dict):
        found = [document.get("latestSchema")]
        for kind in ("deprecatedSchemas", "retiredSchemas"):
            found += document.get(kind) or []
        environment = str(document.get("environment", ""))
    else:
        problems.append("damaged: releases were picked out one by one")
        found = [_loads(match.group()) for match in _OBJECT.finditer(text)]
        name = re.search(r'"environment"\s*:\s*"([^"]*)"', text)
        environment = name.group(1) if name else ""
    releases = dict.fromkeys(filter(None, map(_release, found)))
    best: dict[tuple[int, int], Release] = {}
    for release in releases:  # where a damaged file says two things, the later stage holds
        key = release.id, release.version
        known = best.get(key)
        if known is None or (release.retired or release.deprecated or "") > (
            known.retired or known.deprecated or ""
        ):
            best[key] = release
    if not best:
        raise ValueError("no schema release in this text")
    ordered = sorted(best.values(), key=lambda r: (r.id, r.version), reverse=True)
    return Lifecycle(environment, tuple(ordered), tuple(problems))


def _loads(text: str) -> Any:
    try:
        return json.loads(_COMMA.sub(r"\1", text))
    except ValueError:
        return None


def _release(found: Any) -> Release | None:
    try:
        return Release(
            int(found["id"]),
            int(found["version"]),
            str(found["releaseDate"]),
            found.get("deprecatedDate"),
            found.get("retiredDate"),
        )
    except (KeyError, TypeError, ValueError):
        return None
