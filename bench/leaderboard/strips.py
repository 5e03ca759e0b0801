"""Rows of translations of the same held-out sources, from the pictures that runs left."""

from pathlib import Path

import numpy as np

from bench.core.arrays import read_array
from bench.core.errors import UserError
from bench.data.images import read_rgb
from bench.data.montage import GAP, LABELS, grid, sample_rows, sample_scale
from bench.leaderboard.board import Board, first, run_name

Strip = np.ndarray  # uint8 (H, W, 3): tiles side by side


def strips(board: Board, size: int) -> list[tuple[str, str, Strip]]:
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
        record, rows = sampled
        sources = rows[0] if sources is None else sources
        if rows[0].shape == sources.shape and (rows[0] == sources).all():
            lines.append((row.label, run_name(record), rows[1]))
            truth = rows[2] if len(rows) > 2 else truth
    if sources is None:
        return []
    lines += [line for line in later if line[2].shape == sources.shape]
    return [("source", "", sources), *lines, *([] if truth is None else [("truth", "", truth)])]


def _samples(path: Path, resolution: int | None) -> list[Strip]:
    """The rows of samples.png, as bench.data.montage drew them, without their names, which older ones lack; none where
    it is missing or of another shape."""
    if not path.exists() or not resolution:
        return []
    try:
        pixels = np.asarray(read_rgb(path))
    except UserError:
        return []
    scale = sample_scale(resolution)
    pitch, gap = (resolution + GAP) * scale, GAP * scale
    rows, rest = divmod(pixels.shape[0] - gap, pitch)
    beside = next((width for width in (0, LABELS) if (pixels.shape[1] - width - gap) % pitch == 0), None)
    if rest or rows < 2 or beside is None:
        return []
    return [pixels[gap + r * pitch : (r + 1) * pitch, beside + gap : -gap] for r in range(rows)]


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
