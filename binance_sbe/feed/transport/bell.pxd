"""How a consumer with asyncio learns that something has come."""


cdef class Wait:                # a wait for the bell, as a task sees it: a future
    cdef object loop
    cdef object step            # of the task that waits, once it does: called with this
    cdef object context         # that task's
    cdef public object _asyncio_future_blocking     # what a task knows a future by
    cdef bint over              # it has rung, or the wait was cancelled
    cdef bint cancelled
    cdef object message         # of who has cancelled it
    cdef bint told              # the task goes on, or will soon
    cdef bint gone_on

    cdef int tell_soon(self) except -1
    cdef int tell(self) except -1


cdef class Bell:
    cdef Wait wait              # the last; None before the first
    cdef public bint is_waited  # a consumer waits: there is one at most
    cdef bint reads             # a read of a socket is going on

    cpdef Wait listen(self)
    cdef void begin_read(self) noexcept
    cdef int end_read(self) except -1
