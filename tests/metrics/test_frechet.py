import numpy as np
import pytest
import torch
from pytorch_fid.fid_score import calculate_frechet_distance
from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric

from bench.metrics import METRICS, Images, Outputs, Reference, evaluate, frechet
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


@pytest.mark.parametrize(("n", "m", "d"), [(125, 300, 200), (150, 140, 64)])
def test_agrees_with_torch_fidelity(n: int, m: int, d: int, rng: np.random.Generator) -> None:
    x, y = rng.gamma(0.5, 1, size=(n, d)), rng.gamma(0.7, 1, size=(m, d))
    theirs = fid_statistics_to_metric(*(fid_features_to_statistics(torch.from_numpy(z)) for z in (x, y)), verbose=False)
    assert frechet_distance(x, y) == pytest.approx(theirs["frechet_inception_distance"], rel=1e-5)


def exactly(mean: np.ndarray, covariance: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    """n points with exactly this mean and exactly this unbiased covariance of full rank d < n."""
    z = rng.normal(size=(n, len(mean)))
    z -= z.mean(0)
    whitened = z @ np.linalg.inv(np.linalg.cholesky(np.cov(z, rowvar=False))).T
    return whitened @ np.linalg.cholesky(covariance).T + mean


@pytest.mark.parametrize("ambient", [2, 40])
def test_closed_form_of_covariances_that_do_not_commute(ambient: int, rng: np.random.Generator) -> None:
    """For 2 x 2 matrices tr (AB)^(1/2) = sqrt(tr AB + 2 sqrt(det AB)): the square of the sum of two eigenvalues' roots.

    In 40 dimensions the same points lie in a rotated plane: 12 points, so n < d.
    """
    a, b = np.array([[3.0, 1.0], [1.0, 2.0]]), np.array([[1.0, -0.7], [-0.7, 4.0]])
    assert not np.allclose(a @ b, b @ a)
    truth = 5.0 + np.trace(a + b) - 2 * np.sqrt(np.trace(a @ b) + 2 * np.sqrt(np.linalg.det(a @ b)))  # 5 = 1^2 + 2^2
    x, y = exactly(np.array([1.0, 0.0]), a, 12, rng), exactly(np.array([0.0, 2.0]), b, 12, rng)
    plane = np.linalg.qr(rng.normal(size=(ambient, 2)))[0].T
    assert frechet_distance(x @ plane, y @ plane) == pytest.approx(truth, rel=1e-10)


@pytest.mark.parametrize(("n", "m"), [(60, 80), (25, 90), (10, 12)])
def test_general_covariances_by_the_symmetric_root(n: int, m: int, rng: np.random.Generator) -> None:
    """tr (A^(1/2) B A^(1/2))^(1/2) by eigenvalues in d = 30: full rank of both, of one, of neither set."""
    x, y = rng.normal(size=(n, 30)) @ rng.normal(size=(30, 30)), rng.normal(1, 2, size=(m, 30))

    def root(c: np.ndarray) -> np.ndarray:
        values, vectors = np.linalg.eigh(c)
        return (vectors * np.sqrt(values.clip(0))) @ vectors.T

    a, b = np.cov(x, rowvar=False), np.cov(y, rowvar=False)
    truth = ((x.mean(0) - y.mean(0)) ** 2).sum() + np.trace(a + b - 2 * root(root(a) @ b @ root(a)))
    assert frechet_distance(x, y) == pytest.approx(truth, rel=1e-6)


def test_no_bootstrap_over_images(rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawn with replacement, a set holds some image twice and the distance is biased upwards: no call sees that, and
    no Frechet value has an interval over images."""
    seen = []

    def watched(x: np.ndarray, y: np.ndarray) -> float:
        seen.append((x, y))
        return frechet_distance(x, y)

    monkeypatch.setattr(frechet, "frechet_distance", watched)
    labels = np.arange(12) % 2
    real, train, made = (Images(rng.integers(0, 256, (12, 3, 32, 32), dtype=np.uint8), labels) for _ in range(3))
    here = {(), ("effnet-lite0",)}
    names = [n for n, m in METRICS.items() if m.compute.__module__ == frechet.__name__ and m.needs in here]
    found = evaluate(Outputs(made.pixels, labels), Reference(real, train, train, ("a", "b")), names)
    assert "fd_effnet" in names and len(seen) >= 1
    for name in names:
        assert found[name].value is not None, found[name].reason
        assert (found[name].low, found[name].high) == (None, None), name
    for sets in seen:
        assert all(len(np.unique(x, axis=0)) == len(x) for x in sets)


def test_equal_sets_are_at_zero(rng: np.random.Generator) -> None:
    x = rng.normal(size=(30, 100))
    assert frechet_distance(x, rng.permutation(x)) == pytest.approx(0, abs=1e-9)
