from typing import Any

import numpy as np
from numpy.typing import NDArray

from .levels import Level

BYTES: np.dtype[np.uint8]

def written(
    level: Level, contents: Any, layout: Any, header: bytes, version: int, name: str
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]: ...
