from collections.abc import Mapping
from typing import Any

from .slots import Slot

class CompositeSlot(Slot):
    members_of_it: tuple[Any, ...]
    first: Slot | None
    derived: list[str]
    def __init__(
        self,
        facts: Mapping[str, Any],
        size: int,
        null: bytes | None,
        members: tuple[Slot, ...],
        first: Slot | None,
    ) -> None: ...
