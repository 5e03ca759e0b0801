"""The grid of a check as a sweep on this machine, a few processes of one thread each."""

import os
from collections.abc import Sequence
from pathlib import Path

from bench.launch.grid import GridCell
from bench.launch.local import Local
from bench.regress.baseline import CheckGrid
from bench.runs.request import RunRequest
from bench.runs.settings import RunSettings

MethodSeed = tuple[str, int]


def sweep(grid: CheckGrid, runs: Sequence[MethodSeed], folder: Path, workers: int) -> dict[MethodSeed, str]:
    """Carries out runs (method, seed) in `folder`, `workers` processes of one thread at a time; those that are done or
    diverged are not repeated, those that failed are. Returns why some were not started.

    Raises Interrupted after a signal, when all runs have saved their state. Planning imports torch.
    """
    from bench.launch.plan import Feasibility, Plan, plan
    from bench.launch.sweep import submit

    folder = folder.resolve()
    # Mode finding and pre-training belong to what is checked: nothing of them comes from the user's cache.
    os.environ["I2I_BENCH_ARTIFACTS"] = str(folder / "artifacts")
    launcher = Local(workers, grid.device.startswith("cuda"), {"OMP_NUM_THREADS": "1"})
    cells = [cell_of(grid, method, seed) for method, seed in runs]
    feasibility = Feasibility()

    def planned() -> Plan:
        return plan(cells, folder, launcher.gpu, ("failed",), feasibility, print)

    first = planned()
    print("\n".join(first.summary()))
    submit(folder, planned, launcher, RunSettings(device=grid.device), None, print)
    chosen = {run.row.folder for run in first.chosen}
    left = [run for run in first.runs if run.row.folder not in chosen]
    return {(run.spec.method, run.spec.seed): run.skipped or f"it is {run.row.state}" for run in left}


def cell_of(grid: CheckGrid, method: str, seed: int) -> GridCell:
    """The run of one method; `{seed}` in its settings becomes the seed."""
    row = grid.methods[method]
    request = RunRequest(
        method=method,
        dataset=grid.dataset,
        target_size=grid.target_size,
        seed=seed,
        preset=grid.preset,
        settings=tuple(setting.replace("{seed}", str(seed)) for setting in row.settings),
        resolution=grid.resolution,
        budget_kimg=row.budget_kimg,
    )
    return GridCell(request, grid.metrics)
