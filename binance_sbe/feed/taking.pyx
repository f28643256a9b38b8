"""What the consumer of a feed without asyncio takes, in C where there is some or some will come.

After a wait the processor's caches are cold, and what is not executed is not missed in them.
"""

cimport cython
from posix.unistd cimport getpid

from .intake.backlog cimport Backlog, has_come
from .intake.stats cimport monotonic_ns
from .transport.poller cimport Poller

cdef double LOOK_SECONDS = 0.02     # who finds frames all the time looks at the sockets so often
cdef double LONGEST = 3600.0


@cython.final
cdef class Taking:
    """For whoever moves the feed. All else than to wait for frames is left to others.

    ``until`` is when there is something else to do, ``look_at`` when the sockets are to be looked
    at whatever there is: both by the monotonic clock, s. Without a poller nothing is waited for.
    """

    cdef Backlog backlog
    cdef Poller poller
    cdef bint spin
    cdef int process
    cdef double until
    cdef readonly double look_at
    cdef readonly double began          # the last wait, by the same clock

    def __init__(self, Backlog backlog not None, Poller poller, bint spin):
        self.backlog, self.poller, self.spin = backlog, poller, spin
        self.process = getpid()

    def looked(self, double now, double until):
        """The sockets were looked at, and all was done that was to be done before ``until``."""
        self.look_at = now + LOOK_SECONDS
        self.until = until

    def next_message(self, timeout):
        """The next message; None where there is none, or something else to do. DecodeError."""
        self.backlog.gathering = False
        return self.backlog.next_message() if self.comes(timeout) else None

    cpdef bint comes(self, timeout) except -1:
        """Whether there is what the consumer wants: frames, or rows, which it waits for.

        At most ``timeout`` seconds since ``began``, which is now; None: as long as it takes.
        """
        cdef Backlog backlog = self.backlog
        cdef double until = self.until
        cdef long long now = monotonic_ns()
        self.began = now / 1e9
        if backlog.frames.overflowed is not None or backlog.stopped:
            return False
        if self.poller is None:
            return has_come(backlog)
        if self.poller.interrupted:
            return False
        if has_come(backlog):
            return self.began <= self.look_at
        if not backlog.brings or self.process != getpid():
            return False
        if timeout is not None:
            until = min(until, self.began + <double>timeout)
        if self.began < until:
            now += <long long>(min(until - self.began, LONGEST) * 1e9)
            now = self.poller.move(now, self.spin, None, backlog)
            self.look_at = now / 1e9 + LOOK_SECONDS
            return has_come(backlog)
        return False
