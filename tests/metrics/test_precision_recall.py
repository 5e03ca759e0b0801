import numpy as np
import pytest
import torch
from torch_fidelity.metric_prc import KEY_METRIC_PRECISION, KEY_METRIC_RECALL, prc_features_to_metric

from bench.metrics import distances
from bench.metrics.precision_recall import covered


def by_definition(points: np.ndarray, support: np.ndarray, k: int) -> list[bool]:
    found = []
    for point in points:
        inside = False
        for i, centre in enumerate(support):
            others = sorted(np.linalg.norm(centre - other) for j, other in enumerate(support) if j != i)
            inside |= bool(np.linalg.norm(point - centre) <= others[k - 1])
        found.append(inside)
    return found


def test_by_definition_on_50_points(rng: np.random.Generator) -> None:
    real, made = rng.normal(size=(50, 3)), rng.normal(0.8, 0.7, size=(50, 3))
    for points, support in ((made, real), (real, made)):
        expected = by_definition(points, support, 5)
        assert 0 < sum(expected) < 50
        assert covered(points, support).tolist() == expected


def test_agrees_with_torch_fidelity(rng: np.random.Generator) -> None:
    real, made = rng.normal(size=(80, 16)), rng.normal(0.3, 0.8, size=(70, 16))
    theirs = prc_features_to_metric(
        torch.from_numpy(made), torch.from_numpy(real), prc_neighborhood=5, prc_batch_size=100, verbose=False
    )
    assert covered(made, real).mean() == pytest.approx(theirs[KEY_METRIC_PRECISION])
    assert covered(real, made).mean() == pytest.approx(theirs[KEY_METRIC_RECALL])


def test_blocks_change_nothing(rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    real, made = rng.normal(size=(40, 4)), rng.normal(0.5, 1, size=(33, 4))
    whole = covered(made, real)
    monkeypatch.setattr(distances, "ROWS", 7)
    assert (covered(made, real) == whole).all()


def test_exact_copies_are_covered_even_where_the_balls_have_no_volume(rng: np.random.Generator) -> None:
    point = rng.normal(size=(1, 1280)) * 3
    assert covered(point, np.repeat(point, 8, axis=0)).all()
