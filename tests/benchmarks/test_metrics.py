"""How long measuring takes, beside the libraries. `pytest tests/benchmarks/test_metrics.py --benchmark-enable`."""

import time
from collections.abc import Callable

import numpy as np
import pytest
from pytorch_fid.fid_score import calculate_frechet_distance

from bench.metrics.frechet import frechet_distance
from bench.metrics.kernel import kernel_distance
from bench.metrics.precision_recall import covered

pytestmark = pytest.mark.filterwarnings("ignore:The `disp` argument:DeprecationWarning")


@pytest.fixture(scope="module")
def sets() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.gamma(0.5, 1, (125, 2048)), rng.gamma(0.6, 1, (500, 2048))


def pytorch_fid(x: np.ndarray, y: np.ndarray) -> float:
    return calculate_frechet_distance(x.mean(0), np.cov(x, rowvar=False), y.mean(0), np.cov(y, rowvar=False))


def best_of(rounds: int, function: Callable[[], float]) -> float:
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return min(times)


@pytest.mark.benchmark(group="frechet distance, 125 against 500 x 2048")
def test_frechet_distance(benchmark, sets) -> None:  # type: ignore[no-untyped-def]
    """At least 50 times as fast as pytorch-fid in the same run, and the same value."""
    if benchmark.disabled:
        pytest.skip("a timing; run with --benchmark-enable")
    ours = benchmark(frechet_distance, *sets)
    theirs = pytorch_fid(*sets)
    seconds = best_of(2, lambda: pytorch_fid(*sets))
    benchmark.extra_info["pytorch_fid_seconds"] = seconds
    benchmark.extra_info["times_faster"] = seconds / benchmark.stats.stats.median
    print(f"\n{seconds:.2f} s by pytorch-fid, {seconds / benchmark.stats.stats.median:.0f} times ours")
    assert ours == pytest.approx(theirs, rel=1e-5)
    assert seconds / benchmark.stats.stats.median >= 50


@pytest.mark.benchmark(group="10,000 against 10,000 x 2048")
@pytest.mark.parametrize("measure", [kernel_distance, covered])
def test_large_sets(benchmark, measure) -> None:  # type: ignore[no-untyped-def]
    if benchmark.disabled:
        pytest.skip("a timing; run with --benchmark-enable")
    rng = np.random.default_rng(0)
    x, y = rng.random((10_000, 2048)), rng.random((10_000, 2048))
    benchmark.pedantic(measure, args=(x, y), rounds=1)
