from typing import Final

import numpy as np

from ..errors import DecodeError
from .results import Array

PREFIX: Final[tuple[str, ...]]
INT64: Final[np.dtype[np.int64]]
REJECTED_DTYPE: Final[np.dtype[np.void]]

class Rows: ...

class Rejections:
    def __len__(self) -> int: ...
    def records(self) -> Array: ...
    def error(self, index: int) -> DecodeError: ...
