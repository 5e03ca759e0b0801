"""What stands in a cell of a table (a row at a target size, on one metric), and which cells lead."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import Any, Literal

from bench.leaderboard.board import Board, Record, Row, draw
from bench.metrics import METRICS
from bench.statistics.estimate import Estimate, Replicate, estimate, paired, slope

State = Literal["measured", "undefined", "diverged", "unfinished", "skipped", "missing"]
Rank = Literal["best", "leads", "level", "behind", "alone", "unranked"]


@dataclass(frozen=True)
class Condition:
    """How a value was measured; only values of one condition are ever ranked together."""

    version: int
    n_gen: int | None
    n_ref: int | None
    data: str | None  # hash of the data set's manifest

    @property
    def along_sizes(self) -> tuple[int, int | None, str | None]:
        """Equal for values that a line over target sizes may join. n_ref may differ: for metrics that train
        a classifier it counts the target subset too."""
        return self.version, self.n_gen, self.data


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
    found = {row: _measured(board.runs.get((row, size), []), metric) for row in board.rows}
    ours = [values for row, values in found.items() if not row.anchor and not row.added]
    condition = _common(ours) or _common(found.values())
    cells = {}
    for row, values in found.items():
        own = condition if condition in values else _common([values])
        runs = board.runs.get((row, size), [])
        cells[row] = _absent(board, row, metric, size) if own is None else _cell(values, own, runs, metric)
    return Column(metric, size, condition, _ranked(cells, condition, metric))


def degradation(columns: Sequence[Column], row: Row) -> Estimate | None:
    """Change of the metric for each doubling of the target set, over the columns in which the row has a value; None
    below two, and where no line may join them (Condition.along_sizes).
    """
    cells = {column.size: column.cells[row] for column in columns}
    measured = {size: (cell, cell.condition) for size, cell in cells.items() if cell.condition}
    if len({condition.along_sizes for _, condition in measured.values()}) > 1:
        return None
    return slope({size: cell.values for size, (cell, _) in measured.items()})


def comparable(one: Column, row: Row) -> bool:
    """Whether a point may be read beside the others of its size; anchors are there to be, whatever their n."""
    return row.anchor or one.cells[row].condition == one.condition


def stretches(columns: Sequence[Column], row: Row) -> list[list[Column]]:
    """The columns with a value of the row, cut where a line over target sizes must end: the sizes of a stretch were
    measured alike (Condition.along_sizes), and a point that is not comparable at its own size stands alone."""

    def alike(one: Column) -> tuple[Any, ...]:
        condition = one.cells[row].condition
        return condition.along_sizes if condition and comparable(one, row) else (one.size,)

    return [list(found) for _, found in groupby((one for one in columns if one.cells[row].mean), alike)]


def fitted(columns: Sequence[Column], row: Row) -> str:
    """The sizes that `degradation` leans on where they are not all that the table has, by comma; else ""."""
    sizes = [column.size for column in columns if column.cells[row].condition]
    return ", ".join(map(str, sizes)) if len(sizes) < len(columns) else ""


def _measured(runs: Sequence[Record], metric: str) -> dict[Condition, dict[Replicate, float]]:
    """The values of these runs by the condition under which they were measured; the newest of runs with equal seeds."""
    found: dict[Condition, dict[Replicate, float]] = {}
    for record in sorted(runs, key=lambda record: record["finished"]):
        value = record["metrics"].get(metric)
        if value and value["value"] is not None:
            data = record["task"].get("manifest_sha256")
            condition = Condition(value["version"], value["n_gen"], value["n_ref"], data)
            found.setdefault(condition, {})[draw(record)] = float(value["value"])
    return found


def _common(groups: Iterable[Mapping[Condition, Mapping[Replicate, float]]]) -> Condition | None:
    """The condition of the newest version of the metric that most runs share."""
    counts: Counter[Condition] = Counter()
    for group in groups:
        counts.update({condition: len(values) for condition, values in group.items()})
    return max(counts, key=lambda c: (c.version, counts[c], c.n_gen or 0, c.n_ref or 0, c.data or ""), default=None)


def _cell(
    found: Mapping[Condition, Mapping[Replicate, float]], condition: Condition, runs: Sequence[Record], metric: str
) -> Cell:
    values = found[condition]
    diverged = sum(record["status"] == "diverged" for record in runs)
    partial = _partial(found, condition, [r for r in runs if r["status"] == "done"], metric)
    return Cell("measured", "", values, condition, estimate(values), diverged, partial=partial)


def _partial(
    found: Mapping[Condition, Mapping[Replicate, float]], condition: Condition, done: Sequence[Record], metric: str
) -> str:
    if all(record["identity"]["kind"] == "anchor" for record in done):
        return ""
    used = len(found[condition])
    if used == len(done):
        return ""
    others = {other: values for other, values in found.items() if other != condition}
    why = [f"{len(values)} with {difference(other, condition)}" for other, values in others.items()]
    lacking = sum((record["metrics"].get(metric) or {"value": None})["value"] is None for record in done)
    repeated = len(done) - used - sum(map(len, others.values())) - lacking
    why += [f"{lacking} without a value"] if lacking else []
    why += [f"{repeated} with the seeds of a newer one"] if repeated else []
    return f"of {used} of {len(done)} runs; not in it: {', '.join(why)}"


def _absent(board: Board, row: Row, metric: str, size: int) -> Cell:
    """A cell without a value, and why."""
    runs = board.runs.get((row, size), [])
    errors = [record["error"] for record in runs if record["status"] == "diverged"]
    if errors:
        return Cell("diverged", note=str(errors[0]), diverged=len(errors))
    reasons = [v.get("reason") for record in runs if (v := record["metrics"].get(metric)) and v.get("reason")]
    if runs:
        return Cell("undefined", note=str(reasons[0]) if reasons else "not measured in these runs")
    return _without_record(board.unfinished.get((row, size), []))


def _without_record(runs: Sequence[Record]) -> Cell:
    """Of runs that are not finished, or that no sweep could start: with how many of them say the same."""
    if not runs:
        return Cell("missing", note="no run")
    state: State = "unfinished" if any(run["state"] == "unfinished" for run in runs) else "skipped"
    said = Counter(str(run["note"]) for run in runs)
    return Cell(state, note="; ".join(note + (f" ({n} runs)" if n > 1 else "") for note, n in said.items()))


def _ranked(cells: dict[Row, Cell], condition: Condition | None, metric: str) -> dict[Row, Cell]:
    """The cells with their rank. Anchors, and cells that cannot be compared, keep none."""
    better = METRICS[metric].better if metric in METRICS else None
    found = dict(cells)
    rivals = []
    for row, cell in cells.items():
        if cell.mean is None or row.anchor:
            continue
        why = _why_unranked(row, cell, condition, better)
        found[row] = replace(cell, note=why)
        if not why:
            rivals.append((cell.mean.mean if better == "lower" else -cell.mean.mean, row.label, row))
    if not rivals:
        return found
    leader = min(rivals)[-1]
    separated = 0
    for *_, row in rivals:
        if row != leader:
            gap = paired(cells[row].values, cells[leader].values)
            apart = gap is not None and (gap.low > 0 if better == "lower" else gap.high < 0)
            found[row] = replace(cells[row], rank="behind" if apart else "level", gap=gap)
            separated += apart
    alone = len(rivals) == 1
    rank: Rank = "alone" if alone else "best" if separated == len(rivals) - 1 else "leads"
    found[leader] = replace(cells[leader], rank=rank)
    return found


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


def difference(own: Condition, other: Condition) -> str:
    """What keeps two values from being compared, in a few words."""
    if own.version != other.version:
        return f"version {own.version} of the metric, not {other.version}"
    if own.data != other.data:
        return "other data"
    return f"n {own.n_gen}/{own.n_ref}, not {other.n_gen}/{other.n_ref}"
