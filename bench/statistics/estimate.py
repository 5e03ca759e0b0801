"""Means, paired differences and slopes over runs, each with a 95 % t interval. Pure functions of small dictionaries.

A replicate is (subset seed, seed): what drew the target subset and what seeded the training. Two methods that saw
the same replicate shared its luck, so they are compared by the differences on the replicates that both have.

Independent draws are the subsets, the training seeds of each averaged; or the seeds, where there is one subset (as in
bench.statistics.replicates, which says why).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from math import log2, nan, sqrt

import numpy as np
from scipy.special import stdtrit

CONFIDENCE = 0.95
Replicate = tuple[int, int]  # subset seed, training seed


@dataclass(frozen=True)
class Estimate:
    """A mean over `runs` and Student's interval of it; low and high are nan below two independent draws."""

    mean: float
    low: float
    high: float
    draws: int
    runs: int

    @property
    def half(self) -> float:
        return self.high - self.mean


def estimate(values: Mapping[Replicate, float]) -> Estimate:
    """Of at least one run."""
    found = draws(values, nested([values]))
    n = len(found)
    mean = sum(found) / n
    if n < 2:
        return Estimate(mean, nan, nan, n, len(values))
    half = quantile(n - 1) * sqrt(sum((v - mean) ** 2 for v in found) / (n - 1) / n)
    return Estimate(mean, mean - half, mean + half, n, len(values))


def nested(groups: Iterable[Mapping[Replicate, float]]) -> bool:
    """Whether several subsets stand behind these values, so that subsets are the draws and not training seeds."""
    return len({subset for values in groups for subset, _ in values}) > 1


def draws(values: Mapping[Replicate, float], by_subset: bool) -> list[float]:
    """One value for each independent draw."""
    if not by_subset:
        return list(values.values())
    subsets: dict[int, list[float]] = {}
    for (subset, _), value in values.items():
        subsets.setdefault(subset, []).append(value)
    return [sum(v) / len(v) for v in subsets.values()]


def paired(a: Mapping[Replicate, float], b: Mapping[Replicate, float]) -> Estimate | None:
    """Of a - b over the replicates that both have; None where they share none."""
    shared = {key: a[key] - b[key] for key in a if key in b}
    return estimate(shared) if shared else None


def slope(by_size: Mapping[int, Mapping[Replicate, float]]) -> Estimate | None:
    """Change of a metric for each doubling of the target set, as in `bench slopes`; None below two sizes."""
    if len(by_size) < 2:
        return None
    by_subset = nested(by_size.values())
    points = [(log2(size), value) for size, values in by_size.items() for value in draws(values, by_subset)]
    found, low, high = line(*zip(*points))
    return Estimate(found, low, high, len(points), sum(map(len, by_size.values())))


def line(x: Sequence[float] | np.ndarray, y: Sequence[float] | np.ndarray) -> tuple[float, float, float]:
    """Ordinary least squares of y (n,) on x (n,), at least two different x: slope, and its 95 % t interval (nan, nan
    for n < 3).

    slope = Sxy / Sxx with Sxy = sum (x - mean x)(y - mean y); its squared standard error is SSE / (n - 2) / Sxx with
    SSE the residuals' sum of squares; the interval is slope -+ t(n - 2) standard errors. It assumes that the metric is
    linear in x and that the draws are independent with equal spread at every x. Nested target subsets (125 inside 250)
    make the draws of one subset seed alike, which leaves the interval too wide rather than too narrow.
    """
    n = len(x)
    centre, level = sum(x) / n, sum(y) / n
    sxx = sum((v - centre) ** 2 for v in x)
    found = sum((v - centre) * w for v, w in zip(x, y)) / sxx
    if n < 3:
        return float(found), nan, nan
    squares = sum((w - level - found * (v - centre)) ** 2 for v, w in zip(x, y))
    half = quantile(n - 2) * sqrt(squares / (n - 2) / sxx)
    return float(found), float(found - half), float(found + half)


@cache
def quantile(degrees: int) -> float:
    """Of Student's t at 97.5 %."""
    return float(stdtrit(degrees, 0.5 + CONFIDENCE / 2))
