import numpy as np
import pytest
from scipy.stats import mannwhitneyu, norm

from bench.metrics.memorisation import authentic, data_copying, z_score


def test_z_score_is_scipys(rng: np.random.Generator) -> None:
    x, y = rng.normal(size=40), rng.normal(0.4, 1, size=30)
    upper = mannwhitneyu(x, y, alternative="greater", use_continuity=False, method="asymptotic").pvalue
    assert z_score(x, y) == pytest.approx(norm.isf(upper), rel=1e-9)
    assert z_score(x, y) < 0
    u = mannwhitneyu(np.r_[x, 1.5], np.r_[y, 1.5]).statistic  # with a tie
    assert z_score(np.r_[x, 1.5], np.r_[y, 1.5]) == pytest.approx((u - 41 * 31 / 2) / np.sqrt(41 * 31 * 73 / 12))


def test_a_copier_a_fair_sample_and_a_bad_one(rng: np.random.Generator) -> None:
    """For a fair sample C_T is a standard normal number (Meehan et al., section 3)."""
    training, held_out = rng.normal(size=(40, 4)), rng.normal(size=(100, 4))
    copier = training[rng.integers(0, 40, 100)] + rng.normal(0, 0.05, (100, 4))
    assert data_copying(copier, held_out, training) < -8
    assert data_copying(rng.normal(2, 1, size=(100, 4)), held_out, training) > 5
    fair = [
        data_copying(rng.normal(size=(60, 4)), rng.normal(size=(60, 4)), rng.normal(size=(40, 4))) for _ in range(60)
    ]
    assert np.mean(fair) == pytest.approx(0, abs=0.45)
    assert 0.7 < np.std(fair) < 1.4


def test_by_definition_with_cells(rng: np.random.Generator) -> None:
    """Two far clusters of training images are the two cells; copying in one only is seen there."""
    centres = np.repeat([[0.0, 0.0], [100.0, 0.0]], 50, axis=0)
    training, held_out = centres + rng.normal(size=(100, 2)), centres[::2] + rng.normal(size=(50, 2))
    outputs = np.concatenate([training[:25] + 1e-3, centres[50:80] + rng.normal(size=(30, 2))])
    scores = []
    for side in (0, 100):
        mine, theirs, known = (x[abs(x[:, 0] - side) < 50] for x in (outputs, held_out, training))
        distances = [[min(np.linalg.norm(p - t) for t in known) for p in points] for points in (mine, theirs)]
        u = sum((a > b) + 0.5 * (a == b) for a in distances[0] for b in distances[1])
        n, m = len(mine), len(theirs)
        scores.append((u - n * m / 2) / np.sqrt(n * m * (n + m + 1) / 12))
    assert scores[0] < -4 < scores[1]
    assert data_copying(outputs, held_out, training) == pytest.approx(np.mean(scores), rel=1e-9)
    order = rng.permutation(100)
    assert data_copying(outputs, held_out, training[order]) == pytest.approx(np.mean(scores), rel=1e-9)


def test_authentic_by_hand() -> None:
    training = np.array([[0.0], [1.0], [5.0]])  # nearest other: 1, 1, 4
    outputs = np.array([[-0.5], [-2.0], [1.2], [2.5], [8.0], [9.5]])  # nearest: 0.5, 2, 0.2, 1.5, 3, 4.5
    assert authentic(outputs, training).tolist() == [False, True, False, True, False, True]
