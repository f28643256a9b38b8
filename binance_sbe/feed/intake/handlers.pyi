from collections.abc import Callable

from sbe_codegen.runtime.errors import DecodeError

from ...venue.streams import Message

class FrameHandler:
    def __new__(cls) -> FrameHandler: ...

class Ignoring(FrameHandler): ...

class Calls:
    @property
    def failure(self) -> BaseException | None: ...
    @property
    def ended(self) -> bool: ...
    def __new__(
        cls,
        function: Callable[[Message], object] | FrameHandler,
        reuse: bool,
        refused: Callable[[DecodeError], object],
    ) -> Calls: ...
