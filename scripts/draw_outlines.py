"""Draws the outlines of the data set `fashion` into its archive, once, so that nobody needs scikit-image to read them.

    python scripts/draw_outlines.py datasets/embedded/fashion28.npz

Adds the arrays train_outlines and test_outlines, uint8 (n, 98): 28 x 28 pixels of an outline (1) or not (0), packed
eight to a byte. Running it again writes the same arrays.
"""

import sys
from pathlib import Path

import numpy as np
from skimage.feature import canny

SIGMA = 1.0  # pixels; a larger one loses the straps of sandals and the handles of bags


def outlines(photographs: np.ndarray) -> np.ndarray:
    """uint8 (n, 28, 28), 0 to 255 -> bool (n, 28, 28): Canny's edges with scikit-image's thresholds, 0.1 and 0.2."""
    return np.stack([canny(image / 255, sigma=SIGMA) for image in photographs])


def packed(photographs: np.ndarray) -> np.ndarray:
    """uint8 (n, 98): the outlines, eight pixels a byte, as the archive holds them."""
    return np.packbits(outlines(photographs).reshape(len(photographs), -1), axis=1)


def main(archive: Path) -> None:
    with np.load(archive, allow_pickle=False) as arrays:
        content = {name: arrays[name] for name in arrays.files}
    for split in ("train", "test"):
        content[f"{split}_outlines"] = packed(content[f"{split}_images"])
    np.savez_compressed(archive, **content)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
