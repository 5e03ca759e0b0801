"""How every plot looks: readable in print and by the colour-blind, the same line for a method in all of them."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from bench.core.colours import COLOURS
from bench.core.files import atomic
from bench.leaderboard.board import Board, Row

MARKERS = ("o", "s", "D", "^", "X", "*", "v", "P", "p")
DASHES = ("-", "--", ":", "-.")
HATCHES = ("", "//", "..", "xx")
ANCHOR = "#777777"
ANCHOR_DASHES = {"real": "-", "identity": "--", "copies": ":"}
ANCHOR_HATCHES = {"real": "", "identity": "///", "copies": "..."}
ANCHOR_MARKERS = {"real": "+", "identity": "x", "copies": "1"}
WIDTH = 7.2  # inches: a page between its margins
FORMATS: dict[str, Any] = {"png": {"dpi": 200}, "pdf": {"metadata": {"CreationDate": None}}}
LOOK: Any = {
    "font.size": 8, "axes.titlesize": 9, "axes.titleweight": "bold", "axes.labelsize": 8, "legend.fontsize": 8,
    "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True, "grid.color": "#dddddd",
    "grid.linewidth": 0.6, "axes.axisbelow": True, "lines.linewidth": 1.6, "lines.markersize": 5,
    "pdf.fonttype": 42, "text.parse_math": False,
}  # fmt: skip


def line(number: int) -> dict[str, Any]:
    """Colour, marker and dashes of the number-th of several lines; no two of the first 28 are alike."""
    return {
        "color": COLOURS[number % len(COLOURS)],
        "marker": MARKERS[number % len(MARKERS)],
        "linestyle": DASHES[number // len(COLOURS) % len(DASHES)],
    }


def styles(board: Board) -> dict[Row, dict[str, Any]]:
    """The line of each row that is no anchor."""
    methods = [row for row in board.rows if not row.anchor]
    return {row: line(number) for number, row in enumerate(methods)}


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
    """One legend below all panels, each name once."""
    handles = {}
    for one in axes:
        handles.update(dict(zip(*reversed(one.get_legend_handles_labels()))))
    if handles:
        columns = max(1, min(4, len(handles), int(100 / max(map(len, handles)))))
        figure.legend(handles.values(), handles.keys(), loc="outside lower left", ncols=columns, frameon=False)


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
