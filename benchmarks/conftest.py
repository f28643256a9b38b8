"""Where the benchmarks are, and the proofs of equality run before anything is timed."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    def is_timed(item: Any) -> bool:
        return "benchmark" in getattr(item, "fixturenames", ())

    items.sort(key=is_timed)
