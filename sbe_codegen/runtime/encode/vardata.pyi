from collections.abc import Mapping
from typing import Any

class Data:
    name: str
    encoding: str | None
    since: int
    empty_is_null: bool
    most: int
    def __init__(self, facts: Mapping[str, Any], big: bool) -> None: ...
    def raw(self, value: object) -> bytes: ...
