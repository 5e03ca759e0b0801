"""Content that is no RGB image, as uint8 (..., 3, R, R) and back: label maps, depth, single channels.

Every kind looks like what it is when it is drawn as RGB, and a method that knows nothing of kinds can train on it:

labels  the id in all three channels, 0 to 255; exact. 255 is "no label" by convention.
depth   log(1 + 1000 d) of d metres (M&MNets' coding), scaled so that `far` is white; 0 is "not measured". Exact to
        0.7 % of the depth for far = 20.
grey    a value in [0, 1], from black to white; exact to 1/1530.

Depth and grey values keep more than 8 bits: the three channels are equal up to 1, and their mean is the value.
Label maps and depth are resized by nearest neighbour: no id and no depth arises that is not in the file.
"""

from pathlib import Path

import numpy as np
from PIL import Image

from bench.core.errors import UserError
from bench.data.images import DAMAGE, square_box

KINDS = ("rgb", "labels", "depth", "grey")
VOID = 255  # of label maps


def read_values(path: Path) -> np.ndarray:
    """The values of a single-channel image file as they are, (H, W): ids of a palette PNG, 16-bit integers, floats."""
    try:
        with Image.open(path) as image:
            values = np.array(image)
    except (*DAMAGE, Image.DecompressionBombError) as error:
        reason = "not an image" if isinstance(error, Image.UnidentifiedImageError) else str(error).split("\n")[0]
        raise UserError(f"cannot decode the image {path}: {reason}; replace the file or remove it") from None
    if values.ndim != 2:
        raise UserError(f"the image {path} has {values.shape[-1]} channels; one is expected: is it the right file?")
    return values


def nearest_square(values: np.ndarray, resolution: int, name: str) -> np.ndarray:
    """(H, W) of any dtype -> (resolution, resolution): the centre square, then nearest neighbour; only shrinks."""
    left, top, side = square_box(values.shape[1], values.shape[0], resolution, name)
    picked = ((np.arange(resolution) + 0.5) * side / resolution).astype(np.int64)
    return values[top + picked][:, left + picked]


def label_image(ids: np.ndarray) -> np.ndarray:
    """Integer ids (H, W) in 0-255 -> uint8 (3, H, W)."""
    if ids.min() < 0 or ids.max() > 255:
        raise UserError(f"a label map holds ids from {ids.min()} to {ids.max()}; map them to 0-255")
    return np.repeat(ids.astype(np.uint8)[None], 3, axis=0)


def label_ids(images: np.ndarray) -> np.ndarray:
    """uint8 (..., 3, H, W) of a bank -> ids, uint8 (..., H, W). Of generated images the channels need not agree."""
    return images[..., 0, :, :]


def grey_image(values: np.ndarray) -> np.ndarray:
    """Values (H, W) in [0, 1] -> uint8 (3, H, W): channels equal up to 1, of which the mean is 255 times the value."""
    levels = np.rint(np.clip(values, 0, 1) * 765).astype(np.int64)
    return np.stack([levels // 3, (levels + 1) // 3, (levels + 2) // 3]).astype(np.uint8)


def grey_values(images: np.ndarray) -> np.ndarray:
    """(..., 3, H, W) in [0, 255] -> float64 (..., H, W) in [0, 1]."""
    return images.mean(axis=-3, dtype=np.float64) / 255


def depth_image(metres: np.ndarray, far: float) -> np.ndarray:
    """Metres (H, W), 0 where nothing was measured -> uint8 (3, H, W). Deeper than `far` becomes `far`."""
    return grey_image(np.log1p(1000 * np.clip(metres, 0, far)) / np.log1p(1000 * far))


def depth_metres(images: np.ndarray, far: float) -> np.ndarray:
    """(..., 3, H, W) in [0, 255] -> metres, float64 (..., H, W) in [0, far]; inverts depth_image."""
    return np.expm1(grey_values(images) * np.log1p(1000 * far)) / 1000
