"""Frames become messages, and what that takes is measured."""

from libc.stdint cimport int64_t

from .stats cimport Stats

cdef object measured_message(bytes frame, int64_t received, Stats stats, object wrap)
