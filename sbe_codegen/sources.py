"""Schema files -> XML trees. External entities, DTDs and the network are never touched.

Nor is any file outside the folder of the schema, whatever includes or links say, nor anything that
is no regular file.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from lxml import etree

from . import limits
from .errors import Place, SchemaError, SchemaTooLarge

_STUB = re.compile(rb"[\w.\-/\\ ]+\.xml\s*")
_ABROAD = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]+:|//|/|\\")  # no path from here
_DOCTYPE = re.compile(r"<!DOCTYPE\s+[^\s<>\[]+\s*>")
_XML_BASE = "{http://www.w3.org/XML/1998/namespace}base"


def local_name(node: Any) -> str:
    """The name of an element or attribute without its namespace; "" for comments and the like."""
    tag = getattr(node, "tag", node)
    return tag.rpartition("}")[2] if isinstance(tag, str) else ""


def namespace(tag: Any) -> str:
    return tag[1:].partition("}")[0] if isinstance(tag, str) and tag.startswith("{") else ""


def _declares_nothing(root: Any, content: bytes) -> bool:
    """Whether the DOCTYPE is a name and nothing else: no subset, and no file elsewhere.

    libxml2 keeps little of what it says, so the text is looked at: whatever looks like a DOCTYPE.
    """
    info = root.getroottree().docinfo
    try:
        text = content.decode(info.encoding or "utf-8")
    except (LookupError, ValueError):
        return False
    found = text.count("<!DOCTYPE")
    harmless = found > 0 and len(_DOCTYPE.findall(text)) == found
    declared = [*info.internalDTD.iterentities(), *info.internalDTD.iterelements()]
    return harmless and not declared and not info.system_url and not info.public_id


def _base(node: Any) -> tuple[Path, str | None]:
    """The folder that xml:base puts in front of what ``node`` names, and why it may not."""
    base = Path()
    for each in [node, *node.iterancestors()][::-1]:
        given = (each.get(_XML_BASE) or "").strip()
        if _ABROAD.match(given):
            return base, f"xml:base '{given}' is not a relative path: only files beside are read"
        folder, _, last = given.rpartition("/")
        base = base / (given if last in (".", "..") else folder)
    return base, None


class Sources:
    """The files of one schema: the one given, and those it includes."""

    def __init__(self) -> None:
        self.files: dict[Any, str] = {}  # root element -> file
        self.chain: list[Path] = []  # the files that are being read, outermost first
        self.folder = Path()  # no file outside is read; links are followed before that is seen
        self.size = 0
        self.elements = 0
        self.count = 0

    def file_of(self, node: Any) -> str:
        return self.files[node.getroottree().getroot()]

    def open(self, path: Path) -> Any:
        """The root element of the schema's file at ``path``. Raises SchemaError."""
        root = self._open(path, path)
        self.folder = Path(os.path.realpath(path.parent))
        return root

    def _open(self, path: Path, real: Path) -> Any:
        try:
            content = limits.content(real, limits.BYTES)
        except OSError as error:
            raise SchemaError.unread(str(path), error.strerror) from None
        except ValueError as error:  # a NUL in the name
            raise SchemaError.unread(str(path), error) from None
        root = self.read(content, str(path))
        self.chain.append(Path(os.path.realpath(real)))
        return root

    def read(self, content: bytes, file: str) -> Any:
        """The root element of ``content``. Raises SchemaError for what is no XML without DTD."""
        self.size += len(content)
        self.elements += content.count(b"<")  # at least, before the memory for them is taken
        self.count += 1
        for value, limit, what in (
            (self.size, limits.BYTES, f"is larger than {limits.BYTES // 2**20} MB"),
            (self.elements, 2 * limits.ELEMENTS, f"has more than {limits.ELEMENTS} elements"),
            (self.count, limits.FILES, f"is more than the {limits.FILES} files"),
        ):
            if value > limit:
                sentence = f"{what}, with all that is included: no SBE schema does"
                raise SchemaTooLarge(file, 0, "", sentence)
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
        if root.getroottree().docinfo.internalDTD is not None and not _declares_nothing(
            root, content
        ):
            sentence = "a schema has none that declares anything: entities are not expanded"
            raise SchemaError(file, 1, "DOCTYPE", sentence)
        self.files[root] = file
        return root

    def include(self, node: Any) -> Any:
        """The root of the file that an ``xi:include`` names, relative to the file it stands in."""
        place = Place(self.file_of(node), node.sourceline)
        href = (node.get("href") or "").strip()
        refusal = None
        if not href:
            refusal = "attribute 'href' is missing"
        elif _ABROAD.match(href):
            refusal = f"href '{href}' is not a relative path: only files beside the schema are read"
        elif node.get("parse", "xml") != "xml" or node.get("xpointer"):
            refusal = "only whole XML files can be included: remove 'parse' and 'xpointer'"
        elif not self.chain:
            refusal = "a schema that is not in a file can't include others"
        elif len(self.chain) > limits.FILES_DEEP:
            refusal = f"files are included more than {limits.FILES_DEEP} deep"
        base, wrong = _base(node)
        refusal = refusal or wrong
        # ".." takes a part of the text away, as in any URI, whether there is such a folder or not.
        path = Path(place.file).parent / os.path.normpath(base / href)
        if refusal is None:
            real = Path(os.path.realpath(path))
            if not real.is_relative_to(self.folder):
                refusal = f"'{href}' leads out of the schema's folder: only files in it are read"
            elif real in self.chain:
                refusal = f"'{href}' includes itself, by way of {len(self.chain)} file(s)"
        if refusal is not None:
            raise SchemaError(*place, "include", refusal)
        try:
            return self._open(path, real)
        except SchemaError as error:
            if error.line:
                raise
            raise type(error)(*place, "include", f"'{href}' {error.sentence}") from None

    def close(self) -> None:
        """The file that was included last has been read."""
        self.chain.pop()
