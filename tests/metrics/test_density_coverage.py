import numpy as np
import pytest

from bench.metrics import distances
from bench.metrics.density_coverage import density_coverage


def by_definition(outputs: np.ndarray, real: np.ndarray, k: int) -> tuple[list[float], list[bool]]:
    """Naeem et al. 2020, equations 3 and 4, point by point."""
    radii = []
    for i, centre in enumerate(real):
        others = sorted(np.linalg.norm(centre - other) for j, other in enumerate(real) if j != i)
        radii.append(others[k - 1])
    inside = [[np.linalg.norm(y - x) <= radius for x, radius in zip(real, radii)] for y in outputs]
    return [sum(row) / k for row in inside], [any(column) for column in zip(*inside)]


def test_by_definition_on_50_points(rng: np.random.Generator) -> None:
    real, made = rng.normal(size=(50, 3)), rng.normal(0.6, 0.6, size=(50, 3))
    density, covered = density_coverage(made, real)
    expected_density, expected_covered = by_definition(made, real, 5)
    assert density.tolist() == expected_density
    assert covered.tolist() == expected_covered
    assert 0 < covered.mean() < 1 and density.mean() > 0


def test_a_sample_of_the_same_distribution_has_density_one(rng: np.random.Generator) -> None:
    """Its expectation is exactly 1 for exchangeable samples (section 3.3), and coverage is 1 - 2^-k (equation 8)."""
    found = [density_coverage(rng.normal(size=(200, 2)), rng.normal(size=(200, 2))) for _ in range(20)]
    assert np.mean([density.mean() for density, _ in found]) == pytest.approx(1, abs=0.03)
    assert np.mean([covered.mean() for _, covered in found]) == pytest.approx(1 - 2**-5, abs=0.01)


def test_blocks_change_nothing(rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    real, made = rng.normal(size=(40, 4)), rng.normal(0.5, 1, size=(33, 4))
    whole = density_coverage(made, real)
    monkeypatch.setattr(distances, "ROWS", 7)
    for one, other in zip(density_coverage(made, real), whole):
        assert (one == other).all()
