"""Running claims: a sweep through bench.launch, and the copies of its finished runs."""

from collections.abc import Callable, Sequence
from pathlib import Path

from bench.claims.cells import grid_cells
from bench.claims.claim import Claim
from bench.claims.kept import keep
from bench.core.progress import Reporter
from bench.core.signals import Signals
from bench.launch.estimate import Estimator
from bench.launch.grid import GridCell
from bench.launch.local import Local
from bench.launch.plan import Feasibility, Plan, plan
from bench.launch.sweep import submit
from bench.metrics import METRICS
from bench.runs.record import Record, read_record, read_records
from bench.runs.remeasure import remeasure
from bench.runs.request import RunRequest, specify
from bench.runs.settings import RunSettings

RETRY = ("failed", "timeout")
SETTINGS = RunSettings(device="cpu", threads=1)

Say = Callable[[str], None]


def carry_out(
    chosen: Sequence[Claim], every: Sequence[Claim], work: Path, records: Path, workers: int, dry_run: bool, say: Say
) -> None:
    """Runs what the chosen claims lack, one thread a process, and keeps a copy of every run that is finished.

    every  all claims: a run that several share is measured by what each of them asks for
    work   the results folder of the claims' runs; records: where their copies go
    """
    cells, where = grid_cells(chosen, every), Local(workers, gpu=False)
    feasibility = Feasibility()

    def make_plan() -> Plan:
        return plan(cells, work, False, RETRY, feasibility, say)

    planned = make_plan()
    say("\n".join(planned.summary()))
    if planned.chosen:
        tflop = sum(run.spec.budget_tflop or 0.0 for run in planned.chosen)
        estimate = Estimator(read_records(work, say), gpu=False).of([run.spec for run in planned.chosen])
        say("\n".join([f"compute: at most {tflop:.4g} TFLOP", *estimate.lines(where.at_once)]))
    if dry_run:
        say("nothing was started; leave out --dry-run to start")
        return
    try:
        if planned.chosen:
            submit(work, make_plan, where, SETTINGS, None, say)
        _measure(cells, work)
    finally:
        kept = keep(records, finished(cells, work))
        say(f"kept {kept} finished runs in {records}; what they show: python -m bench claims report")


def finished(cells: Sequence[GridCell], work: Path) -> dict[RunRequest, Path]:
    """The folders of those runs that have a record."""
    folders = {cell.request: specify(cell.request, False, _quiet).folder(work) for cell in cells}
    return {request: folder for request, folder in folders.items() if (folder / "record.json").exists()}


def _measure(cells: Sequence[GridCell], work: Path) -> None:
    """Measures what runs lack that were finished before a claim asked for another metric."""
    folders = finished(cells, work)
    lacking: dict[tuple[str, ...], list[Path]] = {}
    for cell in cells:
        if cell.request in folders:
            record = read_record(folders[cell.request] / "record.json")
            if names := unmeasured(record, cell.metrics or ()):
                lacking.setdefault(names, []).append(folders[cell.request])
    with Signals() as signals:
        for names, several in lacking.items():
            settings = RunSettings(device="cpu", threads=1, metrics=names)
            remeasure(several, settings, Reporter(signals, name="claims"))


def unmeasured(record: Record, names: Sequence[str]) -> tuple[str, ...]:
    """Those of these metrics that the record has not, or has in an older version; one without a value was measured."""
    if record.status == "diverged":
        return ()
    versions = {name: value.version for name, value in record.metrics.items()}
    return tuple(name for name in names if versions.get(name, -1) < METRICS[name].version)


def _quiet(line: str) -> None:
    """What `specify` says has been said when the sweep was planned."""
