"""Improved precision and recall of generative models (Kynkaanniemi et al. 2019, equations 1 and 2)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from msgspec.structs import replace

from bench.metrics import intervals
from bench.metrics.data import Undefined, Value
from bench.metrics.distances import blocks, kth_radius, squared
from bench.metrics.registry import metric

if TYPE_CHECKING:
    from bench.metrics.measurement import Measurement


NEIGHBOURS = 5
GROUPS = 10  # of the support, for its jackknife


def covered(points: np.ndarray, support: np.ndarray, k: int = NEIGHBOURS) -> np.ndarray:
    """Which of points (n, d) lie in the ball around some row of support (m, d), m > k: bool (n,).

    The ball around a row reaches to its k-th nearest other row. Precision is the mean with points = outputs and
    support = real images, recall the mean with the two exchanged.
    """
    radii = kth_radius(support, k)
    return np.concatenate([(squared(points[rows], support) <= radii).any(1) for rows in blocks(len(points))])


def covered_without(points: np.ndarray, support: np.ndarray, k: int = NEIGHBOURS) -> np.ndarray | None:
    """The share of points that are covered where each of GROUPS groups of the support is left out: (GROUPS,).

    None where k others would not be left.
    """
    kept = all_but_one_group(support)
    radii = radii_without(support, kept, k)
    if radii is None:
        return None
    hits = np.zeros(GROUPS)
    for rows in blocks(len(points)):
        distances = squared(points[rows], support)
        hits += [(distances[:, columns] <= radii[g, columns]).any(1).sum() for g, columns in enumerate(kept)]
    return hits / len(points)


def all_but_one_group(sample: np.ndarray) -> list[np.ndarray]:
    """The rows of a sample (n, d) without each of GROUPS groups. The groups follow from the features, so the order of
    rows changes nothing."""
    group = np.empty(len(sample), np.int64)
    group[np.argsort(sample.sum(1), kind="stable")] = np.arange(len(sample)) % GROUPS
    return [np.flatnonzero(group != g) for g in range(GROUPS)]


def radii_without(support: np.ndarray, kept: list[np.ndarray], k: int = NEIGHBOURS) -> np.ndarray | None:
    """Squared distance of each row to its k-th nearest other that is kept: (GROUPS, m); None where k are not left."""
    if min(map(len, kept)) <= k:
        return None
    radii = np.empty((GROUPS, len(support)))
    for rows in blocks(len(support)):
        distances = squared(support[rows], support)
        distances[np.arange(len(distances)), np.arange(rows.start, rows.stop)] = np.inf
        for g, columns in enumerate(kept):
            radii[g, rows] = np.partition(distances[:, columns], k - 1, axis=1)[:, k - 1]
    return radii


@metric(better="higher", range=(0, 1), needs=("effnet-lite0",), version=2)
def precision_effnet(m: Measurement) -> Value:
    """Share of outputs inside the held-out target images' neighbourhoods (k = 5, EfficientNet-Lite0)"""
    return _precision(m, "effnet")


@metric(better="higher", range=(0, 1), needs=("effnet-lite0",), version=2)
def recall_effnet(m: Measurement) -> Value:
    """Share of held-out target images inside the outputs' neighbourhoods (k = 5, EfficientNet-Lite0)"""
    return _recall(m, "effnet")


@metric(better="higher", range=(0, 1), needs=("inception",), version=2)
def precision_inception(m: Measurement) -> Value:
    """Share of outputs inside the held-out target images' neighbourhoods (k = 5, official Inception weights)"""
    return _precision(m, "inception")


@metric(better="higher", range=(0, 1), needs=("inception",), version=2)
def recall_inception(m: Measurement) -> Value:
    """Share of held-out target images inside the outputs' neighbourhoods (k = 5, official Inception weights)"""
    return _recall(m, "inception")


@metric(better="higher", range=(0, 1), needs=("effnet-lite0",))
def recall_by_class_effnet(m: Measurement) -> Value:
    """recall_effnet of each class of the held-out target images, mean over classes: are rare classes made too?"""
    classes = m.classes(m.data.reference.labels)
    if not classes:
        raise Undefined("the data set has no class labels")
    outputs, reference = m.pair("effnet", "reference", fewest=NEIGHBOURS + 1)
    hits = covered(reference, outputs)
    parts: dict[str, float | None] = {name: float(hits[rows].mean()) for name, rows in classes.items()}
    return Value(
        float(np.mean(list(parts.values()))), n_gen=len(outputs), n_ref=sum(map(len, classes.values())), parts=parts
    )


def _precision(m: Measurement, network: str) -> Value:
    outputs, reference = m.pair(network, "reference", fewest=NEIGHBOURS + 1)
    return share_covered(outputs, reference)


def _recall(m: Measurement, network: str) -> Value:
    outputs, reference = m.pair(network, "reference", fewest=NEIGHBOURS + 1)
    return replace(share_covered(reference, outputs), n_gen=len(outputs), n_ref=len(reference))


def share_covered(points: np.ndarray, support: np.ndarray) -> Value:
    """The share of points that are covered, with an interval over both samples; none where the support is too small."""
    value, without = intervals.share(covered(points, support), len(support)), covered_without(points, support)
    return replace(value, low=None, high=None) if without is None else intervals.widened(value, without)
