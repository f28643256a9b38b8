"""Values by their mantissas and exponents: what is given as ``price_float`` or ``price_decimal``.

The encoder proper knows raw values only. Where it meets the name of a scaled value it raises
`Derived`, and `unscaled` writes all values of the message anew: exactly, or not at all (`exact`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from operator import index
from typing import Any, NamedTuple

import numpy as np

from ..decode.scaling import to_decimal
from .exact import Wanted, exactly, fitting, mantissa_of
from .refusals import MISSING, refusal, unknown


class Derived(Exception):
    """A name stands for a scaled value: never seen outside of this package."""


class Scaling(NamedTuple):
    """What a derived name stands for: ``ending`` is ``float`` or ``decimal``.

    The exponent is the field ``exponent``, ``levels`` out from the mantissa's block; of a group,
    whose ``exponent`` is None, those of its mantissas. ``negated``: it counts decimals. Of a
    composite ``members`` are the names of its mantissa and its exponent.
    """

    name: str
    ending: str
    exponent: str | None = None
    levels: int = 0
    negated: bool = False
    members: tuple[str, str] | None = None

    @property
    def is_value(self) -> bool:
        """Of a field, and not of the entries of a group."""
        return self.exponent is not None or self.members is not None


def unscaled(level: Any, values: Mapping[str, Any], fit: bool) -> dict[str, Any]:
    """The raw values; with ``fit`` the exponents that are asked for are chosen."""
    work = _Work(fit)
    raw = work.level(level, values, [], "")
    work.choose()
    work.finish()
    return raw


def rescalable(
    level: Any, raw: Mapping[str, Any], instead: Mapping[str, Any], *outer: Mapping[str, Any]
) -> dict[str, Any]:
    """Raw values of a message as values that may take other exponents, which are left out.

    ``instead`` are the names that get other values; ``outer`` are the raw values around.
    """
    result = dict(raw)
    scopes = (raw, *outer)
    replaced = {level.derived[name].name for name in instead if name in level.derived}
    for name, scaling in level.derived.items():
        if scaling.ending != "decimal" or scaling.exponent is None:
            continue
        mantissa = result.pop(scaling.name)
        if scaling.name not in instead and scaling.name not in replaced:
            exponent = scopes[scaling.levels][scaling.exponent]
            if scaling.negated and exponent is not None:
                exponent = -exponent
            result[name] = to_decimal(mantissa, exponent)
    exponents = _exponents(level)
    for group in level.groups:
        entries = [rescalable(group.level, each, {}, *scopes) for each in raw[group.name]]
        result[group.name] = entries
    return {name: value for name, value in result.items() if name not in exponents}


def _exponents(level: Any, levels: int = 0) -> set[str]:
    """The fields of the block ``levels`` out that are exponents, but for constants."""
    found = {
        scaling.exponent
        for scaling in level.derived.values()
        if scaling.exponent is not None and scaling.levels == levels
    }
    for group in level.groups:
        found |= _exponents(group.level, levels + 1)
    return found


class _Work:
    def __init__(self, fit: bool) -> None:
        self.fit = fit
        self.wanted: list[tuple[Wanted, tuple[int, str]]] = []
        # where an exponent is -> its scope, its slot and its path
        self.exponents: dict[tuple[int, str], tuple[dict[str, Any], Any, str]] = {}
        self.scopes: list[dict[str, Any]] = []  # kept, so that their ids stay theirs

    def level(
        self, level: Any, values: Mapping[str, Any], outer: list[tuple[Any, Any, str]], path: str
    ) -> dict[str, Any]:
        """A dict of one block's values, in which those that are wanted are still missing."""
        scope: dict[str, Any] = {}
        self.scopes.append(scope)
        scopes = [(level, scope, path), *outer]
        for name, value in values.items():
            scaling = level.derived.get(name)
            if scaling is None:
                if name not in level.places:
                    raise unknown(path + str(name), (*level.places, *level.derived), value)
                scope[name] = value
            elif scaling.name in values:
                raise refusal(path + name, value, f"{scaling.name} is given already")
        for name, value in values.items():
            scaling = level.derived.get(name)
            if scaling is None:
                continue
            if scaling.name in scope:
                raise refusal(path + name, value, f"{scaling.name} is given in another way too")
            if scaling.members is not None:
                slot = level.fields[level.places[scaling.name]]
                scope[scaling.name] = _composite(slot, scaling, value, path + name)
            elif scaling.exponent is None:
                scope[scaling.name] = self.group_floats(level, scaling.name, value, path + name)
            else:
                scope[scaling.name] = None
                self.want(level, scaling, value, scopes, path + name)
        if self.fit:
            self.ask_for_exponents(level, scopes)
        for group in level.groups:
            entries = scope.get(group.name)
            if self.fit:
                self.note_inner(group.level, 1, scopes)
            if isinstance(entries, np.ndarray) or not isinstance(entries, Sequence):
                if self.fit and isinstance(entries, np.ndarray) and entries.size:
                    self.refuse_array(group.level, entries, scopes, path + group.name)
                continue
            made = []
            for i, entry in enumerate(entries):
                place = f"{path}{group.name}[{i}]"
                if not isinstance(entry, Mapping):
                    if not hasattr(type(entry), "_ELEMENTS"):
                        raise refusal(place, entry, "an entry is a dict of its fields")
                    entry = entry.to_dict()
                made.append(self.level(group.level, entry, scopes, f"{place}."))
            scope[group.name] = made
        return scope

    def ask_for_exponents(self, level: Any, scopes: list[tuple[Any, Any, str]]) -> None:
        """Notes the exponents of mantissas that are given as they are: nobody may choose those."""
        scope = scopes[0][1]
        for scaling in level.derived.values():
            if scaling.exponent is not None and scaling.ending == "float":
                self.note_exponent(scaling, scopes)
        for name, scaling in level.derived.items():
            if scaling.exponent is None or scaling.ending != "float":
                continue
            wanted = any(each.scope is scope and each.slot.name == scaling.name
                         for each, _ in self.wanted)  # fmt: skip
            if not wanted and scope.get(scaling.name) is not None:
                where = scopes[scaling.levels][1]
                if scaling.exponent not in where:
                    raise refusal(
                        scopes[0][2] + scaling.name,
                        scope[scaling.name],
                        f'with exponents="fit" give its value, as {name} or as a decimal, '
                        f"or give {scaling.exponent}",
                    )

    def note_inner(self, level: Any, levels: int, scopes: list[tuple[Any, Any, str]]) -> None:
        """Notes the exponents of what a group has, also where it has no entries."""
        for scaling in level.derived.values():
            if scaling.exponent is not None and scaling.levels == levels:
                self.note_exponent(scaling, scopes, levels)
        for group in level.groups:
            self.note_inner(group.level, levels + 1, scopes)

    def refuse_array(
        self, level: Any, entries: Any, scopes: list[tuple[Any, Any, str]], path: str
    ) -> None:
        """An array has mantissas as they are: nobody may choose their exponents."""
        for name, scaling in level.derived.items():
            if scaling.exponent is None or scaling.ending != "float" or not scaling.levels:
                continue
            outer, where, _ = scopes[scaling.levels - 1]
            slot = outer.fields[outer.places[scaling.exponent]]
            if slot.facts.get("constant") is None and scaling.exponent not in where:
                raise refusal(
                    path,
                    entries,
                    f'with exponents="fit" give values, such as {name}, or {scaling.exponent}',
                )

    def note_exponent(
        self, scaling: Scaling, scopes: list[tuple[Any, Any, str]], inner: int = 0
    ) -> tuple[int, str]:
        """``scopes`` are those of a block, or of the one ``inner`` levels around it."""
        level, scope, path = scopes[scaling.levels - inner]
        assert scaling.exponent is not None
        key = id(scope), scaling.exponent
        if key not in self.exponents:
            slot = level.fields[level.places[scaling.exponent]]
            self.exponents[key] = scope, slot, path + scaling.exponent
        return key

    def want(self, level: Any, scaling: Scaling, value: Any, scopes: list[Any], path: str) -> None:
        key = self.note_exponent(scaling, scopes)
        slot = level.fields[level.places[scaling.name]]
        exact = exactly(value, scaling.ending, path)
        limits = _limits(self.exponents[key][1])
        wanted = Wanted(slot, scopes[0][1], path, value, exact, scaling.negated, limits)
        if exact is None and slot.null is None and not slot.since:
            raise refusal(path, value, "the field is required, and never null")
        self.wanted.append((wanted, key))

    def group_floats(self, level: Any, name: str, value: Any, path: str) -> list[dict[str, Any]]:
        """The entries of ``bids_float`` as dicts in which mantissas have their scaled names."""
        inner = level.groups[level.places[name] - len(level.fields)].level
        names = {
            scaling.name: ending
            for ending, scaling in inner.derived.items()
            if scaling.ending == "float" and scaling.is_value
        }
        if isinstance(value, np.ndarray):
            if value.dtype.names is None or value.ndim != 1:
                raise refusal(path, value, "a structured array of one dimension is needed")
            entries = [_entry(inner, value.dtype.names, row) for row in value.tolist()]
        elif isinstance(value, Sequence) and not isinstance(value, (str, bytes)):
            entries = list(value)
        else:
            raise refusal(path, value, "a group is a list of dicts, or a structured array")
        result = []
        for i, entry in enumerate(entries):
            if not isinstance(entry, Mapping):
                raise refusal(f"{path}[{i}]", entry, "an entry is a dict of its fields")
            for key in entry:
                if names.get(key, key) != key and names[key] in entry:
                    raise refusal(f"{path}[{i}].{key}", entry[key], f"{names[key]} is given too")
            made = {names.get(key, key): each for key, each in entry.items()}
            for key in made.keys() & inner.layout.partly_scaled:
                slot = inner.fields[inner.places[key]]
                types = inner.layout.formats.types
                made[key] = _by_parts(slot, types, made[key], f"{path}[{i}].{key}")
            result.append(made)
        return result

    def choose(self) -> None:
        """Finds exponents where they are to fit; else they have to be given."""
        for key, (scope, slot, path) in self.exponents.items():
            values = [each for each, where in self.wanted if where == key]
            if slot.facts.get("constant") is not None:
                continue
            if not self.fit:
                if values and scope.get(slot.name) is None:
                    why = f'{values[0].path} needs it; give it, or exponents="fit"'
                    raise refusal(path, MISSING, why)
                continue
            if slot.name in scope:
                if values:
                    raise refusal(
                        path, scope[slot.name], 'exponents="fit" chooses it: leave it out'
                    )
                continue
            scope[slot.name] = fitting(values, slot, path)

    def finish(self) -> None:
        for each, key in self.wanted:
            scope, slot, path = self.exponents[key]
            constant = slot.facts.get("constant")
            exponent: Any = scope.get(slot.name) if constant is None else constant
            if each.exact is None:
                continue
            try:
                power = index(exponent)
            except TypeError:
                raise refusal(path, exponent, "an exponent is a whole number") from None
            each.scope[each.slot.name] = mantissa_of(each, each.power(power))


