"""Grids: methods x data sets x target sizes x subset seeds x seeds, from the command line or a TOML file.

    methods = ["balagan", "cyclegan", "real", "identity", "copies"]   # anchor rows are welcome
    datasets = ["afd"]
    target_sizes = [1000, 500, 250, 125]
    seeds = [0, 1, 2]
    subset_seeds = [0]
    preset = "paper"
    set = { width = 64, classes = "modes:40" }   # fields of the methods' Config
    resolution = 128                             # also metrics (a list), amp, and of own data held_out = 8
    budget_kimg = 300                            # images; or compute: budget = { tflop = 2000 }

    [[runs]]                                     # any number of sub-grids; the grid is their union, and each takes
    methods = ["munit"]                          # what it does not name from the keys above
    set = { batch_weight = true }                # is added to the fields above

Without [[runs]] the keys above are the grid. What the command line names replaces the file's keys in every sub-grid.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from bench.core.errors import UserError
from bench.core.typed import read_typed
from bench.data.find import with_held_out
from bench.metrics.anchors import ANCHORS
from bench.runs.request import RunRequest
from bench.training.config import spell

Word = bool | int | float | str
Names = tuple[str, ...]
Numbers = tuple[int, ...]


class Compute(Struct, frozen=True, forbid_unknown_fields=True):
    """A budget of compute: 10^12 floating-point operations of each run, preparation included."""

    tflop: float


class Grid(Struct, frozen=True, forbid_unknown_fields=True):
    """One product. The fields are the keys of the file; None: not named."""

    methods: Names | None = None
    datasets: Names | None = None
    target_sizes: Numbers | None = None
    seeds: Numbers | None = None
    subset_seeds: Numbers | None = None
    preset: str | None = None
    set: dict[str, Word | list[Word]] = {}
    resolution: int | None = None
    held_out: int | float | str | None = None  # of own data: images (or share) of each domain
    budget_kimg: float | None = None
    budget: Compute | None = None
    metrics: Names | None = None
    amp: str | None = None

    def over(self, below: "Grid") -> "Grid":
        """These keys where they are named, else those of `below`; fields of Config are joined. A budget of either kind
        takes the place of one below."""
        values = {key: getattr(below, key) for key in Grid.__struct_fields__}
        if self.budget or self.budget_kimg is not None:
            values |= {"budget": None, "budget_kimg": None}
        named = {key: getattr(self, key) for key in values if getattr(self, key) is not None}
        return Grid(**{**values, **named, "set": {**below.set, **self.set}})


class _File(Grid, frozen=True, forbid_unknown_fields=True):
    """A file: a grid, or what its sub-grids have in common."""

    runs: Annotated[list[Grid], Meta(min_length=1)] = msgspec.field(default_factory=lambda: [Grid()])


@dataclass(frozen=True)
class GridCell:
    """One run of a grid as if typed, and the metrics to measure (None: those of every run)."""

    request: RunRequest
    metrics: tuple[str, ...] | None = None


def cells(grids: list[Grid]) -> list[GridCell]:
    """Every run once, in the order of the grids. Anchor rows train nothing, so they have the first seed alone."""
    return list(dict.fromkeys(cell for grid in grids for cell in _expand(grid)))


def read(path: Path) -> list[Grid]:
    file = read_typed(path, _File, "see slurm/README.md for the keys of a grid; sub-grids are written [[runs]]")
    return [run.over(file) for run in file.runs]


def _expand(grid: Grid) -> Iterator[GridCell]:
    for key in ("methods", "datasets", "target_sizes"):
        if not getattr(grid, key):
            raise UserError(f"the grid has no {key}; name them with --{key.replace('_', '-')} or in its file")
    settings = tuple(f"{name}={spell(value)}" for name, value in grid.set.items())
    seeds = grid.seeds or (0,)
    held_out = None if grid.held_out is None else str(grid.held_out)
    for dataset, size, method, subset_seed, seed in product(
        grid.datasets or (), grid.target_sizes or (), grid.methods or (), grid.subset_seeds or (0,), seeds
    ):
        request = RunRequest(
            method,
            with_held_out(dataset, held_out),
            size,
            seed,
            subset_seed,
            resolution=grid.resolution,
            amp=grid.amp or "off",
        )
        if method not in ANCHORS:
            tflop = grid.budget.tflop if grid.budget else None
            request = replace(
                request, preset=grid.preset, settings=settings, budget_kimg=grid.budget_kimg, budget_tflop=tflop
            )
        elif seed != seeds[0]:
            continue
        yield GridCell(request, grid.metrics)
