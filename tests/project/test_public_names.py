"""What users rely on, in a file of names and signatures: a change of it shows in review."""

from __future__ import annotations

import inspect
import re
import runpy
from collections.abc import Iterator
from enum import Enum
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

GOLDEN = Path(__file__).parent.parent / "golden" / "public_names.golden"
# The pages of the reference: modules, and classes that users have objects of without an import.
REFERENCE = runpy.run_path(str(Path(__file__).parent.parent.parent / "docs" / "reference.py"))
MODULES: list[str] = [*REFERENCE["MODULES"]]
TOPICS: list[str] = [each for topics in REFERENCE["TOPICS"].values() for each in topics]
INSIDE: re.Pattern[str] = REFERENCE["INSIDE"]
SHOWN = {"__enter__", "__aenter__", "__iter__", "__aiter__", "__getitem__", "__len__", "__call__"}


def signature_of(thing: Any) -> str:
    """As Python knows it; Cython's functions and enums have none."""
    try:
        text = str(inspect.signature(thing))
    except (ValueError, TypeError):
        return ""
    text = re.sub(r"mappingproxy\(\{.*?\}\)|\{'trade'.*?\}", "{...}", text)
    return re.sub(r" at 0x[0-9a-f]+", "", text)


def lines_of(name: str, thing: Any) -> Iterator[str]:
    if inspect.ismodule(thing):
        yield f"{name}  module"
    elif inspect.isclass(thing):
        yield f"{name}{'' if issubclass(thing, Enum) else signature_of(thing)}  class"
        if thing.__module__ in ("binance_sbe.spot_stream", "builtins"):
            return  # generated: golden files of the compiler show what such a class has
        for member in sorted(dir(thing)):
            if member.startswith("_") and member not in SHOWN:
                continue
            if INSIDE.fullmatch(f"{thing.__name__}.{member}"):
                continue
            home = next((base for base in thing.__mro__ if member in base.__dict__), type)
            if home.__module__ in ("builtins", "collections.abc"):
                continue  # as Python has it
            found = inspect.getattr_static(thing, member)
            if isinstance(found, property) or inspect.isdatadescriptor(found):
                yield f"{name}.{member}"
            else:
                yield f"{name}.{member}{signature_of(getattr(thing, member))}"
    elif callable(thing):
        yield f"{name}{signature_of(thing)}"
    else:
        yield f"{name}  {type(thing).__name__}"


def found_at(topic: str) -> Any:
    module, _, name = topic.rpartition(".")
    return getattr(import_module(module), name)


def everything() -> Iterator[str]:
    for module in MODULES:
        found = import_module(module)
        for name in sorted(found.__all__):
            yield from lines_of(f"{module}.{name}", getattr(found, name))
    for topic in TOPICS:
        yield from lines_of(topic, found_at(topic))


def test_names_and_signatures_are_those_that_users_know(request: pytest.FixtureRequest) -> None:
    made = "\n".join([*everything(), ""])
    if request.config.getoption("--update-golden"):
        GOLDEN.write_text(made, encoding="utf-8")
    assert made == GOLDEN.read_text(encoding="utf-8"), "see the change: pytest --update-golden"


def test_every_public_name_says_what_it_is() -> None:
    silent = []
    for module in MODULES:
        found = import_module(module)
        for name in found.__all__:
            thing = getattr(found, name)
            if callable(thing) and not (thing.__doc__ or "").strip():
                silent.append(f"{module}.{name}")
    silent += [each for each in TOPICS if not (found_at(each).__doc__ or "").strip()]
    assert silent == []
