"""Sockets that an event loop of asyncio's watches: what `poller.Poller` is to a thread without one.

Any loop with `add_reader` and `add_writer` will do, uvloop's too. What it calls when a socket is
ready is C, and the consumer goes on at the end of that.
"""

cimport cython

from .bell cimport Bell
from .poller cimport Owner

from .poller import READ, WRITE


@cython.final
cdef class Watched:
    """One descriptor."""

    cdef Owner owner
    cdef Bell bell              # of the consumer, if it has one
    cdef short events           # what the loop watches it for

    def ready(self):
        """What the loop calls."""
        if self.bell is None:
            self.owner.ready()
            return
        self.bell.begin_read()
        try:
            self.owner.ready()
        finally:
            self.bell.end_read()


@cython.final
cdef class Watch:
    """``want`` and ``forget`` are those of a `Poller`. ``wake`` is a backlog's."""

    cdef object loop
    cdef Bell bell
    cdef dict watched           # by descriptor

    def __init__(self, loop, wake):
        self.loop = loop
        self.bell = wake if isinstance(wake, Bell) else None
        self.watched = {}

    def want(self, int fd, short events, Owner owner not None):
        cdef Watched each = self.watched.get(fd)
        cdef short changed
        if each is None:
            each = self.watched[fd] = Watched.__new__(Watched)
            each.bell = self.bell
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
            del self.watched[fd]
