"""Runs as processes of their own, a few at a time: what the local launcher and every SLURM job do."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.core.errors import BUSY, DIVERGED, INTERRUPTED
from bench.core.files import naming
from bench.core.ownership import BEAT, DEAD_AFTER, job_id, owner_of
from bench.runs import frozen
from bench.runs.find import run_name
from bench.runs.state import CANCELLED, LOG, RunState, last_line

POLL = 0.1  # seconds
_STOPS = (-signal.SIGTERM, -signal.SIGUSR1, -signal.SIGUSR2, -signal.SIGINT)  # before the run could catch them


@dataclass(frozen=True)
class PoolTask:
    """A folder with a frozen.json; `after`: the folder of the stage that it waits for, if that is in the same pool."""

    folder: Path
    after: Path | None = None


@dataclass
class _Child:
    task: PoolTask
    process: subprocess.Popen
    began: float


class Pool:
    """Carries out tasks, `workers` at a time. A task that fails, or that another process owns, does not stop others.

    bench     the command line up to its first word: [python, "-m", "bench"], perhaps in a container
    say       gets one line for each task that begins or ends
    patience  seconds after which a run that somebody else told to stop goes on here; None: it stays stopped
    apart     start children in sessions of their own, so that Ctrl-C reaches them through this process alone
    """

    def __init__(
        self,
        tasks: Sequence[PoolTask],
        results: Path,
        bench: Sequence[str],
        environment: Mapping[str, str],
        workers: int,
        say: Callable[[str], None],
        patience: float | None = None,
        apart: bool = False,
    ) -> None:
        self._results = results
        self._bench = list(bench)
        self._environment = {**os.environ, **environment}
        self._workers = workers
        self._say = say
        self._patience = patience
        self._apart = apart
        self._waiting = list(tasks)
        self._children: list[_Child] = []
        self._not_before: dict[Path, float] = {}
        self._busy_since: dict[Path, float] = {}
        self._stopping = False
        self.failed = 0

    def run(self) -> None:
        """Returns when every task has ended, or after `stop`."""
        looked = 0.0
        while (self._waiting and not self._stopping) or self._children:
            for child in [c for c in self._children if c.process.poll() is not None]:
                self._children.remove(child)
                self._ended(child)
            while not self._stopping and len(self._children) < self._workers and (task := self._next()):
                self._start(task)
            if time.monotonic() - looked > 1:
                looked = time.monotonic()
                self._stop_cancelled()
            time.sleep(POLL)

    def request_stop(self) -> None:
        """Tells every child to save its state; `run` returns once they have."""
        self._stopping = True
        for child in self._children:
            child.process.terminate()

    def stop(self) -> list[Path]:
        """Stops the runs like request_stop, but waits for the children and returns the folders of what has not
        ended."""
        self.request_stop()
        for child in self._children:
            child.process.wait()
        return [t.folder for t in (*(c.task for c in self._children), *self._waiting) if not _over(t.folder)]

    def _next(self) -> PoolTask | None:
        """The first task that can begin now; those that need no work any more are dropped."""
        for task in list(self._waiting):
            if _over(task.folder):
                self._waiting.remove(task)
            elif self._ready(task):
                self._waiting.remove(task)
                return task
        return None

    def _ready(self, task: PoolTask) -> bool:
        unfinished = {t.folder for t in self._waiting} | {c.task.folder for c in self._children}
        if task.after in unfinished or time.monotonic() < self._not_before.get(task.folder, 0.0):
            return False
        owner = owner_of(task.folder)
        if owner is None:
            return True
        since = self._busy_since.setdefault(task.folder, time.monotonic())
        self._not_before[task.folder] = time.monotonic() + 1
        if time.monotonic() - since > DEAD_AFTER + 2 * BEAT:  # it lives, so the run is in good hands
            self._say(f"{self._name(task)}: left to its owner ({owner})")
            self._waiting.remove(task)
        return False

    def _start(self, task: PoolTask) -> None:
        command = [*self._bench, "run", "--frozen", str(task.folder / frozen.NAME), "--results", str(self._results)]
        job = job_id()
        with naming(task.folder / LOG), (task.folder / LOG).open("ab") as log:
            log.write(f"--- {time.strftime('%Y-%m-%d %H:%M:%S')}{f' job {job}' if job else ''}\n".encode())
            log.flush()
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self._environment,
                start_new_session=self._apart,
            )
        self._children.append(_Child(task, process, time.time()))
        self._say(f"{self._name(task)}: begins")

    def _ended(self, child: _Child) -> None:
        code, folder = child.process.returncode, child.task.folder
        if (folder / CANCELLED).exists():
            self._say(f"{self._name(child.task)}: cancelled")
        elif code in (0, DIVERGED):
            self._say(f"{self._name(child.task)}: {'diverged' if code else 'done'}")
        elif code == BUSY:
            self._waiting.append(child.task)
        elif code == INTERRUPTED or code in _STOPS:
            if self._stopping or self._patience is None:
                self._say(f"{self._name(child.task)}: stopped, saved")
            else:
                self._not_before[folder] = time.monotonic() + self._patience
                self._waiting.append(child.task)
        else:
            self.failed += 1
            self._note_failure(folder, code, child.began)
            self._say(f"{self._name(child.task)}: failed: {RunState(folder).read().error}")

    def _note_failure(self, folder: Path, code: int, began: float) -> None:
        """Writes the state of a process that could not write its own."""
        state = RunState(folder)
        known = state.read()
        if known.state == "failed" and (known.time or 0) >= began:
            return
        error = f"killed by {signal.Signals(-code).name}" if code < 0 else log_end(folder / LOG)
        if code == -signal.SIGKILL:
            error += " (out of memory?)"
        state.update(state="failed", error=error or f"exit code {code}")

    def _stop_cancelled(self) -> None:
        for child in self._children:
            if (child.task.folder / CANCELLED).exists():
                child.process.terminate()

    def _name(self, task: PoolTask) -> str:
        return run_name(task.folder, self._results)


def log_end(path: Path) -> str:
    """The last line of a log, without reading the whole of it."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - 8192))
            return last_line(file.read().decode(errors="replace"))
    except OSError:
        return ""


def _over(folder: Path) -> bool:
    return (folder / "record.json").exists() or (folder / CANCELLED).exists()
