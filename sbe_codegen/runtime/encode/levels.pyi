from collections.abc import Mapping, Sequence
from typing import Any

from .vardata import Data

class Level:
    fields: tuple[Any, ...]
    groups: tuple[Any, ...]
    data: tuple[Any, ...]
    places: dict[str, int]
    derived: dict[str, Any]
    layout: Any
    length: int
    since: int
    latest: int
    is_plain: bool
    is_implied: bool
    count: int
    def __init__(
        self,
        fields: Sequence[Any],
        groups: Sequence[Group],
        data: Sequence[Data],
        layout: Any,
        derived: Mapping[str, Any],
        latest: int,
    ) -> None: ...
    def raise_unknown(self, name: object, value: object) -> None: ...
    def check_array(self, array: Any, name: str) -> None: ...

class Group:
    name: str
    since: int
    level: Level
    most: int
    def __init__(self, facts: Mapping[str, Any], big: bool, level: Level) -> None: ...
