"""What decoding many frames gives: a Batch of Tables of numpy arrays."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from operator import index
from typing import Any

import numpy as np

from .errors import DecodeError

Array = np.ndarray[Any, Any]


class GroupTable:
    """All entries of one group, end to end.

    ``records`` is a structured array of the entries of all messages; those of row ``i`` of the
    table are ``records[offsets[i]:offsets[i + 1]]``, as in an Arrow list. ``offsets`` is int64.
    """

    __slots__ = ("offsets", "records")

    def __init__(self, records: Array, offsets: Array) -> None:
        self.records = records
        self.offsets = offsets

    def __getitem__(self, row: int) -> Array:
        """The entries of one row, a view."""
        row = index(row)
        if not -len(self) <= row < len(self):
            raise IndexError(f"row {row} of {len(self)}")
        row %= len(self)
        return self.records[self.offsets[row] : self.offsets[row + 1]]

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __repr__(self) -> str:
        return f"<GroupTable of {len(self.records)} entries in {len(self)} rows>"


class Table:
    """All messages of one class.

    ``records`` is a structured array, naturally aligned, with one row per message: ``frame`` (its
    index in the input), ``received_ns`` (from a Collector), the root fields as raw numbers (nulls
    as the schema's null value), and for each text var data a uint32 code. ``groups`` maps the
    name of each group to its GroupTable.
    """

    __slots__ = ("_dictionaries", "groups", "message", "records")

    def __init__(
        self,
        message: type,
        records: Array,
        groups: Mapping[str, GroupTable],
        dictionaries: Mapping[str, list[str]],
    ) -> None:
        self.message = message
        self.records = records
        self.groups = groups
        self._dictionaries = dictionaries

    def dictionary(self, name: str) -> list[str]:
        """The distinct texts that the codes in column ``name`` index, by first appearance.

        Text that is not UTF-8 is kept by surrogateescape. A code of 2**32 - 1 stands for none:
        the sender's version does not have the text.
        """
        if name not in self._dictionaries:
            known = ", ".join(self._dictionaries) or "none"
            raise KeyError(f"{self.message.__name__} has no text '{name}' (it has: {known})")
        return self._dictionaries[name]

    @property
    def symbols(self) -> list[str]:
        """``dictionary("symbol")``, for messages that have a symbol."""
        if "symbol" not in self._dictionaries:
            raise AttributeError(f"{self.message.__name__} has no symbol")
        return self._dictionaries["symbol"]

    def __len__(self) -> int:
        return len(self.records)

    def __repr__(self) -> str:
        return f"<Table of {len(self)} {self.message.__name__}>"


class Tables(Mapping[type, Table]):
    """The table of each message class of the schema, empty where no such message came."""

    def __init__(self, schema: Any, prefix: tuple[str, ...], contents: dict[type, Any]) -> None:
        self._schema = schema
        self._prefix = prefix
        self._contents = contents
        self._made: dict[type, Table] = {}

    def __getitem__(self, message: type) -> Table:
        table = self._made.get(message)
        if table is None:
            if message not in self._schema.classes:
                known = ", ".join(each.__name__ for each in self)
                raise KeyError(
                    f"{message!r} is no message class of {self._schema.package} ({known})"
                )
            table = self._made[message] = self._make(message)
        return table

    def _make(self, message: type) -> Table:
        layout = message._LAYOUT  # type: ignore[attr-defined]
        found = self._contents.get(message)
        if found is None:
            found = (
                np.empty(0, layout.row_dtype(self._prefix)),
                [(np.empty(0, dtype), np.zeros(1, np.int64)) for dtype in layout.group_dtypes],
                [[] for _ in layout.dictionaries],
            )
        records, groups, dictionaries = found
        return Table(
            message,
            records,
            {n: GroupTable(*pair) for n, pair in zip(layout.groups, groups, strict=True)},
            dict(zip(layout.dictionaries, dictionaries, strict=True)),
        )

    def __iter__(self) -> Iterator[type]:
        return iter(self._schema.classes)

    def __len__(self) -> int:
        return len(self._schema.classes)

    def __repr__(self) -> str:
        return f"<Tables of {', '.join(f'{len(t)} {m.__name__}' for m, t in self.items())}>"


class Batch:
    """Frames decoded together: a Table per message class, and the frames that were refused.

    ``frame_count`` frames were given; each is a row of exactly one table or one of ``rejected``.
    ``left_over_bytes`` counts bytes after the last element of messages whose sender has no newer
    schema: bytes that nothing accounts for.
    """

    def __init__(
        self,
        schema: Any,
        prefix: tuple[str, ...],
        contents: dict[type, Any],
        rejections: Any,
        frame_count: int,
        left_over_bytes: int,
    ) -> None:
        self.tables = Tables(schema, prefix, contents)
        self.frame_count = frame_count
        self.left_over_bytes = left_over_bytes
        self._rejections = rejections
        self._rejected: Array | None = None

    __iter__ = None  # its parts are in ``tables``, ``rejected`` and ``errors``

    def __getitem__(self, message: type) -> Table:
        return self.tables[message]

    @property
    def rejected(self) -> Array:
        """The refused frames as records (frame, code, offset); codes are `errors.ErrorCode`."""
        if self._rejected is None:
            self._rejected = self._rejections.records()
        return self._rejected

    @property
    def errors(self) -> list[DecodeError]:
        """The DecodeError of each refused frame, made anew on each call."""
        return [self._rejections.error(i) for i in range(len(self._rejections))]

    def __len__(self) -> int:
        """Rows in all tables."""
        return self.frame_count - len(self._rejections)

    def __repr__(self) -> str:
        parts = [f"{len(t)} {m.__name__}" for m, t in self.tables.items() if len(t)]
        parts.append(f"{len(self._rejections)} rejected")
        return f"<Batch: {', '.join(parts)}>"
