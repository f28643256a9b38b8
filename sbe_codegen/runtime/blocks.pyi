from typing import Any

from .elements import Element

class BlockView(Element):
    def __init__(self, name: str, doc: str, layout: Any) -> None: ...

class GroupView(Element):
    def __init__(
        self,
        name: str,
        schema_name: str,
        doc: str,
        since: int,
        slot: int,
        layout: Any,
        elements: tuple[Element, ...],
    ) -> None: ...

class GroupFloats(Element):
    def __init__(
        self, name: str, schema_name: str, doc: str, group: GroupView, to_floats: Any
    ) -> None: ...
