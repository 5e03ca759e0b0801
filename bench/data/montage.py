"""Grids of images as PNG."""

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from bench.core.files import write_bytes

SAMPLES = 10  # sources in samples.png
GAP = 2  # pixels between the images of a grid, before it is enlarged
LABELS = 91  # pixels to the left of a picture's rows that hold their names


def labelled(rows: dict[str, np.ndarray], scale: int) -> Image.Image:
    """`grid` of the rows, each with its name, of one or more lines, to its left."""
    pictures = grid(list(rows.values()), scale)
    whole = Image.new("RGB", (LABELS + pictures.width, pictures.height), "white")
    whole.paste(pictures, (LABELS, 0))
    draw, font = ImageDraw.Draw(whole), ImageFont.load_default(size=12)
    pitch = (pictures.height - GAP * scale) / len(rows)
    for number, name in enumerate(rows):
        place = (LABELS - 4, GAP * scale + (number + 0.5) * pitch)
        draw.multiline_text(place, name, fill="black", font=font, anchor="rm", align="right", spacing=1)
    return whole


def grid(rows: Sequence[np.ndarray], scale: int = 1, gap: int = GAP) -> Image.Image:
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


def sample_rows(n: int) -> np.ndarray:
    """int64: the positions, of n held-out sources, of those that a run's pictures show; evenly spread."""
    return np.linspace(0, n - 1, min(SAMPLES, n)).astype(int)


def sample_scale(resolution: int) -> int:
    """The factor by which a run's pictures are enlarged."""
    return max(1, 64 // resolution)


def nearest(images: np.ndarray, among: np.ndarray, chunk: int = 64) -> np.ndarray:
    """int64 (n,): for each of `images` uint8 (n, C, R, R) the position of the nearest of `among` (m, C, R, R), by the
    Euclidean distance of pixels."""
    flat = images.reshape(len(images), -1).astype(np.float64)
    distances = []
    for start in range(0, len(among), chunk):
        other = among[start : start + chunk].reshape(-1, flat.shape[1]).astype(np.float64)
        distances.append((flat**2).sum(1)[:, None] - 2 * flat @ other.T + (other**2).sum(1))
    return np.concatenate(distances, axis=1).argmin(axis=1)
