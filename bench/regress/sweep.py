"""The grid of a check as a file of `bench sweep`, and the process that carries it out."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from bench.core.errors import INTERRUPTED, Interrupted
from bench.core.files import write_text
from bench.regress.baseline import Grid


def sweep(grid: Grid, runs: Sequence[tuple[str, int]], folder: Path, workers: int) -> str:
    """Carries out runs (method, seed) in `folder`, `workers` processes of one thread at a time; those that are done or
    diverged are not repeated, those that failed are. Returns the last line that the sweep printed.

    It is a process of its own: this one does not import torch. Raises Interrupted after a signal (state saved).
    """
    write_text(folder / "grid.toml", toml(grid, runs))
    command = [sys.executable, "-m", "bench", "sweep", str(folder / "grid.toml"), "--yes", "--retry", "failed"]
    command += ["--workers", str(workers), "--device", grid.device, "--results", str(folder)]
    # Mode finding and pre-training belong to what is checked: nothing of them comes from the user's cache.
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "I2I_BENCH_ARTIFACTS": str(folder.resolve() / "artifacts")}
    process = subprocess.Popen(
        command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )

    stopped = []

    def stop(number: int, frame: FrameType | None) -> None:
        stopped.append(signal.Signals(number).name)
        process.send_signal(signal.SIGTERM)

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    last = ""
    try:
        assert process.stdout is not None
        for line in process.stdout:
            print(line, end="", flush=True)
            last = line.strip() or last
        process.wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if stopped or process.returncode == INTERRUPTED:
        raise Interrupted(f"{stopped[0] if stopped else 'a signal'}: the runs have saved their state")
    return last


def toml(grid: Grid, runs: Sequence[tuple[str, int]]) -> str:
    """One sub-grid a run, for the sake of settings that name the seed."""
    lines = [
        f"datasets = [{json.dumps(grid.dataset)}]",
        f"target_sizes = [{grid.target_size}]",
        f"resolution = {grid.resolution}",
        f"preset = {json.dumps(grid.preset)}",
        f"metrics = {json.dumps(list(grid.metrics))}",
    ]
    for method, seed in runs:
        row = grid.methods[method]
        pairs = [setting.replace("{seed}", str(seed)).partition("=") for setting in row.settings]
        settings = ", ".join(f"{json.dumps(name)} = {json.dumps(value)}" for name, _, value in pairs)
        lines += ["", "[[runs]]", f"methods = [{json.dumps(method)}]", f"seeds = [{seed}]"]
        lines += [f"budget_kimg = {row.budget_kimg!r}", f"set = {{ {settings} }}"]
    return "\n".join(lines) + "\n"
