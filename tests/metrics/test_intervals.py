import numpy as np
import pytest
from scipy.stats import binomtest

from bench.metrics import intervals


@pytest.mark.parametrize(("hits", "n"), [(0, 40), (3, 40), (20, 40), (40, 40), (1, 1)])
def test_share_is_wilsons_interval(hits: int, n: int) -> None:
    found = intervals.share(np.arange(n) < hits, 9)
    expected = binomtest(hits, n).proportion_ci(method="wilson")
    assert (found.value, found.n_gen, found.n_ref) == (hits / n, n, 9)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_mean_has_the_interval_of_its_standard_error() -> None:
    found = intervals.mean(np.array([1.0, 2.0, 3.0, 6.0]), 4)
    # mean 3, sample variance 14/3, standard error sqrt(14/12)
    half = 1.959964 * np.sqrt(14 / 12)
    assert (found.value, found.low, found.high) == pytest.approx((3, 3 - half, 3 + half), rel=1e-6)


def test_one_number_has_no_interval() -> None:
    found = intervals.mean(np.array([0.5]), 1)
    assert (found.value, found.low, found.high) == (0.5, None, None)


def test_half_samples_have_the_spread_of_the_full_median() -> None:
    widths = []
    for seed in range(12):
        x = np.random.default_rng(seed).normal(10, 1, 2000)
        low, high = intervals.half_samples(lambda a, b: float(np.median(a) / np.median(b)), x, np.full(50, 2.0))
        assert low < np.median(x) / 2 < high
        widths.append(high - low)
    # the median of n normals has the standard error sqrt(pi / 2 / n); divided by 2
    assert np.mean(widths) == pytest.approx(2 * 1.96 * np.sqrt(np.pi / 2 / 2000) / 2, rel=0.2)


def test_half_samples_do_not_depend_on_order(rng: np.random.Generator) -> None:
    x, y = rng.normal(size=40), rng.normal(5, 1, size=30)

    def ratio(a: np.ndarray, b: np.ndarray) -> float:
        return float(np.median(a) / np.median(b))

    assert intervals.half_samples(ratio, x, y) == intervals.half_samples(ratio, rng.permutation(x), y[::-1])
