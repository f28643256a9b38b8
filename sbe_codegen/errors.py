"""What the compiler says about a schema that it can't compile; and the base of all errors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from .printing import escaped


class Place(NamedTuple):
    """Where an element is written; ``line`` is 1-based, 0 for the file as a whole."""

    file: str
    line: int


class SbeError(Exception):
    """Anything that goes wrong with SBE messages, their schemas, or the way they come.

    All errors copy and pickle, whatever their constructors take: what they hold is taken over, and
    the constructor is not called.
    """

    def __reduce__(self) -> tuple[Any, ...]:
        return _made_again, (type(self), self.args), self.__dict__ or None


def _made_again(kind: type[SbeError], arguments: tuple[object, ...]) -> SbeError:
    return kind.__new__(kind, *arguments)


class MissingPackage(SbeError, ImportError):
    """Something needs a package that is not installed; the text says what installs it.

    ``package`` is its name, ``extra`` the extra that brings it.
    """

    def __init__(self, text: str, package: str, extra: str) -> None:
        super().__init__(text, name=package)
        self.package = package
        self.extra = extra


class UnknownName(SbeError, KeyError):
    """There is no such group, column, text or message class; the text names those there are."""

    def __str__(self) -> str:
        return str(self.args[0])


class SchemaError(SbeError):
    """One fault in a schema, as ``file:line: element: sentence``.

    A schema with several faults raises one ``SchemaError``, whose ``errors`` holds all of them in
    the order of the file and whose text has a line for each; ``file``, ``line``, ``element`` and
    ``sentence`` are those of the first. ``is_unread``: the file is not there, or can't be read.
    """

    def __init__(self, file: str, line: int, element: str, sentence: str) -> None:
        self.file = file
        self.line = line
        self.element = element
        self.sentence = sentence
        self.is_unread = False
        self.errors: tuple[SchemaError, ...] = (self,)
        super().__init__(file, line, element, sentence)

    def __str__(self) -> str:
        return "\n".join(error._text() for error in self.errors)

    def _text(self) -> str:
        place = f"{self.file}:{self.line}: " if self.line else f"{self.file}: "
        element = f"{self.element}: " if self.element else ""
        return escaped(f"{place}{element}{self.sentence}")

    @classmethod
    def unread(cls, file: str, why: object) -> SchemaError:
        """Of a file that can't be read."""
        made = cls(file, 0, "", f"can't be read: {why}")
        made.is_unread = True
        return made

    @classmethod
    def of(cls, errors: Sequence[SchemaError]) -> SchemaError:
        """One error that stands for all of ``errors`` (at least one), sorted by line."""
        ordered = list({str(error): error for error in sorted(errors, key=_order)}.values())
        first = ordered[0]
        whole = cls(first.file, first.line, first.element, first.sentence)
        whole.errors = tuple(ordered)
        return whole


def _order(error: SchemaError) -> tuple[str, int]:
    return error.file, error.line


class SchemaTooLarge(SchemaError):
    """A schema that reaches a limit (see limits.py): nothing more of it is read."""
