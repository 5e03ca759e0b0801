"""How long measuring takes, beside the libraries. `pytest tests/benchmarks/test_metrics.py --benchmark-enable`."""

import subprocess
import sys
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


LARGE = """
import sys
import numpy as np
from bench.training.compute import peak_resident_bytes
from bench.metrics.density_coverage import density_coverage
from bench.metrics.frechet import frechet_distance
from bench.metrics.kernel import kernel_distance
from bench.metrics.precision_recall import covered
n = int(sys.argv[1])
rng = np.random.default_rng(0)
x, y = rng.random((n, 2048)), rng.random((n, 2048))
for measure in (frechet_distance, kernel_distance, covered, density_coverage):
    measure(x, y)
    peak = peak_resident_bytes() / 2**30
    print(f"{measure.__name__} {peak:.2f} GiB", flush=True)
    assert peak < float(sys.argv[2]), f"{measure.__name__}: {peak:.2f} GiB"
"""


def peaks(n: int, most: float) -> None:
    """Distances of n against n features of 2048 dimensions in a process of its own, below `most` GiB."""
    done = subprocess.run([sys.executable, "-c", LARGE, str(n), str(most)], capture_output=True, text=True)
    print(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr


def test_large_sets_fit_in_memory(benchmark) -> None:  # type: ignore[no-untyped-def]
    """10,000 against 10,000 within 8 GB; without --benchmark-enable 2,500 against 2,500 within 1 GiB.

    All squared distances of 2,500 against 2,500 at once are 50 MB each, features 41 MB, four covariances 134 MB.
    """
    if benchmark.disabled:
        peaks(2_500, 1.0)
    else:
        benchmark.pedantic(peaks, args=(10_000, 8e9 / 2**30), rounds=1)


@pytest.mark.benchmark(group="10,000 against 10,000 x 2048")
@pytest.mark.parametrize("measure", [kernel_distance, covered])
def test_large_sets(benchmark, measure) -> None:  # type: ignore[no-untyped-def]
    if benchmark.disabled:
        pytest.skip("a timing; run with --benchmark-enable")
    rng = np.random.default_rng(0)
    x, y = rng.random((10_000, 2048)), rng.random((10_000, 2048))
    benchmark.pedantic(measure, args=(x, y), rounds=1)
