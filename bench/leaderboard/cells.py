"""What stands in a cell of a table (a row at a target size, on one metric), and which cells lead."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import Any, Literal

from bench.leaderboard.board import Board, Row, Waiting
from bench.metrics import METRICS
from bench.runs.record import Record
from bench.statistics.conditions import Condition, by_condition, common, difference, own
from bench.statistics.estimate import Estimate, Replicate, estimate
from bench.statistics.ranks import Ranking, rank
from bench.statistics.slopes import Point, Slope, slope

State = Literal["measured", "undefined", "diverged", "unfinished", "skipped", "missing"]
TOO_FEW = "one draw where others have several, so not ranked"
Rank = Literal["best", "leads", "level", "behind", "alone", "unranked"]


@dataclass(frozen=True)
class Cell:
    """The runs of a row at one target size, on one metric.

    values  of the runs that were measured under `condition`
    rank    best: the paired interval separates it from every other; leads: the best mean, but level with some;
            level: not separated from the leader; behind: separated from it; alone: nothing to compare it with;
            unranked, with the reason in `note`
    gap     the paired difference to the leader, None for the leader and where they share no replicate
    partial which finished runs the mean leaves out, and why; "" where it is of all
    """

    state: State
    note: str = ""
    values: Mapping[Replicate, float] = field(default_factory=dict)
    condition: Condition | None = None
    mean: Estimate | None = None
    diverged: int = 0
    rank: Rank = "unranked"
    gap: Estimate | None = None
    partial: str = ""


@dataclass(frozen=True)
class Column:
    """One metric at one target size: its condition (n for the heading) and a cell for each row."""

    metric: str
    size: int
    condition: Condition | None
    cells: dict[Row, Cell]

    @property
    def leader(self) -> Row | None:
        return next((row for row, cell in self.cells.items() if cell.rank in ("best", "leads")), None)


def column(board: Board, metric: str, size: int) -> Column:
    by_row = {row: by_condition(board.runs.get((row, size), []), metric) for row in board.rows}
    ours = [values for row, values in by_row.items() if not row.anchor and not row.added]
    condition = common(ours) or common(by_row.values())
    cells = {}
    for row, values in by_row.items():
        measured = own(values, condition)
        runs = board.runs.get((row, size), [])
        cells[row] = _absent(board, row, metric, size) if measured is None else _cell(values, measured, runs, metric)
    return Column(metric, size, condition, _ranked(cells, condition, metric))


def degradation(columns: Sequence[Column], row: Row) -> Slope:
    """Change of the metric for each doubling of the target set, over the columns in which the row has a value."""
    cells = ((one.size, one.cells[row]) for one in columns)
    return slope({size: Point(cell.condition, cell.values) for size, cell in cells if cell.condition})


def comparable(one: Column, row: Row) -> bool:
    """Whether a point may be read beside the others of its size; anchors are there to be, whatever their n."""
    return row.anchor or one.cells[row].condition == one.condition


def stretches(columns: Sequence[Column], row: Row) -> list[list[Column]]:
    """The columns with a value of the row, cut where a line over target sizes must end: the sizes of a stretch were
    measured alike (Condition.along_sizes), and a point that is not comparable at its own size stands alone."""

    def alike(one: Column) -> tuple[Any, ...]:
        condition = one.cells[row].condition
        return condition.along_sizes if condition and comparable(one, row) else (one.size,)

    return [list(stretch) for _, stretch in groupby((one for one in columns if one.cells[row].mean), alike)]


def fitted(columns: Sequence[Column], row: Row) -> str:
    """The sizes that `degradation` leans on where they are not all that the table has, by comma; else ""."""
    sizes = [column.size for column in columns if column.cells[row].condition]
    return ", ".join(map(str, sizes)) if len(sizes) < len(columns) else ""


def _cell(
    measured: Mapping[Condition, Mapping[Replicate, float]], condition: Condition, runs: Sequence[Record], metric: str
) -> Cell:
    values = measured[condition]
    diverged = sum(record.status == "diverged" for record in runs)
    partial = _partial(measured, condition, [r for r in runs if r.status == "done"], metric)
    return Cell("measured", "", values, condition, estimate(values), diverged, partial=partial)


def _partial(
    measured: Mapping[Condition, Mapping[Replicate, float]], condition: Condition, done: Sequence[Record], metric: str
) -> str:
    if all(record.identity.kind == "anchor" for record in done):
        return ""
    used = len(measured[condition])
    if used == len(done):
        return ""
    others = {other: values for other, values in measured.items() if other != condition}
    why = [f"{len(values)} with {difference(other, condition)}" for other, values in others.items()]
    lacking = sum(metric not in record.metrics or record.metrics[metric].value is None for record in done)
    repeated = len(done) - used - sum(map(len, others.values())) - lacking
    why += [f"{lacking} without a value"] if lacking else []
    why += [f"{repeated} with the seeds or the images of another"] if repeated else []
    return f"of {used} of {len(done)} runs; not in it: {', '.join(why)}"


def _absent(board: Board, row: Row, metric: str, size: int) -> Cell:
    """A cell without a value, and why."""
    runs = board.runs.get((row, size), [])
    errors = [record.error for record in runs if record.status == "diverged"]
    if errors:
        return Cell("diverged", note=str(errors[0]), diverged=len(errors))
    reasons = [value.reason for record in runs if (value := record.metrics.get(metric)) and value.reason]
    if runs:
        return Cell("undefined", note=str(reasons[0]) if reasons else "not measured in these runs")
    return _without_record(board.unfinished.get((row, size), []))


def _without_record(runs: Sequence[Waiting]) -> Cell:
    """The cell of runs that are not finished, or that no sweep could start: with how many of them say the same."""
    if not runs:
        return Cell("missing", note="no run")
    state: State = "unfinished" if any(run.state == "unfinished" for run in runs) else "skipped"
    said = Counter(run.note for run in runs)
    return Cell(state, note="; ".join(note + (f" ({n} runs)" if n > 1 else "") for note, n in said.items()))


def _ranked(cells: dict[Row, Cell], condition: Condition | None, metric: str) -> dict[Row, Cell]:
    """The cells with their rank. Anchors, and cells that cannot be compared, keep none."""
    better = METRICS[metric].better if metric in METRICS else None
    ranked = dict(cells)
    rivals = {}
    for row, cell in cells.items():
        if cell.mean is None or row.anchor:
            continue
        why = _why_unranked(row, cell, condition, better)
        ranked[row] = replace(cell, note=why)
        if not why:
            rivals[row] = cell.values
    if better is None or not rivals:
        return ranked
    ranking = rank(rivals, better)
    for row in rivals:
        place = _place(ranking, row, alone=len(rivals) - len(ranking.too_few) == 1)
        note = TOO_FEW if row in ranking.too_few else ""
        ranked[row] = replace(cells[row], rank=place, gap=ranking.gaps.get(row), note=note)
    return ranked


def _place(ranking: Ranking[Row], row: Row, alone: bool) -> Rank:
    if row in ranking.too_few:
        return "unranked"
    if row == ranking.leader:
        return "alone" if alone else "best" if ranking.best else "leads"
    return "behind" if row in ranking.behind else "level"


def _why_unranked(row: Row, cell: Cell, condition: Condition | None, better: str | None) -> str:
    if row.added:
        return "added from elsewhere, so not ranked"
    if better is None:
        return "neither direction of this metric is a merit"
    if cell.condition != condition and cell.condition and condition:
        return "not comparable: " + difference(cell.condition, condition)
    if cell.diverged:
        return f"{cell.diverged} of {cell.diverged + len(cell.values)} runs diverged; the mean is of the others"
    return ""
