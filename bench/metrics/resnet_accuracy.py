"""What the small ResNet of bench.metrics.resnet says of the outputs: class and domain.

It is trained once a data set on all real training images of both domains (of the target's too, whatever the size of
the training subset) and judges every method alike; held-out images say how far it can be trusted (class_real_resnet).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bench.metrics import intervals
from bench.metrics.data import Undefined, Value
from bench.metrics.measurement import Measurement, check_set
from bench.metrics.registry import metric

if TYPE_CHECKING:
    import torch

    from bench.metrics.resnet import Examples, ResNet


def confusion(true: np.ndarray, predicted: np.ndarray, names: tuple[str, ...]) -> dict[str, float | None]:
    """How many of each true class (n,) were taken for each class (n,): "cat > dog" -> count; empty cells left out."""
    cells, counts = np.unique(np.stack([true, predicted], 1), axis=0, return_counts=True)
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


@metric(better="higher", range=(0, 1), trains="resnet")
def class_kept_resnet(m: Measurement) -> Value:
    """Share of outputs in the class of their source, by the small ResNet; parts: the confusion matrix"""
    true, predicted = _judged(m, m.outputs.source_labels)
    value = intervals.share(predicted == true, _n_trained_on(m))
    parts = confusion(true, predicted, m.class_names)
    return Value(value.value, value.low, value.high, value.n_gen, value.n_ref, parts=parts)


@metric(better=None, range=(0, 1), trains="resnet")
def class_real_resnet(m: Measurement) -> Value:
    """Accuracy of the small ResNet on held-out target images: what the others of it can reach; parts: each class"""
    labels = m.data.reference.labels
    rows = _labelled(labels)
    hits = class_probabilities(m, "reference")[rows].argmax(1) == labels[rows]
    value = intervals.share(hits, _n_trained_on(m))
    parts = {name: float(hits[of].mean()) for name, of in m.classes(labels[rows]).items()}
    return Value(value.value, value.low, value.high, value.n_gen, value.n_ref, parts=dict(parts))


@metric(better="higher", range=(0, 1), trains="resnet")
def rc_resnet(m: Measurement) -> Value:
    """DeepI2I's RC: accuracy on outputs of the small ResNet trained on real images; the class is the wanted one

    The wanted class is the source's; where no target image is of a source class, that of the reference or label.
    """
    true, predicted = _judged(m, m.expected_labels)
    return intervals.share(predicted == true, _n_trained_on(m))


@metric(better="higher", range=(0, 1))
def fc_resnet(m: Measurement) -> Value:
    """Reverse classification (SDIT), DeepI2I's FC: accuracy on held-out target images of a ResNet trained on outputs

    Held-out images of a class that no output should have count as errors. A third of the other classifier's steps.
    """
    labels = m.data.reference.labels
    rows = _labelled(labels)
    hits = m.once(reverse_probabilities)[rows].argmax(1) == labels[rows]
    accuracy = intervals.share(hits, len(rows))
    return Value(accuracy.value, accuracy.low, accuracy.high, len(m.outputs.images), len(rows))


@metric(better="lower", range=(0, 1), trains="resnet")
def misclassified_resnet(m: Measurement) -> Value:
    """UDIT's misclassification rate: outputs not in the class of their source, mean over classes; parts: each class"""
    true, predicted = _judged(m, m.outputs.source_labels)
    value, low, high, parts = macro(predicted != true, m.classes(true))
    return Value(value, low, high, len(true), _n_trained_on(m), parts=parts)


@metric(better="lower", range=(-1, 1), trains="resnet")
def confidence_drop_resnet(m: Measurement) -> Value:
    """UDIT's drop in confidence: probability of the true class on the source minus on the output; parts: each class"""
    if m.outputs.sources is None:
        raise Undefined("these images were not made from sources")
    labels = m.outputs.source_labels
    rows = _labelled(labels)
    before, after = (class_probabilities(m, part)[rows, labels[rows]] for part in ("sources", "outputs"))
    drop = intervals.mean(before - after, _n_trained_on(m))
    parts = {name: float((before - after)[of].mean()) for name, of in m.classes(labels[rows]).items()}
    return Value(drop.value, drop.low, drop.high, drop.n_gen, drop.n_ref, parts=dict(parts))


@metric(better="higher", range=(0, 1), trains="resnet")
def agreement_resnet(m: Measurement) -> Value:
    """JD-BW's class agreement: outputs in the class of their source, mean over classes; parts: each class"""
    true, predicted = _judged(m, m.outputs.source_labels)
    value, low, high, parts = macro(predicted == true, m.classes(true))
    return Value(value, low, high, len(true), _n_trained_on(m), parts=parts)


@metric(better="higher", range=(0, 1), trains="resnet")
def agreement_two_step_resnet(m: Measurement) -> Value:
    """JD-BW's two-step agreement: outputs translated back are in the class of their source, mean over classes"""
    if m.outputs.returned is None:
        raise Undefined("the method translates in one direction only")
    true, predicted = _judged(m, m.outputs.source_labels, "returned")
    value, low, high, parts = macro(predicted == true, m.classes(true))
    return Value(value, low, high, len(true), _n_trained_on(m), parts=parts)


@metric(better="higher", range=(0, 1), trains="resnet")
def target_share_resnet(m: Measurement) -> Value:
    """Share of outputs that the small ResNet takes for target images rather than source images"""
    return intervals.share(domain_probabilities(m, "outputs").argmax(1) == 1, _n_trained_on(m))


