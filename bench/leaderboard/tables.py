"""Boards -> tables of texts, for the terminal, Markdown and LaTeX alike."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from bench.leaderboard import published
from bench.leaderboard.board import Board, Row
from bench.leaderboard.cells import Cell, Column, column, degradation, fitted
from bench.leaderboard.numbers import name, number, scale, value
from bench.leaderboard.published import Figure
from bench.leaderboard.verdict import verdict
from bench.metrics import METRICS
from bench.statistics.conditions import Condition, difference
from bench.training.needs import KINDS, kind_of_method

LEVEL = "°"
READING = (
    "Mean ± half a 95 % t interval over target subsets (the training seeds of each averaged), or over training seeds "
    "where there is one subset; without ± it is one run.",
    "Bold: the paired 95 % interval, over runs with equal subset and training seed, separates the best mean from every "
    f"other, each comparison by itself. {LEVEL}: the leader, or not separated from it. Anchors, published figures and "
    "what others added are not ranked.",
    "Per doubling: change of the metric for each doubling of the target set (a line through all draws by least "
    "squares over log2 of the size, as bench slopes prints it); without ± it is of two draws.",
    "n = translations / images they are measured against. A Frechet distance falls with n: compare equal n only.",
)


@dataclass(frozen=True)
class Text:
    """What a cell shows. `numbered` cells refer to a note of their table."""

    text: str
    bold: bool = False
    note: int | None = None


@dataclass
class Table:
    """headings are those of the columns after the first, which names the rows; verdicts say what can be concluded."""

    title: str
    headings: list[str]
    rows: list[tuple[str, list[Text]]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    verdicts: list[str] = field(default_factory=list)

    def refer(self, note: str) -> int:
        """The number of a note, added unless it is there."""
        if note not in self.notes:
            self.notes.append(note)
        return self.notes.index(note) + 1


def tables(board: Board, chosen: Sequence[str]) -> list[Table]:
    """A table a metric, target sizes across. Where there is one size only: one table, metrics across.

    In that table a metric without any value keeps its column, with the reasons as notes; it has no table of its own,
    unless no metric has a value.
    """
    metrics = board.metrics(chosen) or board.asked(chosen)
    sizes = board.all_sizes
    if len(sizes) == 1 and board.asked(chosen):
        columns = [column(board, metric, sizes[0]) for metric in board.asked(chosen)]
        return [_table(board, f"{board.title}, {sizes[0]} target images", columns, by_size=False)]
    return [
        _table(board, f"{name(metric)}: {board.title}", [column(board, metric, size) for size in sizes], True)
        for metric in metrics
    ]


def _table(board: Board, title: str, columns: list[Column], by_size: bool) -> Table:
    shared = {column.condition for column in columns if column.condition}
    if by_size and len(shared) == 1:
        title += f", {counts(*shared)}"
    headings = [_heading(column, by_size, len(shared) > 1) for column in columns]
    table = Table(title, [*headings, *(["per doubling"] if by_size else []), "runs"])
    for row in board.rows:
        if by_size or any((row, c.size) in (*board.runs, *board.unfinished) for c in columns):
            texts = [_text(column.cells[row], column, row, table) for column in columns]
            if by_size:
                texts.append(_slope(columns, row, table))
            table.rows.append((row.label, [*texts, Text(_runs(board, row, columns))]))
    for one in columns:
        if one.leader is not None:
            table.verdicts.append(f"{one.size if by_size else name(one.metric)}: {verdict(one)[1]}")
    return table


def _heading(column: Column, by_size: bool, with_counts: bool) -> str:
    if not by_size:
        return f"{name(column.metric)} {counts(column.condition)}"
    return f"{column.size} {counts(column.condition)}" if with_counts and column.condition else str(column.size)


def _text(cell: Cell, column: Column, row: Row, table: Table) -> Text:
    if cell.mean is None:
        shown = {"missing": "-", "undefined": "n/a"}.get(cell.state, cell.state)
        return Text(shown, note=table.refer(cell.note) if cell.state != "missing" else None)
    text = value(cell.mean, scale(column.metric))
    if cell.rank in ("leads", "level") and cell.mean.draws > 1:
        text += f" {LEVEL}"
    if row.anchor and cell.condition and column.condition and cell.condition != column.condition:
        note = "; ".join(filter(None, [difference(cell.condition, column.condition), cell.partial]))
        return Text(text, note=table.refer(note))
    directed = METRICS.get(column.metric) and METRICS[column.metric].better
    note = "; ".join(filter(None, [cell.note if directed else "", cell.partial]))
    return Text(text, cell.rank == "best", table.refer(note) if note else None)


def _runs(board: Board, row: Row, columns: Sequence[Column]) -> str:
    n_runs = {len(board.runs.get((row, column.size), [])) for column in columns}
    return str(min(n_runs)) if len(n_runs) == 1 else f"{min(n_runs)}-{max(n_runs)}"


def _slope(columns: Sequence[Column], row: Row, table: Table) -> Text:
    slope, sizes = degradation(columns, row).estimate, fitted(columns, row)
    if slope is None:
        return Text("-")
    text = value(slope, scale(columns[0].metric))
    note = table.refer(f"per doubling over the sizes {sizes} only") if sizes else None
    return Text(f"+{text}" if float(text.split()[0]) > 0 else text, note=note)


def counts(condition: Condition | None) -> str:
    if condition is None:
        return "n=-"
    return "n=" + "/".join("-" if n is None else str(n) for n in (condition.n_gen, condition.n_ref))


def published_table(dataset: str, measured: Iterable[str]) -> Table | None:
    """What papers report for this data set, metrics across; None where nothing is known."""
    figures = published.of(dataset)
    if not figures:
        return None
    metrics = sorted({figure.metric for figure in figures})
    table = Table(f"Published figures for {dataset}", ["paper", "translation", "target images", *metrics])
    table.notes.append(published.why_apart(dataset, metrics, measured))
    for (method, note, paper, translation, size), values in _figure_cells(figures).items():
        start = [Text(paper, note=table.refer(note) if note else None), Text(translation), Text(size)]
        table.rows.append((f"{method} (published)", start + [Text(values.get(metric, "-")) for metric in metrics]))
    table.notes += _kinds({figure.method for figure in figures})
    return table


def _kinds(methods: Iterable[str]) -> list[str]:
    """A note for each kind of method other than the unpaired ones."""
    of_kind: dict[str, list[str]] = {}
    for method in sorted(methods):
        of_kind.setdefault(kind_of_method(method), []).append(method)
    return [f"{kind} ({KINDS[kind]}): {', '.join(of_kind[kind])}" for kind in list(KINDS)[1:] if kind in of_kind]


def _figure_cells(figures: Iterable[Figure]) -> dict[tuple[str, ...], dict[str, str]]:
    """Method, note, paper, translation, target images -> metric -> figure; `1 / 2` where a paper prints two."""
    cells: dict[tuple[str, ...], dict[str, str]] = {}
    for figure in figures:
        paper, translation = f"{figure.paper} {figure.table}", f"{figure.source} -> {figure.target}"
        row = cells.setdefault((figure.method, figure.note, paper, translation, str(figure.target_size or "-")), {})
        shown = number(figure.value, 5)
        row[figure.metric] = f"{row[figure.metric]} / {shown}" if figure.metric in row else shown
    return cells
