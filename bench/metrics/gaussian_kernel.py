"""MMD with a Gaussian kernel: CMMD, and the thesis's KMMD and mean variance for small sets (Wang, section 3.4)."""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from typing import TYPE_CHECKING

import numpy as np

from bench.metrics import intervals
from bench.metrics.data import Value
from bench.metrics.distances import squared
from bench.metrics.kernel import kernel_distance, kernel_value
from bench.metrics.registry import metric

if TYPE_CHECKING:
    from bench.metrics.measurement import Measurement


CMMD_SIGMA = 10.0  # section 4.1


def gaussian(variance: float) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    """k(a, b) = exp(-|a - b|^2 / (2 variance)) of the rows of x (n, d) and y (m, d): (n, m)."""
    return lambda x, y: np.exp(squared(x, y) / (-2 * variance))


def mean_squared_distance(x: np.ndarray) -> float:
    """Between different rows of x (n, d), over all pairs: twice the sum of the unbiased variances."""
    return 2 * float(x.var(0, ddof=1).sum())


@metric(better="lower", range=(-inf, inf), needs=("effnet-lite0",), scale=1000)
def kmmd_effnet(m: Measurement) -> Value:
    """Unbiased squared MMD with a Gaussian kernel on EfficientNet-Lite0 features (x1000)

    The kernel's variance is the mean squared distance between the held-out target images, the same for all methods;
    the thesis gives none.
    """
    return _kmmd(m, "effnet")


@metric(better="lower", range=(-inf, inf), needs=("inception",), scale=1000)
def kmmd(m: Measurement) -> Value:
    """Unbiased squared MMD with a Gaussian kernel, official Inception weights (x1000); see kmmd_effnet"""
    return _kmmd(m, "inception")


@metric(better="higher", range=(0, inf), needs=("effnet-lite0",))
def mean_variance_effnet(m: Measurement) -> Value:
    """Variance of the outputs' EfficientNet-Lite0 features, mean over features; parts: of held-out images too"""
    return _mean_variance(m, "effnet")


@metric(better="higher", range=(0, inf), needs=("inception",))
def mean_variance(m: Measurement) -> Value:
    """Variance of the outputs' Inception features, mean over features; parts: of held-out images too"""
    return _mean_variance(m, "inception")


@metric(better="lower", range=(-inf, inf), needs=("clip-vit-l-14-336px",), scale=1000, default=False)
def cmmd(m: Measurement) -> Value:
    """CMMD (Jayasumana et al. 2024): unbiased squared MMD, Gaussian kernel, on CLIP ViT-L/14-336 embeddings (x1000)

    Equation 4 of the paper with sigma = 10; its code has the biased estimate instead, which is larger at small n.
    Seconds an image on a CPU.
    """
    outputs, reference = m.pair("clip", "reference")
    return kernel_value(kernel_distance(outputs, reference, gaussian(CMMD_SIGMA**2)))


def _kmmd(m: Measurement, network: str) -> Value:
    outputs, reference = m.pair(network, "reference")
    return kernel_value(kernel_distance(outputs, reference, gaussian(mean_squared_distance(reference))))


def _mean_variance(m: Measurement, network: str) -> Value:
    outputs, reference = m.pair(network, "reference")
    value, low, high = variance_of_features(outputs)
    parts: dict[str, float | None] = {"outputs": value, "held-out": variance_of_features(reference)[0]}
    return Value(value, max(0.0, low), high, len(outputs), len(reference), parts=parts)


def variance_of_features(x: np.ndarray) -> tuple[float, float, float]:
    """Unbiased variance of the columns of x (n, d), n >= 3, mean over columns, with its jackknife interval.

    Without row i the sum of squares is smaller by n / (n - 1) of the row's squared distance to the mean.
    """
    n, d = x.shape
    squares = ((x - x.mean(0)) ** 2).sum(1)
    value = float(squares.sum() / (n - 1) / d)
    low, high = intervals.jackknife(value, (squares.sum() - squares * n / (n - 1)) / (n - 2) / d)
    return value, low, high
