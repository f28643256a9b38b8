"""Sockets that an event loop of asyncio's watches: what `poller.Poller` is to a thread without one.

Any loop with `add_reader` and `add_writer` will do, uvloop's too. What it calls when a socket is
ready is C, and the consumer goes on at the end of that.

asyncio's own loop tells of a socket as long as there is something to read. uvloop tells of one with
an error, a reset, only once more, and never again: what came before that has to be read then.
"""

cimport cython

from .bell cimport Bell
from .poller cimport Owner, pollfd

import asyncio

from .poller import READ, WRITE

cdef extern from "<poll.h>" nogil:
    int c_poll "poll"(pollfd* fds, unsigned long count, int milliseconds)
    short POLLERR, POLLHUP


cdef enum:
    MOST_READS = 10_000         # of a socket that has failed: far more than a system buffers


cdef bint has_failed(int fd) noexcept:
    """Whether there is an error or an end behind what can be read."""
    cdef pollfd one = pollfd(fd, 0, 0)
    return c_poll(&one, 1, 0) > 0 and one.revents & (POLLERR | POLLHUP)


@cython.final
cdef class Watched:
    """One descriptor."""

    cdef Owner owner
    cdef Bell bell              # of the consumer, if it has one
    cdef short events           # what the loop watches it for
    cdef int fd
    cdef bint once              # the loop tells of an error once

    def ready(self):
        """What the loop calls."""
        if self.bell is None:
            self.tell()
            return
        self.bell.begin_read()
        try:
            self.tell()
        finally:
            self.bell.end_read()

    cdef int tell(self) except -1:
        cdef int reads
        self.owner.ready()
        if self.once:
            for reads in range(MOST_READS):
                if not self.events & READ or not has_failed(self.fd):
                    break
                self.owner.ready()
        return 0


@cython.final
cdef class Watch:
    """``want`` and ``forget`` are those of a `Poller`. ``wake`` is a backlog's."""

    cdef object loop
    cdef Bell bell
    cdef bint once
    cdef dict watched           # by descriptor

    def __init__(self, loop, wake):
        self.loop = loop
        self.bell = wake if isinstance(wake, Bell) else None
        self.once = not isinstance(loop, asyncio.SelectorEventLoop)
        self.watched = {}

    def want(self, int fd, short events, Owner owner not None):
        cdef Watched each = self.watched.get(fd)
        cdef short changed
        if each is None:
            each = self.watched[fd] = Watched.__new__(Watched)
            each.bell, each.fd, each.once = self.bell, fd, self.once
        each.owner = owner
        changed = each.events ^ events
        each.events = events
        if changed & READ:
            if events & READ:
                self.loop.add_reader(fd, each.ready)
            else:
                self.loop.remove_reader(fd)
        if changed & WRITE:
            if events & WRITE:
                self.loop.add_writer(fd, each.ready)
            else:
                self.loop.remove_writer(fd)

    def forget(self, int fd):
        cdef Watched each = self.watched.get(fd)
        if each is not None:
            if not self.loop.is_closed():
                self.want(fd, 0, each.owner)
            each.events = 0
            del self.watched[fd]
