"""Plots of what a run logged while it trained: losses, and groups of series such as JD-BW's class masses."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from bench.leaderboard.board import Board, Content, Row, first, run_name
from bench.leaderboard.evidence import POINTS, curves
from bench.leaderboard.numbers import scale
from bench.leaderboard.plots.style import WIDTH, finite, legend, legend_columns, line, panels
from bench.runs.curves import PANELS, logged_groups
from bench.training import log

SMALL = 6.5  # points: names of losses
WIDE = 20  # a loss beyond this puts its panel on a scale that is logarithmic above 1


def learning(board: Board, metrics: Sequence[str]) -> Iterator[tuple[str, Figure]]:
    """Losses against images seen, a panel a method: of its first run that has a log, at the smallest target size."""
    logs = _first_runs(board, lambda path: curves(path, POINTS))
    if logs:
        with panels(len(logs), f"Losses, {board.sizes[0]} target images: {board.title}", height=3, columns=2) as (
            figure,
            axes,
        ):
            for (row, (run, curve)), one in zip(logs.items(), axes):
                for number, (name, values) in enumerate((n, v) for n, v in curve["series"].items() if "/" not in n):
                    look = line(number) | {"marker": "", "linewidth": 1.1}
                    one.plot(finite(curve["images"]), finite(values), label=name, **look)
                if any(
                    abs(v) > WIDE for name in curve["series"] for v in curve["series"][name] if v and "/" not in name
                ):
                    one.set_yscale("symlog", linthresh=1)
                    one.yaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
                one.set_title(f"{row.label}, {run}", loc="left")
                one.set_xlabel("images seen")
                names = one.get_legend_handles_labels()[1]
                columns = legend_columns(names, (0.45 if len(logs) > 1 else 0.6) * WIDTH, SMALL, most=4)
                place: dict[str, Any] = {"loc": "upper left", "bbox_to_anchor": (-0.1, -0.2), "borderaxespad": 0.0}
                one.legend(ncols=columns, fontsize=SMALL, frameon=False, handlelength=1.6, columnspacing=1.0, **place)
            yield "learning", figure


def groups(board: Board, metrics: Sequence[str]) -> Iterator[tuple[str, Figure]]:
    """A figure for each method and each group of series that it logged as `group/series` or `group/panel/series`
    (bench.runs.curves), of its first run that has some, at the smallest target size."""
    for row, (run, tables) in _first_runs(board, lambda path: logged_groups(path.parent)).items():
        for group, table in tables.items():
            names = list(dict.fromkeys(table.columns.get_level_values(0)))[:PANELS]
            title = f"{group}, {row.label}, {run}, {board.sizes[0]} target images: {board.title}"
            with panels(len(names), title) as (figure, axes):
                for name, one in zip(names, axes):
                    for number, (series, values) in enumerate(table[name].items()):
                        look = line(number) | {"marker": "", "label": str(series)}
                        one.plot(table.index.get_level_values("images"), values, **look)
                    one.set_title(str(name), loc="left")
                    one.set_xlabel("images seen")
                legend(figure, axes)
                yield f"{group}-{row.label}", figure


def validation(board: Board, metrics: Sequence[str]) -> Iterator[tuple[str, Figure]]:
    """What was measured on training images while training (bench.runs.validation), a panel a metric and a line a
    method: of its first run that has some, at the smallest target size."""
    groups = _first_runs(board, lambda path: logged_groups(path.parent, path.name), log.VALIDATION)
    curves_of = {row: (run, tables["validation"]) for row, (run, tables) in groups.items()}
    names = list(dict.fromkeys(name for _, table in curves_of.values() for name in table[""]))
    if names:
        title = f"Measured on training images, {board.sizes[0]} target images: {board.title}"
        with panels(len(names), title) as (figure, axes):
            for name, one in zip(names, axes):
                for number, (row, (run, table)) in enumerate(curves_of.items()):
                    if name in table[""]:
                        look = line(number) | {"label": f"{row.label}, {run}"}
                        one.plot(table.index.get_level_values("images"), table["", name] * scale(name), **look)
                one.set_title(str(name) + (f" x{scale(name):g}" if scale(name) != 1 else ""), loc="left")
                one.set_xlabel("images seen")
            legend(figure, axes)
            yield "validation", figure


def _first_runs(
    board: Board, read: Callable[[Path], Content | None], file: str = log.FILE
) -> dict[Row, tuple[str, Content]]:
    """What `read` finds in a log of each row at the smallest target size, and of which run the log is."""
    runs = {row: board.runs[row, board.sizes[0]] for row in board.rows if (row, board.sizes[0]) in board.runs}
    firsts = {row: first(several, file, read) for row, several in runs.items()}
    return {row: (run_name(one[0]), one[1]) for row, one in firsts.items() if one}
