from collections.abc import Mapping
from typing import Any, Final

CODES: Final[dict[str, int]]

class View: ...

class Element:
    name: str
    schema_name: str
    def __init__(self, *args: Any) -> None: ...
    def __get__(self, instance: Any, owner: Any = None, /) -> Any: ...
    def __set__(self, instance: Any, value: Any, /) -> None: ...
    def __delete__(self, instance: Any, /) -> None: ...

class IntField(Element):
    def __init__(
        self,
        name: str,
        schema_name: str,
        doc: str,
        since: int,
        offset: int,
        code: int,
        null: int | None,
    ) -> None: ...

class FloatField(Element):
    def __init__(
        self,
        name: str,
        schema_name: str,
        doc: str,
        since: int,
        offset: int,
        code: int,
        optional: bool,
    ) -> None: ...

class EnumField(IntField):
    def __init__(
        self,
        name: str,
        schema_name: str,
        doc: str,
        since: int,
        offset: int,
        code: int,
        null: int | None,
        members: dict[int, Any],
        labels: dict[int, str],
    ) -> None: ...

class ConstantField(Element):
    def __init__(
        self, name: str, schema_name: str, doc: str, since: int, value: Any, label: Any
    ) -> None: ...

class FloatOf(Element):
    def __init__(
        self, name: str, schema_name: str, doc: str, mantissa: IntField, exponent: IntField
    ) -> None: ...

class DecimalOf(FloatOf): ...

class DataField(Element):
    def __init__(
        self, name: str, schema_name: str, doc: str, since: int, slot: int, encoding: str | None
    ) -> None: ...

class DataBytes(Element):
    def __init__(self, name: str, schema_name: str, doc: str, since: int, slot: int) -> None: ...

def set_attributes(owner: type, attributes: Mapping[str, Any]) -> None: ...
def show_docs(kind: type) -> None: ...
