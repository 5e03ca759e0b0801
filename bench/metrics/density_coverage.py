"""Density and coverage (Naeem et al. 2020, equations 3 and 4): precision and recall that one outlier does not fool."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

import numpy as np
from msgspec.structs import replace

from bench.metrics import intervals
from bench.metrics.data import Value
from bench.metrics.distances import blocks, kth_radius, squared
from bench.metrics.precision_recall import GROUPS, NEIGHBOURS, all_but_one_group, radii_without
from bench.metrics.registry import metric

if TYPE_CHECKING:
    from bench.metrics.measurement import Measurement


def density_coverage(outputs: np.ndarray, real: np.ndarray, k: int = NEIGHBOURS) -> tuple[np.ndarray, np.ndarray]:
    """Features (n, d) and (m, d), m > k -> density of each output, float64 (n,), and which real rows are covered (m,).

    A real row's ball reaches to its k-th nearest other real row. An output's density is the number of balls that it
    lies in, over k; a real row is covered where an output lies in its ball. The metrics are the means of both.
    """
    radii = kth_radius(real, k)
    density, covered = np.empty(len(outputs)), np.zeros(len(real), bool)
    for rows in blocks(len(outputs)):
        inside = squared(outputs[rows], real) <= radii
        density[rows] = inside.sum(1) / k
        covered |= inside.any(0)
    return density, covered


@metric(better="higher", range=(0, inf), needs=("effnet-lite0",), version=2)
def density_effnet(m: Measurement) -> Value:
    """Held-out neighbourhoods that an output lies in, over k; a real sample has 1 (k = 5, EfficientNet-Lite0)"""
    return _density(m, "effnet")


@metric(better="higher", range=(0, 1), needs=("effnet-lite0",), version=2)
def coverage_effnet(m: Measurement) -> Value:
    """Share of held-out target images with an output in their neighbourhood (k = 5, EfficientNet-Lite0)"""
    return _coverage(m, "effnet")


@metric(better="higher", range=(0, inf), needs=("inception",), version=2)
def density_inception(m: Measurement) -> Value:
    """Held-out neighbourhoods that an output lies in, over k; a real sample has 1 (k = 5, Inception)"""
    return _density(m, "inception")


@metric(better="higher", range=(0, 1), needs=("inception",), version=2)
def coverage_inception(m: Measurement) -> Value:
    """Share of held-out target images with an output in their neighbourhood (k = 5, official Inception weights)"""
    return _coverage(m, "inception")


def _density(m: Measurement, network: str) -> Value:
    return density(*m.pair(network, "reference", fewest=NEIGHBOURS + 1))


def _coverage(m: Measurement, network: str) -> Value:
    return coverage(*m.pair(network, "reference", fewest=NEIGHBOURS + 1))


def density(outputs: np.ndarray, real: np.ndarray, k: int = NEIGHBOURS) -> Value:
    """Mean density, with an interval over both samples; none where there are too few real rows."""
    mean = intervals.mean(density_coverage(outputs, real, k)[0], len(real))
    kept = all_but_one_group(real)
    radii = radii_without(real, kept, k)
    if radii is None or mean.low is None:
        return replace(mean, low=None, high=None)
    without = np.zeros(GROUPS)
    for rows in blocks(len(outputs)):
        squares = squared(outputs[rows], real)
        without += [(squares[:, columns] <= radii[g, columns]).sum() / k for g, columns in enumerate(kept)]
    return intervals.widened(mean, without / len(outputs), largest=inf)


def coverage(outputs: np.ndarray, real: np.ndarray, k: int = NEIGHBOURS) -> Value:
    """The share of real rows that are covered, with an interval over both samples."""
    radii = kth_radius(real, k)
    groups = [np.isin(np.arange(len(outputs)), kept) for kept in all_but_one_group(outputs)]
    covered = np.zeros((1 + GROUPS, len(real)), bool)  # by all outputs, and without each group of them
    for rows in blocks(len(outputs)):
        inside = squared(outputs[rows], real) <= radii
        covered |= [inside.any(0), *(inside[kept[rows]].any(0) for kept in groups)]
    share = intervals.share(covered[0], len(real))
    return intervals.widened(replace(share, n_gen=len(outputs), n_ref=len(real)), covered[1:].mean(1))
