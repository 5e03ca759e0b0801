"""Label maps against the ground truth: IoU of each class, their mean, share of right pixels (thesis section 4.6.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bench.metrics import intervals
from bench.metrics.data import Undefined, Value
from bench.metrics.registry import metric

if TYPE_CHECKING:
    from bench.metrics.measurement import Measurement


def confusion(truth: np.ndarray, predicted: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Pixels of each image by true and predicted id: ids (n, H, W) -> int64 (n, k, k + 1) in the order of `known` (k,).

    Pixels whose true id is not known (not labelled) do not count; the last column is any other predicted id.
    """
    k = len(known)
    place = np.full(256, k)
    place[known] = np.arange(k)
    a, b = place[truth].reshape(len(truth), -1), place[predicted].reshape(len(truth), -1)
    return np.stack([np.bincount((x * (k + 1) + y)[x < k], minlength=k * (k + 1)) for x, y in zip(a, b)]).reshape(
        len(truth), k, k + 1
    )


def ious(counts: np.ndarray) -> np.ndarray:
    """Intersection over union of each class, float64 (k,), of summed counts (k, k + 1): TP / (TP + FP + FN); nan for a
    class that is in neither."""
    hits = np.diagonal(counts).astype(np.float64)
    union = counts.sum(1) + counts.sum(0)[:-1] - hits
    return np.divide(hits, union, out=np.full(len(hits), np.nan), where=union > 0)


def mean_iou(counts: np.ndarray) -> float:
    return float(np.nanmean(ious(counts)))


@metric(better="higher", range=(0, 1))
def miou(m: Measurement) -> Value:
    """Mean intersection over union over the label ids in truth or output, all pixels together; parts: IoU of each id"""
    counts, known = m.once(label_counts)
    whole = counts.sum(0)
    value = mean_iou(whole)
    low, high = intervals.jackknife(value, np.array([mean_iou(whole - mine) for mine in counts]))
    parts = {f"id {name}": None if np.isnan(iou) else float(iou) for name, iou in zip(known, ious(whole))}
    return Value(value, max(0.0, low), min(1.0, high), len(counts), len(counts), parts=parts)


@metric(better="higher", range=(0, 1))
def pixel_accuracy(m: Measurement) -> Value:
    """Share of labelled pixels with the right label id, all pixels together ("global")"""
    counts, _ = m.once(label_counts)
    hits, pixels = np.trace(counts, axis1=1, axis2=2), counts.sum((1, 2))
    value = float(hits.sum() / pixels.sum())
    without = (hits.sum() - hits) / np.maximum(pixels.sum() - pixels, 1)
    low, high = intervals.jackknife(value, without)
    return Value(value, max(0.0, low), min(1.0, high), len(counts), len(counts))


def label_counts(m: Measurement) -> tuple[np.ndarray, np.ndarray]:
    """Confusion (n, k, k + 1) of the outputs that have a ground truth, and the ids of real label maps (k,)."""
    from bench.data.modality import VOID, label_ids

    if m.data.kind != "labels":
        raise Undefined("the target domain has no label maps")
    rows = m.truth_rows
    if len(rows) < 2:
        raise Undefined(f"outputs with a ground truth: {len(rows)}; at least 2 are needed")
    assert m.outputs.truth is not None
    truth = label_ids(m.outputs.truth[rows])
    known = np.unique(np.concatenate([np.unique(truth), np.unique(label_ids(m.data.reference.pixels[:]))]))
    known = known[known != VOID]
    counts = confusion(truth, label_ids(m.outputs.images[rows]), known)
    if not counts.sum():
        raise Undefined("no pixel of the ground truth is labelled")
    return counts, known
