"""Frames that wait for what is missing before them, of one stream.

They are in two orders: `Stream.held` is a heap by id, in which they are handed on;
`Stream.arrivals` has them as they came, in which their patience ends. What is handed on stays in
the second until it is its first, since nothing is taken out of the middle of a deque.
"""

from libc.stdint cimport int64_t

from .streams cimport Stream

from collections import deque
from heapq import heappush
from itertools import count

# Between frames with one id the one that came first is first: two `Held` can't be compared, and to
# try would run Python code amid the heap.
_TURNS = count()


cdef int keep(Stream stream, Held held) except -1:
    """One more that waits."""
    if stream.held is None:
        stream.held = []
        stream.arrivals = deque()
    heappush(stream.held, (held.event.first, next(_TURNS), held))
    stream.arrivals.append(held)
    return 0


cdef int64_t longest(Stream stream) except? -1:
    """When that came which has waited longest, by the monotonic clock; there has to be one."""
    while (<Held>stream.arrivals[0]).done:
        stream.arrivals.popleft()
    return (<Held>stream.arrivals[0]).moment