def _limits(exponent: Any) -> tuple[int, int] | None:
    """What an exponent that is sent may be; None of a constant."""
    is_constant = exponent.facts.get("constant") is not None
    return None if is_constant else (exponent.least, exponent.most)


def _composite(slot: Any, scaling: Scaling, value: Any, path: str) -> dict[str, int] | None:
    """A composite of mantissa and exponent; an exponent that is sent is the one that fits."""
    exact = exactly(value, scaling.ending, path)
    if exact is None:
        if slot.null is None and not slot.since:
            raise refusal(path, value, "the field is required, and never null")
        return None
    assert scaling.members is not None
    members = {each.name: each for each in slot.members_of_it}
    mantissa, exponent = (members[name] for name in scaling.members)
    wanted = Wanted(mantissa, {}, path, value, exact, False, _limits(exponent))
    constant = exponent.facts.get("constant")
    if constant is not None:
        return {mantissa.name: mantissa_of(wanted, index(constant))}
    power = fitting([wanted], exponent, f"{path}.{exponent.name}")
    return {mantissa.name: mantissa_of(wanted, power), exponent.name: power}


def _by_parts(slot: Any, types: Mapping[str, Any], value: Any, path: str) -> Any:
    """A composite whose decimals are given by their values, however deep, as it is encoded."""
    table = types[slot.facts["named"]]
    if isinstance(value, Mapping):
        composites = (each for each in slot.members_of_it if each.facts["kind"] == "composite")
        inner = {each.name: each for each in composites}
        return {
            name: _by_parts(inner[name], types, each, f"{path}.{name}") if name in inner else each
            for name, each in value.items()
        }
    if table.decimal is None or isinstance(value, tuple):
        return value
    scaling = Scaling(slot.name, "float", members=tuple(table.decimal))
    return _composite(slot, scaling, value, path)


