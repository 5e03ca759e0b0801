"""Euclidean distances between rows, in blocks, so that 10,000 x 10,000 pairs fit in memory."""

import hashlib
from collections.abc import Iterator

import numpy as np

ROWS = 1024


def blocks(n: int) -> Iterator[slice]:
    for start in range(0, n, ROWS):
        yield slice(start, min(start + ROWS, n))


def squared(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Squared distances (n, m) between the rows of x (n, d) and y (m, d), float64.

    |x|^2 + |y|^2 - 2 xy loses the last digits of small distances; what is below that noise is zero, so that equal
    images are at distance zero whatever the order of summation.
    """
    xx, yy = (x**2).sum(1)[:, None], (y**2).sum(1)[None]
    distances = xx + yy - 2 * (x @ y.T)
    distances[distances < 1e-12 * (xx + yy)] = 0
    return distances


def nearest(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The Euclidean distance of each row of x (n, d) to the nearest row of y (m, d): float64 (n,)."""
    return np.sqrt(np.concatenate([squared(x[rows], y).min(1) for rows in blocks(len(x))]))


def kth_radius(x: np.ndarray, k: int) -> np.ndarray:
    """The squared distance of each row of x (n, d) to its k-th nearest other row, k < n: float64 (n,)."""
    radii = np.empty(len(x))
    for rows in blocks(len(x)):
        distances = squared(x[rows], x)
        distances[np.arange(len(distances)), np.arange(rows.start, rows.stop)] = np.inf
        radii[rows] = np.partition(distances, k - 1, axis=1)[:, k - 1]
    return radii


def some(features: np.ndarray, n: int) -> np.ndarray:
    """n of the rows, drawn by the hash of their bytes: the same ones in whichever order the images come."""
    keys = [hashlib.sha256(row.tobytes()).digest() for row in features]
    return features[sorted(range(len(features)), key=keys.__getitem__)[:n]]
