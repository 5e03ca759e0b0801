"""Images of other people, in files and arrays, as the squares that a network takes, and back."""

from typing import Any

import numpy as np
from PIL import Image

from bench.data.images import square_box
from bench.metrics.given import pixels_of


def fitted(image: Image.Image, resolution: int) -> np.ndarray:
    """RGB image of any size -> uint8 (3, resolution, resolution): the centre square, then one antialiased bicubic
    resize, as images of a data set are decoded (bench.data.images.square), but smaller ones are enlarged."""
    left, top, side = square_box(*image.size, 1, "")
    box = (left, top, left + side, top + side)
    resized = image.resize((resolution, resolution), Image.Resampling.BICUBIC, box=box)
    return np.ascontiguousarray(np.asarray(resized, dtype=np.uint8).transpose(2, 0, 1))


def squares(images: Any, name: str, value_range: tuple[float, float] | None, resolution: int) -> np.ndarray:
    """uint8 (n, 3, resolution, resolution) of a folder, an array or a tensor as bench.metrics.given.pixels_of reads
    them. Raises UserError for what is none of these."""
    pixels = pixels_of(images, name, value_range)
    if pixels.shape[-1] == resolution:
        return pixels
    return np.stack([fitted(Image.fromarray(image.transpose(1, 2, 0)), resolution) for image in pixels])


def translated_like(made: np.ndarray, images: Any, value_range: tuple[float, float] | None) -> Any:
    """uint8 (..., 3, R, R) in the type, the value range and the order of axes of `images`, which `squares` has read."""
    if images.shape[1] != 3:
        made = np.moveaxis(made, -3, -1)
    if not hasattr(images, "detach"):
        return np.ascontiguousarray(made) if images.dtype == np.uint8 else _scaled(made, value_range, images.dtype)
    import torch

    wide = made if images.dtype == torch.uint8 else _scaled(made, value_range, np.dtype(np.float64))
    return torch.from_numpy(np.ascontiguousarray(wide)).to(images.device, images.dtype)


def _scaled(made: np.ndarray, value_range: tuple[float, float] | None, dtype: np.dtype) -> np.ndarray:
    assert value_range is not None  # pixels_of refuses floating-point images without one
    low, high = value_range
    return (low + made * ((high - low) / 255.0)).astype(dtype)
