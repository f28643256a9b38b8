"""Waiting for sockets in C, and who reads them. See `poller.pyx`."""

from ..intake.backlog cimport Backlog
from ..intake.handlers cimport Calls

cdef extern from "<poll.h>" nogil:
    struct pollfd:
        int fd
        short events
        short revents


cdef class Owner:
    """Of a descriptor; of it one in Python is made with a function, which is called."""

    cdef object function

    # It can be read or written, or has ended. 1: whoever turns the poller has something to do now.
    cdef int ready(self) except -1


cdef class Poller:
    cdef pollfd* fds
    cdef list owners            # in the same order
    cdef int count
    cdef public bint interrupted        # whoever turns it has something to do

    cdef long long move(
        self, long long until, bint spin, Calls calls, Backlog backlog
    ) except -1
    cdef int wait(self, long long until, bint spin) except -1
    cdef int look(self, long long until) noexcept
