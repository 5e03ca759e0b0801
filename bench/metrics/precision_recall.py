"""Improved precision and recall of generative models (Kynkaanniemi et al. 2019, equations 1 and 2)."""

import numpy as np

from bench.metrics.distances import blocks, kth_radius, squared

NEIGHBOURS = 5


def covered(points: np.ndarray, support: np.ndarray, k: int = NEIGHBOURS) -> np.ndarray:
    """Which of points (n, d) lie in the ball around some row of support (m, d), m > k: bool (n,).

    The ball around a row reaches to its k-th nearest other row. Precision is the mean with points = outputs and
    support = real images, recall the mean with the two exchanged.
    """
    radii = kth_radius(support, k)
    return np.concatenate([(squared(points[rows], support) <= radii).any(1) for rows in blocks(len(points))])
