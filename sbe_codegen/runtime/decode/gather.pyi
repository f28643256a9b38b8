from typing import Any

import numpy as np

_Array = np.ndarray[Any, Any]

def move(
    copies: list[tuple[_Array, _Array]],
    scales: list[tuple[_Array, _Array | int, _Array, int | None, int | None]],
) -> None: ...
