"""Submitting: under a lock, what the plan chose is frozen into its folders and handed to a launcher."""

import shlex
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from msgspec.structs import replace

from bench.core.errors import Busy, UserError
from bench.core.files import writable_folder
from bench.core.ownership import Ownership
from bench.launch import sweeps
from bench.launch.launcher import Jobs, Launcher, Submission
from bench.launch.plan import Plan, Planned
from bench.launch.pool import PoolTask
from bench.launch.sweeps import Skipped
from bench.runs import frozen
from bench.runs.frozen import Frozen, this_code
from bench.runs.settings import RunSettings
from bench.runs.state import CANCELLED, UNKNOWN, RunState, State, quick_write

LOCK_SECONDS = 300.0  # seconds to wait while another sweep is being submitted


def submit(
    results: Path,
    make_plan: Callable[[], Plan],
    launcher: Launcher,
    settings: RunSettings,
    profile: Path | None,
    say: Callable[[str], None],
    notify: tuple[str, ...] = (),
) -> str | None:
    """Plans anew under the lock of the results folder, so that two sweeps at the same moment share the runs out.

    notify  the words of a command to be run once all runs have ended

    Returns the name of the sweep; None where there was nothing to submit.
    """
    writable_folder(results / "sweeps", "results folder")
    lock = _lock(results)
    try:
        plan = make_plan()
        skipped = [Skipped(run.spec, run.skipped) for run in plan.runs if run.skipped]
        if not plan.chosen:
            say("nothing to submit")
            _keep(results, launcher, skipped, say)
            return None
        name = sweeps.new_id(results)
        submission, before = _freeze(results, name, plan.chosen, settings, notify)

        def submitted(jobs: Jobs) -> None:
            names = [str(task.folder.relative_to(results)) for task in submission.runs]
            stages = [str(stage.relative_to(results)) for stage in submission.stages]
            known = str(profile) if profile else None
            sweeps.Sweep(name, launcher.name, names, stages, known, jobs=jobs, skipped=skipped).write(results)
            lock.release()
            look = ["python", "-m", "bench", "status", "--results", str(results)]
            say(f"sweep {name}, runs submitted: {len(names)}; {shlex.join(look)}")

        try:
            launcher.launch(submission, submitted)
        except UserError:
            _take_back(before)
            raise
        return name
    finally:
        lock.release()


def _keep(results: Path, launcher: Launcher, skipped: list[Skipped], say: Callable[[str], None]) -> None:
    """Keeps what was skipped as a sweep of no runs, where no sweep says it yet: a leaderboard shows what was skipped as
    such."""
    said = [one for sweep in sweeps.read_all(results, say) for one in sweep.skipped]
    if any(one not in said for one in skipped):
        sweeps.Sweep(sweeps.new_id(results), launcher.name, [], [], skipped=skipped).write(results)


def _lock(results: Path) -> Ownership:
    """Only one sweep at a time is submitted to a results folder. Raises Busy after LOCK_SECONDS."""
    lock = Ownership(results / "sweeps" / ".submitting")
    until = time.monotonic() + LOCK_SECONDS

    def waiting(busy: Busy) -> None:
        if time.monotonic() > until:
            raise busy

    lock.acquire_when_free(0.2, waiting)
    return lock


def _freeze(
    results: Path, name: str, chosen: Sequence[Planned], settings: RunSettings, notify: tuple[str, ...]
) -> tuple[Submission, dict[Path, State]]:
    """Writes frozen.json and state.json of every run and stage; also returns the states that were there before."""
    place = sweeps.folder(results, name)
    tasks: list[PoolTask] = []
    before: dict[Path, State] = {}
    stages: dict[str, Path] = {}
    for run in chosen:
        if run.stage and run.stage not in stages:
            stages[run.stage] = place / "stages" / run.stage
            _write(stages[run.stage], run, replace(settings, gpus=1), stage=True)
            RunState(stages[run.stage]).replace(State(state="pending", sweep=name))
        folder = run.row.folder
        _write(folder, run, settings, stage=False)
        state = RunState(folder)
        earlier = before[folder] = state.read()
        state.replace(
            State(
                state="pending",
                sweep=name,
                starts=earlier.starts,
                stage=earlier.stage,
                step=earlier.step,
                total=earlier.total,
                unbegun=earlier.unbegun + 1 if earlier.state == "pending" and earlier.sweep else 0,
            )
        )
        with suppress(FileNotFoundError):
            (folder / CANCELLED).unlink()
        tasks.append(PoolTask(folder, stages[run.stage] if run.stage else None))
    return Submission(name, place, results, list(stages.values()), tasks, notify), before


def _write(folder: Path, run: Planned, settings: RunSettings, stage: bool) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    values = Frozen(
        spec=run.spec, settings=replace(settings, metrics=run.metrics), submitted=this_code(run.spec), stage=stage
    )
    quick_write(folder / frozen.NAME, values)


def _take_back(before: dict[Path, State]) -> None:
    """After a refusal everything is as it was, but for the frozen files, which say nothing by themselves."""
    for folder, earlier in before.items():
        state = RunState(folder)
        if earlier != UNKNOWN:
            with suppress(OSError):  # a full disk; "pending" in a sweep that is not there counts as not submitted
                state.replace(earlier)
        else:
            state.path.unlink(missing_ok=True)
