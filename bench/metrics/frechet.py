"""The Frechet distance between Gaussians fitted to two sets of features (Heusel et al. 2017, equation 6)."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

import numpy as np

from bench.metrics.data import Value
from bench.metrics.distances import some
from bench.metrics.registry import metric

if TYPE_CHECKING:
    from bench.metrics.measurement import Measurement


def frechet_distance(x: np.ndarray, y: np.ndarray) -> float:
    """|mean_x - mean_y|^2 + tr(S_x + S_y - 2 (S_x S_y)^(1/2)) of features x (n, d) and y (m, d), float64; n, m >= 2.

    With the centred features X and Y scaled so that S_x = X'X and S_y = Y'Y, the eigenvalues of S_x S_y are the
    squared singular values of X Y': the trace of the root is the sum of the singular values of an n x m matrix. No
    d x d matrix is formed and nothing can turn complex. Where n > d, X is replaced by the d x d factor R of its QR
    decomposition, which has the same X'X.
    """
    root_x, root_y = _root(x), _root(y)
    trace_of_root = np.linalg.svd(root_x @ root_y.T, compute_uv=False).sum()
    between = ((x.mean(0) - y.mean(0)) ** 2).sum()
    return float(between + (root_x**2).sum() + (root_y**2).sum() - 2 * trace_of_root)


def _root(x: np.ndarray) -> np.ndarray:
    """A matrix X of at most d rows with X'X = the unbiased covariance of x (n, d)."""
    centred = (x - x.mean(0)) / np.sqrt(len(x) - 1)
    if len(x) <= x.shape[1]:
        return centred
    return np.asarray(np.linalg.qr(centred, mode="r"))


@metric(better="lower", range=(0, inf), needs=("effnet-lite0",))
def fd_effnet(m: Measurement) -> Value:
    """Frechet distance on EfficientNet-Lite0 features, outputs against held-out target images"""
    return _frechet_value(m, "effnet")


@metric(better="lower", range=(0, inf), needs=("inception",))
def fid(m: Measurement) -> Value:
    """Frechet Inception distance, official Inception weights"""
    return _frechet_value(m, "inception")


def _frechet_value(m: Measurement, network: str) -> Value:
    outputs, reference = m.pair(network, "reference")
    return Value(max(0.0, frechet_distance(outputs, reference)), n_gen=len(outputs), n_ref=len(reference))


@metric(better=None, range=(-inf, inf), needs=("effnet-lite0",))
def fd_effnet_gap(m: Measurement) -> Value:
    """fd_effnet minus the same against training images, both against equally many: large where they were copied"""
    return _gap(m, "effnet")


@metric(better=None, range=(-inf, inf), needs=("inception",))
def fid_gap(m: Measurement) -> Value:
    """fid minus the same against training images, both against equally many: large where they were copied"""
    return _gap(m, "inception")


@metric(better="lower", range=(0, inf), needs=("effnet-lite0",))
def mfd_effnet(m: Measurement) -> Value:
    """Frechet distance on EfficientNet-Lite0 features within each class, mean over classes"""
    return _mean_over_classes(m, "effnet")


@metric(better="lower", range=(0, inf), needs=("inception",))
def mfid(m: Measurement) -> Value:
    """Frechet Inception distance within each class, mean over classes: DeepI2I's mFID"""
    return _mean_over_classes(m, "inception")


@metric(better="lower", range=(0, inf), needs=("dinov2-vit-l-14",), default=False)
def fd_dinov2(m: Measurement) -> Value:
    """Frechet distance on DINOv2 ViT-L/14 features (Stein et al. 2023); seconds an image on a CPU"""
    return _frechet_value(m, "dinov2")


def _gap(m: Measurement, network: str) -> Value:
    """The distance falls with the number of images, so both references are cut to the smaller number (by hash)."""
    (outputs, held_out), (_, training) = m.pair(network, "reference"), m.pair(network, "target_train")
    n = min(len(held_out), len(training))
    far, near = (frechet_distance(outputs, some(features, n)) for features in (held_out, training))
    return Value(far - near, n_gen=len(outputs), n_ref=n)


def _mean_over_classes(m: Measurement, network: str) -> Value:
    pairs = m.class_pairs(network)
    parts = {name: None if pair is None else max(0.0, frechet_distance(*pair)) for name, pair in pairs.items()}
    measured = [pair for pair in pairs.values() if pair is not None]
    n_gen, n_ref = (sum(len(pair[i]) for pair in measured) for i in (0, 1))
    value = float(np.mean([part for part in parts.values() if part is not None]))
    return Value(value, n_gen=n_gen, n_ref=n_ref, parts=parts)
