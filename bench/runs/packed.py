"""Translations as one picture without loss: small enough for a repository, and a picture that people can look at."""

import hashlib
import io
from pathlib import Path

import numpy as np
from PIL import Image

from bench.core.files import write_bytes
from bench.core.typed import damaged
from bench.data.images import read_rgb

PACKED = "translated.webp"
ACROSS = 32  # images in a row


def pack(images: np.ndarray) -> bytes:
    """uint8 (n, 3, R, R) -> a lossless WebP of rows of 32 images; places behind the last image are black."""
    n, channels, side, _ = images.shape
    rows = -(-n // ACROSS)
    whole = np.zeros((rows * ACROSS, channels, side, side), np.uint8)
    whole[:n] = images
    grid = whole.reshape(rows, ACROSS, channels, side, side).transpose(0, 3, 1, 4, 2)
    picture = Image.fromarray(grid.reshape(rows * side, ACROSS * side, channels))
    buffer = io.BytesIO()
    picture.save(buffer, format="WEBP", lossless=True, quality=100, method=4)
    return buffer.getvalue()


def unpack(path: Path, n: int, side: int) -> np.ndarray:
    """The n images, uint8 (n, 3, side, side), of a picture that `pack` made."""
    pixels = np.asarray(read_rgb(path))
    rows = -(-n // ACROSS)
    if pixels.shape != (rows * side, ACROSS * side, 3):
        raise damaged(path, f"it is no picture of {n} images of {side} pixels", "take it from where it was kept")
    grid = pixels.reshape(rows, side, ACROSS, side, 3).transpose(0, 2, 4, 1, 3)
    return np.ascontiguousarray(grid.reshape(-1, 3, side, side)[:n])


def npy_bytes(images: np.ndarray) -> bytes:
    """The content of the .npy file of an array."""
    buffer = io.BytesIO()
    np.save(buffer, images, allow_pickle=False)
    return buffer.getvalue()


def restore(packed: Path, to: Path, n: int, side: int, sha256: str) -> None:
    """Writes the .npy file that was packed. Raises UserError where it is not the one with this sha256."""
    content = npy_bytes(unpack(packed, n, side))
    if hashlib.sha256(content).hexdigest() != sha256:
        raise damaged(packed, "its images are not those that were measured", "take it from where it was kept")
    write_bytes(to, content)
