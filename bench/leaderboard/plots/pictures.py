"""Picture grids: rows are methods, columns the same held-out sources; a figure for each target size."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from bench.core.arrays import read_array
from bench.core.errors import UserError
from bench.data.images import read_rgb
from bench.data.montage import GAP, SAMPLES, grid, sample_rows, sample_scale
from bench.leaderboard.board import Board, first, run_name
from bench.leaderboard.plots.style import WIDTH, panels

Strip = np.ndarray  # uint8 (H, W, 3): tiles side by side


def pictures(board: Board, metrics: Sequence[str]) -> Iterator[tuple[str, Figure]]:
    """Shows samples.png of the first run of each method that has one, or images of translated.npy where none has. The
    title names the run if it is the same for all methods, else each line does."""
    for size in board.sizes:
        lines = _lines(board, size)
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


def _lines(board: Board, size: int) -> list[tuple[str, str, Strip]]:
    """Sources, each method that translated these same sources, the truth where there is one: label, run, pictures."""
    lines: list[tuple[str, str, Strip]] = []
    sources: Strip | None = None
    truth: Strip | None = None
    later: list[tuple[str, str, Strip]] = []
    for row in board.rows:
        done = [r for r in board.runs.get((row, size), []) if r.status == "done" and not row.anchor]
        sampled = first(done, "samples.png", lambda path: _samples(path, board.resolution))
        if sampled is None:
            translated = first(done, "translated.npy", _translated)
            later += [(row.label, run_name(translated[0]), translated[1][0])] if translated else []
            continue
        record, strips = sampled
        sources = strips[0] if sources is None else sources
        if strips[0].shape == sources.shape and (strips[0] == sources).all():
            lines.append((row.label, run_name(record), strips[1]))
            truth = strips[2] if len(strips) > 2 else truth
    if sources is None:
        return []
    lines += [line for line in later if line[2].shape == sources.shape]
    return [("source", "", sources), *lines, *([] if truth is None else [("truth", "", truth)])]


def _samples(path: Path, resolution: int | None) -> list[Strip]:
    """The rows of samples.png, as bench.data.montage.grid drew them; none where it is missing or of another shape."""
    if not path.exists() or not resolution:
        return []
    try:
        pixels = np.asarray(read_rgb(path))
    except UserError:
        return []
    scale = sample_scale(resolution)
    pitch, gap = (resolution + GAP) * scale, GAP * scale
    rows, rest = divmod(pixels.shape[0] - gap, pitch)
    return [] if rest or rows < 2 else [pixels[gap + r * pitch : (r + 1) * pitch, gap:-gap] for r in range(rows)]


def _translated(path: Path) -> list[Strip]:
    """One row of pictures; none where the file is missing or damaged."""
    try:
        images = read_array(path, np.uint8, (None, 3, None, None), "it is left out", mapped=True)
    except UserError:
        return []
    chosen = np.asarray(images[sample_rows(len(images))])
    scale = sample_scale(images.shape[-1])
    gap = GAP * scale
    return [np.asarray(grid([chosen], scale=scale))[gap:-gap, gap:-gap]]


def _show(axes: Axes, strip: Strip, label: str) -> None:
    axes.imshow(strip, interpolation="nearest", aspect="equal")
    axes.set_xticks([])
    axes.set_yticks([])
    axes.grid(visible=False)
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.set_ylabel(label, rotation=0, ha="right", va="center")
