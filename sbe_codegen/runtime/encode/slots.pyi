from collections.abc import Callable, Mapping
from typing import Any, Final

from .refusals import MISSING as MISSING

SIZES: Final[dict[str, int]]
CODES: Final[dict[str, int]]

class Slot:
    name: str
    offset: int
    since: int
    size: int
    facts: dict[str, Any]
    null: bytes | None
    absent: bytes | None
    newest: int
    def __init__(
        self, facts: Mapping[str, Any], size: int, null: bytes | None, absent: bytes | None
    ) -> None: ...
    def end_at(self, version: int) -> int: ...
    def null_number(self) -> bytes: ...
    def encoded(self, value: object) -> bytes: ...

class IntSlot(Slot):
    least: int
    most: int
    def __init__(
        self, facts: Mapping[str, Any], big: bool, null: int, least: int, most: int
    ) -> None: ...
    def whole(self, value: object) -> int: ...

class EnumSlot(IntSlot):
    names_null: bool
    def __init__(
        self, facts: Mapping[str, Any], big: bool, null: int, least: int, most: int, module: str
    ) -> None: ...

class FloatSlot(Slot):
    def __init__(self, facts: Mapping[str, Any], big: bool, null: bytes) -> None: ...

class CharSlot(Slot):
    def __init__(self, facts: Mapping[str, Any]) -> None: ...

class CodedSlot(Slot):
    is_text: Callable[[bytes], bool]
    facts_null: bytes
    def __init__(
        self,
        facts: Mapping[str, Any],
        size: int,
        null: bytes | None,
        absent: bytes | None,
        coded: Callable[[Any], bytes],
    ) -> None: ...

class ConstantSlot(Slot):
    def __init__(self, facts: Mapping[str, Any], values: tuple[Any, ...]) -> None: ...
