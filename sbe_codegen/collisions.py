"""Names of a schema that would meet in the generated module: found before anything is generated."""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterator

from . import ir
from .errors import SchemaError

# What the generated module, its C interface and its stub use themselves.
_OWN = frozenset(
    """
    Any Base BaseCollector BaseMessage BaseSchema Batch Buffer BYTE_ORDER ClassVar Collector Decimal
    Final Header IntEnum Literal MESSAGES Mapping NAN NDArray NamedTuple PACKAGE SCHEMA SCHEMA_ID
    SCHEMA_VERSION Self Sequence append_frame byte_int commit_entries commit_row cython decode
    decode_frames decode_header decode_many final intern memcpy np open_frame raise_fault
    read_element read_text refused reserve_entries reserve_row seen skip_data skip_group take
    take_entries take_header take_own_header take_root
    ArithmeticError BaseException Exception bool bytes bytearray dict float frozenset int list map
    max min object print property range set sizeof staticmethod str tuple type
    """.split()  # noqa: SIM905
)
_OWN_PREFIX = re.compile(r"_|sbe_|load_|FAULT_|PROBE_|ELEMENTS_|PyInit_|u?int(8|16|32|64)_t$")


def find(module: ir.Module, file: str) -> list[SchemaError]:
    """A fault for each name that two things would have."""
    faults: list[SchemaError] = []
    globals_: dict[str, str] = {}

    def claim(names: dict[str, str], name: str, owner: str, line: int) -> None:
        if name in names:
            sentence = f"the generated name '{name}' is taken by {names[name]}: rename one of them"
            faults.append(SchemaError(file, line, owner, sentence))
        names.setdefault(name, f"'{owner}'")

    for name, owner, line in _module_names(module):
        if keyword.iskeyword(name) or name in _OWN or _OWN_PREFIX.match(name):
            sentence = f"the generated name '{name}' is taken by the generated module: rename it"
            faults.append(SchemaError(file, line, owner, sentence))
        claim(globals_, name, owner, line)
    for message in module.messages:
        attributes: dict[str, str] = {}
        for name, owner, line in _attributes(message):
            claim(attributes, name, owner, line)
        for group in message.groups:
            columns: dict[str, str] = {}
            for field in group.block.fields:
                owner = f"{message.name}.{group.schema_name}.{field.schema_name}"
                claim(columns, field.name, owner, field.line)
    return faults


def _module_names(module: ir.Module) -> Iterator[tuple[str, str, int]]:
    for enum in module.enums:
        yield enum.name, enum.schema_name, enum.line
    for dimension in module.dimensions:
        yield f"take_{dimension.name}", dimension.name, 0
    for var_data in module.var_data:
        yield f"take_{var_data.name}", var_data.name, 0
    for message in module.messages:
        for name in (message.name, f"{message.name}Frame", f"{message.name}Row"):
            yield name, message.name, message.line
        for verb in ("walk", "parse", "append", "open", "take", "take_header_of", "tuple"):
            yield f"{verb}_{message.name}", message.name, message.line
        for field in message.block.fields:
            owner = f"{message.name}.{field.schema_name}"
            yield f"{message.name}_{field.name}", owner, field.line
        for group in message.groups:
            owner = f"{message.name}.{group.schema_name}"
            yield group.row_name(message.name), owner, group.line
            for field in group.block.fields:
                place = f"{owner}.{field.schema_name}"
                yield f"{message.name}_{group.name}_{field.name}", place, field.line


def _attributes(message: ir.Message) -> Iterator[tuple[str, str, int]]:
    """The attributes of a message object, those that are derived after those that are not."""
    derived: list[tuple[str, str, int]] = []
    for field in message.block.fields:
        owner = f"{message.name}.{field.schema_name}"
        yield field.name, owner, field.line
        if field.exponent:
            derived.append((f"{field.name}_float", owner, field.line))
            derived.append((f"{field.name}_decimal", owner, field.line))
    for group in message.groups:
        owner = f"{message.name}.{group.schema_name}"
        yield group.name, owner, group.line
        if any(field.exponent for field in group.block.fields):
            derived.append((f"{group.name}_float", owner, group.line))
    for data in message.data:
        owner = f"{message.name}.{data.schema_name}"
        yield data.name, owner, data.line
        derived.append((f"{data.name}_bytes", owner, data.line))
    yield from derived
