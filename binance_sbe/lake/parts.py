"""Files of rows: Parquet, Arrow and CSV, each written piece by piece."""

from __future__ import annotations

import inspect
import io
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

from sbe_codegen.extras import imported
from sbe_codegen.version import __version__

from .options import Options

SUFFIXES = {"parquet": ".parquet", "arrow": ".arrow", "csv": ".csv.gz"}
# Columns that have few values, or long runs of one: a dictionary makes them small.
_FEW = frozenset(
    {"symbol", "side", "position", "is_last_in_event", "connection", "flags", "price_exponent",
     "qty_exponent", "stream", "cause", "state"}
)  # fmt: skip
# Columns that are the same for all levels of an event.
_OF_EVENT = frozenset(
    {"event_time", "received_time", "book_update_id", "first_book_update_id",
     "last_book_update_id"}
)  # fmt: skip
_LEVEL = 1  # of zstd: higher ones cost much time here and gain little
_PAGE_ROWS = 65_536  # of Parquet; pyarrow's 20,000 cost a tenth more time and bytes
_STEP = 1 << 17  # values that pyarrow encodes in one go: 1,024 otherwise, which costs as much again


def pyarrow() -> Any:
    """The package, with its parts that are used by their names in it."""
    for part in ("compute", "ipc"):
        imported(f"pyarrow.{part}", "an archive", "lake")
    return imported("pyarrow", "an archive", "lake")


@contextmanager
def writer(options: Options, file: BinaryIO, schema: Any) -> Iterator[Any]:
    """What has ``write_table``; each table becomes a row group, or a batch.

    The file is whole when the block has ended.
    """
    pa = pyarrow()
    if options.format == "parquet":
        pq = imported("pyarrow.parquet", "an archive", "lake")
        with pq.ParquetWriter(file, schema, **parquet_options(pa, schema)) as made:
            yield _Groups(made)
    elif options.format == "arrow":
        codec = None if options.compression is None else pa.Codec(options.compression, _LEVEL)
        yield from _arrow(pa, file, schema, pa.ipc.IpcWriteOptions(compression=codec))
    else:
        yield from _csv(pa, file, schema)


class _Plain:
    """Writes tables whose texts are plain."""

    def __init__(self, writer: Any, schema: Any) -> None:
        self._writer = writer
        self._schema = schema

    def write_table(self, table: Any) -> None:
        self._writer.write_table(table.cast(self._schema))


class _Groups:
    """Each table as one row group."""

    def __init__(self, writer: Any) -> None:
        self._writer = writer

    def write_table(self, table: Any) -> None:
        self._writer.write_table(table, row_group_size=max(table.num_rows, 1))


def _arrow(pa: Any, file: BinaryIO, schema: Any, options: Any) -> Iterator[Any]:
    """Texts are plain there: a file of Arrow can't change a dictionary from batch to batch."""
    plain = pa.schema([plain_text(pa, field) for field in schema], schema.metadata)
    with pa.ipc.new_file(file, plain, options=options) as made:
        yield _Plain(made, plain)


def plain_text(pa: Any, field: Any) -> Any:
    """The same column, text without a dictionary."""
    is_text = pa.types.is_dictionary(field.type)
    return field.with_type(field.type.value_type) if is_text else field


def _csv(pa: Any, file: BinaryIO, schema: Any) -> Iterator[Any]:
    csv = imported("pyarrow.csv", "an archive", "lake")
    plain = pa.schema([plain_text(pa, field) for field in schema])
    packed = pa.CompressedOutputStream(_NotClosed(file), "gzip")
    with packed, csv.CSVWriter(packed, plain) as made:
        yield _Plain(made, plain)


class _NotClosed(io.RawIOBase):
    """A file that whoever opened it closes."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        return self._file.write(data)


def parquet_options(pa: Any, schema: Any) -> dict[str, Any]:
    """Times and ids as differences, floats byte by byte, and the rest by dictionaries.

    Where a row is a level, columns of its event are written as they are: zstd makes nothing of
    values that are the same again and again. Measured with pyarrow 26: a third of the time of its
    defaults, at less size.
    """
    pq = imported("pyarrow.parquet", "an archive", "lake")
    runs = _OF_EVENT if "is_last_in_event" in schema.names else frozenset()
    few: list[str] = []
    encodings: dict[str, str] = {}
    for path, kind in leaves(pa, schema):
        name = path.rpartition(".")[2]
        if name in _FEW:
            few.append(path)
        elif pa.types.is_timestamp(kind) or pa.types.is_integer(kind):
            if kind.bit_width in (32, 64) and name not in runs:
                encodings[path] = "DELTA_BINARY_PACKED"
        elif pa.types.is_floating(kind):
            encodings[path] = "BYTE_STREAM_SPLIT"
        elif pa.types.is_string(kind) or pa.types.is_dictionary(kind):
            few.append(path)
    options: dict[str, Any] = {
        "compression": "zstd",
        "compression_level": _LEVEL,
        "use_dictionary": few or False,
        "column_encoding": encodings,
        "write_statistics": True,
        "write_page_index": True,
        "max_rows_per_page": _PAGE_ROWS,
        "write_batch_size": _STEP,
        "store_decimal_as_integer": True,
    }
    if "symbol" in schema.names:
        # A filter of the size of few symbols: one of the default size costs a quarter of the time.
        options["bloom_filter_options"] = {"symbol": {"ndv": 1024, "fpp": 0.01}}
    known = inspect.signature(pq.ParquetWriter.__init__).parameters  # newer ones can more
    return {name: value for name, value in options.items() if name in known}


def leaves(pa: Any, schema: Any) -> Iterable[tuple[str, Any]]:
    """The columns as Parquet has them: path and type."""

    def walk(field: Any, path: str) -> Iterator[tuple[str, Any]]:
        if pa.types.is_struct(field.type):
            for inner in field.type:
                yield from walk(inner, f"{path}.{inner.name}")
        elif pa.types.is_list(field.type):
            yield from walk(field.type.value_field, f"{path}.list.element")
        else:
            yield path, field.type

    for field in schema:
        yield from walk(field, field.name)


def described(schema: Any, **more: str) -> Any:
    """The schema with what made it in its metadata."""
    known = {"binance_sbe": __version__, **more}
    return schema.with_metadata({key.encode(): value.encode() for key, value in known.items()})
