"""How every plot looks: readable in print and by the colour-blind, the same line for a method in all of them."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullFormatter, NullLocator

from bench.core.files import atomic
from bench.leaderboard.bent import bent_ticks
from bench.leaderboard.board import Board, Row
from bench.leaderboard.looks import look, looks

HATCHES = ("", "//", "..", "xx")
GREY = "#777777"  # of lines that are no row
WIDTH = 7.2  # inches: a page between its margins
FORMATS: dict[str, Any] = {"png": {"dpi": 200}, "pdf": {"metadata": {"CreationDate": None}}}
LOOK: Any = {
    "font.size": 8, "axes.titlesize": 9, "axes.titleweight": "bold", "axes.labelsize": 8, "legend.fontsize": 8,
    "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True, "grid.color": "#dddddd",
    "grid.linewidth": 0.6, "axes.axisbelow": True, "lines.linewidth": 1.6, "lines.markersize": 5,
    "pdf.fonttype": 42, "text.parse_math": False,
}  # fmt: skip


def line(number: int) -> dict[str, Any]:
    """Colour, marker and dashes of the number-th of several lines; no two of the first 32 are alike."""
    return _line(look(number))


def styles(board: Board) -> dict[Row, dict[str, Any]]:
    """The line of each row; those of anchors are thinner."""
    return {row: _line(of_row) | ({"linewidth": 1.0} if row.anchor else {}) for row, of_row in looks(board).items()}


def _line(of_row: dict[str, Any]) -> dict[str, Any]:
    return {"color": of_row["colour"], "marker": of_row["mark"][0], "linestyle": of_row["dashes"][0]}


@contextmanager
def panels(
    count: int, title: str, height: float = 2.1, columns: int = 3, narrow: float = 0.7
) -> Iterator[tuple[Figure, list[Axes]]]:
    """A figure of `count` panels, up to `columns` side by side; what is drawn inside has the look of all plots."""
    across = min(count, columns)
    down = -(-count // across)
    with matplotlib.rc_context(LOOK):
        width = WIDTH if across > 1 else WIDTH * narrow
        figure = Figure(figsize=(width, height * down + 0.9), layout="constrained")
        FigureCanvasAgg(figure)
        grid = figure.subplots(down, across, squeeze=False).flatten()
        for spare in grid[count:]:
            spare.set_axis_off()
        figure.suptitle(title, fontsize=9, x=0.01, ha="left")
        yield figure, list(grid[:count])


def legend(figure: Figure, axes: Sequence[Axes]) -> None:
    """One legend below all panels, each name once, as wide as the figure at most."""
    handles = {}
    for one in axes:
        handles.update(dict(zip(*reversed(one.get_legend_handles_labels()))))
    if handles:
        columns = legend_columns(handles, figure.get_figwidth(), 8, most=4)
        figure.legend(handles.values(), handles.keys(), loc="outside lower left", ncols=columns, frameon=False)


def legend_columns(names: Iterable[str], inches: float, points: float, most: int) -> int:
    """How many columns of a legend fit into a width: a letter is about 0.58 of its size wide, and a line stands
    before each name."""
    widest = max(map(len, names)) * 0.58 * points / 72 + 0.5
    return max(1, min(most, int(inches / widest)))


def save(figure: Figure, path: Path) -> list[Path]:
    """path.png and path.pdf, each whole or absent."""
    written = []
    for suffix, options in FORMATS.items():
        target = path.with_name(f"{path.name}.{suffix}")
        with atomic(target) as temporary:
            figure.savefig(temporary, format=suffix, **options)
        written.append(target)
    return written


def sizes_axis(axes: Axes, sizes: Sequence[int]) -> None:
    """Target sizes on a logarithmic axis, named by their numbers."""
    axes.set_xscale("log", base=2)
    axes.set_xticks(sizes, [str(size) for size in sizes])
    axes.minorticks_off()
    room = 2**0.25
    axes.set_xlim(sizes[0] / room, sizes[-1] * room)


def bend_y(axes: Axes, linear: float) -> None:
    """An axis that is linear within +-`linear` and logarithmic beyond, with ticks at 1, 2, 5, 10, ... and zero."""
    axes.set_yscale("asinh", linear_width=linear)
    axes.yaxis.set_major_locator(FixedLocator(bent_ticks(*axes.get_ylim(), linear)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:g}"))
    axes.yaxis.set_minor_locator(NullLocator())


def logarithmic_x(axes: Axes) -> None:
    """Ticks at 1, 2, 5, 10, ... written so; positive values only."""
    axes.set_xscale("log")
    axis = axes.xaxis
    axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
    axis.set_minor_formatter(NullFormatter())


def finite(values: Sequence[float | None]) -> np.ndarray:
    """float64, NaN for None: a gap in a line."""
    return np.array([np.nan if value is None else value for value in values], np.float64)
