"""Does a 95 % interval contain the truth in 90 to 99 % of 200 samples?

Truths are closed forms or, where a rate has none, the mean over all samples. Where an interval is known to be wider
than it need be, the bound is 100 % and says so.
"""

from collections.abc import Callable

import numpy as np
import pytest
from scipy.stats import rayleigh

from bench.metrics import intervals
from bench.metrics.data import Value
from bench.metrics.density_coverage import coverage as covered_share
from bench.metrics.density_coverage import density
from bench.metrics.kernel import kernel_distance
from bench.metrics.neighbours import median_ratio
from bench.metrics.precision_recall import covered, share_covered
from bench.statistics.estimate import estimate, paired

DRAWS = 200
Interval = tuple[float, float]


def coverage(truth: float, draw: Callable[[np.random.Generator], Interval]) -> float:
    inside = 0
    for seed in range(DRAWS):
        low, high = draw(np.random.default_rng(seed))
        inside += low <= truth <= high
    return inside / DRAWS


def bounds(found: Value) -> Interval:
    assert found.low is not None and found.high is not None
    return found.low, found.high


def expected_kernel(mu: np.ndarray, nu: np.ndarray, s2: float, t2: float) -> float:
    """E (x.y / d + 1)^3 of independent x ~ N(mu, s2 I) and y ~ N(nu, t2 I), from the moments of a normal vector:

    E x_i x_j = mu_i mu_j + s2 d_ij and E x_i x_j x_k = mu_i mu_j mu_k + s2 (mu_i d_jk + mu_j d_ik + mu_k d_ij).
    """
    d, between = len(mu), mu @ nu
    second = between**2 + t2 * mu @ mu + s2 * nu @ nu + s2 * t2 * d
    third = between**3 + 3 * t2 * between * (mu @ mu) + 3 * s2 * between * (nu @ nu) + s2 * t2 * between * (3 * d + 6)
    return 1 + 3 * between / d + 3 * second / d**2 + third / d**3


def test_the_closed_form_of_the_kernel_against_sampling() -> None:
    mu, nu, rng = np.array([1.0, -0.5]), np.array([0.3, 2.0]), np.random.default_rng(0)
    x, y = rng.normal(mu, 0.7, (400_000, 2)), rng.normal(nu, 1.2, (400_000, 2))
    sampled = ((x * y).sum(1) / 2 + 1) ** 3
    assert expected_kernel(mu, nu, 0.49, 1.44) == pytest.approx(sampled.mean(), abs=4 * sampled.std() / 400_000**0.5)


@pytest.mark.parametrize(
    ("n", "m", "d", "shift", "spread"),
    [(125, 125, 16, 0.2, 1.2), (125, 382, 16, 0.2, 1.2), (20, 20, 16, 0.2, 1.2), (125, 125, 16, 0.0, 1.0),
     (40, 40, 16, 0.0, 1.0), (125, 125, 2, 0.0, 1.0)],
)  # fmt: skip
def test_jackknife_of_the_kernel_distance(n: int, m: int, d: int, shift: float, spread: float) -> None:
    """The last three are two samples of one distribution: the truth is zero and the U-statistic degenerate."""
    mu, nu = np.ones(d), np.full(d, 1 + shift)
    truth = expected_kernel(mu, mu, 1, 1) + expected_kernel(nu, nu, spread**2, spread**2)
    truth -= 2 * expected_kernel(mu, nu, 1, spread**2)

    def draw(rng: np.random.Generator) -> Interval:
        found = kernel_distance(rng.normal(mu, 1, (n, d)), rng.normal(nu, spread, (m, d)))
        return intervals.jackknife(found.value, found.without_x, found.without_y)

    assert 0.90 <= coverage(truth, draw) <= 0.99


@pytest.mark.parametrize(("p", "n"), [(0.01, 382), (0.3, 125), (0.5, 20), (0.97, 125)])
def test_wilson_of_a_share(p: float, n: int) -> None:
    assert 0.90 <= coverage(p, lambda rng: bounds(intervals.share(rng.random(n) < p, 1))) <= 0.99


