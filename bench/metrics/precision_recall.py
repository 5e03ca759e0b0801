"""Improved precision and recall of generative models (Kynkaanniemi et al. 2019, equations 1 and 2)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bench.metrics import intervals
from bench.metrics.data import Undefined, Value
from bench.metrics.distances import blocks, kth_radius, squared
from bench.metrics.registry import metric

if TYPE_CHECKING:
    from bench.metrics.measurement import Measurement


NEIGHBOURS = 5


def covered(points: np.ndarray, support: np.ndarray, k: int = NEIGHBOURS) -> np.ndarray:
    """Which of points (n, d) lie in the ball around some row of support (m, d), m > k: bool (n,).

    The ball around a row reaches to its k-th nearest other row. Precision is the mean with points = outputs and
    support = real images, recall the mean with the two exchanged.
    """
    radii = kth_radius(support, k)
    return np.concatenate([(squared(points[rows], support) <= radii).any(1) for rows in blocks(len(points))])


@metric(better="higher", range=(0, 1), needs=("effnet-lite0",))
def precision_effnet(m: Measurement) -> Value:
    """Share of outputs inside the held-out target images' neighbourhoods (k = 5, EfficientNet-Lite0)"""
    return _precision(m, "effnet")


@metric(better="higher", range=(0, 1), needs=("effnet-lite0",))
def recall_effnet(m: Measurement) -> Value:
    """Share of held-out target images inside the outputs' neighbourhoods (k = 5, EfficientNet-Lite0)"""
    return _recall(m, "effnet")


@metric(better="higher", range=(0, 1), needs=("inception",))
def precision_inception(m: Measurement) -> Value:
    """Share of outputs inside the held-out target images' neighbourhoods (k = 5, official Inception weights)"""
    return _precision(m, "inception")


@metric(better="higher", range=(0, 1), needs=("inception",))
def recall_inception(m: Measurement) -> Value:
    """Share of held-out target images inside the outputs' neighbourhoods (k = 5, official Inception weights)"""
    return _recall(m, "inception")


@metric(better="higher", range=(0, 1), needs=("effnet-lite0",))
def recall_by_class_effnet(m: Measurement) -> Value:
    """recall_effnet of each class of the held-out target images, mean over classes: are rare classes made too?"""
    outputs, reference = m.pair("effnet", "reference", fewest=NEIGHBOURS + 1)
    classes = m.classes(m.data.reference.labels)
    if not classes:
        raise Undefined("the data set has no class labels")
    found = covered(reference, outputs)
    parts: dict[str, float | None] = {name: float(found[rows].mean()) for name, rows in classes.items()}
    return Value(
        float(np.mean(list(parts.values()))), n_gen=len(outputs), n_ref=sum(map(len, classes.values())), parts=parts
    )


def _precision(m: Measurement, network: str) -> Value:
    outputs, reference = m.pair(network, "reference", fewest=NEIGHBOURS + 1)
    return intervals.share(covered(outputs, reference), len(reference))


def _recall(m: Measurement, network: str) -> Value:
    outputs, reference = m.pair(network, "reference", fewest=NEIGHBOURS + 1)
    found = intervals.share(covered(reference, outputs), len(reference))
    return Value(found.value, found.low, found.high, len(outputs), len(reference))
