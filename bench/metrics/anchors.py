"""The rows that every table is read against, measured by the same path as a method's outputs."""

import hashlib
from dataclasses import replace

import numpy as np

from bench.metrics import degradations
from bench.metrics.data import Images, Outputs, Reference

ANCHORS = {
    "real": "held-out target images against a disjoint half of them: the floor",
    "identity": "the sources, untranslated: the ceiling",
    "copies": "the target training subset, repeated: the memoriser",
    "truth": "the ground truths of the sources: the perfect translation",
    "truth-blurred": "the ground truths, blurred by 0.7 pixels: what a metric makes of a small fault",
}


def real(data: Reference) -> tuple[Outputs, Reference]:
    """One random half of the held-out target images as outputs, the other as their reference; stratified by class.

    The halves follow from the images themselves, so they are the same in every order and on every machine.
    """
    first, second = halves(data.reference)
    images, labels = data.reference.pixels, data.reference.labels
    outputs = Outputs(images=images[first], source_labels=labels[first])
    return outputs, replace(data, reference=Images(images[second], labels[second]))


def identity(held_out: Outputs, data: Reference) -> tuple[Outputs, Reference]:
    """The sources of `held_out` (which must have them) in place of its translations."""
    assert held_out.sources is not None
    return replace(held_out, images=held_out.sources, diverse=None), data


def copies(held_out: Outputs, data: Reference) -> tuple[Outputs, Reference]:
    """The training subset in its own order, repeated until every source has an output."""
    rows = np.arange(len(held_out.images)) % len(data.target_train)
    return replace(held_out, images=data.target_train.pixels[rows], diverse=None), data


def truth(held_out: Outputs, data: Reference) -> tuple[Outputs, Reference]:
    """The ground truths (`held_out` must have some) of the sources that have one."""
    rows = np.arange(len(held_out.images)) if held_out.has_truth is None else np.flatnonzero(held_out.has_truth)
    assert held_out.truth is not None and held_out.sources is not None and len(rows)
    images = held_out.truth[rows]
    return Outputs(images, held_out.source_labels[rows], held_out.sources[rows], truth=images), data


def truth_blurred(held_out: Outputs, data: Reference) -> tuple[Outputs, Reference]:
    """`truth`, blurred by a Gaussian of 0.7 pixels."""
    exact, _ = truth(held_out, data)
    return replace(exact, images=degradations.blur(exact.images)), data


def halves(images: Images) -> tuple[np.ndarray, np.ndarray]:
    """Two disjoint sets of rows (int64) whose sizes differ by at most one, also within each class."""
    order = sorted(
        range(len(images)), key=lambda i: (images.labels[i], hashlib.sha256(images.pixels[i].tobytes()).digest())
    )
    return np.array(order[0::2], np.int64), np.array(order[1::2], np.int64)