@pytest.mark.parametrize(("n", "m", "scale"), [(125, 125, 1.0), (125, 382, 0.7), (20, 20, 1.0)])
def test_half_samples_of_a_ratio_of_medians(n: int, m: int, scale: float) -> None:
    """Distances of normal points in the plane to a training image are Rayleigh distributed; the truth is `scale`."""

    def draw(rng: np.random.Generator) -> Interval:
        return intervals.half_samples(median_ratio, scale * rng.rayleigh(size=n), rng.rayleigh(size=m), draws=200)

    assert 0.90 <= coverage(scale, draw) <= 0.99


@pytest.mark.parametrize(("n", "m", "scale"), [(125, 125, 1.0), (1000, 125, 0.3), (382, 382, 0.3), (382, 382, 0.1)])
def test_a_share_below_an_estimated_quantile(n: int, m: int, scale: float) -> None:
    """Too wide where one held-out image decides (m = 125); Wilson alone, blind to the quantile, covers about half."""
    truth = float(rayleigh.cdf(rayleigh.ppf(0.01) / scale))

    def samples(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        return scale * rng.rayleigh(size=n), rng.rayleigh(size=m)

    def blind(rng: np.random.Generator) -> Interval:
        x, y = samples(rng)
        return bounds(intervals.share(x < np.quantile(y, 0.01), m))

    assert 0.93 <= coverage(truth, lambda rng: bounds(intervals.share_below(*samples(rng), 0.01))) <= 1
    assert coverage(truth, blind) < 0.85


@pytest.mark.parametrize(("n", "m", "d", "spread"), [(125, 125, 8, 1.0), (125, 200, 32, 0.9)])
def test_precision_recall_density_and_coverage_over_both_samples(n: int, m: int, d: int, spread: float) -> None:
    """Their expectation at these n has no closed form: it is the mean over the samples. Wilson alone knows one sample
    only, and for recall, whose support is the smaller one, it covers too little."""
    found: dict[str, list[Value]] = {name: [] for name in ("precision", "recall", "density", "coverage", "blind")}
    for seed in range(DRAWS):
        rng = np.random.default_rng(seed)
        outputs, real = rng.normal(0, spread, (n, d)), rng.normal(0, 1, (m, d))
        found["precision"].append(share_covered(outputs, real))
        found["recall"].append(share_covered(real, outputs))
        found["density"].append(density(outputs, real))
        found["coverage"].append(covered_share(outputs, real))
        found["blind"].append(intervals.share(covered(real, outputs), m))

    def share(values: list[Value]) -> float:
        truth = np.mean([value.value for value in values])
        return float(np.mean([low <= truth <= high for low, high in map(bounds, values)]))

    for name in ("precision", "recall", "density", "coverage"):
        assert 0.92 <= share(found[name]) <= 1, name
    assert share(found["blind"]) < 0.90


@pytest.mark.parametrize(
    ("subsets", "seeds", "between"), [(1, 3, 0.0), (5, 1, 1.0), (5, 3, 1.0), (3, 4, 0.5), (4, 3, 0.0)]
)
def test_t_interval_over_subset_seeds_and_training_seeds(subsets: int, seeds: int, between: float) -> None:
    """value = truth + what the subset does (sd `between`) + what the training seed does (sd 1)."""

    def draw(rng: np.random.Generator) -> Interval:
        of_subset = rng.normal(0, between, subsets)
        values = {(i, j): 7 + of_subset[i] + rng.normal() for i in range(subsets) for j in range(seeds)}
        found = estimate(values)
        return found.low, found.high

    assert 0.90 <= coverage(7, draw) <= 0.99


def test_runs_of_one_subset_taken_for_independent_would_cover_too_little() -> None:
    def draw(rng: np.random.Generator) -> Interval:
        values = 7 + np.repeat(rng.normal(0, 1, 5), 4) + rng.normal(0, 0.5, 20)
        found = estimate({(0, j): value for j, value in enumerate(values)})
        return found.low, found.high

    assert coverage(7, draw) < 0.8


def test_paired_difference() -> None:
    """Both methods share the luck of the cell, which is ten times the difference."""

    def draw(rng: np.random.Generator) -> Interval:
        luck = {(0, seed): rng.normal(0, 10) for seed in range(5)}
        a = {cell: value + 1 + rng.normal() for cell, value in luck.items()}
        found = paired(a, {cell: value + rng.normal() for cell, value in luck.items()})
        assert found is not None
        return found.low, found.high

    assert 0.90 <= coverage(1, draw) <= 0.99
