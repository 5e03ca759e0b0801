"""The kernel distance: unbiased squared MMD with a cubic polynomial kernel (Binkowski et al. 2018, section 4).

Computed over the full sets, not averaged over random blocks: no seed, and the smallest possible variance.
"""

from dataclasses import dataclass

import numpy as np

from bench.metrics.distances import blocks


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
