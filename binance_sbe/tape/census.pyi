from typing import Any

from numpy.typing import NDArray

class Census:
    names: list[str]
    first_event: int
    last_event: int
    others: int
    def __init__(self, most: int) -> None: ...
    def count(
        self, kinds: Any, offsets: Any, data: Any, which: Any = None, ids: Any = None
    ) -> NDArray[Any]: ...
