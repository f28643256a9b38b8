"""What decoding many frames gives: a Batch of Tables of numpy arrays."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from operator import index
from typing import TYPE_CHECKING, Any, Literal, TypedDict, Unpack

from ..errors import DecodeError, UnknownName
from .columns import Columns
from .contents import Array, Contents, Part, Source

if TYPE_CHECKING:
    from ..framing.packets import Loss
    from .written import Written


class Forms(TypedDict, total=False):
    """What columns may be asked to be, beside ``decimals``: see `columns.Columns`."""

    times: Literal["raw", "datetime64", "numbers"]
    texts: Literal["bytes", "string"]


class DataTable:
    """Var data without a text encoding, end to end, as an Arrow large_binary has them.

    Those of row ``i`` are ``content[offsets[i]:offsets[i + 1]]``; ``content`` is uint8, ``offsets``
    int64. ``data[i]`` is a copy of them as bytes.
    """

    __slots__ = ("content", "offsets")

    def __init__(self, content: Array, offsets: Array) -> None:
        self.content = content
        self.offsets = offsets

    def __getitem__(self, row: int) -> bytes:
        row = _checked(row, len(self))
        return self.content[self.offsets[row] : self.offsets[row + 1]].tobytes()

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __repr__(self) -> str:
        return f"<DataTable of {len(self.content)} bytes in {len(self)} rows>"


def _checked(row: int, count: int) -> int:
    row = index(row)
    if not -count <= row < count:
        raise IndexError(f"row {row} of {count}")
    return row % count


class _Named(dict[str, Any]):
    """What a table has, by name; UnknownName, with the names that there are, for any other."""

    def __init__(self, items: Iterable[tuple[str, Any]], of: str, what: str) -> None:
        super().__init__(items)
        self._of, self._what = of, what

    def __missing__(self, name: object) -> Any:
        known = ", ".join(self) or "none"
        raise UnknownName(f"{self._of} has no {self._what} {name!r} (it has: {known})")


class _Rows:
    """What tables of messages and of groups have in common.

    ``records`` is a structured array, ``groups`` maps the name of each group to its GroupTable and
    ``data`` that of each var data without a text encoding to its DataTable.
    """

    __slots__ = ("_contents", "_layout", "_name", "records")

    def __init__(self, name: str, layout: Any, contents: Contents | Written) -> None:
        self._name = name
        self._layout = layout
        self._contents = contents
        self.records = contents.records

    # What is not asked for is not made: live feeds hand over batches of one row.

    @property
    def data(self) -> Mapping[str, DataTable]:
        """The DataTable of each var data without a text encoding. Made anew on each call."""
        blobs = zip(self._layout.blobs, self._contents.blobs, strict=True)
        return _Named(((each, DataTable(*found)) for each, found in blobs), self._name, "data")

    @property
    def groups(self) -> Mapping[str, GroupTable]:
        """The GroupTable of each group by its name.

        Made anew on each call: a group refers to the table around it, and not the other way, so
        that both are freed when the last of them is let go.
        """
        inner = zip(self._layout.groups.items(), self._contents.groups, strict=True)
        return _Named(
            (
                (name, GroupTable(f"{self._name}.{name}", layout, found, self))
                for (name, layout), found in inner
            ),
            self._name,
            "group",
        )

    def dictionary(self, name: str) -> list[str]:
        """The distinct texts that the codes in column ``name`` index, by first appearance.

        Text that is not UTF-8 is kept by surrogateescape. A code of 2**32 - 1 stands for none: the
        sender's version does not have the text, or it is empty where that means null.
        """
        names = self._layout.dictionaries
        if name not in names:
            known = ", ".join(names) or "none"
            raise UnknownName(f"{self._name} has no text {name!r} (it has: {known})")
        return self._contents.dictionaries[names.index(name)]

    def _repr_html_(self) -> str:
        from .html import rows_html

        return rows_html(self)


class GroupTable(_Rows):
    """All entries of one group, end to end.

    ``records`` is a structured array of the entries of all messages; those of row ``i`` of the
    table (or of the group around) are ``records[offsets[i]:offsets[i + 1]]``, as in an Arrow list.
    ``offsets`` is int64. Text in entries has codes, groups in them a GroupTable, as in a Table.
    """

    __slots__ = ("_around", "offsets")

    def __init__(self, name: str, layout: Any, contents: Contents | Written, around: _Rows) -> None:
        super().__init__(name, layout, contents)
        self.offsets = contents.offsets
        self._around = around

    def columns(
        self,
        decimals: Literal["float64", "raw"] = "float64",
        *,
        joined: bool = False,
        **forms: Unpack[Forms],
    ) -> Columns:
        """The entries as contiguous columns. See `columns.Columns`.

        With ``joined`` the columns of the table around come first, repeated for each entry (and
        those of the tables around that one); where an entry has a column of the same name, with
        the name of their table before theirs: ``ExchangeInfoResponse.symbol``.
        """
        return Columns.of(self, decimals, joined, **forms)

    def to_arrow(
        self,
        decimals: Literal["float64", "raw"] = "float64",
        *,
        joined: bool = False,
        **forms: Unpack[Forms],
    ) -> Any:
        """``columns(decimals, joined=joined, ...).to_arrow()``: a row for each entry."""
        return self.columns(decimals, joined=joined, **forms).to_arrow()

    def to_polars(
        self,
        decimals: Literal["float64", "raw"] = "float64",
        *,
        joined: bool = False,
        **forms: Unpack[Forms],
    ) -> Any:
        """``columns(decimals, joined=joined, ...).to_polars()``: a row for each entry."""
        return self.columns(decimals, joined=joined, **forms).to_polars()

    def to_pandas(
        self,
        decimals: Literal["float64", "raw"] = "float64",
        *,
        joined: bool = False,
        **forms: Unpack[Forms],
    ) -> Any:
        """``columns(decimals, joined=joined, ...).to_pandas()``: a row for each entry."""
        return self.columns(decimals, joined=joined, **forms).to_pandas()

    def __getitem__(self, row: int) -> Array:
        """The entries of one row, a view."""
        row = _checked(row, len(self))
        return self.records[self.offsets[row] : self.offsets[row + 1]]

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __repr__(self) -> str:
        return f"<GroupTable of {len(self.records)} entries in {len(self)} rows>"


class Table(_Rows):
    """All messages of one class.

    ``records`` is a structured array, naturally aligned, with one row per message: ``frame`` (its
    index in the input), ``received_ns`` (from a Collector), the root fields as raw numbers (nulls
    as the schema's null value), and for each text var data a uint32 code. ``groups`` maps the name
    of each group to its GroupTable, ``data`` that of other var data to its DataTable.
    """

    __slots__ = ("message",)

    def __init__(self, message: type, layout: Any, contents: Contents | Written) -> None:
        super().__init__(message.__name__, layout, contents)
        self.message = message

    @property
    def symbols(self) -> list[str]:
        """``dictionary("symbol")``, for messages that have a symbol."""
        if "symbol" not in self._layout.dictionaries:
            known = ", ".join(self._layout.dictionaries) or "none"
            raise AttributeError(
                f"{self._name} has no text 'symbol'; dictionary(name) gives those of: {known}"
            )
        return self.dictionary("symbol")

    def columns(
        self, decimals: Literal["float64", "raw"] = "float64", **forms: Unpack[Forms]
    ) -> Columns:
        """All of it as contiguous columns. See `columns.Columns`."""
        return Columns.of(self, decimals, **forms)

    def to_arrow(
        self, decimals: Literal["float64", "raw"] = "float64", **forms: Unpack[Forms]
    ) -> Any:
        """``columns(decimals, ...).to_arrow()``."""
        return self.columns(decimals, **forms).to_arrow()

    def to_polars(
        self, decimals: Literal["float64", "raw"] = "float64", **forms: Unpack[Forms]
    ) -> Any:
        """``columns(decimals, ...).to_polars()``."""
        return self.columns(decimals, **forms).to_polars()

    def to_pandas(
        self, decimals: Literal["float64", "raw"] = "float64", **forms: Unpack[Forms]
    ) -> Any:
        """``columns(decimals, ...).to_pandas()``."""
        return self.columns(decimals, **forms).to_pandas()

    def __len__(self) -> int:
        return len(self.records)

    def __repr__(self) -> str:
        return f"<Table of {len(self)} {self._name}>"


class Tables(Mapping[type, Table]):
    """The table of each message class of the schema, empty where no such message came."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._schema = source.schema
        self._made: dict[type, Table] = {}

    def __getitem__(self, message: type) -> Table:
        table = self._made.get(message)
        if table is None:
            if message not in self._schema.classes:
                known = ", ".join(each.__name__ for each in self)
                raise UnknownName(
                    f"{message!r} is no message class of {self._schema.package}: give a class "
                    f"itself ({known})"
                )
            table = self._made.setdefault(message, self._make(message))
        return table

    def _make(self, message: type) -> Table:
        layout = message._LAYOUT  # type: ignore[attr-defined]
        found = self._source.contents(message)
        if found is None:
            found = Contents.empty(layout, self._source.columns)
        return Table(message, layout, found)

    def __iter__(self) -> Iterator[type]:
        return iter(self._schema.classes)

    def __len__(self) -> int:
        return len(self._schema.classes)

    def __repr__(self) -> str:
        return f"<Tables of {', '.join(f'{len(t)} {m.__name__}' for m, t in self.items())}>"


class Batch:
    """Frames decoded together: a Table per message class, and the frames that were refused.

    ``frame_count`` frames were given; each is a row of exactly one table or one of ``rejected``.
    Of one buffer without offsets they are the messages that were found, and what is left when one
    of them is none. ``left_over_bytes`` counts bytes after the last element of messages whose
    sender has no newer schema: bytes that nothing accounts for. ``losses`` is what of packets and
    captures is in no frame, as `framing.Loss` each.
    """

    # What is not asked for is not made: a live feed's batch may be one row.
    _tables: Tables | None = None
    losses: tuple[Loss, ...] = ()

    def __init__(self, source: Source) -> None:
        self._source = source

    @property
    def tables(self) -> Tables:
        """The table of each message class."""
        if self._tables is None:  # another thread, or a finalizer, may be making them too
            self.__dict__.setdefault("_tables", Tables(self._source))
        assert self._tables is not None
        return self._tables

    @property
    def frame_count(self) -> int:
        return self._source.frame_count

    @property
    def left_over_bytes(self) -> int:
        return self._source.left_over_bytes

    __iter__ = None  # its parts are in ``tables``, ``rejected`` and ``errors``

    def __getitem__(self, message: type) -> Table:
        return self.tables[message]

    def columns(
        self, message: type, decimals: Literal["float64", "raw"] = "float64", **forms: Unpack[Forms]
    ) -> Columns:
        """``batch[message].columns(decimals, ...)``."""
        return self.tables[message].columns(decimals, **forms)

    def part(self, begin: int, end: int) -> Batch:
        """The frames from ``begin`` to ``end``, as in a slice, as a Batch of its own.

        They are counted as in `frame_count`: where a `Dispatcher` made the batch, those that came
        to it.
        Its rows are copies, and ``frame`` counts from 0 again; dictionaries of texts are shared.
        The bytes that are left over are those of the whole, in the part that begins it, and so are
        the losses.
        """
        begin, end, _ = slice(begin, end).indices(self.frame_count)
        end = max(begin, end)
        part = Batch(Part(self._source, begin, end))
        part.losses = () if begin else self.losses
        return part

    @property
    def rejected(self) -> Array:
        """The refused frames as records (frame, code, offset); codes are `errors.ErrorCode`."""
        records: Array = self._source.rejections().records()
        return records

    @property
    def errors(self) -> list[DecodeError]:
        """The DecodeError of each refused frame, made anew on each call."""
        rejections = self._source.rejections()
        return [rejections.error(i) for i in range(len(rejections))]

    def __len__(self) -> int:
        """Rows in all tables."""
        return self._source.frame_count - self._source.refused

    def __repr__(self) -> str:
        parts = [f"{len(t)} {m.__name__}" for m, t in self.tables.items() if len(t)]
        parts.append(f"{self._source.refused} rejected")
        if self.left_over_bytes:
            parts.append(f"{self.left_over_bytes} bytes left over")
        if self.losses:
            parts.append(f"{len(self.losses)} losses")
        return f"<Batch: {', '.join(parts)}>"

    def _repr_html_(self) -> str:
        from .html import batch_html

        return batch_html(self)
