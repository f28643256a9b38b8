"""How a consumer with asyncio learns that something has come: where the read ends that brought it.

The task that waits for an `asyncio.Future` goes on in the next turn of the event loop, which is one
more look at all sockets. A task may wait for any object that does as futures do (see
`asyncio.isfuture`): it gives that a function to call. Here that is called at the end of the read,
where nothing of ours is half done. Where the bell is rung by anything else, or amid another task,
the loop calls it, as it does for a future.
"""

cimport cython

import asyncio
import sys
from contextvars import Context

# The task that is running in a loop. It is a function in C from 3.12 on; before that it asks this.
cdef object current_task = (
    asyncio.current_task if sys.version_info >= (3, 12) else asyncio.tasks._current_tasks.get
)
cdef object running_loop = asyncio.get_running_loop
cdef object run_in = Context.run


def rethrow(error):
    """What no task may keep to itself, KeyboardInterrupt say, ends the event loop."""
    raise error


@cython.final
@cython.freelist(4)
cdef class Wait:
    """For one task: ``await wait`` ends when the bell has rung since `Bell.listen`."""

    def __await__(self):
        return self

    def __next__(self):
        if self.over:
            raise StopIteration
        if self.step is not None:
            raise RuntimeError("this is not over: it is for one task of asyncio's to wait for")
        self._asyncio_future_blocking = True
        return self

    # what a task does with a future

    def get_loop(self):
        return self.loop

    def add_done_callback(self, function, *, context=None):
        self.step = function
        self.context = context
        if self.over:
            self.tell_soon()

    def cancel(self, msg=None):
        """False where it has rung: the task hears of that first, and is cancelled then."""
        if self.over:
            return False
        self.over = self.cancelled = True
        self.message = msg
        self.tell_soon()
        return True

    def result(self):
        if self.cancelled:
            raise asyncio.CancelledError() if self.message is None else (
                asyncio.CancelledError(self.message)
            )

    # telling the task

    cdef int tell_soon(self) except -1:
        """By the loop."""
        if self.step is not None and not self.told:
            self.told = True
            step, self.step = self.step, None   # which refers to who refers to this
            self.loop.call_soon(step, self, context=self.context)
        return 0

    cdef int tell(self) except -1:
        """At once, where no task is running. What the task raises is its own."""
        if self.step is None or self.told:
            return 0
        if current_task(self.loop) is not None:
            return self.tell_soon()
        self.told = True
        try:
            run_in(self.context, self.go_on)
        except BaseException as error:
            if self.gone_on:
                self.loop.call_soon(rethrow, error)
            else:                   # the context is that of the read, and can't be entered again
                self.told = False
                self.tell_soon()
        return 0

    def go_on(self):
        self.gone_on = True
        step, self.step = self.step, None
        step(self)


@cython.final
cdef class Bell:
    """``bell()`` rings. A consumer that has found nothing listens, and waits: one at a time."""

    cpdef Wait listen(self):
        """A `Wait` for what rings from now on."""
        cdef Wait wait = Wait.__new__(Wait)
        wait.loop = running_loop()
        wait._asyncio_future_blocking = False
        self.wait = wait
        return wait

    def __call__(self):
        cdef Wait wait = self.wait
        if wait is None or wait.over:
            return
        wait.over = True
        if not self.reads:
            wait.tell_soon()

    cdef void begin_read(self) noexcept:
        """What rings from now on is told at the end of the read."""
        self.reads = True

    cdef int end_read(self) except -1:
        """The consumer goes on, if it was waiting for this: any code of the user's may run."""
        cdef Wait wait = self.wait
        self.reads = False
        if wait is not None and wait.over:
            self.wait = None
            wait.tell()
        return 0
