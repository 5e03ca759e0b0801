"""The same function over many jobs in several processes."""

import ctypes
import gc
import os
import signal
import sys
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from typing import Any, TypeVar

from bench.core.errors import UserError

Job = TypeVar("Job")
Result = TypeVar("Result")

_work: Callable[[Any], Any]  # in a worker: what it does


def ordered(work: Callable[[Job], Result], jobs: Sequence[Job]) -> Iterator[Result]:
    """`work` of each job, in the order of the jobs; the first job that raises ends it, whoever is faster.

    Workers are forked, so `work` need not be picklable; jobs and results are. One job, one core, or a system on which
    forking is not safe (all but Linux): in this process. Few jobs wait at a time, so memory does not grow with them.
    """
    processes = min(cores(), len(jobs))
    if processes < 2 or sys.platform != "linux":
        yield from map(work, jobs)
        return
    pool = ProcessPoolExecutor(processes, get_context("fork"), _start, (work, os.getpid()))
    try:
        yield from _windowed(pool, jobs, 16 * processes)
    except BrokenProcessPool:
        raise UserError(
            "a worker process was killed, perhaps for want of memory; start again: what is finished is kept"
        ) from None
    finally:
        pool.shutdown(cancel_futures=True)


def cores() -> int:
    """The processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _windowed(pool: ProcessPoolExecutor, jobs: Sequence[Any], window: int) -> Iterator[Any]:
    waiting: deque[Future[Any]] = deque()
    for job in jobs:
        waiting.append(pool.submit(_call, job))
        if len(waiting) >= window:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


def _start(work: Callable[[Any], Any], parent: int) -> None:
    """Begins a new worker, which leaves signals to its parent and dies with it, even if the parent is killed."""
    global _work
    _work = work
    gc.freeze()  # no collection walks, and so copies, the memory that is shared with the parent
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    pr_set_pdeathsig = 1
    ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def _call(job: Any) -> Any:
    return _work(job)
