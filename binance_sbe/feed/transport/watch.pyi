from asyncio import AbstractEventLoop
from collections.abc import Callable
from typing import final

from .poller import Owner

@final
class Watch:
    def __init__(self, loop: AbstractEventLoop, wake: Callable[[], object]) -> None: ...
    def want(self, fd: int, events: int, owner: Owner) -> None: ...
    def forget(self, fd: int) -> None: ...
