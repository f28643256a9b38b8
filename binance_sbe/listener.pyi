from collections.abc import Callable
from typing import final

from .inbox import Inbox
from .sequencer import Line

PICOWS: str

@final
class Listener:
    def __init__(
        self,
        inbox: Inbox,
        line: Line,
        on_text: Callable[[str], object],
        on_sign: Callable[[], object],
        on_lost: Callable[[int | None, str], object],
    ) -> None: ...
    def resume(self) -> None: ...
