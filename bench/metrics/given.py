"""Images as users have them (a folder, an array, a tensor) -> uint8 (n, 3, R, R), the form in which all is measured."""

import os
from pathlib import Path
from typing import Any

import numpy as np

from bench.core.errors import UserError
from bench.data.images import image_files, read_rgb, square
from bench.metrics.data import Images


def pixels_of(
    images: Any, name: str, value_range: tuple[float, float] | None = None, resolution: int | None = None
) -> np.ndarray:
    """uint8 (n, 3, R, R) in [0, 255] of a folder, a NumPy array or a torch tensor.

    images       a folder of image files (read in the order of their paths, the centre square of each), or an array or
                 tensor (n, 3, R, R) or (n, R, R, 3): uint8, or floating point with a value_range
    name         what a message calls them
    value_range  the floating-point values of black and white, such as (0, 1) or (-1, 1)
    resolution   the side to which images of a folder are reduced; by default they must all be squares of one side

    Raises UserError for another type or shape, for floating-point values outside the range or without one, and for
    files that cannot be read.
    """
    if isinstance(images, (str, os.PathLike)):
        return _of_folder(Path(images), name, resolution)
    array = _as_array(images, name)
    if array.ndim != 4 or 3 not in (array.shape[1], array.shape[3]) or not len(array):
        raise UserError(f"{name} must be images (n, 3, R, R) or (n, R, R, 3) with n > 0, not {array.shape}")
    if array.shape[1] != 3:
        array = array.transpose(0, 3, 1, 2)
    if array.shape[2] != array.shape[3]:
        raise UserError(f"{name} must be square, not {array.shape[2]}x{array.shape[3]}; crop them first")
    return np.ascontiguousarray(_as_uint8(array, name, value_range))


def without_labels(pixels: np.ndarray) -> Images:
    """Images uint8 (n, 3, R, R) of which no class is known."""
    return Images(pixels, np.full(len(pixels), -1, np.int64))


def _as_array(images: Any, name: str) -> np.ndarray:
    if hasattr(images, "detach"):  # a tensor, recognised without importing torch
        images = images.detach().cpu()
        images = images.float() if images.is_floating_point() else images
    array = np.asarray(images)
    if array.dtype != np.uint8 and not np.issubdtype(array.dtype, np.floating):
        raise UserError(f"{name} must be uint8 or floating point, not {array.dtype}; convert them first")
    return array


def _as_uint8(array: np.ndarray, name: str, value_range: tuple[float, float] | None) -> np.ndarray:
    if array.dtype == np.uint8:
        return array
    if value_range is None:
        raise UserError(f"{name} are {array.dtype}: say which values are black and white, as in value_range=(0, 1)")
    low, high = value_range
    if not np.isfinite(array).all() or array.min() < low or array.max() > high:
        raise UserError(
            f"{name} hold values from {array.min():g} to {array.max():g}, outside value_range=({low:g}, {high:g}); "
            f"name the range that they have, or clip them"
        )
    return np.rint((array - low) * (255.0 / (high - low))).astype(np.uint8)


def _of_folder(folder: Path, name: str, resolution: int | None) -> np.ndarray:
    if not folder.is_dir():
        raise UserError(f"{name}: there is no folder {folder}; name a folder of images, or give an array")
    files = list(image_files(folder))
    if not files:
        raise UserError(f"{name}: the folder {folder} holds no images")
    side = resolution or read_rgb(files[0]).width
    images = []
    for file in files:
        image = read_rgb(file)
        if resolution is None and image.size != (side, side):
            raise UserError(
                f"{name}: {file} is {image.width}x{image.height}, {files[0].name} is {side} wide; "
                f"give resolution= to reduce all to squares of one side"
            )
        images.append(square(image, side, str(file)))
    return np.stack(images)
