"""Small faults of images: what the judge learns to look past, and what calibration tries every metric with.

All take and return uint8 (n, 3, R, R). Importing this loads neither torch nor SciPy.
"""

import io
from collections.abc import Callable

import numpy as np
from PIL import Image

BLUR = 0.7  # pixels: the standard deviation that calibration and the anchor `truth-blurred` take
NOISE = 10.0  # levels of 255
CHECKER = 8.0  # levels of 255, up on one half of the pixels and down on the other
QUALITY = 50  # of JPEG, 1 to 95


def blur(images: np.ndarray, sigma: float = BLUR) -> np.ndarray:
    """A Gaussian of this standard deviation in pixels; beyond the edge the edge goes on."""
    from scipy.ndimage import gaussian_filter

    wide = gaussian_filter(images.astype(np.float32), (0, 0, sigma, sigma), mode="nearest")
    return _pixels(wide)


def noise(images: np.ndarray, deviation: float = NOISE, seed: int = 0) -> np.ndarray:
    """Independent normal noise of this many levels on every pixel and channel."""
    return _pixels(images + np.random.default_rng(seed).normal(0, deviation, images.shape))


def checker(images: np.ndarray, amplitude: float = CHECKER) -> np.ndarray:
    """The pattern that transposed convolutions leave: every other pixel brighter, the rest darker."""
    rows, columns = np.indices(images.shape[-2:])
    return _pixels(images + amplitude * np.where((rows + columns) % 2, 1.0, -1.0))


def jpeg(images: np.ndarray, quality: int = QUALITY) -> np.ndarray:
    """Written as JPEG of this quality and read again."""
    return np.stack([_jpeg(image, quality) for image in images])


def shifted(images: np.ndarray, right: int = 1, down: int = 0) -> np.ndarray:
    """Moved by whole pixels; at the edge that comes free the old edge goes on."""
    rows = np.clip(np.arange(images.shape[-2]) - down, 0, None)
    columns = np.clip(np.arange(images.shape[-1]) - right, 0, None)
    return np.ascontiguousarray(images[..., rows[:, None], columns])


DEGRADATIONS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "noise": noise,
    "blurred": blur,
    "checkerboard": checker,
    "JPEG": jpeg,
}


def random(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Each image of a training batch with faults of its own: brightness always, three others each with probability 1/2.

    Gain 0.8 to 1.2, offset up to 25 levels; blur of up to 2 pixels, noise of up to 25 levels, JPEG of quality 30 to 95.
    """
    n = len(images)
    gain, offset = rng.uniform(0.8, 1.2, n), rng.uniform(-25, 25, n)
    images = _pixels(images * gain[:, None, None, None] + offset[:, None, None, None])
    chosen, strength = rng.random((n, 3)) < 0.5, rng.uniform(0, 1, (n, 3))
    for i in range(n):
        one = images[i : i + 1]
        if chosen[i, 0]:
            one = blur(one, 2 * strength[i, 0])
        if chosen[i, 1]:
            one = _pixels(one + rng.normal(0, 25 * strength[i, 1], one.shape))
        if chosen[i, 2]:
            one = jpeg(one, round(95 - 65 * strength[i, 2]))
        images[i] = one[0]
    return images


def _jpeg(image: np.ndarray, quality: int) -> np.ndarray:
    file = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(image.transpose(1, 2, 0))).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file, formats=["JPEG"])).transpose(2, 0, 1)


def _pixels(values: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)
