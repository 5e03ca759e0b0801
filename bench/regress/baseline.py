"""The baseline file: the grid that is run, and what it gave seed by seed when it was last written on purpose."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from bench.core.errors import UserError
from bench.core.files import write_text
from bench.core.registry import find
from bench.metrics import find as find_metric

SCHEMA = 1
FEWEST_SEEDS = 5  # for a measured spread


@dataclass(frozen=True)
class Row:
    """How one method is run. `{seed}` in a setting stands for the seed of the run."""

    budget_kimg: float
    settings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Grid:
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
    methods: dict[str, Row]


@dataclass(frozen=True)
class Measured:
    """One value of one method: a metric, "loss/<name>" or "cost/<name>"; `values` by the seeds of its Entry."""

    version: int
    values: tuple[float, ...]


@dataclass(frozen=True)
class Entry:
    """What a method gave. `how`: command, commit, machine and versions; `config`: its Config with the first seed."""

    how: dict[str, Any]
    config: dict[str, Any]
    seeds: tuple[int, ...]
    values: dict[str, Measured]


@dataclass(frozen=True)
class Baseline:
    grid: Grid
    methods: dict[str, Entry] = field(default_factory=dict)

    @property
    def comparisons(self) -> int:
        """Values of all methods: the family over which the false-alarm rate is stated."""
        return sum(len(entry.values) for entry in self.methods.values())


def read(path: Path) -> Baseline:
    """Raises UserError for a file that is missing, damaged, of a newer schema, or names what does not exist."""
    if not path.is_file():
        raise UserError(f"there is no baseline {path}; start in a checkout of i2i-bench, or name one with --baseline")
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        schema = found["schema"]
        if schema == SCHEMA:
            baseline = Baseline(_grid(found["grid"]), {name: _entry(e) for name, e in found["methods"].items()})
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(
            f"baseline {path} is damaged ({type(error).__name__}: {error}); take it from the repository again"
        ) from None
    if schema != SCHEMA:
        raise UserError(f"baseline {path} has schema {schema}, this program knows {SCHEMA}; update i2i-bench")
    _check(baseline, path)
    return baseline


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
    write_text(path, _text({"schema": SCHEMA, "grid": asdict(baseline.grid), "methods": methods}) + "\n")


def _grid(found: dict[str, Any]) -> Grid:
    rows = {
        name: Row(float(row["budget_kimg"]), tuple(map(str, row.get("settings", ()))))
        for name, row in found["methods"].items()
    }
    return Grid(
        dataset=str(found["dataset"]),
        target_size=int(found["target_size"]),
        resolution=int(found["resolution"]),
        preset=str(found["preset"]),
        device=str(found["device"]),
        metrics=tuple(map(str, found["metrics"])),
        seeds=tuple(map(int, found["seeds"])),
        confirm_seeds=tuple(map(int, found["confirm_seeds"])),
        baseline_seeds=tuple(map(int, found["baseline_seeds"])),
        family_error=float(found["family_error"]),
        tolerance={str(name): float(share) for name, share in found["tolerance"].items()},
        methods=rows,
    )


def _entry(found: dict[str, Any]) -> Entry:
    seeds = tuple(map(int, found["seeds"]))
    values = {}
    for name, measured in found["values"].items():
        values[name] = Measured(int(measured["version"]), tuple(map(float, measured["values"])))
        if len(values[name].values) != len(seeds):
            raise ValueError(f"{name} has {len(values[name].values)} values for {len(seeds)} seeds")
    return Entry(dict(found["how"]), dict(found["config"]), seeds, values)


def _check(baseline: Baseline, path: Path) -> None:
    grid = baseline.grid
    for name in (*grid.methods, *baseline.methods):
        find("methods", name)
    for name in grid.metrics:
        find_metric(name)
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
