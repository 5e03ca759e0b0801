"""The baseline file: the grid that is run, and what it gave seed by seed when it was last written on purpose."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from msgspec import Struct

from bench.core.errors import UserError
from bench.core.files import write_text
from bench.core.registry import find
from bench.core.typed import damaged, read_typed
from bench.metrics import find as find_metric

FEWEST_SEEDS = 5  # for a measured spread


@dataclass(frozen=True)
class CheckedMethod:
    """How one method is run. `{seed}` in a setting stands for the seed of the run."""

    budget_kimg: float
    settings: tuple[str, ...] = ()


@dataclass(frozen=True)
class CheckGrid:
    """What is run.

    seeds           of a check
    confirm_seeds   of a second look at what failed
    baseline_seeds  of the baseline, at least FEWEST_SEEDS
    family_error    chance that a check of unchanged code calls any value moved; see decide.py
    tolerance       value -> share of the mean that it may always move, for what is noisy on a shared machine
    """

    dataset: str
    target_size: int
    resolution: int
    preset: str
    device: str
    metrics: tuple[str, ...]
    seeds: tuple[int, ...]
    confirm_seeds: tuple[int, ...]
    baseline_seeds: tuple[int, ...]
    family_error: float
    tolerance: dict[str, float]
    methods: dict[str, CheckedMethod]


@dataclass(frozen=True)
class Measured:
    """One value of one method: a metric, "loss/<name>" or "cost/<name>"; `values` by the seeds of its Entry."""

    version: int
    values: tuple[float, ...]


@dataclass(frozen=True)
class BaselineEntry:
    """What a method gave. `how`: command, commit, machine and versions; `config`: its Config with the first seed."""

    how: dict[str, Any]
    config: dict[str, Any]
    seeds: tuple[int, ...]
    values: dict[str, Measured]


@dataclass(frozen=True)
class Baseline:
    grid: CheckGrid
    methods: dict[str, BaselineEntry] = field(default_factory=dict)

    @property
    def comparisons(self) -> int:
        """Values of all methods: the family over which the false-alarm rate is stated."""
        return sum(len(entry.values) for entry in self.methods.values())


class _File(Struct):
    """The file. It also holds the mean and the spread of each value, for people; they are not read."""

    schema: Literal[1]
    grid: CheckGrid
    methods: dict[str, BaselineEntry]


def read(path: Path) -> Baseline:
    """Raises UserError for a file that is missing, damaged, of a newer schema, or names what does not exist."""
    if not path.exists():
        make = f"python -m bench check --update --baseline {path} --methods NAME,..."
        raise UserError(f"there is no baseline {path}; name one with --baseline, or make it: {make}")
    file = read_typed(path, _File, "take it from the repository again")
    baseline = Baseline(file.grid, file.methods)
    _check(baseline, path)
    return baseline


def fresh(methods: Sequence[str]) -> Baseline:
    """A baseline without values, to begin with: the cpu preset of each method for 500 images on data that ship."""
    grid = CheckGrid(
        dataset="ink",
        target_size=125,
        resolution=32,
        preset="cpu",
        device="cpu",
        metrics=("kd_effnet", "kd_effnet_train", "fd_effnet", "target_share", "nn_ratio", "l1_truth"),
        seeds=(0, 1),
        confirm_seeds=(100, 101),
        baseline_seeds=tuple(range(8)),
        family_error=0.01,
        tolerance={"cost/speed": 0.3, "cost/memory": 0.2},
        methods={find("methods", name).name: CheckedMethod(budget_kimg=0.5) for name in methods},
    )
    return Baseline(grid)


def write(path: Path, baseline: Baseline) -> None:
    """Means and spreads are written for readers; they are computed from the values wherever they are needed."""
    from bench.regress.decide import mean, spread

    methods = {}
    for name, entry in sorted(baseline.methods.items()):
        values = {
            key: {"version": m.version, "mean": mean(m.values), "spread": spread(m.values), "values": list(m.values)}
            for key, m in entry.values.items()
        }
        methods[name] = {"how": entry.how, "config": entry.config, "seeds": list(entry.seeds), "values": values}
    write_text(path, _text({"schema": 1, "grid": asdict(baseline.grid), "methods": methods}) + "\n")


def _check(baseline: Baseline, path: Path) -> None:
    grid = baseline.grid
    for name in (*grid.methods, *baseline.methods):
        find("methods", name)
    for name in grid.metrics:
        find_metric(name)
    for name, entry in baseline.methods.items():
        counts = {len(measured.values) for measured in entry.values.values()}
        if counts != {len(entry.seeds)}:
            what = f"has {min(counts)} values for" if counts else "has no values of its"
            raise damaged(path, f"{name} {what} {len(entry.seeds)} seeds", "take it from the repository again")
        if len(set(entry.seeds)) < len(entry.seeds):
            raise damaged(path, f"{name} has a seed twice", "take it from the repository again")
    few = [len(seeds) for seeds in (grid.baseline_seeds, *(e.seeds for e in baseline.methods.values()))]
    if min(few) < FEWEST_SEEDS or len(set(grid.baseline_seeds)) < len(grid.baseline_seeds):
        raise UserError(f"baseline {path}: a spread needs at least {FEWEST_SEEDS} different baseline_seeds")
    if not grid.seeds or not grid.confirm_seeds or not 0 < grid.family_error < 1:
        raise UserError(f"baseline {path}: a check needs seeds, confirm_seeds, and a family_error between 0 and 1")
    if set(grid.confirm_seeds) & {*grid.seeds, *grid.baseline_seeds}:
        raise UserError(f"baseline {path}: confirm_seeds must be other seeds than the check's and the baseline's")


def _text(value: Any, indent: str = "") -> str:
    """JSON in which an object of plain values, and any list, is one line."""
    if not isinstance(value, dict) or not any(isinstance(v, dict) for v in value.values()):
        return json.dumps(value, allow_nan=False)
    inner = indent + "  "
    lines = [f"{inner}{json.dumps(key)}: {_text(v, inner)}" for key, v in value.items()]
    return "{\n" + ",\n".join(lines) + "\n" + indent + "}"
