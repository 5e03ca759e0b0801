"""The kernel distance: unbiased squared MMD with a cubic polynomial kernel (Binkowski et al. 2018, section 4).

Computed over the full sets, not averaged over random blocks: no seed, and the smallest possible variance.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING

import numpy as np

from bench.metrics import intervals
from bench.metrics.data import Value
from bench.metrics.distances import blocks
from bench.metrics.registry import metric

if TYPE_CHECKING:
    from bench.metrics.measurement import Measurement


@dataclass(frozen=True)
class KernelDistance:
    """The distance, and what it would be without image i of x (n,) or of y (m,): what a jackknife needs."""

    value: float
    without_x: np.ndarray
    without_y: np.ndarray


def kernel_distance(x: np.ndarray, y: np.ndarray) -> KernelDistance:
    """Unbiased MMD^2 (equation 4 of Binkowski et al.) of features x (n, d) and y (m, d), float64; n, m >= 3.

    k(a, b) = (a.b / d + 1)^3. The value may be negative: its expectation is zero for two samples of one distribution.
    """
    n, m = len(x), len(y)
    rows_xx, rows_yy = _row_sums(x, x, diagonal=False), _row_sums(y, y, diagonal=False)
    rows_xy, rows_yx = _row_sums(x, y), _row_sums(y, x)
    sum_xx, sum_yy, sum_xy = rows_xx.sum(), rows_yy.sum(), rows_xy.sum()
    mean_xx, mean_yy = sum_xx / (n * (n - 1)), sum_yy / (m * (m - 1))
    less_x = (sum_xx - 2 * rows_xx) / ((n - 1) * (n - 2)) + mean_yy - 2 * (sum_xy - rows_xy) / ((n - 1) * m)
    less_y = mean_xx + (sum_yy - 2 * rows_yy) / ((m - 1) * (m - 2)) - 2 * (sum_xy - rows_yx) / (n * (m - 1))
    return KernelDistance(float(mean_xx + mean_yy - 2 * sum_xy / (n * m)), less_x, less_y)


def _row_sums(x: np.ndarray, y: np.ndarray, diagonal: bool = True) -> np.ndarray:
    """Sum over j of k(x_i, y_j): (n,); without the terms i = j where `diagonal` is false."""
    sums = np.empty(len(x))
    for rows in blocks(len(x)):
        kernel = (x[rows] @ y.T / x.shape[1] + 1) ** 3
        if not diagonal:
            kernel[np.arange(len(kernel)), np.arange(rows.start, rows.stop)] = 0
        sums[rows] = kernel.sum(1)
    return sums


@metric(better="lower", range=(-inf, inf), needs=("effnet-lite0",), scale=1000)
def kd_effnet(m: Measurement) -> Value:
    """Kernel distance on EfficientNet-Lite0 features, outputs against held-out target images (x1000)"""
    return _kernel_value(m.kernel("effnet", "reference"))


@metric(better="lower", range=(-inf, inf), needs=("inception",), scale=1000)
def kid(m: Measurement) -> Value:
    """Kernel Inception distance over the full sets, official Inception weights (x1000)"""
    return _kernel_value(m.kernel("inception", "reference"))


@metric(better=None, range=(-inf, inf), needs=("effnet-lite0",), scale=1000)
def kd_effnet_train(m: Measurement) -> Value:
    """kd_effnet against the target training subset instead: a copier is near zero here (x1000)"""
    return _kernel_value(m.kernel("effnet", "target_train"))


@metric(better=None, range=(-inf, inf), needs=("effnet-lite0",), scale=1000)
def kd_effnet_gap(m: Measurement) -> Value:
    """kd_effnet minus kd_effnet_train: large where training images were copied (x1000)"""
    held_out, training = m.kernel("effnet", "reference"), m.kernel("effnet", "target_train")
    gap = held_out.value - training.value
    low, high = intervals.jackknife(
        gap, held_out.without_x - training.without_x, held_out.without_y, training.without_y
    )
    return Value(gap, low, high, len(held_out.without_x), len(held_out.without_y))


def _kernel_value(found: KernelDistance) -> Value:
    low, high = intervals.jackknife(found.value, found.without_x, found.without_y)
    return Value(found.value, low, high, len(found.without_x), len(found.without_y))
