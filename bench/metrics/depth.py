"""Depth maps against the ground truth (thesis equation 4.15, after Eigen et al. 2014), all measured pixels together."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

import numpy as np

from bench.metrics import intervals
from bench.metrics.data import Undefined, Value
from bench.metrics.registry import metric

if TYPE_CHECKING:
    from bench.metrics.measurement import Measurement

NEAREST = 1e-3  # metres; nearer outputs count as this, so that ratios and logarithms exist


def errors(truth: np.ndarray, predicted: np.ndarray) -> dict[str, float]:
    """Sums over the measured pixels (truth > 0) of one image, metres (H, W): their number, how many lie within 1.25,
    1.25^2 and 1.25^3 (max(predicted / truth, truth / predicted)), squared errors of metres and of natural logs."""
    measured = truth > 0
    t, p = truth[measured], np.maximum(predicted[measured], NEAREST)
    ratio = np.maximum(p / t, t / p)
    return {
        "pixels": float(len(t)),
        **{f"delta{k}": float((ratio < 1.25**k).sum()) for k in (1, 2, 3)},
        "squares": float(((p - t) ** 2).sum()),
        "log_squares": float(((np.log(p) - np.log(t)) ** 2).sum()),
    }


@metric(better="higher", range=(0, 1))
def depth_delta1(m: Measurement) -> Value:
    """Share of pixels whose depth is within a factor of 1.25 of the truth"""
    return _share(m, "delta1")


@metric(better="higher", range=(0, 1))
def depth_delta2(m: Measurement) -> Value:
    """Share of pixels whose depth is within a factor of 1.25^2 of the truth"""
    return _share(m, "delta2")


@metric(better="higher", range=(0, 1))
def depth_delta3(m: Measurement) -> Value:
    """Share of pixels whose depth is within a factor of 1.25^3 of the truth"""
    return _share(m, "delta3")


@metric(better="lower", range=(0, inf))
def depth_rmse(m: Measurement) -> Value:
    """Root of the mean squared error of the depth in metres: RMSE (linear)"""
    return _root(m, "squares")


@metric(better="lower", range=(0, inf))
def depth_rmse_log(m: Measurement) -> Value:
    """Root of the mean squared error of the depth's natural logarithm: RMSE (log)"""
    return _root(m, "log_squares")


def depth_errors(m: Measurement) -> dict[str, np.ndarray]:
    """`errors` of each output that has a ground truth: float64 (n,) each."""
    from bench.data.modality import depth_metres

    if m.data.kind != "depth":
        raise Undefined("the target domain has no depth maps")
    rows, truth = m.truth_rows, m.outputs.truth
    if len(rows) < 2:
        raise Undefined(f"outputs with a ground truth: {len(rows)}; at least 2 are needed")
    assert truth is not None
    far = m.data.far
    per_image = [errors(depth_metres(truth[i], far), depth_metres(m.outputs.images[i], far)) for i in rows]
    sums = {name: np.array([each[name] for each in per_image]) for name in per_image[0]}
    if not sums["pixels"].sum():
        raise Undefined("no pixel of the ground truth was measured")
    return sums


def _share(m: Measurement, name: str) -> Value:
    value, without, n = _mean(m, name)
    low, high = intervals.jackknife(value, without)
    return Value(value, max(0.0, low), min(1.0, high), n, n)


def _root(m: Measurement, name: str) -> Value:
    value, without, n = _mean(m, name)
    low, high = intervals.jackknife(float(np.sqrt(value)), np.sqrt(without))
    return Value(float(np.sqrt(value)), max(0.0, low), high, n, n)


def _mean(m: Measurement, name: str) -> tuple[float, np.ndarray, int]:
    """The mean over all pixels, and without those of each image."""
    sums_of = m.once(depth_errors)
    sums, pixels = sums_of[name], sums_of["pixels"]
    without = (sums.sum() - sums) / np.maximum(pixels.sum() - pixels, 1)
    return float(sums.sum() / pixels.sum()), np.maximum(without, 0), len(pixels)
