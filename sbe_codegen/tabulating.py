"""``sbe-codegen tables``: the tables of all frames of a file, a file for each message."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

from .errors import SbeError
from .extras import imported
from .runtime.errors import MalformedMessage
from .runtime.framing import Loss

FORMATS = {"parquet": "parquet", "arrow": "arrows"}  # and how the files end
_TOLD = 10  # refused frames, and losses, that are told one by one


@dataclass
class Report:
    """What became of the frames: all that were given are rows, refused, or were not asked for."""

    rows: dict[str, int] = field(default_factory=dict)
    files: list[Path] = field(default_factory=list)
    refused: int = 0
    left_out: int = 0
    left_over: int = 0
    losses: int = 0
    told: list[str] = field(default_factory=list)

    @property
    def is_whole(self) -> bool:
        return not self.refused and not self.losses

    def tell(self, what: str) -> None:
        if len(self.told) < _TOLD:
            self.told.append(what)


def write(
    module: ModuleType,
    inputs: Iterable[Any],
    out: Path,
    kind: str,
    forms: Mapping[str, Any],
    left_out: Mapping[int, str],
) -> Report:
    """Writes ``<out>/<Message>.<kind>`` for each message that came, and says what became of all.

    A file has its name when it is whole; what is there already is not written over, which is
    FileExistsError before anything is read. ``forms`` are options of `Table.to_arrow`;
    ``left_out`` are messages that nobody asked for (template id -> name), compiled or not. Raises
    MissingPackage without pyarrow.
    """
    arrow = imported("pyarrow", f"tables --to {kind}", "pyarrow")
    report = Report()
    is_new = not out.exists()
    out.mkdir(parents=True, exist_ok=True)
    ending = FORMATS[kind]
    unwanted = set(left_out.values())
    for message in module.MESSAGES.values():
        path = out / f"{message.__name__}.{ending}"
        if path.exists():
            raise FileExistsError(
                17, "is there already: remove it, or give another --out", str(path)
            )
    writers: dict[str, _Writer] = {}
    before = 0  # frames of the inputs that are done
    try:
        for each in inputs:
            if isinstance(each, Loss):
                report.losses += 1
                report.tell(str(each))
                continue
            batch = module.decode_many(each, on_error="collect")
            _account(report, batch, before, left_out)
            for message, table in batch.tables.items():
                name = message.__name__
                if name in unwanted:
                    report.left_out += len(table)
                elif len(table):
                    report.rows[name] = report.rows.get(name, 0) + len(table)
                    made = _arrow(table, forms, before)
                    if name not in writers:
                        writers[name] = _Writer(arrow, kind, out / f"{name}.{ending}", made.schema)
                    writers[name].write(made)
            before += batch.frame_count
    except BaseException:
        for writer in writers.values():
            writer.abandon()
        raise
    else:
        report.files = [writer.finish() for writer in writers.values()]
    finally:
        if is_new and not any(out.iterdir()):
            out.rmdir()  # which would look as if something were there
    return report


def _arrow(table: Any, forms: Mapping[str, Any], before: int) -> Any:
    """``frame`` is the number of a frame among all that there are."""
    try:
        table.records["frame"] += before
        return table.to_arrow(**forms)
    except MalformedMessage as error:
        name = table.message.__name__
        text = f"{name}: {error}, as --times numbers of this command does"
        raise MalformedMessage(text, element=error.element) from None


def _account(report: Report, batch: Any, before: int, left_out: Mapping[int, str]) -> None:
    unwanted = 0
    if left_out and len(batch.rejected):
        unwanted = sum(error.template_id in left_out for error in batch.errors)
    report.left_out += unwanted
    report.refused += len(batch.rejected) - unwanted
    report.left_over += batch.left_over_bytes
    report.losses += len(batch.losses)
    for loss in batch.losses:
        report.tell(str(loss))
    if len(batch.rejected) and len(report.told) < _TOLD:
        for error in batch.errors:
            if error.template_id not in left_out:
                error.frame += before
                report.tell(str(error))


class _Writer:
    """One file, which has another name until it is whole."""

    def __init__(self, arrow: Any, kind: str, path: Path, schema: Any) -> None:
        self.path = path
        self.part = path.with_name(f"{path.name}.part")
        with self._refusals():
            if kind == "parquet":
                parquet = imported("pyarrow.parquet", "tables --to parquet", "pyarrow")
                self.writer = parquet.ParquetWriter(self.part, schema, compression="zstd")
            else:
                ipc = imported("pyarrow.ipc", "tables --to arrow", "pyarrow")
                self.writer = ipc.new_stream(str(self.part), schema)

    def write(self, table: Any) -> None:
        with self._refusals():
            self.writer.write_table(table)

    @contextmanager
    def _refusals(self) -> Iterator[None]:
        try:
            yield
        except (ValueError, TypeError, NotImplementedError) as error:  # Arrow's errors are some
            self.part.unlink(missing_ok=True)
            raise SbeError(f"{self.path.name} can't hold this: {error}") from error

    def finish(self) -> Path:
        self.writer.close()
        self.part.rename(self.path)
        return self.path

    def abandon(self) -> None:
        self.writer.close()
        self.part.unlink(missing_ok=True)
