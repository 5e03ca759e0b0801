"""What the small ResNet of bench.metrics.resnet says of the outputs: class and domain.

It is trained once a data set on all real training images of both domains (of the target's too, whatever the size of
the training subset) and judges every method alike; held-out images say how far it can be trusted (class_real_resnet).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bench.metrics import intervals
from bench.metrics.data import Undefined, Value
from bench.metrics.registry import metric

if TYPE_CHECKING:
    from bench.metrics.measurement import Measurement


def confusion(true: np.ndarray, found: np.ndarray, names: tuple[str, ...]) -> dict[str, float | None]:
    """How many of each true class (n,) were taken for each class (n,): "cat > dog" -> count; empty cells left out."""
    cells, counts = np.unique(np.stack([true, found], 1), axis=0, return_counts=True)
    return {f"{names[a]} > {names[b]}": float(count) for (a, b), count in zip(cells, counts)}


def macro(hits: np.ndarray, classes: dict[str, np.ndarray]) -> tuple[float, float, float, dict[str, float | None]]:
    """The mean over classes of the share of hits (n,), with its interval, and the share of each class.

    The classes' shares are independent, so the variance of the mean is that of the shares, summed, over the squared
    number of classes; a share of 0 or 1 counts as one of (hits + 2) / (n + 4) (Agresti and Coull 1998).
    """
    rates = {name: float(hits[rows].mean()) for name, rows in classes.items()}
    value = float(np.mean(list(rates.values())))
    variance = 0.0
    for rows in classes.values():
        p = (hits[rows].sum() + 2) / (len(rows) + 4)
        variance += p * (1 - p) / (len(rows) + 4) / len(classes) ** 2
    half = intervals.Z * float(np.sqrt(variance))
    return value, max(0.0, value - half), min(1.0, value + half), dict(rates)


@metric(better="higher", range=(0, 1))
def class_kept_resnet(m: Measurement) -> Value:
    """Share of outputs in the class of their source, by the small ResNet; parts: the confusion matrix"""
    true, found = _judged(m, m.outputs.source_labels)
    value = intervals.share(found == true, m.n_classifier)
    parts = confusion(true, found, m.class_names)
    return Value(value.value, value.low, value.high, value.n_gen, value.n_ref, parts=parts)


@metric(better=None, range=(0, 1))
def class_real_resnet(m: Measurement) -> Value:
    """Accuracy of the small ResNet on held-out target images: what the others of it can reach; parts: each class"""
    labels = m.data.reference.labels
    rows = _labelled(labels)
    hits = m.class_probabilities("reference")[rows].argmax(1) == labels[rows]
    value = intervals.share(hits, m.n_classifier)
    parts = {name: float(hits[of].mean()) for name, of in m.classes(labels[rows]).items()}
    return Value(value.value, value.low, value.high, value.n_gen, value.n_ref, parts=dict(parts))


@metric(better="higher", range=(0, 1))
def rc_resnet(m: Measurement) -> Value:
    """DeepI2I's RC: accuracy on outputs of the small ResNet trained on real images; the class is the wanted one

    The wanted class is the source's; where no target image is of a source class, that of the reference or label.
    """
    true, found = _judged(m, m.expected_labels)
    return intervals.share(found == true, m.n_classifier)


@metric(better="higher", range=(0, 1))
def fc_resnet(m: Measurement) -> Value:
    """Reverse classification (SDIT), DeepI2I's FC: accuracy on held-out target images of a ResNet trained on outputs

    Held-out images of a class that no output should have count as errors. A third of the other classifier's steps.
    """
    labels = m.data.reference.labels
    rows = _labelled(labels)
    hits = m.reverse_probabilities[rows].argmax(1) == labels[rows]
    found = intervals.share(hits, len(rows))
    return Value(found.value, found.low, found.high, len(m.outputs.images), len(rows))


@metric(better="lower", range=(0, 1))
def misclassified_resnet(m: Measurement) -> Value:
    """UDIT's misclassification rate: outputs not in the class of their source, mean over classes; parts: each class"""
    true, found = _judged(m, m.outputs.source_labels)
    value, low, high, parts = macro(found != true, m.classes(true))
    return Value(value, low, high, len(true), m.n_classifier, parts=parts)


