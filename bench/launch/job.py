"""What a SLURM job is: a few runs as command lines, stopped in time and requeued by submitit. Imports little."""

import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bench.launch.pool import Pool, PoolTask
from bench.runs.state import RunState

POLLING = 60  # seconds: SLURM looks at limits twice a minute, so a warning can come that much early
KILLED_AFTER = 60.0  # seconds in which SLURM ends a job whose runs it told to stop
FRUITLESS = 3  # time-outs in a row after which a run that got no further is given up


@dataclass
class Job:
    """Called in the job; submitit calls `checkpoint` when SLURM warns of the time limit or of preemption."""

    folders: tuple[str, ...]  # each with a frozen.json
    results: str
    bench: tuple[str, ...]  # see Pool
    environment: dict[str, str]
    at_once: int
    minutes: int
    signal_seconds: int

    def __call__(self) -> str:
        self._began = time.monotonic()
        tasks = [PoolTask(Path(folder)) for folder in self.folders]
        self._pool = Pool(tasks, Path(self.results), self.bench, self.environment, self.at_once, _say, KILLED_AFTER)
        self._pool.run()
        return f"{self._pool.failed} failed"

    def checkpoint(self) -> Any:
        """Stops the runs with their state saved; None, so that the job is not requeued, if none gets further."""
        from submitit.helpers import DelayedSubmission

        left = self.minutes * 60 - (time.monotonic() - self._began)
        timed_out = left < self.signal_seconds + POLLING
        hopeful = [folder for folder in self._pool.stop() if _note_stop(folder, timed_out)]
        if not hopeful:
            return None
        return DelayedSubmission(replace(self, folders=tuple(str(folder) for folder in hopeful)))


def _say(line: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {line}", flush=True)


def _note_stop(folder: Path, timed_out: bool) -> bool:
    """Writes down why a run stopped; False if it is given up."""
    state = RunState(folder)
    known = state.read()
    if known.state == "failed":
        return False
    if not timed_out:
        state.update(state="preempted" if known.starts else "pending")
        return True
    position = (known.stage, known.step)
    fruitless = known.fruitless + 1 if position == known.stopped_at else 1
    given_up = fruitless >= FRUITLESS
    error = f"no progress in {FRUITLESS} starts; give the profile more time" if given_up else known.error
    state.update(state="timeout", stopped_at=position, fruitless=fruitless, given_up=given_up, error=error)
    return not given_up
