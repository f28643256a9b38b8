from typing import Any

def collect(
    collector: Any,
    received: Any,
    kinds: Any,
    offsets: Any,
    data: Any,
    wanted: Any,
    begin: int,
    end: int,
    most: int,
) -> int: ...
