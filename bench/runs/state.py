"""state.json: what a run is doing, for people who look at it from elsewhere. It decides nothing about the result."""

import os
import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Literal

import msgspec
from msgspec import Struct

from bench.core.errors import Interrupted, UserError
from bench.core.files import atomic
from bench.core.ownership import job_id
from bench.core.typed import Count, read_typed

FILE = "state.json"
CANCELLED = "cancelled"  # a file of this name: no launcher starts the run
LOG = "log.txt"  # what the run printed, of all its starts

Word = Literal["pending", "running", "done", "diverged", "interrupted", "preempted", "timeout", "failed"]


class State(Struct, frozen=True, kw_only=True):
    """What state.json says. All of it may be missing: a run that nothing is known of has no file.

    time                   when it was written, in seconds since 1970; `began`: the last start; `starts`: how many
    stage, step, total     how far the run is; rate in images (or whatever the stage counts) a second
    host, pid, job         where it runs, and the scheduler's job; `sweep`: the sweep that submitted it
    stopped_at, fruitless  stage and step at the last time-out, and how many time-outs in a row ended there
    given_up               so many that it is not started again
    unbegun                how many submitted jobs in a row ended before the run began
    """

    state: Word | None = None
    time: float | None = None
    stage: str | None = None
    step: Count | None = None
    total: Count | None = None
    rate: float | None = None
    seconds_left: float | None = None
    began: float | None = None
    starts: Count = 0
    host: str | None = None
    pid: Count | None = None
    job: str | None = None
    error: str | None = None
    sweep: str | None = None
    stopped_at: tuple[str | None, Count | None] | None = None
    fruitless: Count = 0
    given_up: bool = False
    unbegun: Count = 0


UNKNOWN = State()


def read_state(folder: Path) -> State:
    """UNKNOWN where there is no file. Raises UserError where it is damaged."""
    try:
        os.stat(folder / FILE)  # noqa: PTH116  (a thousand of them)
    except OSError:
        return UNKNOWN
    return read_typed(folder / FILE, State, "delete it: it only says how far the run is")


class RunState:
    """The state of the run in `folder`, kept in its file. Written without flushing the disk: it is worth little."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE

    def read(self) -> State:
        """UNKNOWN where the file is missing or damaged: whoever writes it next mends it."""
        try:
            return read_state(self.path.parent)
        except UserError:
            return UNKNOWN

    def replace(self, state: State) -> None:
        quick_write(self.path, msgspec.structs.replace(state, time=time.time()))

    def update(self, **values: Any) -> None:
        """A full disk must not end a run that could still go on, so it is passed over."""
        with suppress(OSError):
            self.replace(msgspec.structs.replace(self.read(), **values))

    def progress(self, stage: str, done: int, total: int, rate: float | None, seconds_left: float | None) -> None:
        """rate in images (or whatever the stage counts) a second"""
        self.update(stage=stage, step=done, total=total, rate=rate, seconds_left=seconds_left)

    @contextmanager
    def running(self) -> Iterator[None]:
        """While entered the run is running; afterwards interrupted or failed if an exception says so."""
        before = self.read()
        self.update(
            state="running",
            began=time.time(),
            starts=before.starts + 1,
            host=platform.node(),
            pid=os.getpid(),
            job=job_id(),
            error=None,
        )
        try:
            yield
        except Interrupted as stop:
            self.update(state="interrupted", error=str(stop))
            raise
        except BaseException as error:
            self.update(state="failed", error=last_line(f"{type(error).__name__}: {error}"))
            raise


def last_line(text: str, limit: int = 300) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1][:limit] if lines else ""


def quick_write(path: Path, value: Any) -> None:
    """Whole or absent for every reader, but not flushed: for small files that can be lost in a power cut."""
    with atomic(path, flush=False) as temporary:
        temporary.write_bytes(msgspec.json.encode(value))
