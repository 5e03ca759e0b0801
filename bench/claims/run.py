"""Running claims: a sweep through bench.launch, and the copies of its finished runs."""

from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median

from bench.claims.cells import grid_cells
from bench.claims.claim import Claim
from bench.claims.kept import keep
from bench.core.progress import clock
from bench.launch.grid import GridCell
from bench.launch.local import Local
from bench.launch.plan import Plan, Planned, Feasibility, plan
from bench.launch.sweep import submit
from bench.runs.record import read_records
from bench.runs.request import RunRequest, specify
from bench.runs.settings import RunSettings

RETRY = ("failed", "timeout")
TERA = 1e12

Say = Callable[[str], None]


def planner(cells: Sequence[GridCell], work: Path, say: Say) -> Callable[[], Plan]:
    """Plans the runs of claims in the results folder `work`, and again at each call."""
    feasibility = Feasibility()
    return lambda: plan(cells, work, False, RETRY, feasibility, say)


def estimate(chosen: Sequence[Planned], work: Path, workers: int, say: Say) -> str:
    """How much compute the chosen runs may take, and how long that is at the pace of the runs that are there."""
    tflop = sum(run.spec.budget_tflop or 0.0 for run in chosen)
    said = f"{len(chosen)} runs of at most {tflop:.4g} TFLOP together"
    paces = [
        record.cost.train_flop / TERA / record.cost.train_seconds
        for record in read_records(work, say)
        if record.cost.train_flop and record.cost.train_seconds
    ]
    if not paces or not tflop:
        return f"{said}; how long that takes is known after the first run"
    seconds = tflop / median(paces) / workers
    return f"{said}: about {clock(seconds)} of training at the pace of the {len(paces)} runs that are there"


def carry_out(
    chosen: Sequence[Claim], every: Sequence[Claim], work: Path, records: Path, workers: int, dry_run: bool, say: Say
) -> None:
    """Runs what the chosen claims lack, one thread a process, and keeps a copy of every run that is finished.

    every  all claims: a run that several share is measured by what each of them asks for
    """
    cells = grid_cells(chosen, every)
    make_plan = planner(cells, work, say)
    planned = make_plan()
    lines = planned.summary()
    if planned.chosen:
        lines.append(estimate(planned.chosen, work, workers, say))
    say("\n".join(lines))
    if dry_run:
        say("nothing was started; leave out --dry-run to start")
        return
    try:
        if planned.chosen:
            submit(work, make_plan, Local(workers, gpu=False), RunSettings(device="cpu", threads=1), None, say)
    finally:
        kept = keep(records, finished(cells, work))
        say(f"{kept} finished runs are kept in {records}")


def finished(cells: Sequence[GridCell], work: Path) -> dict[RunRequest, Path]:
    """The folders of those runs that have a record."""
    folders = {}
    for cell in cells:
        folder = specify(cell.request, False, _quiet).folder(work)
        if (folder / "record.json").exists():
            folders[cell.request] = folder
    return folders


def _quiet(line: str) -> None:
    """What `specify` says has been said when the sweep was planned."""