def _entry(level: Any, names: Sequence[str], row: tuple[Any, ...]) -> dict[str, Any]:
    """One row of ``bids_float``: raw numbers beside the scaled ones, null as its null value."""
    result: dict[str, Any] = {}
    for name, value in zip(names, row, strict=True):
        slot = level.fields[level.places[name]] if name in level.places else None
        result[name] = value if slot is None else _raw(slot, value)
    return result


def _raw(slot: Any, value: Any) -> Any:
    """A value of an array's, as dicts have it."""
    kind = slot.facts["kind"]
    if kind == "composite" and not isinstance(value, tuple):
        return value  # of a decimal, by its value
    if kind == "composite":
        members = [each for each in slot.members_of_it if each.size]
        pairs = zip(members, value, strict=True)
        made = {each.name: _raw(each, part) for each, part in pairs}
        first = made[members[0].name]
        is_nan = isinstance(first, float) and np.isnan(first)  # of a decimal, by its value
        return None if slot.null is not None and (first is None or is_nan) else made
    if kind in ("text", "char"):
        text = value.decode(slot.facts.get("encoding") or "latin-1")
        if kind == "char":
            text = text or "\0"
        return None if slot.null is not None and text in ("", "\0") else text
    if kind == "mantissa":
        order: Any = "big" if slot.facts["big"] else "little"
        value = int.from_bytes(bytes(value), order, signed=True)
    null = slot.facts.get("null")
    if kind == "set" or kind == "array" or slot.null is None:
        return value
    is_nan = null is None and isinstance(value, float) and np.isnan(value)
    return None if is_nan or value == null else value
