from typing import final

GRANULARITY: int

@final
class Mapping:
    def __new__(cls, fd: int, begin: int, size: int) -> Mapping: ...
    def view(self) -> memoryview: ...
