"""Pieces of work on an executor: each is done, or it is said why not."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import BrokenExecutor, Executor, Future, ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field
from typing import Any

from sbe_codegen.runtime.errors import MissingPackage, SbeError

from ..output import shown

_GUARD = "a script that starts workers needs: if __name__ == '__main__':"
_EXPECTED = (SbeError, OSError, MemoryError, ValueError, OverflowError)


@dataclass(frozen=True)
class Task:
    """``function(*arguments)`` is pure and both are pickled; ``weight`` is for the progress."""

    name: str
    weight: int
    function: Callable[..., Any]
    arguments: tuple[Any, ...]


@dataclass(frozen=True)
class Outcome:
    """What a task gave, or in a sentence why it gave nothing."""

    task: Task
    value: Any = None
    problem: str | None = field(default=None)


def run(tasks: Sequence[Task], executor: Executor | None, may_fork: bool) -> Iterator[Outcome]:
    """Each task when it is done. Without an executor, ``may_fork`` says whether there is a pool."""
    if executor is not None:
        for task in (yield from _pooled(tasks, executor)):
            yield Outcome(task, problem=f"{task.name}: the executor is broken: its worker died")
        return
    if not may_fork or len(tasks) < 2:
        for task in tasks:
            yield attempt(task)
        return
    with _pool(min(os.cpu_count() or 1, len(tasks))) as pool:
        left = yield from _pooled(tasks, pool)
    for task in left:  # one of them ended its worker: which, shows when each has its own
        with _pool(1) as pool:
            if (yield from _pooled([task], pool)):
                problem = f"{task.name}: its worker process died ({_GUARD})"
                yield Outcome(task, problem=problem)


def _pool(count: int) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(count, mp_context=multiprocessing.get_context("spawn"))


def attempt(task: Task) -> Outcome:
    """Does a task; what it may raise becomes a sentence. This is what runs in workers."""
    try:
        return Outcome(task, task.function(*task.arguments))
    except MissingPackage:
        raise
    except _EXPECTED as error:
        return Outcome(task, problem=f"{task.name}: {sentence(error)}")


def sentence(error: BaseException) -> str:
    if isinstance(error, MemoryError):
        return "there is not enough memory"
    if isinstance(error, OSError) and error.errno and not isinstance(error, SbeError):
        why = os.strerror(error.errno)
        return f"{error.filename}: {why}" if error.filename else why
    return shown(error) or type(error).__name__


def _pooled(tasks: Sequence[Task], executor: Executor) -> Generator[Outcome, None, list[Task]]:
    """The same by an executor; returns the tasks that it broke on, or could not take."""
    waiting: dict[Future[Outcome], Task] = {}
    left: list[Task] = []
    for task in tasks:
        try:
            waiting[executor.submit(attempt, task)] = task
        except RuntimeError:  # BrokenExecutor is one
            left.append(task)
    try:
        for future in as_completed(waiting):
            task = waiting[future]
            try:
                outcome = future.result()
            except BrokenExecutor:
                left.append(task)
                continue
            except MissingPackage:
                raise
            except Exception as error:  # of the executor itself, such as a worker that was lost
                outcome = Outcome(task, problem=f"{task.name}: {sentence(error)}")
            yield outcome
    except BaseException:  # whoever waits for it has given up: what is not begun is not done
        for each in waiting:
            each.cancel()
        raise
    return left
