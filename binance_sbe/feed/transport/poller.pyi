from collections.abc import Callable
from typing import final

from ..intake.handlers import Calls

READ: int
WRITE: int

class Owner:
    def __init__(self, function: Callable[[], object]) -> None: ...

@final
class Poller:
    interrupted: bool
    def want(self, fd: int, events: int, owner: Owner) -> None: ...
    def forget(self, fd: int) -> None: ...
    def turn(self, seconds: float, spin: bool, calls: Calls | None = None) -> float: ...
