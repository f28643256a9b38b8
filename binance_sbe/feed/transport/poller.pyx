"""Waiting for sockets on one thread: poll(2), or looking again and again without waiting.

Of the few sockets of a feed, poll(2) costs what epoll does, and every POSIX system has it. What a
socket is read by is called from here: a thread that waits for one message after the other stays in
C until there is something to do that is no message. After a wait the processor's caches are cold,
and what is not executed is not missed in them.
"""

cimport cython
from libc.errno cimport EINTR, errno
from libc.stdlib cimport free, realloc

from ..intake.backlog cimport Backlog, has_come
from ..intake.handlers cimport Calls
from ..intake.stats cimport monotonic_ns

cdef extern from "<poll.h>" nogil:
    int c_poll "poll"(pollfd* fds, unsigned long count, int milliseconds)
    short POLLIN, POLLOUT

cdef extern from *:
    int PyErr_CheckSignals() except -1

cdef enum:
    LONGEST = 60_000            # ms of one wait
    LOOKS = 1024                # of a spinning thread, between two looks at signals and the clock

cdef double MOST_SECONDS = 1e9      # for infinity as well

READ = POLLIN
WRITE = POLLOUT


cdef class Owner:
    """Calls ``function()``, without arguments, where its descriptor is ready."""

    def __init__(self, function):
        self.function = function

    cdef int ready(self) except -1:
        self.function()
        return 1


@cython.final
cdef class Poller:
    """Descriptors, what is wanted of each (READ, WRITE or both), and their owners.

    For one thread at a time.
    """

    def __cinit__(self):
        self.owners = []

    def __dealloc__(self):
        free(self.fds)

    def want(self, int fd, short events, Owner owner not None):
        """From now on so much is wanted of a descriptor; its owner is told."""
        cdef int i
        cdef pollfd* more
        for i in range(self.count):
            if self.fds[i].fd == fd:
                self.fds[i].events = events
                self.owners[i] = owner
                return
        more = <pollfd*>realloc(self.fds, (self.count + 1) * sizeof(pollfd))
        if more == NULL:
            raise MemoryError
        self.fds = more
        self.owners.append(owner)
        self.fds[self.count] = pollfd(fd, events, 0)
        self.count += 1

    def forget(self, int fd):
        """Before a descriptor is closed: its number may be another's after that."""
        cdef int i
        for i in range(self.count):
            if self.fds[i].fd == fd:
                self.count -= 1
                self.fds[i] = self.fds[self.count]
                last = self.owners.pop()
                if i < self.count:
                    self.owners[i] = last
                return

    def turn(self, double seconds, bint spin, Calls calls=None):
        """Waits at most so long for a descriptor, and tells owners. Returns the monotonic time, s.

        With ``calls`` it waits again and again, until these have ended, the time is over, or there
        is something to do: an owner says so, or somebody has set ``interrupted``.

        With ``spin`` the thread never sleeps. The GIL is released while it waits, so that other
        threads run. Raises what a handler of a signal raises, such as KeyboardInterrupt.
        """
        cdef long long until = monotonic_ns()
        if seconds > 0:
            until += <long long>(min(seconds, MOST_SECONDS) * 1e9)
        return self.move(until, spin, calls, None) / 1e9

    cdef long long move(
        self, long long until, bint spin, Calls calls, Backlog backlog
    ) except -1:
        """`turn` up to a time, ns. With a backlog: until what the consumer takes is in it."""
        cdef Owner owner
        cdef long long now
        cdef int i
        while self.wait(until, spin):
            # From the last to the first: of those that come, or take another's place, none is told
            # of what was another's.
            i = self.count
            while i > 0:
                i -= 1
                if i < self.count and self.fds[i].revents:
                    self.fds[i].revents = 0
                    owner = <Owner>self.owners[i]
                    if owner.ready():
                        self.interrupted = True
            PyErr_CheckSignals()        # before the consumer takes what has come
            now = monotonic_ns()
            if self.interrupted or now >= until:
                return now
            if calls is not None:
                if calls.ended:
                    return now
            elif backlog is None or has_come(backlog):
                return now
        return monotonic_ns()

    cdef int wait(self, long long until, bint spin) except -1:
        """How many can be read or written, or have ended: none when it is ``until``."""
        cdef long long left
        cdef int ready
        while True:
            left = until - monotonic_ns()
            if left <= 0:
                ready = c_poll(self.fds, self.count, 0)
            elif spin:
                ready = self.look(until)
            else:
                left = min((left + 999_999) // 1_000_000, <long long>LONGEST)
                with nogil:
                    ready = c_poll(self.fds, self.count, <int>left)
            if ready > 0:
                return ready
            if ready < 0 and errno != EINTR:
                raise OSError(errno, "poll")
            PyErr_CheckSignals()
            if left <= 0:
                return 0

    cdef int look(self, long long until) noexcept:
        """Looks until there is something, or it is time to look at the clock and at signals."""
        cdef int ready = 0, looks
        with nogil:
            for looks in range(LOOKS):
                ready = c_poll(self.fds, self.count, 0)
                if ready or (looks % 16 == 15 and monotonic_ns() >= until):
                    break
        return ready
