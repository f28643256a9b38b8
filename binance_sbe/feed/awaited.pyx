"""What a consumer with asyncio awaits, in C where it is there or will come: a message, or rows.

After a wait the processor's caches are cold, and what is not executed is not missed in them.
"""

cimport cython

from .intake.backlog cimport Backlog, has_come
from .transport.bell cimport Bell, Wait

from sbe_codegen.runtime.errors import DecodeError


@cython.final
cdef class Messages:
    """What ``async for`` goes through."""

    cdef object feed
    cdef Backlog backlog
    cdef Bell bell

    def __init__(self, feed, Backlog backlog not None, Bell bell not None):
        self.feed, self.backlog, self.bell = feed, backlog, bell

    def __aiter__(self):
        return self

    def __anext__(self):
        cdef AwaitedMessage awaited = AwaitedMessage.__new__(AwaitedMessage)
        awaited.feed, awaited.backlog, awaited.bell = self.feed, self.backlog, self.bell
        return awaited


@cython.final
cdef class Gathering:
    """``await gathering``: whether there are rows to hand over, again and again."""

    cdef object feed
    cdef Backlog backlog
    cdef Bell bell
    cdef Py_ssize_t size

    def __init__(self, feed, Backlog backlog not None, Bell bell not None, Py_ssize_t size):
        self.feed, self.backlog, self.bell, self.size = feed, backlog, bell, size

    def __await__(self):
        cdef AwaitedRows awaited = AwaitedRows.__new__(AwaitedRows)
        awaited.feed, awaited.backlog, awaited.bell = self.feed, self.backlog, self.bell
        awaited.size = self.size
        return awaited


@cython.freelist(4)
cdef class Awaited:
    """What ``await`` takes, as a coroutine, for one thing.

    Whatever else is to be done than to wait and to take it is a matter of a coroutine of the feed.
    """

    cdef object feed
    cdef Backlog backlog
    cdef Bell bell
    cdef Wait wait              # what was waited for last, until it is over
    cdef object rest            # the coroutine, where there is one
    cdef bint is_over

    def __dealloc__(self):
        if self.wait is not None and self.bell is not None:     # dropped, and never closed
            self.bell.is_waited = False

    def __await__(self):
        return self

    def __iter__(self):
        return self

    def __next__(self):
        return self.go_on()

    def send(self, value):
        return self.go_on()         # there is nothing to be told

    def throw(self, kind, value=None, traceback=None):
        if isinstance(kind, BaseException):
            value = kind
        elif not isinstance(value, BaseException):
            value = kind() if value is None else kind(value)
        if traceback is not None:
            value = value.with_traceback(traceback)
        if self.rest is not None:
            return self.rest.throw(value)
        self.close()
        raise value

    def close(self):
        """Nobody waits for it any more."""
        self.is_over = True
        if self.wait is not None:
            self.wait = None
            self.bell.is_waited = False
        if self.rest is not None:
            self.rest.close()

    cdef object taken(self):
        """What was awaited, if it is there: else None."""

    cdef object coroutine(self):
        """What takes it, whatever is to be done for that."""

    cdef object go_on(self):
        """What to wait for. StopIteration has what was awaited."""
        cdef Wait wait = self.wait
        if self.rest is not None:
            return self.rest.send(None)
        if self.is_over:
            raise RuntimeError("cannot reuse what was awaited: ask for the next")
        if wait is not None:
            if not wait.over:
                return next(wait)
            self.wait = None
            self.bell.is_waited = False
        if self.bell.is_waited:         # by another, who is not to be disturbed
            return self.go_the_long_way()
        found = self.taken()
        if found is not None:
            self.is_over = True
            raise StopIteration(found)
        if has_come(self.backlog) or not self.backlog.brings:
            return self.go_the_long_way()
        self.wait = wait = self.bell.listen()
        self.bell.is_waited = True
        try:
            self.make_room()
        except BaseException:
            self.close()
            raise
        wait._asyncio_future_blocking = True
        return wait

    cdef object go_the_long_way(self):
        self.rest = self.coroutine()
        return self.rest.send(None)

    cdef int make_room(self) except -1:
        """Lets connections go on that had no room."""
        if self.backlog.stopped:
            self.feed._consumed()
        return 0


@cython.final
cdef class AwaitedMessage(Awaited):
    """For the next message: ``feed._next_message()`` does the rest."""

    cdef object taken(self):
        self.backlog.gathering = False
        while self.backlog.frames.count() and self.backlog.frames.overflowed is None:
            message = self.decoded()
            if message is not None:
                return message

    cdef object coroutine(self):
        return self.feed._next_message()

    cdef object decoded(self):
        """The next message; None where it is none, and the feed does not raise for that."""
        try:
            return self.backlog.next_message()
        except DecodeError as error:
            self.is_over = True         # unless
            self.feed._refused(error)
            self.is_over = False
        finally:
            self.make_room()


@cython.final
cdef class AwaitedRows(Awaited):
    """For rows to hand over: True, or False where none come any more.

    ``feed._next_rows(size)`` does the rest.
    """

    cdef Py_ssize_t size

    cdef object taken(self):
        self.backlog.gather(self.size)  # another iteration may have ended meanwhile, and stopped it
        if has_come(self.backlog) and self.backlog.frames.overflowed is None:
            return True

    cdef object coroutine(self):
        return self.feed._next_rows(self.size)
