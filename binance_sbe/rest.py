"""`binance_sbe.api.rest`, by the name that programs know."""

from .api.precision import Precision, precision_of
from .api.rest import HEADERS, Client, decode_response, depth_weight, error_of

__all__ = [
    "HEADERS",
    "Client",
    "Precision",
    "decode_response",
    "depth_weight",
    "error_of",
    "precision_of",
]
