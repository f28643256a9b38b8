"""All errors of the product: one tree, at the top of the package, and they copy and pickle."""

from __future__ import annotations

import copy
import inspect
import multiprocessing
import pickle
import pkgutil
import re
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from importlib import import_module
from typing import Any

import pytest

import binance_sbe
import sbe_codegen
from binance_sbe import SbeError, errors

# What a module raises and catches itself.
INTERNAL = {"Stop", "Trouble", "Unknown", "Refusal", "ControlError", "_Cut", "Derived",
            "NotUdp", "Unusable"}  # fmt: skip
MODULES = [
    import_module(found.name)
    for package in (binance_sbe, sbe_codegen)
    for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
    if not found.name.endswith("__main__")
]
VALUES: dict[str, Any] = {
    "api_key": "k", "url": "ws://host", "status": 429, "body": "no", "retry_after": 3.0,
    "location": "ws://other", "method": "SUBSCRIBE", "streams": ["a@trade", "b@trade"], "code": -7,
    "reason": "why", "stream": "a@trade", "waiting": 5, "symbol": "BTCUSDT", "text": "a sentence",
    "offset": 3, "template_id": 5, "message": "M", "element": "e", "wanted": 2, "available": 1,
    "frame": 9, "server_time": 4, "data": None, "content_type": "text/html", "file": "x.xml",
    "line": 3, "sentence": "is wrong", "parts": "a sentence",
    "field": "bids[3].price", "value": 2**64, "why": "outside 0 to 9",
}  # fmt: skip


def all_errors(kind: type[SbeError] = SbeError) -> Iterator[type[SbeError]]:
    yield kind
    for each in kind.__subclasses__():
        if each.__module__.partition(".")[0] in ("binance_sbe", "sbe_codegen"):
            yield from all_errors(each)


ERRORS = list(dict.fromkeys(all_errors()))


def made(kind: type[SbeError]) -> SbeError:
    """With a value for everything that its constructor takes: a new error needs new VALUES."""
    names = inspect.signature(kind.__init__).parameters
    by_place: list[Any] = []
    by_name = {}
    for name, parameter in list(names.items())[1:]:
        if parameter.kind is parameter.KEYWORD_ONLY:
            by_name[name] = VALUES[name]
        elif parameter.kind is not parameter.VAR_KEYWORD:
            value = VALUES.get(name, "a sentence")
            by_place.append(b"<html>" if (kind.__name__, name) == ("NotSbe", "body") else value)
    error = kind(*by_place, **by_name)
    error.add_note("a note")
    return error


def state(error: BaseException) -> Any:
    found = {name: value for name, value in vars(error).items() if name != "errors"}
    return type(error), str(error), error.args, found


def test_every_error_that_there_is_comes_from_sbe_error() -> None:
    found = {
        each
        for module in MODULES
        for each in vars(module).values()
        if isinstance(each, type)
        and issubclass(each, BaseException)
        and each.__module__.partition(".")[0] in ("binance_sbe", "sbe_codegen")
    }
    assert {each.__name__ for each in found if not issubclass(each, SbeError)} <= INTERNAL
    assert len(ERRORS) >= 19


@pytest.mark.parametrize("kind", ERRORS)
def test_each_error_is_at_the_top(kind: type[SbeError]) -> None:
    assert kind.__name__ in binance_sbe.__all__
    assert getattr(binance_sbe, kind.__name__) is kind


@pytest.mark.parametrize("kind", ERRORS)
def test_each_error_copies_and_pickles(kind: type[SbeError]) -> None:
    error = made(kind)
    others = [copy.copy(error), copy.deepcopy(error)]
    others += [
        pickle.loads(pickle.dumps(error, protocol))
        for protocol in range(pickle.HIGHEST_PROTOCOL + 1)
    ]
    for other in others:
        assert other is not error
        assert state(other) == state(error)


def fail(kind: type[SbeError]) -> None:
    raise made(kind)


def test_each_error_comes_out_of_a_worker_process() -> None:
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        for kind in ERRORS:
            raised = pool.submit(fail, kind).exception(60)
            assert raised is not None
            expected = made(kind)
            raised.__cause__ = None
            assert state(raised)[:3] == state(expected)[:3]


def test_faults_of_a_schema_stay_together() -> None:
    one, other = (binance_sbe.SchemaError("x.xml", n, "e", f"fault {n}") for n in (2, 1))
    whole = pickle.loads(pickle.dumps(binance_sbe.SchemaError.of([one, other])))
    assert str(whole) == "x.xml:1: e: fault 1\nx.xml:2: e: fault 2"
    assert [each.line for each in whole.errors] == [1, 2]


def test_the_tree_in_the_docstring_is_the_one_there_is() -> None:
    drawn: dict[str, tuple[str | None, bool]] = {}
    above: list[tuple[int, str]] = []
    assert errors.__doc__ is not None
    for line in errors.__doc__.splitlines():
        found = re.match(r"    ( *)([A-Z]\w+)(?:\s+(\(also a ValueError\))?.*)?$", line)
        if found is None:
            continue
        depth, name = len(found[1]), found[2]
        above = [each for each in above if each[0] < depth]
        parent = above[-1][1] if above else None
        is_value = bool(found[3]) or bool(parent and drawn[parent][1])
        drawn[name] = parent, is_value
        above.append((depth, name))
    there_are = {
        kind.__name__: (
            next((p.__name__ for p in kind.__mro__[1:] if p in ERRORS), None),
            issubclass(kind, ValueError),
        )
        for kind in ERRORS
    }
    assert drawn == there_are


@pytest.mark.parametrize("use", ["binance_sbe.books('btcusdt')", "binance_sbe.spot_sbe"])
def test_a_decoder_that_the_demo_leaves_out_is_told_with_what_to_do(use: str) -> None:
    code = f"import sys, binance_sbe; sys.modules['binance_sbe.spot_sbe'] = None; {use}"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60
    )
    assert "binance_sbe.spot_sbe is not compiled: 'make build' in the checkout" in done.stderr
