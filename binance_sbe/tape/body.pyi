from typing import Any

from numpy.typing import NDArray

def columns_in(message: Any, metadata_length: int, rows: int) -> tuple[NDArray[Any], ...]: ...
