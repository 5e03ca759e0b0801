"""The 13 classes of rooms and the three modalities that SceneNet and SUN RGB-D share. No data set by itself."""

import numpy as np

CLASSES = (
    *("none", "Bed", "Books", "Ceiling", "Chair", "Floor", "Furniture"),
    *("Objects", "Picture", "Sofa", "Table", "TV", "Wall", "Window"),
)  # ids 0 to 13: M&MNets' and NYUv2's
FIRST, SECOND = ("segmentation", "rgb"), ("depth", "rgb")  # what each half of the training set shows (thesis 4.6.1)


def padded(values: np.ndarray, side: int, fill: int) -> np.ndarray:
    """(H, W) or (H, W, 3) -> the centre (side, side), cut where it is larger, filled up where it is smaller."""
    for axis in (0, 1):
        size = values.shape[axis]
        start = max(0, (size - side) // 2)
        values = np.take(values, range(start, start + min(size, side)), axis=axis)
        before = (side - values.shape[axis]) // 2
        width = [(0, 0)] * values.ndim
        width[axis] = (before, side - values.shape[axis] - before)
        values = np.pad(values, width, constant_values=fill)
    return values
