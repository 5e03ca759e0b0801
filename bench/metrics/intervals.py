"""95 % intervals over images. No bootstrap: drawing images twice biases every distance between sets upwards.

How often each covers the truth is measured in tests/metrics/test_coverage.py; docs/significance.md has the figures.
"""

from collections.abc import Callable

import numpy as np
from msgspec.structs import replace

from bench.metrics.data import Value

Z = 1.959963984540054  # the normal quantile of 97.5 %


def jackknife(value: float, *leave_one_out: np.ndarray) -> tuple[float, float]:
    """Interval of a statistic from its values without each image, one array for each independent sample.

    Efron and Stein 1981: the variance is the sum over samples of (n - 1) / n * sum of squared deviations.
    """
    variance = sum((len(v) - 1) / len(v) * ((v - v.mean()) ** 2).sum() for v in leave_one_out)
    half = Z * float(np.sqrt(variance))
    return value - half, value + half


def mean(values: np.ndarray, n_ref: int) -> Value:
    """The mean of one number for each image, with its jackknife interval (equal to the standard error's)."""
    n, centre = len(values), float(np.mean(values))
    if n < 2:
        return Value(centre, n_gen=n, n_ref=n_ref)
    low, high = jackknife(centre, (values.sum() - values) / (n - 1))
    return Value(centre, low, high, n, n_ref)


def share(hits: np.ndarray, n_ref: int) -> Value:
    """The share of images for which something holds, with Wilson's interval: honest at 0 % and 100 % too."""
    n, p = len(hits), float(np.mean(hits))
    centre = (p + Z**2 / (2 * n)) / (1 + Z**2 / n)
    half = Z / (1 + Z**2 / n) * np.sqrt(p * (1 - p) / n + Z**2 / (4 * n**2))
    return Value(p, max(0.0, float(centre - half)), min(1.0, float(centre + half)), n, n_ref)


def widened(value: Value, without: np.ndarray, largest: float = 1.0) -> Value:
    """The interval of a share (or of a mean from 0 to `largest`) widened by what the other sample adds: `without` (g,)
    is the value with each of g equal groups of that sample left out.

    Its standard error is the delete-group jackknife's, sqrt((g - 1) / g * sum of squared deviations); each side is the
    root of the sum of squares of the two distances (Zou and Donner 2008, "MOVER").
    """
    assert value.value is not None and value.low is not None and value.high is not None
    g = len(without)
    other = Z * float(np.sqrt((g - 1) / g * ((without - without.mean()) ** 2).sum()))
    low = value.value - np.hypot(value.value - value.low, other)
    high = value.value + np.hypot(value.high - value.value, other)
    return replace(value, low=max(0.0, float(low)), high=min(largest, float(high)))


def share_below(x: np.ndarray, y: np.ndarray, q: float) -> Value:
    """The share of x (n,) below the q-quantile of y (m,), 0 < q < 1, and its interval, which knows both as samples.

    The quantile lies between two order statistics of y with 95 % (binomial counts); what the share becomes there, and
    Wilson's interval, give each side as the root of the sum of squares of two distances (as in `widened`).
    """
    from scipy.stats import binom

    value = share(x < np.quantile(y, q), len(y))
    assert value.value is not None and value.low is not None and value.high is not None
    first, last = (int(binom.ppf(p, len(y), q)) for p in (0.025, 0.975))
    ordered = np.sort(y)
    fewest = float(np.mean(x < ordered[first - 1])) if first else 0.0
    most = float(np.mean(x <= ordered[min(last, len(y) - 1)]))
    low = value.value - np.hypot(value.value - min(value.value, fewest), value.value - value.low)
    high = value.value + np.hypot(max(value.value, most) - value.value, value.high - value.value)
    return replace(value, low=max(0.0, float(low)), high=min(1.0, float(high)))


def half_samples(
    statistic: Callable[[np.ndarray, np.ndarray], float], x: np.ndarray, y: np.ndarray, draws: int = 500
) -> tuple[float, float]:
    """Interval of a statistic of two samples from random halves drawn without replacement (delete-half jackknife).

    The spread over halves is that of the full samples (Shao and Wu 1989), also for medians, where leaving out one
    image at a time fails. x (n,) and y (m,) are sorted first, so the order of images does not matter.
    """
    rng = np.random.default_rng(0)
    x, y = np.sort(x), np.sort(y)
    of_halves = [
        statistic(rng.permutation(x)[: max(1, len(x) // 2)], rng.permutation(y)[: max(1, len(y) // 2)])
        for _ in range(draws)
    ]
    half = Z * float(np.std(of_halves))
    centre = statistic(x, y)
    return centre - half, centre + half