@metric(better="lower", range=(-1, 1))
def confidence_drop_resnet(m: Measurement) -> Value:
    """UDIT's drop in confidence: probability of the true class on the source minus on the output; parts: each class"""
    if m.outputs.sources is None:
        raise Undefined("these images were not made from sources")
    labels = m.outputs.source_labels
    rows = _labelled(labels)
    before, after = (m.class_probabilities(part)[rows, labels[rows]] for part in ("sources", "outputs"))
    found = intervals.mean(before - after, m.n_classifier)
    parts = {name: float((before - after)[of].mean()) for name, of in m.classes(labels[rows]).items()}
    return Value(found.value, found.low, found.high, found.n_gen, found.n_ref, parts=dict(parts))


@metric(better="higher", range=(0, 1))
def agreement_resnet(m: Measurement) -> Value:
    """JD-BW's class agreement: outputs in the class of their source, mean over classes; parts: each class"""
    true, found = _judged(m, m.outputs.source_labels)
    value, low, high, parts = macro(found == true, m.classes(true))
    return Value(value, low, high, len(true), m.n_classifier, parts=parts)


@metric(better="higher", range=(0, 1))
def agreement_two_step_resnet(m: Measurement) -> Value:
    """JD-BW's two-step agreement: outputs translated back are in the class of their source, mean over classes"""
    if m.outputs.returned is None:
        raise Undefined("the method translates in one direction only")
    true, found = _judged(m, m.outputs.source_labels, "returned")
    value, low, high, parts = macro(found == true, m.classes(true))
    return Value(value, low, high, len(true), m.n_classifier, parts=parts)


@metric(better="higher", range=(0, 1))
def target_share_resnet(m: Measurement) -> Value:
    """Share of outputs that the small ResNet takes for target images rather than source images"""
    return intervals.share(m.domain_probabilities("outputs").argmax(1) == 1, m.n_classifier)


@metric(better=None, range=(0, 1))
def target_real_resnet(m: Measurement) -> Value:
    """Share of held-out target images that the small ResNet takes for target: what target_share_resnet can reach"""
    return intervals.share(m.domain_probabilities("reference").argmax(1) == 1, m.n_classifier)


@metric(better="lower", range=(0, 1))
def label_drift_resnet(m: Measurement) -> Value:
    """Total variation between the label mix of the sources and that of their outputs by the small ResNet

    Half the sum over classes of the differences of their shares. The classifier's errors count as drift; the `real`
    and `identity` rows show how much. Parts: share among outputs minus share among sources.
    """
    true, found = _judged(m, m.outputs.source_labels)
    mixes = [np.bincount(labels, minlength=len(m.class_names)) / len(labels) for labels in (found, true)]
    drift = mixes[0] - mixes[1]
    occurs = np.flatnonzero(mixes[0] + mixes[1])
    parts = {m.class_names[i]: float(drift[i]) for i in occurs}
    return Value(float(np.abs(drift).sum() / 2), n_gen=len(found), n_ref=len(true), parts=dict(parts))


def _labelled(labels: np.ndarray) -> np.ndarray:
    rows = np.flatnonzero(labels >= 0)
    if len(rows) < 2:
        raise Undefined("the data set has no class labels" if not len(rows) else "only one image has a class label")
    return rows


def _judged(m: Measurement, labels: np.ndarray, part: str = "outputs") -> tuple[np.ndarray, np.ndarray]:
    """True and found class of the images that have a true one."""
    rows = _labelled(labels)
    return labels[rows], m.class_probabilities(part)[rows].argmax(1)
