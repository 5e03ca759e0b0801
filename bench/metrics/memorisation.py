"""Memorised? Two tests of outputs against the target training subset that need no threshold of ours."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

import numpy as np

from bench.metrics import intervals
from bench.metrics.data import Undefined, Value
from bench.metrics.distances import blocks, kth_radius, squared
from bench.metrics.registry import metric

if TYPE_CHECKING:
    from bench.metrics.measurement import Measurement

CELL = 50  # training images a cell, about
FEWEST_IN_CELL = 20  # outputs and held-out images of a cell that counts (Meehan et al., section 4)


def data_copying(outputs: np.ndarray, held_out: np.ndarray, training: np.ndarray) -> float:
    """C_T of Meehan et al. 2020 (section 3.2) of features (n, d), (m, d), (t, d); nan where no cell is large enough.

    In each cell of a k-means partition of the training images: the z-score of the Mann-Whitney test whether held-out
    images are nearer to training images than outputs are (the number of such pairs, ties half, standardised). C_T
    is the mean over cells weighted by held-out images. Below -3 outputs are nearer than chance allows: copied.
    """
    cells = _partition(training)
    of_outputs, of_held_out = (_nearest_cell(x, cells) for x in (outputs, held_out))
    distances = [_nearest_distance(x, training) for x in (outputs, held_out)]
    scores, weights = [], []
    for cell in range(len(cells)):
        mine, theirs = distances[0][of_outputs == cell], distances[1][of_held_out == cell]
        if len(cells) == 1 or min(len(mine), len(theirs)) >= FEWEST_IN_CELL:
            scores.append(z_score(mine, theirs))
            weights.append(len(theirs))
    return float(np.average(scores, weights=weights)) if scores else float("nan")


def z_score(x: np.ndarray, y: np.ndarray) -> float:
    """The standard score of Mann and Whitney's U = number of pairs with x_i > y_j (ties half): negative where x is
    smaller. (n,), (m,)."""
    n, m = len(x), len(y)
    ordered = np.sort(y)
    below, not_above = np.searchsorted(ordered, x, "left"), np.searchsorted(ordered, x, "right")
    u = (below + not_above).sum() / 2
    return float((u - n * m / 2) / np.sqrt(n * m * (n + m + 1) / 12))


def authentic(outputs: np.ndarray, training: np.ndarray) -> np.ndarray:
    """Which outputs (n, d) are further from their nearest training image (t, d) than that is from its own nearest
    other training image (Alaa et al. 2022, section 4.3): bool (n,), t >= 2."""
    own = kth_radius(training, 1)
    farther = np.empty(len(outputs), bool)
    for rows in blocks(len(outputs)):
        distances = squared(outputs[rows], training)
        nearest = distances.argmin(1)
        farther[rows] = distances[np.arange(len(distances)), nearest] > own[nearest]
    return farther


@metric(better=None, range=(-inf, inf), needs=("effnet-lite0",))
def c_t(m: Measurement) -> Value:
    """Data-copying test C_T (Meehan et al. 2020): below -3 outputs are nearer to training than held-out images are"""
    outputs, reference = m.pair("effnet", "reference")
    value = data_copying(outputs, reference, m.pair("effnet", "target_train")[1])
    if np.isnan(value):
        raise Undefined(f"no cell of training images has {FEWEST_IN_CELL} outputs and held-out images")
    return Value(value, n_gen=len(outputs), n_ref=len(reference))


@metric(better="higher", range=(0, 1), needs=("effnet-lite0",))
def authentic_share(m: Measurement) -> Value:
    """AuthPct (Alaa et al. 2022): share of outputs further from training than training images are from each other"""
    outputs, training = m.pair("effnet", "target_train")
    return intervals.share(authentic(outputs, training), len(training))


def _partition(training: np.ndarray) -> np.ndarray:
    """Centres (k, d) of k-means over the rows, which are sorted first: their order changes nothing."""
    k = max(1, len(training) // CELL)
    if k == 1:
        return training.mean(0, keepdims=True)
    from sklearn.cluster import KMeans

    ordered = training[np.lexsort(training.T[::-1])]
    return KMeans(k, n_init=4, random_state=0).fit(ordered).cluster_centers_


def _nearest_cell(x: np.ndarray, cells: np.ndarray) -> np.ndarray:
    return np.concatenate([squared(x[rows], cells).argmin(1) for rows in blocks(len(x))])


def _nearest_distance(x: np.ndarray, training: np.ndarray) -> np.ndarray:
    return np.concatenate([squared(x[rows], training).min(1) for rows in blocks(len(x))])
