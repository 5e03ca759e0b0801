"""Picture grids: rows are methods, columns the same held-out sources; a figure for each target size."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from bench.errors import UserError
from bench.images import read_rgb
from bench.leaderboard.board import Board, Record, Row, replicate
from bench.leaderboard.style import WIDTH, panels
from bench.picture import GAP, SAMPLES, grid, sample_rows, sample_scale

Strip = np.ndarray  # uint8 (H, W, 3): tiles side by side


def pictures(board: Board, metrics: Sequence[str]) -> Iterator[tuple[str, Figure]]:
    """From samples.png of the first run of each method, or from translated.npy where a run has no samples."""
    for size in board.sizes:
        lines = _lines(board, size)
        if len(lines) > 1:
            title = f"{size} target images: {board.title}"
            with panels(len(lines), title, height=WIDTH / SAMPLES * 0.9, columns=1, narrow=1) as (figure, axes):
                engine = figure.get_layout_engine()
                assert isinstance(engine, ConstrainedLayoutEngine)
                engine.set(h_pad=0.01, hspace=0.0)
                for (label, strip), one in zip(lines, axes):
                    _show(one, strip, label)
                yield f"pictures-{size}", figure


def _lines(board: Board, size: int) -> list[tuple[str, Strip]]:
    """Sources, each method that translated these same sources, the truth where there is one."""
    found: list[tuple[str, Strip]] = []
    sources: Strip | None = None
    truth: Strip | None = None
    later: list[tuple[Row, Record]] = []
    for row in board.rows:
        runs = board.runs.get((row, size))
        record = min(runs, key=replicate) if runs and not row.anchor else None
        if record is None or not record.get("folder"):
            continue
        strips = _samples(Path(record["folder"]) / "samples.png", record["task"].get("resolution"))
        if not strips:
            later.append((row, record))
            continue
        sources = strips[0] if sources is None else sources
        if strips[0].shape == sources.shape and (strips[0] == sources).all():
            found.append((row.label, strips[1]))
            truth = strips[2] if len(strips) > 2 else truth
    for row, record in later:
        strip = _translated(Path(record["folder"]) / "translated.npy")
        if strip is not None and sources is not None and strip.shape == sources.shape:
            found.append((row.label, strip))
    head = [] if sources is None else [("source", sources)]
    return head + found + ([] if truth is None else [("truth", truth)])


def _samples(path: Path, resolution: int | None) -> list[Strip]:
    """The rows of samples.png, as bench.picture.grid drew them; none where it is missing or of another shape."""
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


def _translated(path: Path) -> Strip | None:
    try:
        images = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError):  # missing, or damaged
        return None
    chosen = np.asarray(images[sample_rows(len(images))])
    scale = sample_scale(images.shape[-1])
    gap = GAP * scale
    return np.asarray(grid([chosen], scale=scale))[gap:-gap, gap:-gap]


def _show(axes: Axes, strip: Strip, label: str) -> None:
    axes.imshow(strip, interpolation="nearest", aspect="equal")
    axes.set_xticks([])
    axes.set_yticks([])
    axes.grid(visible=False)
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.set_ylabel(label, rotation=0, ha="right", va="center")
