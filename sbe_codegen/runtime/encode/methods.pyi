from collections.abc import Callable, Mapping
from typing import Any

from .levels import Level

INTO_NAMES: tuple[str, ...]

class Encoder:
    message: Any
    since: int
    latest: int
    def __init__(
        self,
        message: Any,
        planner: Any,
        make_header: Callable[[Any, int, int, int, int], bytes],
        latest: int,
        encode_doc: bytes,
        into_doc: bytes,
        options: Mapping[str, str],
    ) -> None: ...
    def functions(self, module: str) -> tuple[Callable[..., bytes], Callable[..., int]]: ...
    def plan(self) -> Level: ...
    def header_at(self, version: int) -> bytes: ...
    def version_of(self, version: int | None) -> int: ...
    def from_dict(
        self, values: Mapping[str, Any], version: int | None = None, exponents: str | None = None
    ) -> bytes: ...
    def replaced(self, message: Any, values: Mapping[str, Any]) -> bytes: ...
    def option(self, name: str) -> str: ...

def replace(self: Any, /, **values: Any) -> bytes: ...
