from collections.abc import Callable

from .inbox import Inbox

PICOWS: str

class Listener:
    def __init__(
        self,
        inbox: Inbox,
        on_text: Callable[[str], object],
        on_lost: Callable[[int | None, str], object],
    ) -> None: ...
    def resume(self) -> None: ...
