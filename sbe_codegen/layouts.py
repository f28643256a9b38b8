"""Offset tables: what stands beside a hex dump."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from . import ir

_Row = tuple[str, ...]
_TITLES = ("frame", "block", "size", "type", "name", "notes")


def of_module(module: ir.Module, message: str | None = None) -> str:
    """The tables of all messages, or of the one with that name or template id.

    Raises KeyError where there is none.
    """
    order = "big" if module.big_endian else "little"
    lines = [
        f"{module.package}, schema {module.schema_id}, version {module.version}, {order} endian"
    ]
    chosen = [
        each
        for each in module.messages
        if message in (None, each.schema_name, str(each.template_id))
    ]
    if not chosen:
        raise KeyError(message)
    composite = module.header.composite
    lines += ["", f"{composite.schema_name}: {composite.size} bytes"]
    lines += _table(_fields(composite.members, 0), "  ")
    for each in chosen:
        lines += ["", *of_message(each, module.header.size)]
    return "\n".join(lines)


def of_message(message: ir.Message, header: int) -> list[str]:
    notes = _notes(message.since, message.deprecated)
    lines = [
        f"{message.schema_name}, template {message.template_id}: root block of "
        f"{message.block.length} bytes{notes}"
    ]
    return lines + _level(message, header, "  ")


def _level(level: ir.Message | ir.Group, base: int | None, indent: str) -> list[str]:
    """The fields, then what follows the block; ``base`` is where it is in the frame, if known."""
    rows = list(_fields(level.block.fields, base))
    end = max((f.end for f in level.block.fields if f.size), default=0)
    if level.block.length > end:
        at = "" if base is None else str(base + end)
        rows.append((at, str(end), str(level.block.length - end), "", "(padding)", ""))
    lines = _table(rows, indent)
    for group in level.groups:
        dims = group.dimension
        parts = ", ".join(map(_place_of, (dims.block_length, dims.count)))
        lines.append(
            f"{indent}group {group.schema_name}: {dims.size} bytes of dimensions ({parts}), then "
            f"entries with blocks of {group.block.length}{_notes(group.since, group.deprecated)}"
        )
        lines += _level(group, None, indent + "  ")
    for data in level.data:
        var = data.var_data
        padding = var.data_offset - var.length.end
        lines.append(
            f"{indent}data {data.schema_name}: {var.length.encoding.primitive.name} length"
            f"{f' and {padding} bytes of padding' if padding else ''}, then "
            f"{f'{var.charset} text' if var.charset else 'bytes'}"
            f"{_notes(data.since, data.deprecated)}"
        )
    return lines


def _place_of(member: ir.Field) -> str:
    if member.is_constant:
        return f"{member.schema_name} always {member.encoding.constant}"
    return f"{type_of(member.encoding)} {member.schema_name} at {member.offset}"


def _fields(
    fields: Sequence[ir.Field], base: int | None, inner: int = 0, mark: str = ""
) -> Iterator[_Row]:
    for field in fields:
        encoding = field.encoding
        at = field.offset + inner
        frame = "" if base is None else str(base + at)
        name = f"{mark}{field.schema_name}"
        if not field.size and encoding.constant is None:
            yield frame, str(at), "0", type_of(encoding), name, "no bytes"
            continue
        if not field.size:
            value = encoding.constant
            yield "", "", "0", type_of(encoding), name, f"always {value!r}"
            continue
        yield frame, str(at), str(field.size), type_of(encoding), name, _about(field)
        if encoding.composite is not None:
            yield from _fields(encoding.composite.members, base, at, ". ")


def type_of(encoding: ir.Encoding) -> str:
    if encoding.composite is not None:
        return encoding.composite.schema_name
    length = f"[{encoding.length}]" if encoding.is_array else ""
    named = encoding.enum or encoding.set
    name = f"{named.schema_name}: " if named else ""
    return f"{name}{encoding.primitive.name}{length}"


def time_of(time: ir.Time) -> str:
    """What kind of time it is, and in what unit."""
    return f"{time.kind} in {time.unit or 'a unit that is sent'}"


def _about(field: ir.Field) -> str:
    notes = []
    if field.optional and field.encoding.kind != "composite":
        null = field.encoding.null
        notes.append(f"null {'NaN' if null is None else null}")
    elif field.optional:
        notes.append("optional")
    if field.since:
        notes.append(f"since {field.since}")
    if field.deprecated is not None:
        notes.append(f"deprecated {field.deprecated}")
    if field.exponent:
        sign = "/" if field.exponent.negated else "x"
        notes.append(f"{sign} 10^{field.exponent.field}")
    if field.time:
        notes.append(time_of(field.time))
    if field.encoding.composite is not None and field.encoding.composite.decimal:
        mantissa, exponent = field.encoding.composite.decimal
        notes.append(f"{mantissa.schema_name} x 10^{exponent.schema_name}")
    return ", ".join(notes)


def _notes(since: int, deprecated: int | None) -> str:
    notes = [f"since {since}"] * bool(since)
    notes += [f"deprecated {deprecated}"] * (deprecated is not None)
    return f" ({', '.join(notes)})" if notes else ""


def _table(rows: Iterator[_Row] | Sequence[_Row], indent: str) -> list[str]:
    table = list(rows)
    if not table:
        return []
    columns = [_TITLES, *table]
    if not any(row[0] for row in table):  # in groups nobody knows where in the frame they are
        columns = [("", *row[1:]) for row in columns]
    widths = [max(len(row[i]) for row in columns) for i in range(len(_TITLES))]
    lines = []
    for row in columns:
        cells = [
            cell.rjust(width) if i < 3 else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
            if width
        ]
        lines.append((indent + "  ".join(cells)).rstrip())
    return lines
