"""95 % intervals over images. No bootstrap: drawing images twice biases every distance between sets upwards."""

from collections.abc import Callable

import numpy as np

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


def half_samples(
    statistic: Callable[[np.ndarray, np.ndarray], float], x: np.ndarray, y: np.ndarray, draws: int = 500
) -> tuple[float, float]:
    """Interval of a statistic of two samples from random halves drawn without replacement (delete-half jackknife).

    The spread over halves is that of the full samples (Shao and Wu 1989), also for medians, where leaving out one
    image at a time fails. x (n,) and y (m,) are sorted first, so the order of images does not matter.
    """
    rng = np.random.default_rng(0)
    x, y = np.sort(x), np.sort(y)
    found = [
        statistic(rng.permutation(x)[: max(1, len(x) // 2)], rng.permutation(y)[: max(1, len(y) // 2)])
        for _ in range(draws)
    ]
    half = Z * float(np.std(found))
    centre = statistic(x, y)
    return centre - half, centre + half
