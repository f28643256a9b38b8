from collections.abc import Callable

from .streams import Stream

class Holes:
    def __new__(
        cls,
        note_hole: Callable[[Stream, int, int, int, int, str], object],
        note_late: Callable[[Stream, int, int], int] | None = None,
    ) -> Holes: ...
