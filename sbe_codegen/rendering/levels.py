"""Messages and groups ("levels") as the templates need them: structs, walks, accessors, rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from .. import ir, names, unknown
from ..runtime.decode.names import free
from ..unknown import Level, Unknown
from . import stubs
from .fields import VERBS, FieldRenderer, struct_member
from .source import Source, code, doc, joined, json_text, unsigned
from .tuples import TupleRenderer, is_scaled


class LevelRenderer:
    """`framings` collects what is needed for stepping over unknown elements."""

    def __init__(self, fields: FieldRenderer) -> None:
        self.fields = fields
        self._tuples = TupleRenderer()
        self.framings: dict[str, Unknown] = {}

    def message(self, message: ir.Message) -> dict[str, Any]:
        self._message = message
        least = min(each.length for each in message.block.minimums)
        self.least = self.fields.module.header.size + least  # bytes before all groups and data
        functions = {verb: self.fields.functions[verb, message.name] for verb in VERBS}
        root = self.level(message, message.name, message.name, ())
        levels = [root, *_complex(root["groups"])]
        for i, level in enumerate(levels):
            level["probe"] = f"{message.template_id}_{i}"
        text = message.description or f"{message.name} of {self.fields.module.package}."
        return root | {
            **functions,
            "name": message.name,
            "template_id": message.template_id,
            "listed": doc(f"{message.template_id:<6} {message.name}"),
            "block_length": message.block.length,
            "layout_since": message.layout_since,
            "doc": doc(text if text.endswith(".") else f"{text}."),
            "minimum": _minimum(message.block, "header.version"),
            "own_length": _own_length(message.block),
            "levels": levels,
            "tables": [root, *_all(root["groups"])],
            **_places(levels, [root, *_all(root["groups"])]),
            "spec": json_text(self.fields.specs.message(message)),
            "base": "BaseScaled" if any(map(is_scaled, message.block.fields)) else "BaseMessage",
            "values": self._tuples.tuples(message, root["fields"]),
            "stub": stubs.message(message),
        }

    # one level

    def level(
        self, source: Level, path: str, prefix: str, elements: tuple[str, ...]
    ) -> dict[str, Any]:
        """``path`` begins C functions, ``prefix`` C structs."""
        is_message = isinstance(source, ir.Message)
        functions: dict[str, str] = {}
        if not is_message:
            path = self.fields.claim(f"take_{path}").removeprefix("take_")
            functions = {"take": f"take_{path}", "write": self.fields.claim(f"write_{path}")}
        version = "header.version" if is_message else "group.version"
        leaves = self.fields.leaves(source.block.wire_fields, path)
        groups = [
            self.group(i, each, path, prefix, elements, version)
            for i, each in enumerate(source.groups)
        ]
        texts = [each for each in source.data if each.var_data.charset]
        blobs = [each for each in source.data if not each.var_data.charset]
        columns = [self.fields.column(field) for field in source.block.wire_fields]
        return {
            **functions,
            "frame": self.fields.claim(f"{prefix}Frame" if is_message else f"{prefix}Entry"),
            "row": self.fields.claim(f"{prefix}Row"),
            "element": ".".join(elements),
            "fields": leaves,
            "columns": columns
            + [{"c_type": "uint32_t", "declarator": struct_member(text.c_name)} for text in texts],
            "copies": self.fields.copies(leaves, code("row"), code("frame"))
            if leaves or texts
            else [code("row.nothing = 0")],
            "groups": groups,
            "has_framing": any(group["is_flat"] and group["framing"] for group in groups),
            "data": [self.data(each, elements) for each in source.data],
            "texts": [
                {
                    "c_name": each.c_name,
                    "empty_is_null": each.var_data.empty_is_null,
                    "before": self.least + each.var_data.data_offset,
                }
                for each in texts
            ],
            "blobs": [
                {"c_name": each.c_name, "index": len(groups) + i} for i, each in enumerate(blobs)
            ],
            **self.unknown(source, version),
        }

    def group(
        self,
        number: int,
        group: ir.Group,
        path: str,
        prefix: str,
        outer: tuple[str, ...],
        version: str,
    ) -> dict[str, Any]:
        elements = (*outer, names.plain(group.schema_name))
        own_path = f"{path}_{group.name}"
        own_prefix = f"{prefix}{names.type_name(group.schema_name)}"
        model = self.level(group, own_path, own_prefix, elements)
        element = code('b"{}"', model["element"])
        minimum = _minimum(group.block, version)
        target = code("&frame.{}", group.c_name)
        framing = self.framing_name(group, is_own=True) if group.dimension.has_counts else ""
        if not group.is_flat:
            form = "walk_entries(cursor, {}, {}, {}, {}, &{}.root)"
            walk = code(form, minimum, element, target, model["take"], f"entry_{number}")
        elif framing:
            form = "take_counted_entries(cursor, {}, {}, {}, &{})"
            walk = code(form, minimum, element, target, framing)
        else:
            walk = code("take_entries(cursor, {}, {}, {})", minimum, element, target)
        fields = model["fields"]
        item = code("rows_{}[i]", number)
        return model | {
            "name": group.name,
            "c_name": group.c_name,
            "declarator": struct_member(group.c_name),
            "is_flat": group.is_flat,
            "since": group.since,
            "may_end": group.may_end,
            "dimension": group.dimension.name,
            "walk": walk,
            "scratch": f"entry_{number}",
            "rows": f"rows_{number}",
            "framing": framing,
            "full_since": unsigned(group.block.since),
            "is_native": not self.fields.module.big_endian and self.fields.is_native(group.block),
            "copies": model["copies"]
            if not group.is_flat
            else self.fields.copies(fields, item, code("&one, 0" if framing else "frame, i")),
        }

    def data(self, each: ir.Data, elements: tuple[str, ...]) -> dict[str, Any]:
        return {
            "c_name": each.c_name,
            "declarator": struct_member(each.c_name),
            "element": ".".join((*elements, names.plain(each.schema_name))),
            "since": each.since,
            "may_end": each.may_end,
            "var_data": each.var_data.name,
        }

    # stepping over what a newer schema has

    def framing_name(self, level: Level, is_own: bool = False) -> str:
        """The framing that unknown elements of ``level`` are taken to have.

        With ``is_own`` it has the dimensions of the group ``level`` itself, which counts them.
        """
        made = unknown.of_level(self.fields.module, self._message, level)
        if is_own:
            made = made._replace(dimension=unknown.own_dimension(level))
        for name, known in self.framings.items():
            if known == made:
                return name
        parts = (each.name if each else "none" for each in made)
        name = free(f"FRAMING_{'_'.join(parts)}", self.framings)
        self.framings[name] = made
        return name

    def framing(self, name: str) -> dict[str, Any]:
        dimension, data = self.framings[name]
        absent = code("sbe_member(-1, 0)")
        newer = unknown.newer_than(self.fields.module)
        parts: list[Source | int] = [unsigned(newer), dimension.size if dimension else 0]
        members = (
            (dimension.block_length, dimension.count, dimension.group_count, dimension.data_count)
            if dimension
            else (None,) * 4
        )
        parts += [self.fields.member(each) if each else absent for each in members]
        parts.append(data.data_offset if data else 0)
        parts.append(self.fields.member(data.length) if data else absent)
        return {
            "name": name,
            "value": code("sbe_framing({})", joined(", ", parts)),
        }

    def unknown(self, level: Level, version: str) -> dict[str, Any]:
        """How unknown groups and data of ``level`` are stepped over; empty where nothing says."""
        result: dict[str, Any] = {
            "unknown_groups": "", "unknown_data": "", "counts": False, "entry_framing": "",
        }  # fmt: skip
        counted = unknown.counts(self.fields.module.header, level)
        if counted == (None, None) or (isinstance(level, ir.Group) and level.is_flat):
            return result
        framing = self.framing_name(level)
        if isinstance(level, ir.Group):
            result["entry_framing"] = self.framing_name(level, is_own=True)
        for member, known, key, place in (
            (counted[0], level.groups, "unknown_groups", "{0} - {1}, 0"),
            (counted[1], level.data, "unknown_data", "0, {0} - {1}"),
        ):
            if member is None:
                continue
            if isinstance(level, ir.Message):
                count = code(
                    "header.{}", "group_count" if key == "unknown_groups" else "data_count"
                )
            else:
                what = "groups" if key == "unknown_groups" else "data"
                count = code("load_member(dimensions, &{}.{})", result["entry_framing"], what)
                result["counts"] = True
            number = len(known)
            form = "{} > {} and not skip_unknown(cursor, {}, &{}, 0)"
            result[key] = code(form, count, number, code(place, count, number), framing)
        return result


def _places(levels: Sequence[dict[str, Any]], tables: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """What only the C compiler knows, in the order in which `declare_kind` reads it."""
    slots = [slot for level in levels for slot in _slots(level)]
    rows = [code("sizeof({})", table["row"]) for table in tables]
    takes: list[Source] = []
    for level in levels[1:]:
        takes += code("<size_t>&{}", level["take"]), code("sizeof({})", level["frame"])
    framings = [code("<size_t>&{}", each["framing"]) for each in tables[1:] if each["framing"]]
    return {
        "places": [*slots, *rows, *takes, *framings],
        "place_counts": joined(", ", map(len, (slots, rows, levels[1:], framings))),
    }


def _slots(level: dict[str, Any]) -> Iterator[Source]:
    """Where the groups and data of a level are in its C struct."""
    probe = f"sbe_probe_{level['probe']}"
    for each in (*level["groups"], *level["data"]):
        yield code("<size_t>(<char*>&{0}.{1} - <char*>&{0})", probe, each["c_name"])


def _all(groups: Sequence[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for group in groups:
        yield group
        yield from _all(group["groups"])


def _complex(groups: Sequence[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    return (group for group in _all(groups) if not group["is_flat"])


def _own_length(block: ir.Block) -> Source:
    """How long the block is as of ``version``, padding included from where it has all fields."""
    newest = max(minimum.since for minimum in block.minimums)
    if not newest:
        return code("{}", block.length)
    before = _minimum(block, "version")
    return code("{} if version >= {} else {}", block.length, unsigned(newest), before)


def _minimum(block: ir.Block, version: str) -> Source:
    """The least block length, as an expression over the acting version."""
    expression = code("{}", block.minimums[0].length)
    for minimum in block.minimums[1:]:
        form = "{} if {} >= {} else {}"
        expression = code(form, minimum.length, version, unsigned(minimum.since), expression)
    return code("({})", expression) if len(block.minimums) > 1 else expression
