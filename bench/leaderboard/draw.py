"""`bench leaderboard`: tables in the terminal, and everything that is written to RESULTS/leaderboard/."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from bench.core.errors import UserError, unknown
from bench.core.files import write_text
from bench.core.markdown import escape
from bench.core.terminal import print_numbers
from bench.leaderboard.add import read_added
from bench.leaderboard.board import Board, boards, without_records
from bench.leaderboard.render.csv import cell_lines, cells_csv, citation, runs_csv
from bench.leaderboard.render.latex import latex
from bench.leaderboard.render.markdown import markdown
from bench.leaderboard.render.page import page
from bench.leaderboard.tables import READING, Table, Text, published_table, tables
from bench.leaderboard.unfinished import unfinished
from bench.metrics import find
from bench.runs.record import read_records

PRINTED = 3  # tables of a board in the terminal where nothing was chosen; the files hold all


@dataclass(frozen=True)
class Chosen:
    """What a leaderboard is about, as typed: None stands for every data set, and for Board.main_metrics."""

    dataset: str | None = None
    metrics: tuple[str, ...] | None = None


def draw(results: Path, chosen: Chosen, console: Console, plots: bool = False) -> Path:
    """Prints the tables and writes them; returns the folder that they are in."""
    for name in chosen.metrics or ():
        find(name)
    shown = read(results, chosen.dataset, console)
    records = [record for board in shown for record in board.records]
    by_board = [(board, _tables(board, chosen)) for board in shown]
    written = [table for _, several in by_board for table in several]
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

        draw_plots(shown, chosen.metrics, folder / "plots")
    for board, several in by_board:
        _print_board(board, several, console, everything=chosen.metrics is not None)
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


def values(results: Path, dataset: str | None) -> list[dict[str, Any]]:
    """Every cell of the tables as leaderboard.csv has it: mean, interval, rank and what it is of."""
    heading, *lines = cell_lines(read(results, dataset, Console(quiet=True)))
    return [dict(zip(heading, line)) for line in lines]


def _tables(board: Board, chosen: Chosen) -> list[Table]:
    beside = published_table(board.dataset, board.metrics())
    return tables(board, chosen.metrics or board.main_metrics) + ([beside] if beside else [])


def _print_board(board: Board, whole: list[Table], console: Console, everything: bool) -> None:
    """All tables where metrics were chosen; else the first few, and where the others are."""
    shown = whole if everything else whole[:PRINTED]
    for table in shown:
        _print(table, console)
    if len(whole) > len(shown):
        others = ",".join(board.metrics(board.main_metrics)[PRINTED:][:2])
        more = f"{len(whole) - len(shown)} more tables are in leaderboard.md and on the page"
        console.print(f"{more}; to print them here: --dataset {board.dataset} --metrics {others},...\n")


def _print(table: Table, console: Console) -> None:
    rows = [[label, *map(_shown, cells)] for label, cells in table.rows]
    print_numbers(table.title, ["", *table.headings], rows, console)
    for line in table.verdicts:
        console.print(line)
    for number, note in enumerate(table.notes, 1):
        console.print(f"[{number}] {note}")
    console.print()


def _shown(cell: Text) -> str:
    text = f"**{cell.text}**" if cell.bold else cell.text
    return f"{text} [{cell.note}]" if cell.note else text
