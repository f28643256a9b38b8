"""A small schema that is fine, to be changed by one thing; and what the compiler says of a text."""

from __future__ import annotations

import pytest

from sbe_codegen import SchemaError, ir, parser, resolver
from sbe_codegen.conventions import Conventions

TYPES = """<composite name="messageHeader"><type name="blockLength" primitiveType="uint16"/>
<type name="templateId" primitiveType="uint16"/><type name="schemaId" primitiveType="uint16"/>
<type name="version" primitiveType="uint16"/></composite>
<composite name="groupSizeEncoding"><type name="blockLength" primitiveType="uint16"/>
<type name="numInGroup" primitiveType="uint8"/></composite>
<composite name="text"><type name="length" primitiveType="uint8"/>
<type name="varData" primitiveType="uint8" length="0" characterEncoding="UTF-8"/></composite>
<enum name="side" encodingType="char"><validValue name="Buy">B</validValue></enum>
"""


def schema(message: str = "", types: str = "", root: str = 'id="1" version="1"') -> str:
    """A schema whose message begins at line 13, where there are no extra types."""
    text = f'<messageSchema package="p" {root}><types>\n{TYPES}</types>\n<types>\n{types}</types>\n'
    message = (
        message or '<message name="M" id="1">\n<field name="a" id="1" type="uint8"/></message>'
    )
    return f"{text}{message}\n</messageSchema>"


def faults(text: str) -> list[str]:
    with pytest.raises(SchemaError) as caught:
        module_of(text)
    assert str(caught.value) == "\n".join(map(str, caught.value.errors))
    return [str(error) for error in caught.value.errors]


def field(attributes: str) -> str:
    return schema(f'<message name="M" id="1">\n<field {attributes}/></message>')


def enum(attributes: str, values: str) -> str:
    return schema(types=f"<enum name='E' {attributes}>{values}</enum>\n")


def body(*elements: str) -> str:
    return schema(f"<message name='M' id='1'>{''.join(elements)}</message>")


def plain(name: str, number: int, kind: str = "uint8") -> str:
    return f"<field name='{name}' id='{number}' type='{kind}'/>"


def module_of(text: str, conventions: Conventions | None = None) -> ir.Module:
    return resolver.resolve(parser.parse_bytes(text.encode(), "s.xml"), conventions)
