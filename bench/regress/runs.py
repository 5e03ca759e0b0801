"""The grid as processes `bench run`, and what their records and logs say."""

import json
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench import store
from bench.errors import DIVERGED
from bench.regress.baseline import Grid
from bench.regress.pool import Job, run_all

LAST_PART = 0.25  # of the training, over which a loss is averaged
HEAVY = ("checkpoint-*.pt", "translated.npy", "diverse.npy")  # of no use once a run is compared


@dataclass(frozen=True)
class Run:
    """One run that ended: its values by name with the metric's version (1 for others), or why there are none."""

    method: str
    seed: int
    values: dict[str, tuple[float, int]]
    problem: str | None = None
    config: dict[str, Any] | None = None
    provenance: dict[str, Any] | None = None


def run_grid(grid: Grid, methods: Sequence[str], seeds: Sequence[int], folder: Path, workers: int) -> list[Run]:
    """Runs what is missing in `folder`, two processes of one thread at a time, and reads all that was asked for.

    Seeds go round the methods, so that runs side by side seldom wait for one artifact. A run is a process of its own:
    one that fails cancels no other.
    """
    wanted = [(method, seed) for seed in seeds for method in methods]
    there = _records(folder)
    jobs = [
        Job(f"{method} seed {seed}", command(grid, method, seed, folder), folder / "logs" / f"{method}-{seed}.txt")
        for method, seed in wanted
        if (method, seed) not in there
    ]
    # Mode finding and pre-training belong to what is checked: nothing of them comes from the user's cache.
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "I2I_BENCH_ARTIFACTS": str(folder / "artifacts")}
    codes = run_all(jobs, workers, environment)
    there = _records(folder)
    found = []
    for method, seed in wanted:
        name = f"{method} seed {seed}"
        if (method, seed) in there:
            found.append(_read(there[method, seed], method, seed))
        else:
            found.append(Run(method, seed, {}, _failure(codes.get(name), folder / "logs" / f"{method}-{seed}.txt")))
    return found


def command(grid: Grid, method: str, seed: int, folder: Path) -> tuple[str, ...]:
    row = grid.methods[method]
    words = [sys.executable, "-m", "bench", "run", "--method", method, "--dataset", grid.dataset]
    words += ["--target-size", str(grid.target_size), "--resolution", str(grid.resolution), "--seed", str(seed)]
    words += ["--preset", grid.preset, "--budget-kimg", str(row.budget_kimg), "--device", grid.device]
    for setting in row.settings:
        words += ["--set", setting.replace("{seed}", str(seed))]
    words += ["--metrics", ",".join(grid.metrics) or "none", "--calibrate", "--results", str(folder)]
    return tuple(words)


def _records(folder: Path) -> dict[tuple[str, int], Path]:
    found = {}
    for path in store.record_paths(folder):
        identity = store.read(path)["identity"]
        found[identity["method"], identity["seed"]] = path
    return found


def _read(path: Path, method: str, seed: int) -> Run:
    record = store.read(path)
    if record["status"] != "done":
        return Run(method, seed, {}, f"{record['status']}: {record['error']}")
    values = {
        name: (float(value["value"]), int(value["version"]))
        for name, value in record["metrics"].items()
        if value["value"] is not None
    }
    values |= {f"loss/{name}": (value, 1) for name, value in last_losses(path.parent / "train.jsonl").items()}
    cost = record["cost"]
    if cost.get("images_per_calibration"):
        values["cost/speed"] = (float(cost["images_per_calibration"]), 1)
    values["cost/memory"] = (float(cost["train_peak_memory_bytes"]), 1)
    for pattern in HEAVY:
        for heavy in path.parent.glob(pattern):
            heavy.unlink()
    return Run(method, seed, values, None, record["config"], record["provenance"])


def last_losses(log: Path) -> dict[str, float]:
    """The mean of every loss over the lines of the last quarter of the training."""
    lines: list[dict[str, float]] = []
    with suppress(FileNotFoundError):
        lines = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    if not lines:
        return {}
    late = [line for line in lines if line["step"] > (1 - LAST_PART) * lines[-1]["step"]]
    names = [name for name in lines[-1] if name not in ("step", "images")]
    columns = {name: [line[name] for line in late if name in line] for name in names}
    return {name: sum(column) / len(column) for name, column in columns.items()}


def _failure(code: int | None, log: Path) -> str:
    if code == DIVERGED:
        return "diverged, but left no record"
    last = ""
    with suppress(FileNotFoundError):
        lines = [line for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
        last = lines[-1].strip() if lines else ""
    return f"exit code {code}: {last} (see {log})"
