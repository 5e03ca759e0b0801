"""What SLURM says of jobs, asked with a time-out: an answer that does not come is never waited for."""

import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterable

from bench.launch.environment import clean

DEFAULT_ARRAY = 1001  # MaxArraySize where slurm.conf says nothing
ANSWER_SECONDS = 1.2  # seconds for both questions together


class Scheduler:
    """The user's jobs at one moment.

    queue  job -> state (PENDING, RUNNING, ...) of all that have not ended; None: squeue gave no answer
    ended  job -> state (FAILED, TIMEOUT, ...) as far as the accounting knows it
    """

    def __init__(self, jobs: Iterable[str] = ()) -> None:
        self.queue: dict[str, str] | None = None
        self.ended: dict[str, str] = {}
        self.note: str | None = None
        arrays = sorted({job.split("_")[0] for job in jobs})
        if not arrays:
            self.queue = {}
            return
        squeue = _ask("squeue", "-h", "-r", "-u", str(os.getuid()), "-o", "%i|%T")
        sacct = _ask("sacct", "-n", "-P", "-X", "-o", "JobID,State", "-j", ",".join(arrays))
        deadline = time.monotonic() + ANSWER_SECONDS
        queued, self.note = _answer(squeue, deadline, "squeue")
        ended, _ = _answer(sacct, deadline, "sacct")  # slow or absent on many clusters; the folders say most of it
        if queued is not None:
            self.queue = queued
        self.ended = ended or {}

    def waits_or_runs(self, job: str) -> bool:
        """Unknown counts as yes: better a run too late than twice."""
        return self.queue is None or job in self.queue


def largest_array() -> int:
    """The most jobs that one array of this cluster may have: its MaxArraySize, SLURM's default where it is not told."""
    try:
        shown = subprocess.run(
            ["scontrol", "show", "config"], capture_output=True, text=True, timeout=10, env=clean(os.environ)
        ).stdout
    except (OSError, subprocess.TimeoutExpired):
        return DEFAULT_ARRAY
    matched = re.search(r"^MaxArraySize\s*=\s*(\d+)", shown, re.MULTILINE)
    # the largest index is one less than MaxArraySize, and indices begin at zero
    return max(1, int(matched[1])) if matched else DEFAULT_ARRAY


def _ask(*command: str) -> subprocess.Popen | None:
    if shutil.which(command[0]) is None:
        return None
    return subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        env=clean(os.environ),
    )


def _answer(process: subprocess.Popen | None, deadline: float, name: str) -> tuple[dict[str, str] | None, str | None]:
    if process is None:
        return None, f"{name} is not here, so jobs that vanished are not seen"
    try:
        out, error = process.communicate(timeout=max(0.05, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        return None, f"{name} gave no answer within {ANSWER_SECONDS:g} s, so jobs that vanished are not seen"
    if process.returncode:
        return None, f"{name}: {' '.join(error.split())}"
    rows = (line.split("|") for line in out.splitlines() if "|" in line)
    return {one: state.split()[0] for job, state, *_ in rows if state for one in _elements(job)}, None


def _elements(job: str) -> list[str]:
    """ "12" and "12_3" as they are; "12_[3-5,9%2]", an array of which nothing has begun, as its elements."""
    matched = re.fullmatch(r"(\d+)_\[([\d,-]+)(?:%\d+)?\]", job)
    if not matched:
        return [job]
    elements: list[str] = []
    for part in matched[2].split(","):
        first, _, last = part.partition("-")
        elements += [f"{matched[1]}_{i}" for i in range(int(first), int(last or first) + 1)]
    return elements
