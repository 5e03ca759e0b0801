"""Looking into runs and cancelling them."""

import os
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

from bench.core.files import write_text
from bench.launch import status, sweeps
from bench.launch.environment import clean
from bench.runs.state import CANCELLED, LOG

SCANCEL = 30.0  # seconds


def log_of(results: Path, folder: Path) -> list[Path]:
    """Where to look: what the run printed, then what its job printed (if it has one)."""
    (row,) = status.look(results, [folder]).rows
    job = _jobs(results, lambda _: None).get(folder)
    files = [folder / LOG]
    if row.sweep and job:
        files += sorted((sweeps.folder(results, row.sweep) / "slurm").glob(f"{job}_*.out"))
    return [file for file in files if file.exists()]


def cancel(results: Path, folders: Sequence[Path]) -> tuple[list[str], list[str]]:
    """Marks runs so that nothing starts them again, and ends the jobs that have no other run.

    Returns the names of the runs that it cancelled, and lines on what it could not do.
    """
    rows = [row for row in status.look(results, folders).rows if row.state not in status.DONE]
    notes: list[str] = []
    for row in rows:
        write_text(row.folder / CANCELLED, "")
    jobs = _jobs(results, notes.append)
    doomed = {jobs[row.folder] for row in rows if row.folder in jobs}
    others = {
        jobs[row.folder] for row in status.look(results, jobs).rows if row.state not in (*status.DONE, "cancelled")
    }
    notes += _scancel(sorted(doomed - others))
    for row in rows:
        if row.state == "running" and row.sweep is None:
            notes.append(f"{row.name} was not started by a sweep: stop it where it runs; it will not be started again")
    return [row.name for row in rows], notes


def _jobs(results: Path, say: Callable[[str], None]) -> dict[Path, str]:
    """Run folder -> its last job; `say` gets a line for each sweep whose file is damaged."""
    return {
        results / run: job
        for sweep in sweeps.read_all(results, say)
        for run, job in sweep.jobs_by_run().items()
        if run.startswith("runs/")
    }


def _scancel(jobs: Sequence[str]) -> list[str]:
    if not jobs:
        return []
    if shutil.which("scancel") is None:
        return [f"there is no scancel here; the runs will not start, but end their jobs yourself: {' '.join(jobs)}"]
    try:
        done = subprocess.run(
            ["scancel", *jobs], capture_output=True, text=True, timeout=SCANCEL, env=clean(os.environ)
        )
    except subprocess.TimeoutExpired:
        return [f"scancel gave no answer; the runs will not start, but end their jobs later: {' '.join(jobs)}"]
    lines = [line.strip() for line in done.stderr.splitlines()]
    return [
        line
        for line in lines
        if line and "already completing or completed" not in line and "Invalid job id" not in line
    ]
