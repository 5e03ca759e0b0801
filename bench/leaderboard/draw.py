"""`bench leaderboard`: tables in the terminal, and everything that is written to RESULTS/leaderboard/."""

from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table as Grid
from rich.text import Text as Rich

from bench.core.errors import UserError, unknown
from bench.core.files import write_text
from bench.core.markdown import escape
from bench.core.terminal import print_whole
from bench.leaderboard.add import read_added
from bench.leaderboard.board import Board, boards, without_records
from bench.leaderboard.render.csv import cells_csv, citation, runs_csv
from bench.leaderboard.render.latex import latex
from bench.leaderboard.render.markdown import markdown
from bench.leaderboard.render.page import page
from bench.leaderboard.tables import READING, Table, Text, published_table, tables
from bench.leaderboard.unfinished import unfinished
from bench.metrics import find
from bench.runs.record import read_records

# The unbiased kernel distance stands first; a metric without any value is left out of a table.
MAIN = (
    "kid",
    "kd_effnet",
    "kd_effnet_gap",
    "fid",
    "fd_effnet",
    "precision_effnet",
    "recall_effnet",
    "target_share",
    "class_kept",
    "lpips_diversity",
    "lpips_truth",
    "truth_retrieved",
    "translated",
    "nn_ratio",
    "user_preference_pct",
)


@dataclass(frozen=True)
class Chosen:
    """What a leaderboard is about, as typed: None stands for every data set, and for MAIN."""

    dataset: str | None = None
    metrics: tuple[str, ...] | None = None


def draw(results: Path, chosen: Chosen, console: Console, plots: bool = False) -> Path:
    """Prints the tables and writes them; returns the folder that they are in."""
    for name in chosen.metrics or ():
        find(name)
    shown = read(results, chosen.dataset, console)
    records = [record for board in shown for record in board.records]
    written = [table for board in shown for table in _tables(board, chosen)]
    cite = citation([record for record in records if not record.added])
    folder = results / "leaderboard"
    notes = "\n".join(f"- {escape(line)}" for line in READING)
    write_text(folder / "leaderboard.md", f"{markdown(written)}\n## How to read this\n\n{notes}\n\n{escape(cite)}\n")
    write_text(folder / "leaderboard.tex", latex(written, cite))
    write_text(folder / "index.html", page(shown, cite))
    write_text(folder / "leaderboard.csv", cells_csv(shown))
    write_text(folder / "runs.csv", runs_csv(shown))
    if plots:
        from bench.leaderboard.plots.all import plots as draw_plots  # matplotlib takes a second to import

        draw_plots(shown, chosen.metrics or MAIN, folder / "plots")
    for table in written:
        _print(table, console)
    for line in (*READING, cite):
        console.print(line, markup=False, highlight=False)
    return folder


def read(results: Path, dataset: str | None, console: Console) -> list[Board]:
    """Boards of all records below a results folder, or of one data set. Raises UserError if there are none."""

    def say(line: str) -> None:
        console.print(line, style="yellow", markup=False, highlight=False)

    records = [*read_records(results, say), *read_added(results)]
    waiting = unfinished(results, say)
    for line in without_records(records, waiting):
        say(line)
    if not records:
        raise UserError(f"no records below {results / 'runs'}; make one with: python -m bench run --help")
    every_board = boards(records, waiting)
    if dataset is not None:
        kept = [board for board in every_board if board.dataset == dataset]
        if not kept:
            raise unknown("dataset", dataset, {board.dataset for board in every_board}, mend="(of the records)")
        return kept
    return every_board


def _tables(board: Board, chosen: Chosen) -> list[Table]:
    beside = published_table(board.dataset, board.metrics())
    return tables(board, chosen.metrics or main_metrics(board)) + ([beside] if beside else [])


def main_metrics(board: Board) -> tuple[str, ...]:
    """MAIN, after the metric that ranks methods on this data set."""
    first = (board.primary,) if board.primary else ()
    return (*first, *(name for name in MAIN if name not in first))


def _print(table: Table, console: Console) -> None:
    grid = Grid()
    grid.add_column("", no_wrap=True)
    for heading in table.headings:
        grid.add_column(Rich(heading), justify="right", no_wrap=True)
    for label, cells in table.rows:
        grid.add_row(Rich(label), *(Rich(_shown(cell)) for cell in cells))
    console.print(Rich(table.title, style="bold"), soft_wrap=True)
    print_whole(grid, console)
    for line in table.verdicts:
        console.print(line, markup=False, highlight=False)
    for number, note in enumerate(table.notes, 1):
        console.print(f"[{number}] {note}", markup=False, highlight=False)


def _shown(cell: Text) -> str:
    text = f"**{cell.text}**" if cell.bold else cell.text
    return f"{text} [{cell.note}]" if cell.note else text
