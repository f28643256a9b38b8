"""Waiting for sockets on one thread: poll(2), or looking again and again without waiting.

Of the few sockets of a feed, poll(2) costs what epoll does, and every POSIX system has it.
"""

cimport cython
from libc.errno cimport EINTR, errno
from libc.stdlib cimport free, realloc

from ..intake.stats cimport monotonic_ns

cdef extern from "<poll.h>" nogil:
    struct pollfd:
        int fd
        short events
        short revents
    int c_poll "poll"(pollfd* fds, unsigned long count, int milliseconds)
    short POLLIN, POLLOUT, POLLERR, POLLHUP, POLLNVAL

cdef extern from *:
    int PyErr_CheckSignals() except -1

cdef enum:
    LONGEST = 60_000            # ms of one wait: the caller asks again
    LOOKS = 1024                # of a spinning thread, between two looks at signals and the clock

cdef double MOST_SECONDS = 1e9      # for infinity as well

READ = POLLIN
WRITE = POLLOUT


@cython.final
cdef class Poller:
    """Descriptors, and what is wanted of each: READ, WRITE or both. For one thread at a time."""

    cdef pollfd* fds
    cdef int count

    def __dealloc__(self):
        free(self.fds)

    def want(self, int fd, short events):
        """From now on so much is wanted of a descriptor."""
        cdef int i
        cdef pollfd* more
        for i in range(self.count):
            if self.fds[i].fd == fd:
                self.fds[i].events = events
                return
        more = <pollfd*>realloc(self.fds, (self.count + 1) * sizeof(pollfd))
        if more == NULL:
            raise MemoryError
        self.fds = more
        self.fds[self.count] = pollfd(fd, events, 0)
        self.count += 1

    def forget(self, int fd):
        """Before a descriptor is closed: its number may be another's after that."""
        cdef int i
        for i in range(self.count):
            if self.fds[i].fd == fd:
                self.count -= 1
                self.fds[i] = self.fds[self.count]
                return

    def wait(self, double seconds, bint spin):
        """The descriptors that can be read or written, or have ended: none after ``seconds``.

        With ``spin`` the thread never sleeps. The GIL is released while it waits, so that other
        threads run. Raises what a handler of a signal raises, such as KeyboardInterrupt.
        """
        cdef long long left, until = 0
        cdef int ready, i
        if seconds > 0:
            until = monotonic_ns() + <long long>(min(seconds, MOST_SECONDS) * 1e9)
        while True:
            if seconds <= 0:
                ready = c_poll(self.fds, self.count, 0)
            elif spin:
                ready = self.look(until)
            else:
                left = (until - monotonic_ns() + 999_999) // 1_000_000
                left = min(max(left, 0), LONGEST)
                with nogil:
                    ready = c_poll(self.fds, self.count, <int>left)
            if ready > 0:
                return [self.fds[i].fd for i in range(self.count) if self.fds[i].revents]
            if ready < 0 and errno != EINTR:
                raise OSError(errno, "poll")
            PyErr_CheckSignals()
            if seconds <= 0 or monotonic_ns() >= until:
                return []

    cdef int look(self, long long until) noexcept:
        """Looks until there is something, or it is time to look at the clock and at signals."""
        cdef int ready = 0, looks
        with nogil:
            for looks in range(LOOKS):
                ready = c_poll(self.fds, self.count, 0)
                if ready or (looks % 16 == 15 and monotonic_ns() >= until):
                    break
        return ready
