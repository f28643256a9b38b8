from collections.abc import Callable

from .streams import Stream

MOST_STRAYS: int

class Directory:
    is_wanted: Callable[[str], bool] | None
    @property
    def streams(self) -> dict[str, Stream]: ...
    @property
    def strays(self) -> dict[str, int]: ...
    def __new__(cls) -> Directory: ...
    def stream(self, name: str) -> Stream: ...
