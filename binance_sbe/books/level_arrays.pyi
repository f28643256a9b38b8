from typing import Any, NamedTuple

import numpy as np

LEVEL: np.dtype[Any]

class Level(NamedTuple):
    price: int
    qty: int

class Levels(np.ndarray[Any, Any]):
    proven: int | None
    price_exponent: int | None
    qty_exponent: int | None
    def __getitem__(self, key: Any) -> Any: ...
