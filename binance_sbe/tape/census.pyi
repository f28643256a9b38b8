from typing import Any, Self, final

from numpy.typing import NDArray

@final
class Census:
    names: list[str]
    first_event: int
    last_event: int
    others: int
    def __new__(cls, most: int) -> Self: ...
    def count(
        self, kinds: Any, offsets: Any, data: Any, which: Any = None, ids: Any = None
    ) -> NDArray[Any]: ...
