"""`binance_sbe.api.fix`, by the name that programs know."""

from .api.fix import *  # noqa: F403 - these and no others
from .api.fix import __all__ as __all__
