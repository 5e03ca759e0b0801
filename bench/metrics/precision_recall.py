"""Improved precision and recall of generative models (Kynkaanniemi et al. 2019, equations 1 and 2)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bench.metrics import intervals
from bench.metrics.data import Value
from bench.metrics.distances import blocks, kth_radius, squared
from bench.metrics.registry import metric

if TYPE_CHECKING:
    from bench.metrics.measurement import Measurement


NEIGHBOURS = 5


def covered(points: np.ndarray, support: np.ndarray, k: int = NEIGHBOURS) -> np.ndarray:
    """Which of points (n, d) lie in the ball around some row of support (m, d), m > k: bool (n,).

    The ball around a row reaches to its k-th nearest other row. Precision is the mean with points = outputs and
    support = real images, recall the mean with the two exchanged.
    """
    radii = kth_radius(support, k)
    return np.concatenate([(squared(points[rows], support) <= radii).any(1) for rows in blocks(len(points))])


@metric(better="higher", range=(0, 1), needs=("effnet-lite0",))
def precision_effnet(m: Measurement) -> Value:
    """Share of outputs inside the held-out target images' neighbourhoods (k = 5, EfficientNet-Lite0)"""
    outputs, reference = m.pair("effnet", "reference", fewest=NEIGHBOURS + 1)
    return intervals.share(covered(outputs, reference), len(reference))


@metric(better="higher", range=(0, 1), needs=("effnet-lite0",))
def recall_effnet(m: Measurement) -> Value:
    """Share of held-out target images inside the outputs' neighbourhoods (k = 5, EfficientNet-Lite0)"""
    outputs, reference = m.pair("effnet", "reference", fewest=NEIGHBOURS + 1)
    found = intervals.share(covered(reference, outputs), len(reference))
    return Value(found.value, found.low, found.high, len(outputs), len(reference))
