"""How every run is getting on: from its folder first, from the scheduler second."""

import shlex
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bench.core.errors import UserError
from bench.core.ownership import owner_of
from bench.core.progress import clock
from bench.launch import sweeps
from bench.launch.scheduler import Scheduler
from bench.runs.find import run_folders, run_name
from bench.runs.record import read_record
from bench.runs.state import CANCELLED, UNKNOWN, RunState, State, read_state

# what `sweep --yes` does with a run in this state
WAIT = ("pending", "running", "pre-empted")  # nothing: it is under way
DONE = ("done", "diverged")  # nothing any more
RETRY = {"failed": "failed", "timed out": "timeout", "cancelled": "cancelled"}  # submits it with this --retry
# "new" and "interrupted" are submitted
HOPELESS = 3  # jobs in a row that ended before their run began, after which it has failed


@dataclass(frozen=True)
class RunStatus:
    """One run. `under_way`: a process or a job has it, so it must not be submitted again."""

    name: str
    folder: Path
    state: str
    detail: str = ""
    sweep: str | None = None
    job: str | None = None
    under_way: bool = False


@dataclass(frozen=True)
class View:
    """All runs at one moment, and what the scheduler could not tell."""

    rows: list[RunStatus]
    note: str | None = None


def look(results: Path, folders: Iterable[Path] | None = None) -> View:
    """The state of some run folders, by default of all below `results`."""
    chosen = run_folders(results) if folders is None else list(folders)
    known = _Sweeps(results)
    seen = [_from_folder(folder, run_name(folder, results), known) for folder in chosen]
    scheduler = Scheduler(row.job for row, _ in seen if row.state == "?" and row.job)
    rows = [_from_scheduler(row, state, scheduler) if row.state == "?" else row for row, state in seen]
    return View(rows, scheduler.note)


class _Sweeps:
    """The sweeps that rows refer to, each read once."""

    def __init__(self, results: Path) -> None:
        self._results = results
        self._jobs: dict[str, dict[str, str]] = {}
        self._alive: dict[str, bool] = {}

    def job(self, sweep: str | None, run: str) -> str | None:
        self._learn(sweep)
        return self._jobs.get(sweep or "", {}).get(run)

    def here(self, sweep: str | None) -> bool:
        """Whether the process of a local sweep, or of one that is being submitted, lives."""
        self._learn(sweep)
        return self._alive.get(sweep or "", False)

    def _learn(self, name: str | None) -> None:
        if name is None or name in self._jobs:
            return
        sweep = sweeps.read(self._results, name)
        place = sweeps.folder(self._results, name)
        prefix = "runs/"
        jobs = sweep.jobs_by_run() if sweep else {}
        self._jobs[name] = {run.removeprefix(prefix): job for run, job in jobs.items()}
        self._alive[name] = owner_of(place) is not None


def _from_folder(folder: Path, name: str, known: _Sweeps) -> tuple[RunStatus, State]:
    """A row, and what the run says of itself. The row's state is "?" where only the scheduler knows whether anything
    still goes on, and "damaged" where a file of the run, or of its sweep, cannot be read."""
    row = RunStatus(name, folder, "new")
    try:
        if (folder / "record.json").exists():
            return _recorded(row), UNKNOWN
        state = read_state(folder)
        return _unrecorded(row, state, known), state
    except UserError as error:
        under_way = owner_of(folder) is not None
        return replace(row, state="damaged", detail=str(error), under_way=under_way), UNKNOWN


def _recorded(row: RunStatus) -> RunStatus:
    record, state = read_record(row.folder / "record.json"), RunState(row.folder).read()
    detail = _spent(state) if state.state == record.status else ""
    return replace(row, state=record.status, detail=detail, sweep=state.sweep)


