import numpy as np
import pytest
from sklearn.metrics.pairwise import rbf_kernel

from bench.metrics.gaussian_kernel import gaussian, mean_squared_distance, variance_of_features
from bench.metrics.kernel import kernel_distance


def test_mmd_with_sklearns_kernel(rng: np.random.Generator) -> None:
    x, y = rng.normal(size=(12, 6)), rng.normal(0.5, 1, size=(9, 6))
    variance = mean_squared_distance(y)
    pairs = [((a - b) ** 2).sum() for i, a in enumerate(y) for j, b in enumerate(y) if i != j]
    assert variance == pytest.approx(np.mean(pairs), rel=1e-12)

    xx, yy, xy = (rbf_kernel(a, b, gamma=1 / (2 * variance)) for a, b in ((x, x), (y, y), (x, y)))
    inside = [(k.sum() - np.trace(k)) / (len(k) * (len(k) - 1)) for k in (xx, yy)]
    found = kernel_distance(x, y, gaussian(variance))
    assert found.value == pytest.approx(sum(inside) - 2 * xy.mean(), rel=1e-9)
    less = kernel_distance(x[1:], y, gaussian(variance)).value
    assert found.without_x[0] == pytest.approx(less, rel=1e-9)


def test_mean_variance_and_its_jackknife(rng: np.random.Generator) -> None:
    x = rng.normal(size=(20, 4)) * [1, 2, 3, 4]
    value, low, high = variance_of_features(x)
    assert value == pytest.approx(np.mean([np.var(x[:, i], ddof=1) for i in range(4)]), rel=1e-12)
    without = np.array([np.delete(x, i, 0).var(0, ddof=1).mean() for i in range(20)])
    half = 1.959964 * np.sqrt(19 / 20 * ((without - without.mean()) ** 2).sum())
    assert (low, high) == pytest.approx((value - half, value + half), rel=1e-6)
