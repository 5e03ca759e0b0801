"""Imbalance: how much a metric changes with each doubling of the target training set."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import log2, nan, sqrt

import numpy as np

from bench.statistics.conditions import Condition, Values
from bench.statistics.estimate import Estimate, draws, nested, quantile


@dataclass(frozen=True)
class Point:
    """The values of one row at one target size, and how they were measured."""

    condition: Condition
    values: Values


@dataclass(frozen=True)
class Slope:
    """Change of a stored value for each doubling of the target set, over `sizes`.

    estimate  its mean, its interval (nan below three draws), its draws and runs; None where no line may be drawn
    reason    why there is no slope, or no interval; "" where there are both
    """

    sizes: tuple[int, ...]
    estimate: Estimate | None
    reason: str = ""


_NEVER_JOINED = (("on data that changed", 2), ("by several versions of the metric", 0), ("by several networks", 3))


def slope(points: Mapping[int, Point]) -> Slope:
    """The line through the draws at all target sizes, by least squares over log2 of the size.

    Values that were not measured alike (Condition.along_sizes) are never joined. With several target subsets these are
    the draws, the training seeds of each averaged; with one subset the training seeds are.
    """
    sizes = tuple(sorted(points))
    if len(sizes) < 2:
        return Slope(sizes, None, "one target size; a slope needs two")
    ways = [points[size].condition.along_sizes for size in sizes]
    for what, place in _NEVER_JOINED:
        if len({way[place] for way in ways}) > 1:
            return Slope(sizes, None, f"measured {what}")
    if len(set(ways)) > 1:
        return Slope(sizes, None, "measured on unequal numbers of images")
    by_subset = nested(point.values for point in points.values())
    dots = [(log2(size), value) for size in sizes for value in draws(points[size].values, by_subset)]
    steepness, low, high = line(*zip(*dots))
    runs = sum(len(point.values) for point in points.values())
    reason = "three draws or more are needed for an interval" if low != low else ""
    return Slope(sizes, Estimate(steepness, low, high, len(dots), runs), reason)


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
    steepness = sum((v - centre) * w for v, w in zip(x, y)) / sxx
    if n < 3:
        return float(steepness), nan, nan
    squares = sum((w - level - steepness * (v - centre)) ** 2 for v, w in zip(x, y))
    half = quantile(n - 2) * sqrt(squares / (n - 2) / sxx)
    return float(steepness), float(steepness - half), float(steepness + half)
