"""`bench leaderboard --plots`: every plot of every board as PNG and PDF."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from matplotlib.figure import Figure

from bench.leaderboard.board import Board
from bench.leaderboard.plots import metrics as figures
from bench.leaderboard.plots import training as training_figures
from bench.leaderboard.plots.pictures import pictures
from bench.leaderboard.plots.style import save
from bench.runs.spec import slug

Drawer = Callable[[Board, Sequence[str]], Iterator[tuple[str, Figure]]]
DRAWERS: tuple[Drawer, ...] = (
    figures.by_size, figures.slopes, figures.cost, figures.memorisation, figures.by_class,
    training_figures.learning, training_figures.validation, training_figures.groups, pictures,
)  # fmt: skip


def plots(boards: Sequence[Board], chosen: Sequence[str] | None, folder: Path) -> list[Path]:
    """Writes <folder>/<board>/<plot>.png and .pdf, of the chosen metrics or the main ones; returns what was written."""
    written = []
    for board in boards:
        metrics = board.metrics(chosen or board.main_metrics)
        kind = "" if board.method_kind == "unpaired" else f"-{board.method_kind}"
        place = folder / slug(f"{board.dataset}-{board.resolution}px-{board.protocol}{kind}")
        for drawer in DRAWERS if metrics else ():
            for plot, figure in drawer(board, metrics):
                written += save(figure, place / slug(plot))
    return written
