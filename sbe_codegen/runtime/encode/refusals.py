"""How an EncodeError is made: the element by its path, the value, and why it can't be written."""

from __future__ import annotations

import difflib
import reprlib
from collections.abc import Iterable
from typing import Any

from ..errors import EncodeError


class _Missing:
    """Stands for a value that was not given."""

    def __repr__(self) -> str:
        return "nothing"


MISSING = _Missing()


def refusal(field: str, value: object, why: str) -> EncodeError:
    """The error of one element; ``value`` is MISSING where none was given."""
    given = value is not MISSING
    text = f"{field} = {_shown(value)}: {why}" if given else f"{field}: {why}"
    return EncodeError(text, field=field, value=value if given else None, why=why)


def inside(error: EncodeError, outer: str) -> EncodeError:
    """``error``, which now says its element as it is reached from what is around it."""
    error.args = (outer + str(error.args[0]),)
    error.field = outer + error.field
    return error


def of_message(error: EncodeError, message: str) -> EncodeError:
    """``error``, whose text now begins with the message; ``field`` stays the path in it."""
    error.args = (f"{message}: {error.args[0]}",)
    return error


def unknown(name: object, known: Iterable[str], value: object = MISSING) -> EncodeError:
    """The error of a name that there is not, with the one that was probably meant."""
    names = list(known)
    close = difflib.get_close_matches(str(name), names, 1)
    if close:
        hint = f"did you mean {close[0]!r}?"
    else:
        hint = f"there are {', '.join(names)}" if names else "there are none"
    return refusal(str(name), value, f"there is no such name here; {hint}")


def unknown_label(
    field: str, value: str, labels: Iterable[str], what: str, coded: str | None = None
) -> EncodeError:
    """The error of a name that an enum or a set does not have; it is the code of ``coded``."""
    names = list(labels)
    close = difflib.get_close_matches(value, names, 1) if coded is None else [coded]
    hint = f"did you mean {close[0]!r}?" if close else f"it has {', '.join(names) or 'none'}"
    return refusal(field, value, f"the {what} has no such name; {hint}")


def _shown(value: object) -> str:
    try:
        return reprlib.repr(value)
    except Exception as error:  # of a class whose repr fails: the refusal is what is to be seen
        return f"<{type(value).__name__} whose repr raises {type(error).__name__}>"


def plural(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


Value = Any
