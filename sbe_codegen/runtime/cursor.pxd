"""`sbe_codegen.runtime.decode.cursor`, by the name that programs cimport."""

from .decode.cursor cimport *
