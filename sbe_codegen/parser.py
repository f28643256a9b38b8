"""XML -> `schema`: reads what is written, checks only what can be seen without looking elsewhere.

Elements are matched by local name, whatever their namespace (SBE files in the wild use several).
External entities, DTDs and the network are never touched.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from lxml import etree

from . import schema
from .errors import SchemaError


def parse(source: str | Path) -> schema.Schema:
    """Read the schema file ``source``.

    Raises SchemaError for a file that is not there, is not XML, or has elements and attributes
    that are wrong by themselves; all of those are reported at once.
    """
    path = Path(source)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise SchemaError(str(path), 0, "", f"can't be read: {error.strerror}") from None
    return parse_bytes(content, str(path))


def parse_bytes(content: bytes, file: str = "<bytes>") -> schema.Schema:
    """The same from bytes; ``file`` is the name that errors give."""
    xml = etree.XMLParser(
        resolve_entities=False,
        load_dtd=False,
        no_network=True,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
    )
    try:
        root = etree.fromstring(content, xml)
    except etree.XMLSyntaxError as error:
        line = error.lineno or 0
        reason = error.msg or "the file is empty"
        raise SchemaError(file, line, "", f"is not well-formed XML: {reason}") from None
    if root.getroottree().docinfo.internalDTD is not None:
        raise SchemaError(file, 1, "DOCTYPE", "a schema has none: entities are not expanded")
    reader = _Reader(file)
    result = reader.read_schema(root)
    if reader.errors:
        raise SchemaError.of(reader.errors)
    return result


def _local(node: Any) -> str:
    return etree.QName(node).localname if isinstance(node.tag, str) else ""


class _Reader:
    def __init__(self, file: str) -> None:
        self.file = file
        self.errors: list[SchemaError] = []

    def fault(self, node: Any, sentence: str) -> None:
        name = node.get("name")
        element = f"{_local(node)} '{name}'" if name else _local(node)
        self.errors.append(SchemaError(self.file, node.sourceline, element, sentence))

    # attributes

    def required(self, node: Any, attribute: str) -> str:
        value = (node.get(attribute) or "").strip()
        if not value:
            self.fault(node, f"attribute '{attribute}' is missing")
        return value

    def word(self, node: Any, attribute: str, allowed: tuple[str, ...]) -> str | None:
        value = node.get(attribute)
        if value is None:
            return None
        if value.strip() not in allowed:
            self.fault(node, f"{attribute} '{value}' is not one of {', '.join(allowed)}")
        return str(value.strip())

    def number(self, node: Any, attribute: str, maximum: int = 0xFFFF) -> int | None:
        text = node.get(attribute)
        if text is None:
            return None
        stripped = text.strip()
        if not (stripped.isascii() and stripped.isdigit()) or int(stripped) > maximum:
            self.fault(node, f"{attribute} '{text}' is not a number from 0 to {maximum}")
            return None
        return int(stripped)

    def common(self, node: Any) -> dict[str, Any]:
        metadata: Mapping[str, str] = {
            etree.QName(key).localname: value
            for key, value in node.attrib.items()
            if etree.QName(key).namespace
        }
        return {
            "name": self.required(node, "name"),
            "line": node.sourceline,
            "since_version": self.number(node, "sinceVersion") or 0,
            "deprecated": self.number(node, "deprecated"),
            "description": " ".join((node.get("description") or "").split()),
            "semantic_type": node.get("semanticType"),
            "metadata": metadata,
        }

    # elements

    def read_schema(self, root: Any) -> schema.Schema:
        types: list[schema.AnyType] = []
        messages: list[schema.Message] = []
        if _local(root) != "messageSchema":
            self.fault(root, "the root of an SBE schema is 'messageSchema'")
        for child in root:
            local = _local(child)
            if local == "types":
                types.extend(self.children(child, self.type_readers()))
            elif local == "message":
                messages.append(self.read_message(child))
            elif local == "include":
                self.fault(child, "XInclude is not supported yet")
        if not messages and not self.errors:
            self.fault(root, "the schema has no messages")
        return schema.Schema(
            file=self.file,
            line=root.sourceline,
            package=self.required(root, "package"),
            id=self.required_number(root, "id"),
            version=self.number(root, "version") or 0,
            semantic_version=root.get("semanticVersion") or "",
            byte_order=self.word(root, "byteOrder", ("littleEndian", "bigEndian"))
            or "littleEndian",
            header_type=(root.get("headerType") or "messageHeader").strip(),
            types=tuple(types),
            messages=tuple(messages),
        )

    def required_number(self, node: Any, attribute: str) -> int:
        if node.get(attribute) is None:
            self.fault(node, f"attribute '{attribute}' is missing")
        return self.number(node, attribute) or 0

    def type_readers(self) -> dict[str, Callable[[Any], Any]]:
        return {
            "type": self.read_type,
            "enum": self.read_enum,
            "set": self.read_set,
            "composite": self.read_composite,
        }

    def children(self, node: Any, readers: Mapping[str, Callable[[Any], Any]]) -> list[Any]:
        """The known children in order; unknown elements are ignored, known ones here misplaced."""
        result = []
        for child in node:
            local = _local(child)
            if local in readers:
                result.append(readers[local](child))
            elif local in ("group", "data", "field", "message", "type", "ref"):
                self.fault(child, f"has no place inside '{_local(node)}'")
        return result

    def read_type(self, node: Any) -> schema.Type:
        return schema.Type(
            **self.common(node),
            primitive=self.required(node, "primitiveType"),
            length=self.number(node, "length"),
            presence=self.presence(node),
            null_value=node.get("nullValue"),
            min_value=node.get("minValue"),
            max_value=node.get("maxValue"),
            character_encoding=node.get("characterEncoding"),
            value_ref=node.get("valueRef"),
            offset=self.number(node, "offset"),
            constant="".join(node.itertext()).strip(),
        )

    def presence(self, node: Any) -> str | None:
        return self.word(node, "presence", ("required", "optional", "constant"))

    def read_ref(self, node: Any) -> schema.Ref:
        return schema.Ref(
            **self.common(node),
            type=self.required(node, "type"),
            offset=self.number(node, "offset"),
        )

    def read_value(self, node: Any) -> schema.Value:
        text = "".join(node.itertext()).strip()
        if not text:
            self.fault(node, "has no value")
        common = self.common(node)
        return schema.Value(
            common["name"], common["line"], text, common["since_version"], common["metadata"]
        )

    def read_enum(self, node: Any) -> schema.Enum:
        return schema.Enum(
            **self.common(node),
            encoding_type=self.required(node, "encodingType"),
            null_value=node.get("nullValue"),
            offset=self.number(node, "offset"),
            values=tuple(self.children(node, {"validValue": self.read_value})),
        )

    def read_set(self, node: Any) -> schema.Set:
        return schema.Set(
            **self.common(node),
            encoding_type=self.required(node, "encodingType"),
            offset=self.number(node, "offset"),
            choices=tuple(self.children(node, {"choice": self.read_value})),
        )

    def read_composite(self, node: Any) -> schema.Composite:
        readers = {**self.type_readers(), "ref": self.read_ref}
        return schema.Composite(
            **self.common(node),
            offset=self.number(node, "offset"),
            members=tuple(self.children(node, readers)),
        )

    def read_field(self, node: Any) -> schema.Field:
        return schema.Field(
            **self.common(node),
            id=self.required_number(node, "id"),
            type=self.required(node, "type"),
            offset=self.number(node, "offset"),
            presence=self.presence(node),
            value_ref=node.get("valueRef"),
        )

    def read_data(self, node: Any) -> schema.Data:
        return schema.Data(
            **self.common(node),
            id=self.required_number(node, "id"),
            type=self.required(node, "type"),
            presence=self.presence(node),
        )

    def body(self, node: Any) -> dict[str, Any]:
        """Fields, then groups, then data: the order of the wire (SBE 1.0, "Message body")."""
        order = {"field": 0, "group": 1, "data": 2}
        reached = "field"
        for child in node:
            local = _local(child)
            if local in order:
                if order[local] < order[reached]:
                    self.fault(child, f"a {local} can't follow a {reached}: move it up")
                reached = max(reached, local, key=order.__getitem__)
        readers: dict[str, Callable[[Any], Any]] = {
            "field": self.read_field,
            "group": self.read_group,
            "data": self.read_data,
        }
        children = self.children(node, readers)
        return {
            "block_length": self.number(node, "blockLength"),
            "fields": tuple(child for child in children if isinstance(child, schema.Field)),
            "groups": tuple(child for child in children if isinstance(child, schema.Group)),
            "data": tuple(child for child in children if isinstance(child, schema.Data)),
        }

    def read_group(self, node: Any) -> schema.Group:
        return schema.Group(
            **self.common(node),
            **self.body(node),
            id=self.required_number(node, "id"),
            dimension_type=(node.get("dimensionType") or "groupSizeEncoding").strip(),
        )

    def read_message(self, node: Any) -> schema.Message:
        return schema.Message(
            **self.common(node), **self.body(node), id=self.required_number(node, "id")
        )
