"""Tapes become an archive that other programs read: Parquet, and the formats of some tools."""

from __future__ import annotations

from .bulk import convert
from .manifest import Manifest, Part, Record, Seam

__all__ = ["Manifest", "Part", "Record", "Seam", "convert"]
