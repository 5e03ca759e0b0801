"""Differences of pixels to a ground truth."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bench.metrics import intervals
from bench.metrics.data import Undefined, Value
from bench.metrics.registry import metric

if TYPE_CHECKING:
    from bench.metrics.measurement import Measurement


@metric(better="lower", range=(0, 1))
def l1_truth(m: Measurement) -> Value:
    """Mean absolute difference to the ground truth, pixels in [0, 1]"""
    rows, truth = m.truth_rows, m.outputs.truth
    assert truth is not None
    return intervals.mean(absolute_differences(m.outputs.images[rows], truth[rows]), len(rows))


def absolute_differences(images: np.ndarray, partners: np.ndarray) -> np.ndarray:
    """float64 (n,) in [0, 1]: mean absolute difference of each image to its partner, both uint8 (n, 3, R, R)."""
    pairs = zip(images, partners)
    return np.array([np.abs(image.astype(np.float64) - partner).mean() / 255 for image, partner in pairs])


@metric(better="higher", range=(0, 59))
def psnr_truth(m: Measurement) -> Value:
    """Peak signal-to-noise ratio to the ground truth in dB, mean over images

    10 log10(255^2 / MSE), the MSE at least 1/12, the noise of rounding, so that a perfect image has 58.9 dB.
    """
    rows, truth = m.truth_rows, m.outputs.truth
    assert truth is not None
    return intervals.mean(signal_to_noise(m.outputs.images[rows], truth[rows]), len(rows))


def signal_to_noise(images: np.ndarray, partners: np.ndarray) -> np.ndarray:
    """float64 (n,) in dB: the peak signal-to-noise ratio of each image to its partner, both uint8 (n, 3, R, R)."""
    pairs = zip(images, partners)
    errors = np.array([((image.astype(np.float64) - partner) ** 2).mean() for image, partner in pairs])
    return np.asarray(10 * np.log10(255**2 / np.maximum(errors, 1 / 12)))


BLACK = 64  # of 255: below this luma a pixel is ink


@metric(better="higher", range=(0, 1), default=False)
def iou_black(m: Measurement) -> Value:
    """Intersection over union of the black pixels of output and ground truth, all pixels together

    Black are pixels with a luma (Rec. 601) below 64 of 255: the lines and areas of an ink drawing.
    """
    rows, truth = m.truth_rows, m.outputs.truth
    assert truth is not None
    made, real = black(m.outputs.images[rows]), black(truth[rows])
    union = int((made | real).sum())
    if not union:
        raise Undefined("neither outputs nor ground truth have a black pixel")
    return Value(int((made & real).sum()) / union, n_gen=len(rows), n_ref=len(rows))


def black(images: np.ndarray) -> np.ndarray:
    """bool (n, R, R): the black pixels of uint8 (n, 3, R, R)."""
    thousandths = np.tensordot(images.astype(np.int64), [299, 587, 114], axes=([1], [0]))  # whole numbers: exact
    return np.asarray(thousandths < 1000 * BLACK)
