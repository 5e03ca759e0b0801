"""A few processes at a time."""

import subprocess
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.errors import Interrupted
from bench.progress import clock
from bench.signals import Signals

PATIENCE = 900.0  # seconds that a run may take before it is ended
POLL = 0.1  # seconds


@dataclass(frozen=True)
class Job:
    """A command and the file that its output goes to."""

    name: str
    command: tuple[str, ...]
    log: Path


def run_all(jobs: Sequence[Job], workers: int, environment: Mapping[str, str]) -> dict[str, int]:
    """Exit codes by the names of the jobs. Raises Interrupted after a signal, which the running jobs get too."""
    waiting, codes, began = deque(jobs), dict[str, int](), time.monotonic()
    running: dict[str, tuple[subprocess.Popen[bytes], float]] = {}
    with Signals() as signals:
        try:
            while waiting or running:
                while waiting and len(running) < workers:
                    job = waiting.popleft()
                    running[job.name] = (_start(job, environment), time.monotonic())
                time.sleep(POLL)
                for name, (process, started) in list(running.items()):
                    if time.monotonic() - started > PATIENCE:
                        process.kill()
                        process.wait()
                    code = process.poll()
                    if code is not None:
                        del running[name]
                        codes[name] = code
                        _say(name, code, len(codes), len(jobs), time.monotonic() - began, len(running))
                if signals.received:
                    raise Interrupted(f"{signals.received}: {len(codes)} of {len(jobs)} runs are done")
        finally:
            for process, _ in running.values():
                process.terminate()
            for process, _ in running.values():
                process.wait()
    return codes


def _start(job: Job, environment: Mapping[str, str]) -> "subprocess.Popen[bytes]":
    job.log.parent.mkdir(parents=True, exist_ok=True)
    with job.log.open("wb") as log:
        return subprocess.Popen(
            job.command, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT
        )


def _say(name: str, code: int, done: int, total: int, seconds: float, running: int) -> None:
    left = (total - done) * seconds / done
    ending = "done" if code == 0 else f"exit code {code}"
    print(f"[check] {done}/{total}  {name}: {ending}  {clock(seconds)}  ETA {clock(left)}", flush=True)
