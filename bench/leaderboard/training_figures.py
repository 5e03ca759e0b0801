"""Plots of what a run logged while it trained: losses, and groups of series such as JD-BW's class masses."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from bench import figures as logged
from bench.leaderboard.board import Board, Row, replicate
from bench.leaderboard.evidence import POINTS, curves
from bench.leaderboard.style import finite, legend, line, panels

WIDE = 20  # a loss beyond this puts its panel on a scale that is logarithmic above 1


def learning(board: Board, metrics: Sequence[str]) -> Iterator[tuple[str, Figure]]:
    """Losses against images seen, a panel a method: of its first run at the smallest target size."""
    logs = _logs(board)
    if logs:
        with panels(len(logs), f"Losses, {board.sizes[0]} target images: {board.title}", height=3, columns=2) as (
            figure,
            axes,
        ):
            for (row, found), one in zip(logs.items(), axes):
                for number, (name, values) in enumerate((n, v) for n, v in found["series"].items() if "/" not in n):
                    look = line(number) | {"marker": "", "linewidth": 1.1}
                    one.plot(finite(found["images"]), finite(values), label=name, **look)
                if any(
                    abs(v) > WIDE for name in found["series"] for v in found["series"][name] if v and "/" not in name
                ):
                    one.set_yscale("symlog", linthresh=1)
                    one.yaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
                one.set_title(row.label, loc="left")
                one.set_xlabel("images seen")
                one.legend(
                    ncols=4, fontsize=7, frameon=False, loc="upper left", bbox_to_anchor=(0, -0.2), handlelength=1.8
                )
            yield "learning", figure


def groups(board: Board, metrics: Sequence[str]) -> Iterator[tuple[str, Figure]]:
    """A figure for each method and each group of series that it logged as `group/series` or `group/panel/series`
    (bench.figures), of its first run at the smallest target size."""
    for row, folder in _first_runs(board).items():
        for group, table in logged.groups(folder).items():
            names = list(dict.fromkeys(table.columns.get_level_values(0)))[: logged.PANELS]
            title = f"{group}, {row.label}, {board.sizes[0]} target images: {board.title}"
            with panels(len(names), title) as (figure, axes):
                for name, one in zip(names, axes):
                    for number, (series, values) in enumerate(table[name].items()):
                        look = line(number) | {"marker": "", "label": str(series)}
                        one.plot(table.index.get_level_values("images"), values, **look)
                    one.set_title(str(name), loc="left")
                    one.set_xlabel("images seen")
                legend(figure, axes)
                yield f"{group}-{row.label}", figure


def _logs(board: Board) -> dict[Row, dict]:
    """The log of the first run of each method at the smallest target size, where it is at hand."""
    found = {row: curves(folder / "train.jsonl", POINTS) for row, folder in _first_runs(board).items()}
    return {row: log for row, log in found.items() if log}


def _first_runs(board: Board) -> dict[Row, Path]:
    """The folder of the first run of each row at the smallest target size."""
    runs = {row: board.runs[row, board.sizes[0]] for row in board.rows if (row, board.sizes[0]) in board.runs}
    first = {row: min(several, key=replicate).get("folder") for row, several in runs.items()}
    return {row: Path(folder) for row, folder in first.items() if folder}
