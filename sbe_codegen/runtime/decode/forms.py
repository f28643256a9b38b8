"""Who makes the JSON form of a message: SBE knows none, the package around a module may.

A package that has the JSON form of its messages notes it in FORMS when it is imported. What it
notes is only a name, so that nothing more is imported until somebody asks.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

# The name of a generated module -> where the function is: "package.module:function".
FORMS: dict[str, str] = {}


def json_form(message: type) -> Callable[..., Any]:
    """The function that makes the JSON form of messages of this class."""
    place = FORMS.get(message.__module__)
    if place is None:
        raise TypeError(
            f"{message.__module__} has no JSON form that is known here; "
            f"{message.__name__}.to_dict() gives all fields"
        )
    module, _, name = place.partition(":")
    function: Callable[..., Any] = getattr(import_module(module), name)
    return function
