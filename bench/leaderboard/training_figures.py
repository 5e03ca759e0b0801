"""Plots of what a run logged while it trained: losses, and groups of series such as JD-BW's class masses."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from bench.leaderboard.board import Board, Row, replicate
from bench.leaderboard.evidence import POINTS, curves
from bench.leaderboard.style import COLOURS, DASHES, finite, legend, line, panels

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
    """A figure for each group of series, logged as `group/series`. Of a series "3 target" the first word chooses the
    colour and the rest the dashes, so that source and target of a class are one colour."""
    logs = _logs(board)
    names = dict.fromkeys(n.split("/", 1)[0] for found in logs.values() for n in found["series"] if "/" in n)
    for group in names:
        shown = {row: found for row, found in logs.items() if any(n.startswith(f"{group}/") for n in found["series"])}
        with panels(
            len(shown), f"{group} while training, {board.sizes[0]} target images: {board.title}", height=3, columns=2
        ) as (figure, axes):
            for (row, found), one in zip(shown.items(), axes):
                series = {n.split("/", 1)[1]: v for n, v in found["series"].items() if n.startswith(f"{group}/")}
                firsts = list(dict.fromkeys(name.partition(" ")[0] for name in series))
                rests = list(dict.fromkeys(name.partition(" ")[2] for name in series))
                for name, values in series.items():
                    first, _, rest = name.partition(" ")
                    colour, dash = COLOURS[firsts.index(first) % len(COLOURS)], DASHES[rests.index(rest) % len(DASHES)]
                    one.plot(finite(found["images"]), finite(values), label=name, color=colour, linestyle=dash)
                one.set_title(row.label, loc="left")
                one.set_xlabel("images seen")
                one.set_ylabel(group)
            legend(figure, axes)
            yield group, figure


def _logs(board: Board) -> dict[Row, dict]:
    """The log of the first run of each method at the smallest target size, where it is at hand."""
    found = {}
    for row in board.rows:
        runs = board.runs.get((row, board.sizes[0]))
        folder = min(runs, key=replicate).get("folder") if runs else None
        log = curves(Path(folder) / "train.jsonl", POINTS) if folder else None
        if log:
            found[row] = log
    return found
