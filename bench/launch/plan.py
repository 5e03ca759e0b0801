"""From a grid to runs: which exist, which cannot be, how far each is."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from bench.core.errors import UserError
from bench.data.bank import ImageBank
from bench.data.dataset import Dataset
from bench.data.find import find_bank, make
from bench.data.task import TaskData, draw_task
from bench.launch import stages, status
from bench.launch.grid import GridCell
from bench.metrics.anchors import ANCHORS
from bench.runs.frozen import this_code
from bench.runs.lifecycle import unfit
from bench.runs.record import read_record
from bench.runs.request import check_metrics, specify
from bench.runs.spec import RunSpec


@dataclass(frozen=True)
class Planned:
    """One run of the grid. skipped: why it cannot be carried out; stage: the artifact that it needs first."""

    spec: RunSpec
    metrics: tuple[str, ...] | None
    row: status.RunStatus
    skipped: str | None = None
    stage: str | None = None

    def described(self, plan: "Plan") -> dict[str, Any]:
        """For programs: the run, how it stands, and whether the plan submits it."""
        return {
            "spec": vars(self.spec),
            "folder": str(self.row.folder),
            "state": self.row.state,
            "detail": self.row.detail,
            "skipped": self.skipped,
            "chosen": any(run.row.folder == self.row.folder for run in plan.chosen),
        }


@dataclass(frozen=True)
class Plan:
    """All runs of a grid, and those of them that would be submitted."""

    results: Path
    runs: list[Planned]
    chosen: list[Planned]
    note: str | None  # what the scheduler could not tell

    def summary(self) -> list[str]:
        counts = Counter("skipped" if run.skipped else run.row.state for run in self.runs)
        lines = [f"total {len(self.runs)}: " + ", ".join(f"{n} {state}" for state, n in counts.most_common())]
        reasons = Counter(run.skipped for run in self.runs if run.skipped)
        lines += [f"  skipped {n}: {reason}" for reason, n in reasons.most_common()]
        retries = Counter(
            status.RETRY[run.row.state]
            for run in self.runs
            if run.row.state in status.RETRY and not run.row.under_way and not run.skipped and run not in self.chosen
        )
        lines += [f"  {n} more with --retry {retry}" for retry, n in retries.items()]
        if changed := sum(map(_by_other_code, self.runs)):
            lines.append(f"  {changed} done by other code than there is now; bench run ... --force runs one anew")
        if self.note:
            lines.append(f"  {self.note}")
        return lines


class Feasibility:
    """What the data and the artifacts say of runs; each bank is opened and each question answered once."""

    def __init__(self) -> None:
        self._bank = cache(_bank)
        self._load = cache(self._draw)
        self._answers: dict[str, tuple[str | None, str | None]] = {}

    def unfit(self, spec: RunSpec) -> str | None:
        """Why the run cannot be carried out: missing data, too few images, a method that does not suit them."""
        return self._answer(spec)[0]

    def stage(self, spec: RunSpec) -> str | None:
        """The artifact that the run would have to make first."""
        return self._answer(spec)[1]

    def _answer(self, spec: RunSpec) -> tuple[str | None, str | None]:
        key = replace(spec, seed=0).config_hash
        if key not in self._answers:
            data = self._load(spec.dataset, spec.target_size, spec.resolution, spec.subset_seed)
            if isinstance(data, str):
                self._answers[key] = data, None
            else:
                reason = unfit(spec, data)
                self._answers[key] = reason, None if reason else stages.missing(spec, data)
        return self._answers[key]

    def _draw(self, dataset: str, size: int, resolution: int, subset_seed: int) -> TaskData | str:
        opened = self._bank(dataset, resolution)
        try:
            return opened if isinstance(opened, str) else draw_task(*opened, size, subset_seed)
        except UserError as error:
            return str(error)


def _bank(name: str, resolution: int) -> tuple[Dataset, ImageBank] | str:
    try:
        dataset = make(name)
        return dataset, find_bank(dataset, resolution)
    except UserError as error:
        return str(error)


def plan(
    cells: Sequence[GridCell],
    results: Path,
    gpu: bool,
    retry: Sequence[str],
    feasibility: Feasibility,
    say: Callable[[str], None],
) -> Plan:
    """Raises UserError for what is wrong in the grid itself; what a cell cannot do for its data's sake is skipped."""
    for metrics in {cell.metrics for cell in cells}:
        check_metrics(metrics)
    said = cache(say)
    asked = [(specify(cell.request, gpu, said), cell.metrics) for cell in _at_equal_resolution(cells, gpu)]
    unique = {spec.folder(results): (spec, metrics) for spec, metrics in asked}  # `bg` and `balagan` are one run
    view = status.look(results, unique)
    runs = [Planned(spec, metrics, row) for (spec, metrics), row in zip(unique.values(), view.rows)]
    runs = [replace(run, skipped=feasibility.unfit(run.spec)) if _open(run.row) else run for run in runs]
    chosen = [run for run in runs if not run.skipped and _wanted(run.row, retry)]
    chosen = [replace(run, stage=feasibility.stage(run.spec)) for run in chosen]
    return Plan(results, runs, chosen, view.note)


def _at_equal_resolution(cells: Sequence[GridCell], gpu: bool) -> list[GridCell]:
    """Anchor rows without a resolution get that of the methods on their data set, or each of them."""
    if not any(map(_is_anchor, cells)):
        return list(cells)
    sides: dict[str, list[int]] = {}
    for cell in cells:
        if not _is_anchor(cell):
            side = specify(cell.request, gpu, lambda _: None).resolution
            if side not in sides.setdefault(cell.request.dataset, []):
                sides[cell.request.dataset].append(side)
    sized = []
    for cell in cells:
        free = _is_anchor(cell) and cell.request.resolution is None
        if free and cell.request.dataset in sides:
            sized += [
                replace(cell, request=replace(cell.request, resolution=side)) for side in sides[cell.request.dataset]
            ]
        else:
            sized.append(cell)
    return list(dict.fromkeys(sized))


def _is_anchor(cell: GridCell) -> bool:
    return cell.request.method in ANCHORS


def _by_other_code(run: Planned) -> bool:
    """Whether its numbers are those of other code than the one that would carry it out now."""
    if run.row.state not in status.DONE:
        return False
    try:
        record = read_record(run.row.folder / "record.json")
    except UserError:
        return False  # `bench status` names it
    return record.provenance.source_sha256 != this_code(run.spec).source_sha256


def _open(row: status.RunStatus) -> bool:
    return row.state not in status.DONE and not row.under_way


def _wanted(row: status.RunStatus, retry: Sequence[str]) -> bool:
    return _open(row) and status.RETRY.get(row.state, row.state) in ("new", "interrupted", *retry)
