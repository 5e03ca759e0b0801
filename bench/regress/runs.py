"""The runs of a check: those that are missing are carried out, and their records and logs read."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.core.errors import UserError
from bench.regress.baseline import CheckGrid
from bench.regress.sweep import MethodSeed, sweep
from bench.runs.frozen import Frozen
from bench.runs.record import Provenance, read_record, record_paths
from bench.runs.state import read_state
from bench.training import log as training_log

LAST_PART = 0.25  # of the training, over which a loss is averaged
HEAVY = ("checkpoint-*.pt", "translated.npy", "diverse.npy")  # of no use once a run is compared


@dataclass(frozen=True)
class CheckedRun:
    """One run that ended: its values by name with the metric's version (1 for others), or why there are none."""

    method: str
    seed: int
    values: dict[str, tuple[float, int]]
    problem: str | None = None
    config: dict[str, Any] | None = None
    provenance: Provenance | None = None


def run_grid(
    grid: CheckGrid, methods: Sequence[str], seeds: Sequence[int], folder: Path, workers: int
) -> list[CheckedRun]:
    """Carries out what `folder` lacks and reads all that was asked for. A run that fails cancels no other."""
    wanted = [(method, seed) for seed in seeds for method in methods]
    there = _records(folder)
    problems: dict[MethodSeed, str] = {}
    if missing := [run for run in wanted if run not in there]:
        problems = _carry_out(grid, missing, folder, workers)
        there = _records(folder)
    return [
        _read(there[method, seed], method, seed)
        if (method, seed) in there
        else CheckedRun(method, seed, {}, problems.get((method, seed), "it left no record"))
        for method, seed in wanted
    ]


def _carry_out(grid: CheckGrid, missing: Sequence[MethodSeed], folder: Path, workers: int) -> dict[MethodSeed, str]:
    """Runs what is missing; returns why runs were not started or have no record."""
    try:
        left = sweep(grid, missing, folder, workers)
    except UserError as error:  # a method that cannot be loaded, say: the grid as a whole cannot be planned
        left = dict.fromkeys(missing, str(error))
    return {run: f"it was not started: {why}" for run, why in left.items()} | _failures(folder)


def _records(folder: Path) -> dict[MethodSeed, Path]:
    """The records by method and seed, without damaged ones, which count as failures."""
    paths = {}
    for path in record_paths(folder):
        with suppress(UserError):
            identity = read_record(path).identity
            paths[identity.method, identity.seed] = path
    return paths


def _failures(folder: Path) -> dict[MethodSeed, str]:
    """Why runs without a record ended, by what their state and frozen files say; and which records are damaged."""
    reasons = {}
    for path in folder.glob("runs/*/*/*/*/frozen.json"):
        with suppress(UserError):
            spec = Frozen.read(path).spec
            reasons[spec.method, spec.seed] = _why(path.parent)
    return reasons


def _why(run: Path) -> str:
    try:
        if (run / "record.json").exists():
            read_record(run / "record.json")
        state = read_state(run)
    except UserError as error:
        return str(error)
    return f"{state.state}: {state.error} (see {run})"


def _read(path: Path, method: str, seed: int) -> CheckedRun:
    record = read_record(path)
    if record.status != "done":
        return CheckedRun(method, seed, {}, f"{record.status}: {record.error}")
    values = {name: (value.value, value.version) for name, value in record.metrics.items() if value.value is not None}
    values |= {f"loss/{name}": (value, 1) for name, value in last_losses(path.parent / "train.jsonl").items()}
    cost = record.cost
    for name, spent, version in (
        ("cost/speed", cost.images_per_calibration, 1),
        ("cost/memory", cost.train_memory_bytes, 2),
    ):
        if spent is not None:
            values[name] = (float(spent), version)
    for pattern in HEAVY:
        for heavy in path.parent.glob(pattern):
            heavy.unlink()
    return CheckedRun(method, seed, values, None, record.config, record.provenance)


def last_losses(log: Path) -> dict[str, float]:
    """The mean of every loss over the lines of the last quarter of the training; what is drawn (a/b) is no loss."""
    lines = training_log.read(log)
    if not lines:
        return {}
    late = [line.values for line in lines if line.step > (1 - LAST_PART) * lines[-1].step]
    names = [name for name in lines[-1].values if "/" not in name]
    columns = {name: [value for values in late if (value := values.get(name)) is not None] for name in names}
    return {name: sum(column) / len(column) for name, column in columns.items() if column}
