"""Memorised? Distances to the nearest training image, seen against those of held-out real images."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

import numpy as np

from bench.metrics import intervals
from bench.metrics.data import Undefined, Value
from bench.metrics.distances import nearest
from bench.metrics.registry import metric

if TYPE_CHECKING:
    from bench.metrics.measurement import Measurement


def nearest_to_training(
    outputs: np.ndarray, held_out: np.ndarray, training: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Features (n, d), (m, d), (t, d) -> nearest-neighbour distances to training of outputs (n,) and held-out (m,)."""
    return nearest(outputs, training), nearest(held_out, training)


def median_ratio(outputs: np.ndarray, held_out: np.ndarray) -> float:
    """Median distance of outputs over that of held-out real images; 1 is what a fair sample gives, 0 a copier.

    nan where half of the held-out images are themselves training images.
    """
    typical = np.median(held_out)
    return float(np.median(outputs) / typical) if typical > 0 else float("nan")


def training_distances(m: Measurement) -> tuple[np.ndarray, np.ndarray]:
    """Distances to the nearest image of the target training subset: of outputs (n,), of held-out real images (m,)."""
    if not len(m.data.target_train):
        raise Undefined("no target training images")
    outputs, reference = m.pair("effnet", "reference", fewest=2)
    return nearest_to_training(outputs, reference, m.features("effnet", "target_train"))


@metric(better=None, range=(0, inf), needs=("effnet-lite0",))
def nn_ratio(m: Measurement) -> Value:
    """Median distance to the nearest target training image, over that of held-out images: 1 is fair, 0 a copier"""
    outputs, held_out = m.once(training_distances)
    value = median_ratio(outputs, held_out)
    if not np.isfinite(value):
        raise Undefined("half of the held-out target images are identical to training images")
    low, high = intervals.half_samples(median_ratio, outputs, held_out)
    return Value(value, max(0.0, low), high, len(outputs), len(held_out))


@metric(better="lower", range=(0, 1), needs=("effnet-lite0",), version=2)
def nn_share_p1(m: Measurement) -> Value:
    """Share of outputs nearer to a target training image than 99 % of held-out images are: 1 % is fair"""
    outputs, held_out = m.once(training_distances)
    return intervals.share_below(outputs, held_out, 0.01)