def _unrecorded(row: RunStatus, state: State, known: _Sweeps) -> RunStatus:
    folder, row = row.folder, replace(row, sweep=state.sweep)
    owned = owner_of(folder) is not None if state.state == "running" else False
    if (folder / CANCELLED).exists():
        return replace(row, state="cancelled", detail="stopping" if owned else "", under_way=owned)
    if owned:
        return replace(row, state="running", detail=_progress(state), job=state.job, under_way=True)
    if state.state == "failed" or (state.state == "timeout" and state.given_up):
        label = "failed" if state.state == "failed" else "timed out"
        return replace(row, state=label, detail=state.error or "", job=state.job)
    if state == UNKNOWN:
        begun = (folder / "config.json").exists()
        return replace(row, state="interrupted" if begun else "new")
    job = known.job(state.sweep, row.name)
    if job is None:
        label = "interrupted" if state.starts else "new"
        if known.here(state.sweep):
            return replace(row, state="pending", detail=_waits(state), under_way=True)
        return replace(row, state=label, detail=state.error or "")
    return replace(row, state="?", job=job)


def _from_scheduler(row: RunStatus, state: State, scheduler: Scheduler) -> RunStatus:
    """A run that has a job and no living process."""
    assert row.job is not None
    position = _position(state)
    if scheduler.waits_or_runs(row.job):
        queued = (scheduler.queue or {}).get(row.job, "unknown").lower()
        label = "pending"
        if queued != "running":  # else its process is about to start
            stopped = {"preempted": "pre-empted", "running": "pre-empted", "timeout": "timed out"}
            label = stopped.get(state.state or "", label)
        detail = f"job {row.job} {queued}" + (f", goes on from {position}" if position else "")
        return replace(row, state=label, detail=detail, under_way=True)
    ended = scheduler.ended.get(row.job, "")
    detail = f"job {row.job} ended" + (f" ({ended})" if ended else "") + (f" at {position}" if position else "")
    if ended.startswith("CANCELLED"):
        return replace(row, state="cancelled", detail=detail)
    if ended == "TIMEOUT" or state.state == "timeout":
        return replace(row, state="timed out", detail=detail)
    if ended == "OUT_OF_MEMORY":
        return replace(row, state="failed", detail=detail)
    if state.state == "pending" and state.unbegun + 1 >= HOPELESS:
        why = f"its jobs ended {state.unbegun + 1} times before the run began; python -m bench logs shows why"
        return replace(row, state="failed", detail=why)
    return replace(row, state="interrupted", detail=detail)


def described(row: RunStatus) -> dict[str, Any]:
    """A run's row for programs, with its progress as numbers as far as the run itself writes them down."""
    state = RunState(row.folder).read()
    progress = {name: getattr(state, name) for name in ("stage", "step", "total", "rate", "seconds_left", "starts")}
    return {**vars(row), "folder": str(row.folder), **progress}


def mends(results: Path, rows: Iterable[RunStatus]) -> dict[str, list[RunStatus]]:
    """Commands that go on with runs that nobody works on, each with the runs that it serves."""
    by_command: dict[str, list[RunStatus]] = {}
    submitted = {sweep.id: sweep for sweep in sweeps.read_all(results, lambda _: None)}
    for row in rows:
        if row.under_way or row.state in DONE or row.state in ("new", "damaged"):
            continue
        sweep = submitted.get(row.sweep or "")
        if sweep is None:
            command = "start their bench run commands again"
        else:
            command = again(sweep.command, RETRY.get(row.state))
        by_command.setdefault(command, []).append(row)
    return by_command


def again(command: list[str], retry: str | None) -> str:
    """The command line of a sweep, to be typed again; a check repeats what failed by itself."""
    if "sweep" not in command:
        return shlex.join(["python", "-m", "bench", *command])
    words = [word for word in command if word != "--yes"]
    while "--retry" in words:
        at = words.index("--retry")
        del words[at : at + 2]
    return shlex.join(["python", "-m", "bench", *words, *(["--retry", retry] if retry else []), "--yes"])


def _position(state: State) -> str:
    return "" if state.stage is None else f"{state.stage} {state.step}/{state.total}"


def _progress(state: State) -> str:
    parts = [_position(state) or "starting"]
    if state.rate:
        parts.append(f"{state.rate:.3g} images/s")
    if state.seconds_left is not None:
        parts.append(f"ETA {clock(state.seconds_left)}")
    return "  ".join(parts)


def _waits(state: State) -> str:
    position = _position(state)
    return f"goes on from {position}" if position else ""


def _spent(state: State) -> str:
    if state.state == "diverged":
        return state.error or ""
    if state.began and state.time:
        return f"in {clock(state.time - state.began)}" + (
            f", the last of {state.starts} starts" if state.starts > 1 else ""
        )
    return ""