@metric(better=None, range=(0, 1), trains="resnet")
def target_real_resnet(m: Measurement) -> Value:
    """Share of held-out target images that the small ResNet takes for target: what target_share_resnet can reach"""
    return intervals.share(domain_probabilities(m, "reference").argmax(1) == 1, _n_trained_on(m))


@metric(better="lower", range=(0, 1), trains="resnet")
def label_drift_resnet(m: Measurement) -> Value:
    """Total variation between the label mix of the sources and that of their outputs by the small ResNet

    Half the sum over classes of the differences of their shares. The classifier's errors count as drift; the `real`
    and `identity` rows show how much. Parts: share among outputs minus share among sources.
    """
    true, predicted = _judged(m, m.outputs.source_labels)
    mixes = [np.bincount(labels, minlength=len(m.class_names)) / len(labels) for labels in (predicted, true)]
    drift = mixes[0] - mixes[1]
    occurs = np.flatnonzero(mixes[0] + mixes[1])
    parts = {m.class_names[i]: float(drift[i]) for i in occurs}
    return Value(float(np.abs(drift).sum() / 2), n_gen=len(predicted), n_ref=len(true), parts=dict(parts))


def class_probabilities(m: Measurement, part: str) -> np.ndarray:
    """The small ResNet's of `outputs`, `sources`, `returned` or `reference`: float64 (n, classes)."""
    if (np.unique(_labels_trained_on(m)) >= 0).sum() < 2:
        raise Undefined("the data set has no class labels")
    probabilities = m.once(_probabilities, part)[0]
    unknown = len(m.class_names) - probabilities.shape[1]  # classes without a training image
    return np.pad(probabilities, ((0, 0), (0, unknown)))


def domain_probabilities(m: Measurement, part: str) -> np.ndarray:
    """The small ResNet's of source and target: float64 (n, 2)."""
    return m.once(_probabilities, part)[1]


def _probabilities(m: Measurement, part: str) -> tuple[np.ndarray, np.ndarray]:
    """What the small ResNet says of a part: class (n, classes) and domain (n, 2)."""
    from bench.metrics import resnet

    by_part = {"outputs": m.outputs.images, "reference": m.data.reference.pixels}
    pixels = by_part[part] if part in by_part else getattr(m.outputs, part)
    check_set(part, 2, pixels)
    m.report(f"classifier on {part}")
    network, device = m.once(_resnet)
    probabilities = resnet.probabilities(network, pixels, device)
    if not all(np.isfinite(p).all() for p in probabilities):
        raise Undefined(f"the classifier gives probabilities of {part} that are not finite")
    return probabilities


def _resnet(m: Measurement) -> tuple[ResNet, torch.device]:
    """The small ResNet of this data set, trained where no run has done it yet, and its device."""
    from bench.metrics import resnet

    return resnet.cached(m.once(training_examples), m.artifacts), m.artifacts.loop.compute.device


def training_examples(m: Measurement) -> Examples:
    """All real training images of both domains, from which the small ResNet and the judge learn."""
    from bench.metrics import resnet

    source, target = m.data.source_train, m.data.known_target
    if not len(source) or not len(target):
        raise Undefined("one of the domains has no training images")
    pixels = np.concatenate([source.pixels[:], target.pixels[:]])
    check_set("the training images", 2, pixels)
    domains = np.repeat(np.array([0, 1], np.int64), [len(source), len(target)])
    return resnet.Examples.of(pixels, _labels_trained_on(m), domains)


def reverse_probabilities(m: Measurement) -> np.ndarray:
    """Class probabilities of held-out target images by a ResNet that was trained on the outputs and the classes they
    should have."""
    import torch

    from bench.metrics import resnet

    check_set("outputs", 2, m.outputs.images)
    check_set("reference", 2, m.data.reference.pixels)
    wanted = m.expected_labels
    rows = np.flatnonzero(wanted >= 0)
    if len(np.unique(wanted[rows])) < 2:
        raise Undefined("the outputs have no classes to tell apart")
    examples = resnet.Examples.of(m.outputs.images[rows], wanted[rows], np.zeros(len(rows), np.int64))
    device = torch.device(m.device)
    network = resnet.trained(examples, device, resnet.STEPS // 3, m.report)
    probabilities = resnet.probabilities(network, m.data.reference.pixels, device)[0]
    if not np.isfinite(probabilities).all():
        raise Undefined("the classifier of the outputs gives probabilities that are not finite")
    return probabilities


def _labels_trained_on(m: Measurement) -> np.ndarray:
    return np.concatenate([m.data.source_train.labels, m.data.known_target.labels])


def _n_trained_on(m: Measurement) -> int:
    """Real images that the small ResNet was trained on."""
    return len(m.data.source_train) + len(m.data.known_target)


def _labelled(labels: np.ndarray) -> np.ndarray:
    rows = np.flatnonzero(labels >= 0)
    if len(rows) < 2:
        raise Undefined("the data set has no class labels" if not len(rows) else "only one image has a class label")
    return rows


def _judged(m: Measurement, labels: np.ndarray, part: str = "outputs") -> tuple[np.ndarray, np.ndarray]:
    """True and predicted class of the images that have a true one."""
    rows = _labelled(labels)
    return labels[rows], class_probabilities(m, part)[rows].argmax(1)
