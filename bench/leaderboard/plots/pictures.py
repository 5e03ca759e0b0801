"""Picture grids: rows are methods, columns the same held-out sources; a figure for each target size."""

from collections.abc import Iterator, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from bench.data.montage import SAMPLES
from bench.leaderboard.board import Board
from bench.leaderboard.plots.style import WIDTH, panels
from bench.leaderboard.strips import Strip, strips


def pictures(board: Board, metrics: Sequence[str]) -> Iterator[tuple[str, Figure]]:
    """Shows samples.png of the first run of each method that has one, or images of translated.npy where none has. The
    title names the run if it is the same for all methods, else each line does."""
    for size in board.sizes:
        lines = strips(board, size)
        runs = {run for _, run, _ in lines if run}
        if len(lines) > 1:
            title = ", ".join([f"{size} target images", *(runs if len(runs) == 1 else [])]) + f": {board.title}"
            with panels(len(lines), title, height=WIDTH / SAMPLES * 0.9, columns=1, narrow=1) as (figure, axes):
                engine = figure.get_layout_engine()
                assert isinstance(engine, ConstrainedLayoutEngine)
                engine.set(h_pad=0.01, hspace=0.0)
                for (label, run, strip), one in zip(lines, axes):
                    _show(one, strip, f"{label}, {run}" if run and len(runs) > 1 else label)
                yield f"pictures-{size}", figure


def _show(axes: Axes, strip: Strip, label: str) -> None:
    axes.imshow(strip, interpolation="nearest", aspect="equal")
    axes.set_xticks([])
    axes.set_yticks([])
    axes.grid(visible=False)
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.set_ylabel(label, rotation=0, ha="right", va="center")
