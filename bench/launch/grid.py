"""Grids: methods x data sets x target sizes x subset seeds x seeds, from the command line or a TOML file.

    methods = ["balagan", "cyclegan", "real", "identity", "copies"]   # anchor rows are welcome
    datasets = ["afd"]
    target_sizes = [1000, 500, 250, 125]
    seeds = [0, 1, 2]
    subset_seeds = [0]
    preset = "paper"
    set = { width = 64, classes = "modes:40" }   # fields of the methods' Config
    resolution = 128                             # also budget_kimg, metrics (a list), amp

    [[runs]]                                     # any number of sub-grids; the grid is their union, and each takes
    methods = ["munit"]                          # what it does not name from the keys above
    set = { batch_weight = true }                # is added to the fields above

Without [[runs]] the keys above are the grid. What the command line names replaces the file's keys in every sub-grid.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, replace
from itertools import product
from pathlib import Path
from typing import Any

from bench.core.errors import UserError, unknown
from bench.launch import toml
from bench.metrics.anchors import ANCHORS
from bench.runs.request import Request


@dataclass(frozen=True)
class Grid:
    """One product. The fields are the keys of the file; None: not named."""

    methods: tuple[str, ...] | None = None
    datasets: tuple[str, ...] | None = None
    target_sizes: tuple[int, ...] | None = None
    seeds: tuple[int, ...] | None = None
    subset_seeds: tuple[int, ...] | None = None
    preset: str | None = None
    set: tuple[tuple[str, str], ...] = ()
    resolution: int | None = None
    budget_kimg: float | None = None
    metrics: tuple[str, ...] | None = None
    amp: str | None = None

    def over(self, below: "Grid") -> "Grid":
        """These keys where they are named, else those of `below`; fields of Config are joined."""
        named = {f.name: getattr(self, f.name) for f in fields(self) if getattr(self, f.name) is not None}
        return replace(below, **{**named, "set": tuple({**dict(below.set), **dict(self.set)}.items())})


@dataclass(frozen=True)
class Cell:
    """One run of a grid as if typed, and the metrics to measure (names by comma; None: all)."""

    request: Request
    metrics: str | None = None


def cells(grids: list[Grid]) -> list[Cell]:
    """Every run once, in the order of the grids. Anchor rows train nothing, so they have the first seed alone."""
    return list(dict.fromkeys(cell for grid in grids for cell in _expand(grid)))


def read(path: Path) -> list[Grid]:
    values = toml.read(path, "grid")
    runs = values.pop("runs", [{}])
    if not isinstance(runs, list) or not all(isinstance(run, dict) for run in runs) or not runs:
        raise UserError(f"grid {path}: runs must be tables, written [[runs]]")
    top = _grid(values, path)
    return [_grid(run, path).over(top) for run in runs]


def _expand(grid: Grid) -> Iterator[Cell]:
    for key in ("methods", "datasets", "target_sizes"):
        if not getattr(grid, key):
            raise UserError(f"the grid has no {key}; name them with --{key.replace('_', '-')} or in its file")
    settings = tuple(f"{name}={value}" for name, value in grid.set)
    metrics = None if grid.metrics is None else ",".join(grid.metrics) or "none"
    seeds = grid.seeds or (0,)
    for dataset, size, method, subset_seed, seed in product(
        grid.datasets or (), grid.target_sizes or (), grid.methods or (), grid.subset_seeds or (0,), seeds
    ):
        request = Request(method, dataset, size, seed, subset_seed, resolution=grid.resolution, amp=grid.amp or "off")
        if method not in ANCHORS:
            request = replace(request, preset=grid.preset, settings=settings, budget_kimg=grid.budget_kimg)
        elif seed != seeds[0]:
            continue
        yield Cell(request, metrics)


def _grid(values: dict[str, Any], path: Path) -> Grid:
    known = [field.name for field in fields(Grid)]
    read: dict[str, Any] = {}
    for key, value in values.items():
        if key not in known:
            raise unknown("key", key, [*known, "runs"], f"(grid {path})")
        try:
            read[key] = _READ[key](value)
        except ValueError as error:
            raise UserError(f"grid {path}: {key} = {value!r}: expected {error}") from None
    return Grid(**read)


def _many(kind: type, what: str) -> Callable[[Any], tuple]:
    def read(value: Any) -> tuple:
        if not isinstance(value, list) or not all(type(v) is kind for v in value):
            raise ValueError(f"a list of {what}")
        return tuple(value)

    return read


def _one(kinds: tuple[type, ...], what: str) -> Callable[[Any], Any]:
    def read(value: Any) -> Any:
        if type(value) not in kinds:
            raise ValueError(what)
        return value

    return read


def _settings(value: Any) -> tuple[tuple[str, str], ...]:
    if not isinstance(value, dict):
        raise ValueError("a table: set = { width = 64 }")
    return tuple((name, _spell(part)) for name, part in value.items())


def _spell(value: Any) -> str:
    """A value as --set takes it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return ",".join(_spell(part) for part in value)
    return str(value)


_READ: dict[str, Callable[[Any], Any]] = {
    "methods": _many(str, "names"),
    "datasets": _many(str, "names"),
    "target_sizes": _many(int, "whole numbers"),
    "seeds": _many(int, "whole numbers"),
    "subset_seeds": _many(int, "whole numbers"),
    "preset": _one((str,), "a name"),
    "set": _settings,
    "resolution": _one((int,), "a whole number"),
    "budget_kimg": _one((int, float), "a number"),
    "metrics": _many(str, "names"),
    "amp": _one((str,), "off, bf16 or fp16"),
}
