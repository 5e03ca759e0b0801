from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch_fidelity.metric_kid import KEY_METRIC_KID_MEAN, kid_features_to_metric

from bench.metrics import distances
from bench.metrics.intervals import jackknife
from bench.metrics.kernel import kernel_distance


def test_by_definition(rng: np.random.Generator) -> None:
    x, y = rng.normal(size=(7, 5)), rng.normal(size=(4, 5))

    def k(a: np.ndarray, b: np.ndarray) -> float:
        return (sum(a * b) / 5 + 1) ** 3

    inside_x = np.mean([k(x[i], x[j]) for i in range(7) for j in range(7) if i != j])
    inside_y = np.mean([k(y[i], y[j]) for i in range(4) for j in range(4) if i != j])
    between = np.mean([k(a, b) for a in x for b in y])
    assert kernel_distance(x, y).value == pytest.approx(inside_x + inside_y - 2 * between, rel=1e-12)


def test_agrees_with_torch_fidelity(rng: np.random.Generator) -> None:
    x, y = rng.normal(size=(60, 256)), rng.normal(0.2, 1.1, size=(60, 256))
    theirs = kid_features_to_metric(
        torch.from_numpy(x), torch.from_numpy(y), kid_subsets=1, kid_subset_size=60, verbose=False
    )
    assert kernel_distance(x, y).value == pytest.approx(theirs[KEY_METRIC_KID_MEAN], rel=1e-9)


def test_blocks_change_nothing(rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = rng.normal(size=(23, 6)), rng.normal(size=(31, 6))
    whole = kernel_distance(x, y)
    monkeypatch.setattr(distances, "ROWS", 5)
    blocked = kernel_distance(x, y)
    assert blocked.value == pytest.approx(whole.value, rel=1e-10)
    np.testing.assert_allclose(blocked.without_y, whole.without_y, rtol=1e-10)


def leave_out(x: np.ndarray, of: Callable[[np.ndarray], float]) -> list[float]:
    return [of(np.delete(x, i, axis=0)) for i in range(len(x))]


def test_leave_one_out_is_what_it_says(rng: np.random.Generator) -> None:
    x, y = rng.normal(size=(9, 4)), rng.normal(1, 1, size=(6, 4))
    found = kernel_distance(x, y)
    np.testing.assert_allclose(found.without_x, leave_out(x, lambda z: kernel_distance(z, y).value), rtol=1e-9)
    np.testing.assert_allclose(found.without_y, leave_out(y, lambda z: kernel_distance(x, z).value), rtol=1e-9)


def test_unbiased_and_covered_by_its_interval() -> None:
    """Normal x ~ N(0, 1), y ~ N(1, 1) in one dimension: the distance follows from moments of normal variables."""
    # E k(a, b) = 1 + 3 E[a]E[b] + 3 E[a^2]E[b^2] + E[a^3]E[b^3]; moments of N(0,1): 0, 1, 0; of N(1,1): 1, 2, 4
    truth = (1 + 0 + 3 + 0) + (1 + 3 + 12 + 16) - 2 * (1 + 0 + 6 + 0)
    inside, values = 0, []
    for seed in range(200):
        draw = np.random.default_rng(seed)
        found = kernel_distance(draw.normal(0, 1, (150, 1)), draw.normal(1, 1, (150, 1)))
        low, high = jackknife(found.value, found.without_x, found.without_y)
        inside += low <= truth <= high
        values.append(found.value)
    assert np.mean(values) == pytest.approx(truth, abs=3 * np.std(values) / np.sqrt(200))
    assert 0.88 <= inside / 200 <= 0.99
