"""The kernel distance: unbiased squared MMD, as KID with a cubic polynomial kernel (Binkowski et al. 2018, section 4).

Computed over the full sets, not averaged over random blocks: no seed, and the smallest possible variance.
"""

from __future__ import annotations

from collections.abc import Callable
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


Kernel = Callable[[np.ndarray, np.ndarray], np.ndarray]


@dataclass(frozen=True)
class KernelDistance:
    """The distance, and what it would be without image i of x (n,) or of y (m,): what a jackknife needs."""

    value: float
    without_x: np.ndarray
    without_y: np.ndarray


def cubic(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """k(a, b) = (a.b / d + 1)^3 of the rows of x (n, d) and y (m, d): (n, m)."""
    return (x @ y.T / x.shape[1] + 1) ** 3


def kernel_distance(x: np.ndarray, y: np.ndarray, kernel: Kernel = cubic) -> KernelDistance:
    """Unbiased MMD^2 (equation 4 of Binkowski et al.) of features x (n, d) and y (m, d), float64; n, m >= 3.

    The value may be negative: its expectation is zero for two samples of one distribution.
    """
    n, m = len(x), len(y)
    rows_xx, rows_yy = _row_sums(x, x, kernel, diagonal=False), _row_sums(y, y, kernel, diagonal=False)
    rows_xy, rows_yx = _cross_sums(x, y, kernel)
    sum_xx, sum_yy, sum_xy = rows_xx.sum(), rows_yy.sum(), rows_xy.sum()
    mean_xx, mean_yy = sum_xx / (n * (n - 1)), sum_yy / (m * (m - 1))
    less_x = (sum_xx - 2 * rows_xx) / ((n - 1) * (n - 2)) + mean_yy - 2 * (sum_xy - rows_xy) / ((n - 1) * m)
    less_y = mean_xx + (sum_yy - 2 * rows_yy) / ((m - 1) * (m - 2)) - 2 * (sum_xy - rows_yx) / (n * (m - 1))
    return KernelDistance(float(mean_xx + mean_yy - 2 * sum_xy / (n * m)), less_x, less_y)


def _row_sums(x: np.ndarray, y: np.ndarray, kernel: Kernel, diagonal: bool) -> np.ndarray:
    """Sum over j of k(x_i, y_j): (n,); without the terms i = j where `diagonal` is false."""
    sums = np.empty(len(x))
    for rows in blocks(len(x)):
        values = kernel(x[rows], y)
        if not diagonal:
            values[np.arange(len(values)), np.arange(rows.start, rows.stop)] = 0
        sums[rows] = values.sum(1)
    return sums


def _cross_sums(x: np.ndarray, y: np.ndarray, kernel: Kernel) -> tuple[np.ndarray, np.ndarray]:
    """Sums over j of k(x_i, y_j): (n,), and over i: (m,)."""
    over_y, over_x = np.empty(len(x)), np.zeros(len(y))
    for rows in blocks(len(x)):
        values = kernel(x[rows], y)
        over_y[rows] = values.sum(1)
        over_x += values.sum(0)
    return over_y, over_x


def kernel_to(m: Measurement, network: str, part: str) -> KernelDistance:
    """The kernel distance of the outputs to a real part, on the features of a network."""
    return kernel_distance(*m.pair(network, part))


@metric(better="lower", range=(-inf, inf), needs=("effnet-lite0",), scale=1000)
def kd_effnet(m: Measurement) -> Value:
    """Kernel distance on EfficientNet-Lite0 features, outputs against held-out target images (x1000)"""
    return kernel_value(m.once(kernel_to, "effnet", "reference"))


@metric(better="lower", range=(-inf, inf), needs=("inception",), scale=1000)
def kid(m: Measurement) -> Value:
    """Kernel Inception distance over the full sets, official Inception weights (x1000)"""
    return kernel_value(m.once(kernel_to, "inception", "reference"))


@metric(better=None, range=(-inf, inf), needs=("effnet-lite0",), scale=1000)
def kd_effnet_train(m: Measurement) -> Value:
    """kd_effnet against the target training subset instead: a copier is near zero here (x1000)"""
    return kernel_value(m.once(kernel_to, "effnet", "target_train"))


@metric(better=None, range=(-inf, inf), needs=("effnet-lite0",), scale=1000)
def kd_effnet_gap(m: Measurement) -> Value:
    """kd_effnet minus kd_effnet_train: large where training images were copied (x1000)"""
    held_out, training = m.once(kernel_to, "effnet", "reference"), m.once(kernel_to, "effnet", "target_train")
    gap = held_out.value - training.value
    low, high = intervals.jackknife(
        gap, held_out.without_x - training.without_x, held_out.without_y, training.without_y
    )
    return Value(gap, low, high, len(held_out.without_x), len(held_out.without_y))


def kernel_value(distance: KernelDistance) -> Value:
    low, high = intervals.jackknife(distance.value, distance.without_x, distance.without_y)
    return Value(distance.value, low, high, len(distance.without_x), len(distance.without_y))


@metric(better="lower", range=(-inf, inf), needs=("effnet-lite0",), scale=1000)
def mkd_effnet(m: Measurement) -> Value:
    """Kernel distance on EfficientNet-Lite0 features within each class, mean over classes (x1000)"""
    return _mean_over_classes(m, "effnet")


@metric(better="lower", range=(-inf, inf), needs=("inception",), scale=100)
def mkid(m: Measurement) -> Value:
    """Kernel Inception distance within each class, mean over classes (x100): DeepI2I's mKID"""
    return _mean_over_classes(m, "inception")


def _mean_over_classes(m: Measurement, network: str) -> Value:
    """The mean of independent distances; its jackknife variance is the sum of theirs over the squared number."""
    pairs = m.class_pairs(network)
    by_class = {name: kernel_distance(*pair) for name, pair in pairs.items() if pair is not None}
    n = len(by_class)
    value = float(np.mean([distance.value for distance in by_class.values()]))
    left_out = [rows / n for distance in by_class.values() for rows in (distance.without_x, distance.without_y)]
    low, high = intervals.jackknife(value, *left_out)
    n_gen, n_ref = (sum(len(rows) for rows in left_out[i::2]) for i in (0, 1))
    parts = {name: by_class[name].value if name in by_class else None for name in pairs}
    return Value(value, low, high, n_gen, n_ref, parts=parts)
