"""The clock of a feed with asyncio: rings once, after a while.

A time-out of asyncio's makes each turn of the event loop look at its clock, and the kernel set up a
timer for each wait: a message that comes alone pays for both. A timer of Linux's that is a
descriptor, as a socket is, costs nothing until it rings. Other systems have the time-out.
"""

cimport cython
from posix.unistd cimport close

cdef extern from *:
    """
    #include <unistd.h>
    #ifdef __linux__
    #include <sys/timerfd.h>
    static int sbe_timer(void) {
        return timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    }
    static int sbe_set_timer(int fd, long long ns) {
        struct itimerspec value = {{0, 0}, {ns / 1000000000, ns % 1000000000}};
        return timerfd_settime(fd, 0, &value, 0);
    }
    #else
    static int sbe_timer(void) { return -1; }
    static int sbe_set_timer(int fd, long long ns) { (void)fd; (void)ns; return -1; }
    #endif
    static int sbe_timer_rang(int fd) {
        unsigned long long times;
        return read(fd, &times, sizeof times) == sizeof times;
    }
    """
    int sbe_timer()
    int sbe_set_timer(int fd, long long ns)
    bint sbe_timer_rang(int fd)

cdef double LONGEST = 1e9       # s: for infinity as well


@cython.final
cdef class Alarm:
    """``rings()`` is called by ``loop``, in its turn, when the time is over."""

    cdef object loop, rings
    cdef object later           # a timer of the loop's, where the system has none of ours
    cdef int fd                 # -1 where it has none, or no more descriptors
    cdef bint watched

    def __cinit__(self, loop, rings):
        self.fd = -1
        self.loop, self.rings = loop, rings
        self.fd = sbe_timer()

    def __dealloc__(self):
        if self.fd >= 0:
            close(self.fd)

    @property
    def is_descriptor(self):
        """Whether the loop has no timer of its own for this."""
        return self.fd >= 0

    def set(self, double seconds):
        """From now on; what was set before is forgotten. At once where that is no time at all."""
        seconds = min(max(seconds, 1e-9), LONGEST)
        if self.fd >= 0 and sbe_set_timer(self.fd, <long long>(seconds * 1e9)) == 0:
            if not self.watched:
                self.loop.add_reader(self.fd, self.ring)
                self.watched = True
            return
        if self.later is not None:
            self.later.cancel()
        self.later = self.loop.call_later(seconds, self.rings)

    def ring(self):
        if sbe_timer_rang(self.fd):     # else it was set anew in the same turn
            self.rings()

    def close(self):
        """Nothing rings any more."""
        if self.later is not None:
            self.later.cancel()
            self.later = None
        if self.fd >= 0:
            if self.watched and not self.loop.is_closed():
                self.loop.remove_reader(self.fd)
            close(self.fd)
            self.fd = -1
            self.watched = False
