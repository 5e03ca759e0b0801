import numpy as np
import pytest
from pytorch_fid.fid_score import calculate_frechet_distance

from bench.metrics.frechet import frechet_distance


def spread(variances: list[float], mean: list[float], dimension: int) -> np.ndarray:
    """Points with exactly this mean and exactly this diagonal unbiased covariance: +-c along each axis."""
    n = 2 * len(variances)
    points = np.zeros((n, dimension))
    for axis, variance in enumerate(variances):
        points[2 * axis, axis] = np.sqrt(variance * (n - 1) / 2)
        points[2 * axis + 1, axis] = -points[2 * axis, axis]
    return points + np.pad(mean, (0, dimension - len(mean)))


@pytest.mark.parametrize("dimension", [2, 50])
def test_closed_form_of_diagonal_gaussians(dimension: int) -> None:
    x, y = spread([4.0, 9.0], [1.0, 0.0], dimension), spread([1.0, 25.0], [0.0, 2.0], dimension)
    # |mean difference|^2 + sum of (difference of standard deviations)^2 = (1 + 4) + (2 - 1)^2 + (3 - 5)^2
    assert frechet_distance(x, y) == pytest.approx(10.0, rel=1e-12)


@pytest.mark.parametrize(("n", "m", "d"), [(125, 500, 256), (20, 30, 64), (40, 400, 64), (400, 500, 48), (65, 64, 64)])
def test_agrees_with_pytorch_fid(n: int, m: int, d: int, rng: np.random.Generator) -> None:
    mix = rng.normal(size=(d, d)) / np.sqrt(d)
    x, y = rng.normal(size=(n, d)) @ mix, rng.normal(0.3, 1.4, size=(m, d)) @ mix
    theirs = calculate_frechet_distance(x.mean(0), np.cov(x, rowvar=False), y.mean(0), np.cov(y, rowvar=False))
    assert frechet_distance(x, y) == pytest.approx(theirs, rel=1e-5)


def test_equal_sets_are_at_zero(rng: np.random.Generator) -> None:
    x = rng.normal(size=(30, 100))
    assert frechet_distance(x, rng.permutation(x)) == pytest.approx(0, abs=1e-9)
