from typing import Any, final

from ..feed.intake.backlog import Backlog
from ..feed.intake.streams import Source

EVER: int
WHY: tuple[str, ...]

@final
class Pump:
    sources: dict[int, Source]
    offset: int
    look_at: int
    @property
    def at(self) -> int: ...
    @property
    def end(self) -> int: ...
    @property
    def frames(self) -> int: ...
    @property
    def received(self) -> int: ...
    def __new__(cls, backlog: Backlog) -> Pump: ...
    def load(
        self,
        received: Any,
        connection: Any,
        kind: Any,
        offsets: Any,
        data: Any,
        wanted: Any,
        begin: int,
        end: int,
    ) -> None: ...
    def want(self, wanted: Any) -> None: ...
    def skip(self) -> None: ...
    def play(self, most: int, until: int) -> str: ...
