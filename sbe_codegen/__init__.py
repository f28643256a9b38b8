"""A compiler for Simple Binary Encoding: XML schemas to Cython decoders.

``parse`` -> ``resolve`` -> ``render`` are pure; ``builder`` writes and compiles.
"""

from .errors import SchemaError
from .version import __version__

__all__ = ["SchemaError", "__version__"]
