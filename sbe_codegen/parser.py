"""XML -> `schema`: reads what is written, checks only what can be seen without looking elsewhere.

Elements are matched by local name, whatever their namespace (SBE files in the wild use several).
`sources` reads the files.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from . import limits, schema
from .errors import Place, SchemaError, SchemaTooLarge
from .sources import Sources, local_name, namespace

_XINCLUDE = "http://www.w3.org/2001/XInclude"
_DEEPEST = 32  # groups in groups, or composites in composites
_WIDEST = 0xFFFFFFFF  # ids and versions (SBE 1.0 has unsignedInt in its text, 16 bits in its XSD)

_ELEMENTS = (
    "types", "message", "type", "composite", "enum", "set", "ref", "validValue", "choice", "field",
    "group", "data",
)  # fmt: skip

# The attributes that SBE has; any other is metadata.
_KNOWN = frozenset(
    """
    name id description sinceVersion deprecated semanticType primitiveType length presence nullValue
    minValue maxValue characterEncoding valueRef offset type encodingType dimensionType blockLength
    epoch timeUnit variableLength package version semanticVersion byteOrder headerType
    """.split()  # noqa: SIM905
)


def parse(source: str | Path) -> schema.Schema:
    """Read the schema file ``source``, and the files that it includes.

    Raises SchemaError for a file that is not there, or is not XML. What elements and attributes
    have wrong by themselves is in ``faults`` of the result: `resolver` reports it with the rest.
    """
    sources = Sources()
    return _Reader(sources).read_schema(sources.open(Path(source)))


def parse_bytes(content: bytes, file: str = "<bytes>") -> schema.Schema:
    """The same from bytes; ``file`` is the name that errors give. Nothing is included."""
    sources = Sources()
    return _Reader(sources).read_schema(sources.read(content, file))


def _is_part(node: Any) -> bool:
    """Whether it is the root of a file: a single type that a schema includes, say."""
    return node.getparent() is None


class _Reader:
    def __init__(self, sources: Sources) -> None:
        self.sources = sources
        self.budget = limits.Budget()
        self.errors: list[SchemaError] = []
        self.warnings: list[SchemaError] = []
        self.depth = 0
        self.unknown = 0

    def place(self, node: Any) -> Place:
        return Place(self.sources.file_of(node), node.sourceline)

    def fault(self, node: Any, sentence: str) -> None:
        name = node.get("name")
        element = f"{local_name(node)} '{name}'" if name else local_name(node)
        self.errors.append(SchemaError(*self.place(node), element, sentence))
        if len(self.errors) > limits.FAULTS:
            raise SchemaError.of(self.errors)

    def warn(self, node: Any, sentence: str) -> None:
        name = node.get("name")
        element = f"{local_name(node)} '{name}'" if name else local_name(node)
        if len(self.warnings) < limits.FAULTS:
            self.warnings.append(SchemaError(*self.place(node), element, sentence))

    def ignored(self, node: Any) -> None:
        """An element that SBE does not know: said, unless it is of another namespace."""
        self.budget.check(self.place(node))
        if len(self.warnings) >= limits.FAULTS:
            return
        if local_name(node) and namespace(node.tag) in ("", namespace(self.root.tag)):
            close = get_close_matches(local_name(node), _ELEMENTS, 1)
            guess = f": did you mean '{close[0]}'?" if close else ""
            self.warn(node, f"is no element of SBE, and ignored{guess}")

    def ignored_attributes(self, node: Any) -> None:
        for key in node.attrib if len(self.warnings) < limits.FAULTS else ():
            if namespace(key) or key in _KNOWN:
                continue
            close = get_close_matches(key, _KNOWN, 1)
            if key == "exponent":
                sentence = "without a namespace it says nothing: write x:exponent, and xmlns:x"
                self.warn(node, f"attribute 'exponent': {sentence}")
            elif close:
                self.warn(node, f"attribute '{key}' is ignored: did you mean '{close[0]}'?")

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
            return None
        return str(value.strip())

    def number(self, node: Any, attribute: str, maximum: int = 0xFFFF) -> int | None:
        text = node.get(attribute)
        if text is None:
            return None
        stripped = text.strip()
        digits = stripped.isascii() and stripped.isdigit() and len(stripped) <= 20
        if not digits or int(stripped) > maximum:
            self.fault(node, f"{attribute} '{text}' is not a number from 0 to {maximum}")
            return None
        return int(stripped)

    def required_number(self, node: Any, attribute: str, maximum: int = _WIDEST) -> int:
        if node.get(attribute) is None:
            self.fault(node, f"attribute '{attribute}' is missing")
        value = self.number(node, attribute, maximum)
        if value is None:  # what is wrong is unlike any other
            self.unknown -= 1
            return self.unknown
        return value

    def presence(self, node: Any) -> str | None:
        return self.word(node, "presence", ("required", "optional", "constant"))

    def common(self, node: Any) -> dict[str, Any]:
        self.budget.check(self.place(node))
        self.ignored_attributes(node)
        metadata: Mapping[str, str] = {
            local_name(key): value
            for key, value in node.attrib.items()
            if namespace(key) or local_name(key) not in _KNOWN
        }
        return {
            "name": self.required(node, "name"),
            "place": self.place(node),
            "since_version": self.number(node, "sinceVersion", _WIDEST) or 0,
            "deprecated": self.number(node, "deprecated", _WIDEST),
            "description": " ".join((node.get("description") or "").split()),
            "semantic_type": (node.get("semanticType") or "").strip() or None,
            "time_unit": (node.get("timeUnit") or "").strip() or None,
            "epoch": (node.get("epoch") or "").strip() or None,
            "metadata": metadata,
        }

    # elements

    def read_schema(self, root: Any) -> schema.Schema:
        types: list[schema.AnyType] = []
        messages: list[schema.Message] = []
        self.root = root
        if local_name(root) != "messageSchema":
            sentence = "the root of an SBE schema is 'messageSchema'"
            raise SchemaError(*self.place(root), local_name(root), sentence)
        for child in self.inside(root):
            local = local_name(child)
            if local == "types":
                types += self.read_types(child)
            elif local == "message":
                messages.append(self.read_message(child))
            elif local in self.type_readers() and _is_part(child):
                types += self.one(root, child, self.type_readers())
            else:
                self.ignored(child)
        if not messages and not self.errors:
            self.warn(root, "the schema has no messages")
        result = schema.Schema(
            file=self.sources.file_of(root),
            place=self.place(root),
            package=self.required(root, "package"),
            id=self.required_number(root, "id"),
            version=self.number(root, "version", _WIDEST) or 0,
            semantic_version=root.get("semanticVersion") or "",
            byte_order=self.word(root, "byteOrder", ("littleEndian", "bigEndian"))
            or "littleEndian",
            header_type=(root.get("headerType") or "messageHeader").strip(),
            types=tuple(types),
            messages=tuple(messages),
        )
        return replace(result, faults=tuple(self.errors), warnings=tuple(self.warnings))

    def inside(self, parent: Any) -> Iterator[Any]:
        """The children of an element, in whose places are the roots of files for XIncludes.

        Of a file whose root is such an element as ``parent`` itself (`types` in `types`, a whole
        schema in a schema) it is what is in it; what else its root says is its own.
        """
        for child in parent:
            if local_name(child) != "include" or namespace(child.tag) != _XINCLUDE:
                yield child
                continue
            try:
                root = self.sources.include(child)
            except SchemaTooLarge:
                raise
            except SchemaError as error:
                self.errors += error.errors
                continue
            if local_name(root) == local_name(parent):
                yield from self.inside(root)
            elif local_name(root) not in (*_ELEMENTS, "messageSchema"):
                self.fault(root, "the root of an included file is 'types', 'message' or the like")
            else:
                yield root
            self.sources.close()

    def read_types(self, node: Any) -> list[schema.AnyType]:
        readers = self.type_readers()
        return [each for child in self.inside(node) for each in self.one(node, child, readers)]

    def type_readers(self) -> dict[str, Callable[[Any], Any]]:
        return {
            "type": self.read_type,
            "enum": self.read_enum,
            "set": self.read_set,
            "composite": self.read_composite,
        }

    def one(self, parent: Any, node: Any, readers: Mapping[str, Callable[[Any], Any]]) -> list[Any]:
        """What a child is; nothing for an unknown element, and for a known one a fault."""
        local = local_name(node)
        if local in readers:
            return [readers[local](node)]
        if local in (
            "group",
            "data",
            "field",
            "message",
            "type",
            "ref",
            "enum",
            "set",
            "composite",
        ):
            self.fault(node, f"has no place inside '{local_name(parent)}'")
        else:
            self.ignored(node)
        return []

    def children(self, node: Any, readers: Mapping[str, Callable[[Any], Any]]) -> list[Any]:
        """The known children in order; unknown elements are ignored, known ones here misplaced."""
        if self.depth >= _DEEPEST:
            self.fault(node, f"is nested more than {_DEEPEST} deep")
            return []
        self.depth += 1
        result = [each for child in self.inside(node) for each in self.one(node, child, readers)]
        self.depth -= 1
        return result

    def read_type(self, node: Any) -> schema.Type:
        length = self.number(node, "length")
        if (node.get("variableLength") or "").strip() == "true":  # of an older draft of SBE
            length = 0
        return schema.Type(
            **self.common(node),
            primitive=self.required(node, "primitiveType"),
            length=length,
            presence=self.presence(node),
            null_value=node.get("nullValue"),
            min_value=node.get("minValue"),
            max_value=node.get("maxValue"),
            character_encoding=node.get("characterEncoding"),
            value_ref=node.get("valueRef"),
            offset=self.number(node, "offset"),
            text="".join(node.itertext()),
        )

    def read_ref(self, node: Any) -> schema.Ref:
        return schema.Ref(
            **self.common(node),
            type=self.required(node, "type"),
            offset=self.number(node, "offset"),
        )

    def read_value(self, node: Any) -> schema.Value:
        text = "".join(node.itertext())
        if not text:
            self.fault(node, "has no value")
        return schema.Value(**self.common(node), text=text)

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
        foreign = [
            v for k, v in node.attrib.items() if namespace(k) and local_name(k) == "exponent"
        ]
        return schema.Field(
            **self.common(node),
            id=self.required_number(node, "id"),
            type=self.required(node, "type"),
            offset=self.number(node, "offset"),
            presence=self.presence(node),
            value_ref=node.get("valueRef"),
            exponent=foreign[0].strip() if foreign else None,
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

        def in_order(local: str, read: Callable[[Any], Any]) -> Callable[[Any], Any]:
            def read_next(child: Any) -> Any:
                nonlocal reached
                if order[local] < order[reached]:
                    self.fault(child, f"a {local} can't follow a {reached}: move it up")
                reached = max(reached, local, key=order.__getitem__)
                return read(child)

            return read_next

        readers = {
            "field": in_order("field", self.read_field),
            "group": in_order("group", self.read_group),
            "data": in_order("data", self.read_data),
        }
        children = self.children(node, readers)
        return {
            "block_length": self.number(node, "blockLength", _WIDEST),
            "fields": tuple(child for child in children if isinstance(child, schema.Field)),
            "groups": tuple(child for child in children if isinstance(child, schema.Group)),
            "data": tuple(child for child in children if isinstance(child, schema.Data)),
        }

    def read_group(self, node: Any) -> schema.Group:
        return schema.Group(
            **self.common(node),
            **self.body(node),
            id=self.required_number(node, "id"),
            dimension_type=(node.get("dimensionType") or schema.DIMENSION).strip(),
        )

    def read_message(self, node: Any) -> schema.Message:
        return schema.Message(
            **self.common(node), **self.body(node), id=self.required_number(node, "id")
        )
