"""How a consumer with asyncio learns that something has come."""

from collections.abc import Generator
from typing import Any, final

@final
class Wait:
    def __await__(self) -> Generator[object]: ...

@final
class Bell:
    is_waited: bool
    def __new__(cls) -> Bell: ...
    def __call__(self, /, *args: Any, **kwargs: Any) -> None: ...  # none: a slot says no more
    def listen(self) -> Wait: ...
