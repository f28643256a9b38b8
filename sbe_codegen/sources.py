"""Schema files -> XML trees. External entities, DTDs and the network are never touched."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from lxml import etree

from .errors import Place, SchemaError

LARGEST = 16 * 2**20  # bytes of all files together: a hundred times the largest schema in use
_DEEPEST = 16  # includes inside includes
_STUB = re.compile(rb"[\w.\-/\\ ]+\.xml\s*")


def local_name(node: Any) -> str:
    """The name of an element or attribute without its namespace; "" for comments and the like."""
    tag = getattr(node, "tag", node)
    return tag.rpartition("}")[2] if isinstance(tag, str) else ""


def namespace(tag: Any) -> str:
    return tag[1:].partition("}")[0] if isinstance(tag, str) and tag.startswith("{") else ""


class Sources:
    """The files of one schema: the one given, and those it includes."""

    def __init__(self) -> None:
        self.files: dict[Any, str] = {}  # root element -> file
        self.chain: list[Path] = []  # the files that are being read, outermost first
        self.size = 0

    def file_of(self, node: Any) -> str:
        return self.files[node.getroottree().getroot()]

    def open(self, path: Path) -> Any:
        """The root element of the file at ``path``. Raises SchemaError."""
        try:
            with path.open("rb") as file:
                content = file.read(LARGEST + 1)
        except OSError as error:
            raise SchemaError(str(path), 0, "", f"can't be read: {error.strerror}") from None
        except ValueError as error:  # a NUL in the name
            raise SchemaError(str(path), 0, "", f"can't be read: {error}") from None
        root = self.read(content, str(path))
        self.chain.append(path.resolve())
        return root

    def read(self, content: bytes, file: str) -> Any:
        """The root element of ``content``. Raises SchemaError for what is no XML without DTD."""
        self.size += len(content)
        if self.size > LARGEST:
            sentence = f"is larger than {LARGEST // 2**20} MB, which no SBE schema is"
            raise SchemaError(file, 0, "", sentence)
        if not content.strip():
            raise SchemaError(file, 0, "", "is empty")
        if _STUB.fullmatch(content):
            target = content.decode().strip()
            sentence = f"is not XML but the name of another file: give '{target}' itself"
            raise SchemaError(file, 1, "", f"{sentence} (a symbolic link, checked out as text)")
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
            reason = (error.msg or "it has no element").partition(", line ")[0]
            sentence = f"is not well-formed XML: {reason}"
            raise SchemaError(file, error.lineno or 0, "", sentence) from None
        if root.getroottree().docinfo.internalDTD is not None:
            raise SchemaError(file, 1, "DOCTYPE", "a schema has none: entities are not expanded")
        self.files[root] = file
        return root

    def include(self, node: Any) -> Any:
        """The root of the file that an ``xi:include`` names, relative to the file it stands in."""
        place = Place(self.file_of(node), node.sourceline)
        href = (node.get("href") or "").strip()
        refusal = None
        if not href:
            refusal = "attribute 'href' is missing"
        elif re.match(r"[A-Za-z][A-Za-z0-9+.\-]+:|//|/|\\", href):
            refusal = f"href '{href}' is not a relative path: only files beside the schema are read"
        elif node.get("parse", "xml") != "xml" or node.get("xpointer"):
            refusal = "only whole XML files can be included: remove 'parse' and 'xpointer'"
        elif not self.chain:
            refusal = "a schema that is not in a file can't include others"
        elif len(self.chain) > _DEEPEST:
            refusal = f"files are included more than {_DEEPEST} deep"
        path = Path(place.file).parent / href
        if refusal is None and path.resolve() in self.chain:
            refusal = f"'{href}' includes itself, by way of {len(self.chain)} file(s)"
        if refusal is not None:
            raise SchemaError(*place, "include", refusal)
        try:
            return self.open(path)
        except SchemaError as error:
            if error.line:
                raise
            raise SchemaError(*place, "include", f"'{href}' {error.sentence}") from None

    def close(self) -> None:
        """The file that was included last has been read."""
        self.chain.pop()
