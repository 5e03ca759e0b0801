"""Means and paired differences over runs, each with a 95 % t interval. Pure functions of small dictionaries.

A replicate is (subset seed, seed): what drew the target subset and what seeded the training. Two methods that saw
the same replicate shared its luck, so they are compared by the differences on the replicates that both have.

Runs on one target subset share what is good or bad about that subset. So with two or more subsets the runs of each are
averaged first, and the subsets are the independent draws, however many training seeds each has. With one subset the
training seeds are the draws, and an interval speaks of that subset alone.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from math import nan, sqrt

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
    """The mean of the values of one or more runs, and its 95 % interval."""
    each_draw = draws(values, nested([values]))
    n = len(each_draw)
    mean = sum(each_draw) / n
    if n < 2:
        return Estimate(mean, nan, nan, n, len(values))
    half = quantile(n - 1) * sqrt(sum((v - mean) ** 2 for v in each_draw) / (n - 1) / n)
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
    """The mean of a - b over the replicates that both have; None where they share none."""
    shared = {key: a[key] - b[key] for key in a if key in b}
    return estimate(shared) if shared else None


@cache
def quantile(degrees: int) -> float:
    """The quantile of Student's t at 97.5 %."""
    from scipy.special import stdtrit  # takes a third of the time of a command that only looks at runs

    return float(stdtrit(degrees, 0.5 + CONFIDENCE / 2))
