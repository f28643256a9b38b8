"""Conventions that a schema has nothing for, or that it contradicts: most likely a mistake."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from . import ir
from .conventions import Conventions


def sentences(conventions: Conventions, module: ir.Module) -> Iterator[str]:
    """What each of them that says something of nothing, in ``module``, is called and says."""
    fields = [field for message in module.messages for field in _fields(message)]
    tops = [
        f"{message.schema_name}.{name}"
        for message in module.messages
        for name in (
            *(g.schema_name for g in message.groups),
            *(d.schema_name for d in message.data),
        )
    ]
    types = [each.name for each in module.var_data]
    numbers = {message.template_id for message in module.messages}
    for key, patterns in (
        ("empty_is_null", conventions.empty_is_null),
        ("embedded", conventions.embedded),
    ):
        for pattern in patterns:
            if not any(map(Conventions(empty_is_null=(pattern,)).is_null_when_empty, types)):
                yield f"{key}: no type of var data is called '{pattern}'"
    for each in module.var_data:
        if each.is_embedded and each.charset:
            yield f"embedded: '{each.name}' is {each.charset} text, and holds no messages"
    for pattern, wanted in conventions.exponents.items():
        one = Conventions(exponents={pattern: wanted})
        tied = [f.schema_name for f in fields if f.exponent is not None]
        if not any(name for each in tied for name in one.exponent_names(each)):
            yield f"exponents: no number that is called '{pattern}' has an exponent '{wanted}'"
    for pattern, said in conventions.times.items():
        one = Conventions(times={pattern: said})
        called = [f for f in fields if one.time_of(f.schema_name, f.type_name)]
        if not called:
            yield f"times: no field and no type is called '{pattern}'"
        elif said != "number" and not any(f.time is not None for f in called):
            yield (
                f"times: what is called '{pattern}' stays what it is: times are whole numbers, "
                "of which no line before this one says something else"
            )
    for pattern in conventions.appended_is_absent:
        one = Conventions(appended_is_absent=(pattern,))
        if not any(map(one.may_end_before, tops)):
            yield f"appended_is_absent: no group or data of a message is called '{pattern}'"
    for number in conventions.layout_since:
        if number not in numbers:
            yield f"layout_since: there is no message with the template id {number}"
    for number, version in conventions.layout_since.items():
        if number in numbers and version > module.version:
            yield (
                f"layout_since: {version} is above the schema's version {module.version}: each "
                f"frame of template {number} is refused"
            )
    for number in conventions.removed:
        if number in numbers:
            yield f"removed: there is a message with the template id {number}"


def _fields(level: ir.Message | ir.Group) -> Iterator[ir.Field]:
    yield from _members(level.block.fields)
    for group in level.groups:
        yield from _fields(group)


def _members(fields: Iterable[ir.Field]) -> Iterator[ir.Field]:
    for field in fields:
        yield field
        if field.encoding.composite is not None:
            yield from _members(field.encoding.composite.members)
