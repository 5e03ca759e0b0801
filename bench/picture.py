"""Grids of images as PNG."""

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from bench.files import write_bytes


def grid(rows: Sequence[np.ndarray], scale: int = 1, gap: int = 2) -> Image.Image:
    """Rows of uint8 images (n, 3, R, R) on white, each pixel drawn scale x scale."""
    height, width = rows[0].shape[-2:]
    columns = max(len(row) for row in rows)
    canvas = np.full((len(rows) * (height + gap) + gap, columns * (width + gap) + gap, 3), 255, np.uint8)
    for r, row in enumerate(rows):
        for c, image in enumerate(row):
            top, left = gap + r * (height + gap), gap + c * (width + gap)
            canvas[top : top + height, left : left + width] = image.transpose(1, 2, 0)
    picture = Image.fromarray(canvas)
    return picture.resize((picture.width * scale, picture.height * scale), Image.Resampling.NEAREST)


def save(path: Path, picture: Image.Image) -> None:
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG")
    write_bytes(path, buffer.getvalue())
