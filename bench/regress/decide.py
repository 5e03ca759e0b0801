"""The rule that says whether a value moved, and how often it is wrong about code that did not change.

A baseline has n >= 5 values of a method and metric, one a seed, with mean b and standard deviation s (n - 1 in the
denominator); a check has the mean x of m seeds. If seeds are draws from one normal distribution,

    (x - b) / (s sqrt(1/m + 1/n))

has Student's t distribution with n - 1 degrees of freedom. A value moved if

    |x - b| > max(q s sqrt(1/m + 1/n), tolerance |b|),    q = the 1 - family_error / 2k quantile of t(n - 1),

k being the number of values of all methods in the baseline (Bonferroni). So a check of unchanged code calls anything
moved with a chance of at most family_error, whatever the dependence between values. It is smaller still where the
check's seeds are among the baseline's: x and b then have seeds in common, and on the baseline's own machine, where
equal seeds give equal bits, unchanged code cannot raise an alarm at all.

Seeds are not quite normal, and so far out tails matter: simulated with n = 16, m = 2, k = 160 and family_error = 1 %,
0.9 % of the checks call something moved if all values are normal, but 12 % if all are lognormal (sigma 0.3) and 18 % if
all have Student's t(5). Therefore what moved is looked at again with other seeds, and fails only if these say the same:
below 0.2 % in each of the three cases, below 4 % with exponential or lognormal (sigma 0.7) values.

s is at least FLOOR |b|, and at least ROUNDING of the range of a metric that has one (of 400 images one more or less):
where all seeds agree, rounding on another machine must not count as a move.

A metric with a direction fails only when it moved to the worse side, a cost only when it grew; losses and metrics
without a direction fail on both. kd_effnet_train, which has none, stands in the grid as a guard: a bug can flatter
kd_effnet, as switching off an average that is longer than so short a training does.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import inf, isinf, sqrt
from typing import Literal

from bench.metrics import METRICS

FLOOR = 0.002
ROUNDING = 0.0025

Verdict = Literal["fine", "worse", "moved", "better"]
LOWER_IS_BETTER = ("cost/memory",)
HIGHER_IS_BETTER = ("cost/speed",)


@dataclass(frozen=True)
class Rule:
    """family_error and k of the formula above, and `tolerance` by the name of the value."""

    family_error: float
    comparisons: int
    tolerance: dict[str, float]

    def quantile(self, n: int) -> float:
        return _t_quantile(1 - self.family_error / (2 * self.comparisons), n - 1)


@dataclass(frozen=True)
class Decision:
    """moved and allowed are in spreads (s, floor included): how far x is from b, and how far it may be."""

    mean: float
    spread: float
    now: float
    moved: float
    allowed: float
    verdict: Verdict

    @property
    def failed(self) -> bool:
        return self.verdict in ("worse", "moved")

    def says(self, other: "Decision") -> bool:
        """Whether both failed on the same side."""
        return self.failed and other.failed and (self.moved > 0) == (other.moved > 0)


def decide(name: str, baseline: Sequence[float], now: Sequence[float], rule: Rule) -> Decision:
    """Compares the check's values of one metric, loss or cost with the baseline's."""
    n, m = len(baseline), len(now)
    b, x = mean(baseline), mean(now)
    s = max(spread(baseline), floor(name, b))
    allowed = max(rule.quantile(n) * sqrt(1 / m + 1 / n), rule.tolerance.get(name, 0.0) * abs(b) / s)
    moved = (x - b) / s
    return Decision(b, s, x, moved, allowed, _verdict(name, moved, allowed))


def mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def spread(values: Sequence[float]) -> float:
    """Standard deviation with n - 1 in the denominator."""
    centre = mean(values)
    return sqrt(sum((value - centre) ** 2 for value in values) / (len(values) - 1))


def floor(name: str, centre: float) -> float:
    """The least spread that is believed; never zero."""
    low, high = METRICS[name].range if name in METRICS else (0.0, inf)
    width = 0.0 if isinf(low) or isinf(high) else high - low
    return max(FLOOR * abs(centre), ROUNDING * width, 1e-9)


def better(name: str) -> str | None:
    """lower, higher, or None where a move to either side is a failure."""
    if name in LOWER_IS_BETTER:
        return "lower"
    if name in HIGHER_IS_BETTER:
        return "higher"
    return METRICS[name].better if name in METRICS else None


@lru_cache
def _t_quantile(probability: float, freedom: int) -> float:
    from scipy.special import stdtrit

    return float(stdtrit(freedom, probability))


def _verdict(name: str, moved: float, allowed: float) -> Verdict:
    if abs(moved) <= allowed:
        return "fine"
    direction = better(name)
    if direction is None:
        return "moved"
    return "better" if (moved < 0) == (direction == "lower") else "worse"
