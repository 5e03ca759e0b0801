"""state.json: what a run is doing, for people who look at it from elsewhere. It decides nothing about the result."""

import json
import os
import platform
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import msgspec

from bench.core.errors import Interrupted
from bench.core.ownership import job_id

CANCELLED = "cancelled"  # a file of this name: no launcher starts the run
LOG = "log.txt"  # what the run printed, of all its starts


class RunState:
    """The state of the run in `folder`, kept in its file. Written without flushing the disk: it is worth little.

    state  pending, running, done, diverged, interrupted, preempted, timeout or failed
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / "state.json"

    def read(self) -> dict[str, Any]:
        try:
            return json.loads(self.path.read_text())
        except (OSError, ValueError):
            return {}

    def replace(self, values: dict[str, Any]) -> None:
        quick_write(self.path, {**values, "time": time.time()})

    def update(self, **values: Any) -> None:
        """A full disk must not end a run that could still go on, so it is passed over."""
        with suppress(OSError):
            self.replace({**self.read(), **values})

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
            starts=before.get("starts", 0) + 1,
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
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
    try:
        with os.fdopen(handle, "w") as file:
            json.dump(msgspec.to_builtins(value), file)
        Path(name).chmod(0o644)
        Path(name).replace(path)
    except BaseException as error:
        with suppress(OSError):
            Path(name).unlink()
        if isinstance(error, OSError) and error.filename is None:
            raise OSError(error.errno, error.strerror, str(path)) from None
        raise
