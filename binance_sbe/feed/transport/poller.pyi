from typing import final

READ: int
WRITE: int

@final
class Poller:
    def want(self, fd: int, events: int) -> None: ...
    def forget(self, fd: int) -> None: ...
    def wait(self, seconds: float, spin: bool) -> list[int]: ...
