"""What a feed is to whoever consumes it, with asyncio or without: all but the waiting."""

from __future__ import annotations

import inspect
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sbe_codegen.printing import counted
from sbe_codegen.runtime.errors import DecodeError
from sbe_codegen.runtime.tables.results import Batch

from ..errors import SlowConsumer, again
from ..keys import remember_key
from .engine import Engine
from .html import feed_html
from .intake.backlog import Backlog
from .intake.frame_queue import FrameQueue
from .intake.handlers import FrameHandler
from .intake.stats import Stats
from .ledger import Ledger
from .recording import NOBODY, Recorder
from .settings import Settings, check_batching


@dataclass(frozen=True)
class Plan:
    """What `connect` was asked for, checked."""

    streams: list[str]
    url: str
    rest_url: str
    api_key: str | None
    on_error: str
    policy: Mapping[str, str]
    max_queue: int
    settings: Settings
    recorder: Callable[[], Recorder] | None = None  # makes the one that records from the beginning


class BaseFeed:
    """Streams, counters and the ledger of a feed. Its shell sets ``_engine``."""

    _engine: Engine

    def __init__(self, plan: Plan, wake: Callable[[], object]) -> None:
        self.url = plan.url
        self.errors: deque[DecodeError] = deque(maxlen=1000)
        self.stats = Stats()
        self.ledger = Ledger()
        self.rest_url = plan.rest_url
        self.route = plan.settings.route
        self._wanted = plan.streams
        self._key = None if plan.api_key is None else remember_key(plan.api_key)
        self._on_error = plan.on_error
        self._new_recorder = plan.recorder
        self._recorder = NOBODY
        stops = set(plan.policy.values()) == {"block"}
        queue = FrameQueue(plan.max_queue, plan.policy, self.ledger)
        self._backlog = Backlog(self.stats, self.ledger, queue, stops, wake)
        self._is_open = self._is_left = self._has_told = False

    def __repr__(self) -> str:
        state = "open" if self._is_open else "not open"
        if self._engine.is_over:
            state = "closed"
        streams = counted(len(self.streams), "stream")
        return f"<Feed {self.url}, {state}, {streams}, {self.stats.frames} frames>"

    def _repr_html_(self) -> str:
        return feed_html(self)

    @property
    def streams(self) -> list[str]:
        """The streams that the exchange has acknowledged, in the order they were asked for."""
        return self._engine.supervisor.streams

    @property
    def waiting(self) -> int:
        """Frames that have arrived and were not handed over."""
        return self._backlog.pending

    @property
    def now_ns(self) -> int:
        """The time by which ages of what is in this feed are counted, ns since 1970."""
        return time.time_ns()

    @property
    def cut_off(self) -> set[str]:
        """The streams that no connection brings now: what is known of them gets old."""
        return self._engine.supervisor.shards.cut_off()

    @property
    def reconnects(self) -> int:
        """How often a connection was lost, or could not be made, and another attempt followed."""
        return self._engine.supervisor.reconnects

    @property
    def recorder(self) -> Recorder:
        """Who records the feed: somebody or nobody (``recording.NOBODY``)."""
        return self._recorder

    def _record(self, recorder: Recorder) -> None:
        """Has somebody record it from now on."""
        if self._recorder is not NOBODY:
            raise RuntimeError(f"this feed is recorded already: {self._recorder!r}")
        if self._engine.is_over:
            raise self._closed()
        self._engine.record(recorder)
        self._recorder = recorder
        recorder.detach = self._not_recorded

    def _not_recorded(self) -> None:
        self._engine.record(NOBODY)
        self._recorder = NOBODY

    def _record_all(self) -> None:
        """What was asked for when the feed was made."""
        if self._new_recorder is not None:
            self._record(self._new_recorder())

    def renew(self) -> None:
        """Has a new connection take the place of each, without a hole: at a quiet time, say.

        Returns at once; the new ones are in ``ledger.connections`` once they are there.
        """
        self._opened()
        self._engine.renew()

    # how it begins and ends for a consumer

    def _not_open(self) -> RuntimeError:
        raise NotImplementedError

    def _closed(self) -> RuntimeError:
        raise NotImplementedError

    def _opened(self) -> None:
        if not self._is_open:
            raise self._not_open()

    def _begin(self) -> None:
        """An iteration begins: refused where one has ended before, or the block was left."""
        self._opened()
        is_over = self._engine.is_over and self._engine.closing
        if is_over and not self.waiting and (self._is_left or self._has_told):
            raise self._closed()

    def _end(self) -> None:
        """What happens when the last frame is consumed."""
        self._has_told = True
        error = self._engine.error
        if error is not None and not self._engine.closing:
            raise again(error)

    def _check_overflow(self) -> None:
        """Ends the feed where a stream had no room under the policy ``raise``."""
        queue, engine = self._backlog.frames, self._engine
        if queue.overflowed is not None and not engine.is_over:
            error = SlowConsumer(queue.overflowed, len(queue))
            engine.fail(error)
            raise error

    def _refused(self, error: DecodeError) -> None:
        """A frame that is no message came to a consumer of messages."""
        if self._on_error == "raise":
            raise error
        self.errors.append(error)

    def _hand_over(self) -> Batch:
        """The next batch, counted."""
        batch = self._backlog.hand_over()
        rows = batch._source  # a batch of one row costs what its properties cost
        self.stats.left_over_bytes += rows.left_over_bytes
        if rows.refused:
            self.stats.rejected += rows.refused
            self.errors.extend(batch.errors)
        return batch

    def _batch_size(self, max_messages: int, max_delay: float) -> int:
        """Checks what `batches` was asked for."""
        check_batching(max_messages, max_delay)
        return min(max_messages, self._backlog.limit)


def no_streams() -> RuntimeError:
    return RuntimeError("the feed has no streams: subscribe to some")


def checked_handler(handler: Any) -> Any:
    """TypeError for what can't be called where a frame is read."""
    if isinstance(handler, FrameHandler):
        return handler
    if not callable(handler):
        raise TypeError(f"a handler is a function of one message, not {type(handler).__name__}")
    if isinstance(handler, type) and issubclass(handler, FrameHandler):
        raise TypeError(f"a handler is an object of {handler.__name__}, not the class: call it")
    call = getattr(type(handler), "__call__", None)  # noqa: B004 - an object may be called
    for kind in (
        inspect.iscoroutinefunction, inspect.isgeneratorfunction, inspect.isasyncgenfunction,
    ):  # fmt: skip
        if kind(handler) or kind(call):
            what = "coroutine" if kind is inspect.iscoroutinefunction else "generator"
            raise TypeError(
                f"the handler is a {what} function, and nobody could wait for it where frames are "
                "read: write 'async for message in feed', or a plain function that starts a task"
            )
    return handler
