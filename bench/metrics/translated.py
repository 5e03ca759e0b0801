"""Is an output an image of the target domain, and still of what the source shows? The judge says so, image by image."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

import numpy as np

from bench.metrics import intervals
from bench.metrics.data import Images, Undefined, Value
from bench.metrics.distances import blocks, squared
from bench.metrics.kernel import kernel_distance, kernel_value
from bench.metrics.measurement import Measurement, check_set
from bench.metrics.registry import metric
from bench.metrics.resnet_accuracy import training_examples

if TYPE_CHECKING:
    import torch

    from bench.metrics.resnet import ResNet

FACTOR = 3.0  # real translations must score so many times what doing nothing and what copying does; else no value


@metric(better="higher", range=(0, 1), trains="judge")
def translated(m: Measurement) -> Value:
    """Share of outputs that the judge calls target and of their source's class (target alone without common classes)

    The judge (bench.metrics.judge) knows real training images of both domains; target is what it calls target with a
    probability of 95 % or more. There is no value where held-out target images score less than 3 times what the
    untouched sources do, or target images of a random class: there the judge cannot tell a translation. Without common
    classes a memoriser scores like real images; see nn_share_p1. Parts: each class.
    """
    hits, labels = m.once(_hits, "outputs")
    m.once(_check_trust)
    share = intervals.share(hits, len(m.once(training_examples).pixels))
    parts: dict[str, float | None] = {name: float(hits[rows].mean()) for name, rows in m.classes(labels).items()}
    return Value(share.value, share.low, share.high, share.n_gen, share.n_ref, parts=parts)


@metric(better=None, range=(0, 1), trains="judge")
def translated_real(m: Measurement) -> Value:
    """`translated` of held-out target images: how often the judge is right, and what `translated` can reach"""
    return intervals.share(m.once(_hits, "reference")[0], len(m.once(training_examples).pixels))


@metric(better=None, range=(0, 1), trains="judge")
def translated_source(m: Measurement) -> Value:
    """`translated` of the untouched held-out sources: what doing nothing scores"""
    return intervals.share(m.once(_hits, "source_test")[0], len(m.once(training_examples).pixels))


@metric(better="higher", range=(0, 1), trains="judge")
def truth_retrieved(m: Measurement) -> Value:
    """Share of outputs whose nearest held-out target image, in the judge's features, is their own ground truth

    There is no value where untouched sources find more than a third of their truths: there the judge cannot tell what a
    translation adds.
    """
    rows = m.truth_rows
    if m.outputs.sources is not None:
        doing_nothing = float(_retrieved(m, "sources", rows).mean())
        if doing_nothing * FACTOR > 1:
            raise Undefined(
                f"{doing_nothing:.2f} of the untouched sources are nearest to their own truth, more than a third: the "
                "judge cannot tell what a translation adds"
            )
    return intervals.share(_retrieved(m, "outputs", rows), len(m.data.reference))


@metric(better="lower", range=(-inf, inf), scale=1000, trains="judge")
def kd_judge(m: Measurement) -> Value:
    """Kernel distance on the judge's features, outputs against held-out target images (x1000)

    The features are the maps of the judge's last stage, an image's of root mean square one. They see what tells the two
    domains and the classes apart, and where it is; of noise, blur and JPEG blocks little.
    """
    for part in ("outputs", "reference"):
        check_set(part, 3, _pixels(m, part))
    return kernel_value(kernel_distance(m.once(_features, "outputs"), m.once(_features, "reference")))


def _hits(m: Measurement, part: str) -> tuple[np.ndarray, np.ndarray]:
    """Whether the judge calls each image target and, where there are common classes, of its class; and these classes.

    Images without a class are left out where there are common classes.
    """
    from bench.metrics import judge

    classes, domains = m.once(_probabilities, part)
    target = domains[:, 1] >= judge.SURE
    labels = {"reference": m.data.reference.labels, "outputs": m.outputs.source_labels}.get(part)
    if labels is None:
        labels = m.once(_held_out_sources).labels
    if not m.once(_keeps_classes):
        return target, labels
    rows = np.flatnonzero(labels >= 0)
    if not len(rows):
        raise Undefined("none of these images has a class label, though the data set has classes")
    return target[rows] & (classes[rows].argmax(1) == labels[rows]), labels[rows]


def _check_trust(m: Measurement) -> None:
    """Undefined where the judge cannot tell a translation from doing nothing or from copying."""
    real, doing_nothing = (float(m.once(_hits, part)[0].mean()) for part in ("reference", "source_test"))
    for score, what in ((doing_nothing, "untouched sources"), (_copying(m), "target images of a random class")):
        if real < FACTOR * score:
            raise Undefined(
                f"the judge passes {real:.2f} of held-out target images and {score:.2f} of {what}, less than "
                f"{FACTOR:g} times as many: it cannot tell a translation"
            )


def _copying(m: Measurement) -> float:
    """What held-out target images would score as translations of random sources; 0 where there are no common classes.

    The chance that the judge calls a held-out target image target and of the class of a random held-out source.
    """
    from bench.metrics import judge

    if not m.once(_keeps_classes):
        return 0.0
    classes, domains = m.once(_probabilities, "reference")
    labels = m.once(_held_out_sources).labels
    of_class = np.bincount(labels[labels >= 0], minlength=classes.shape[1]) / max(1, (labels >= 0).sum())
    return float(((domains[:, 1] >= judge.SURE) * of_class[classes.argmax(1)]).mean())


def _keeps_classes(m: Measurement) -> bool:
    """Whether a translation can be of its source's class: the target has images of a class of the source."""
    source = m.data.source_train.labels
    return bool(np.isin(source[source >= 0], m.data.known_target.labels).any())


def _held_out_sources(m: Measurement) -> Images:
    """The untouched sources, whatever is measured."""
    if m.data.source_test is not None:
        return m.data.source_test
    if m.outputs.sources is None:
        raise Undefined("the held-out sources are not known")
    return Images(m.outputs.sources, m.outputs.source_labels)


def _pixels(m: Measurement, part: str) -> np.ndarray:
    """`outputs`, `sources`, `reference` or `source_test`."""
    return np.asarray(m.once(_held_out_sources).pixels if part == "source_test" else m.pixels(part))


def _probabilities(m: Measurement, part: str) -> tuple[np.ndarray, np.ndarray]:
    """What the judge says of a part: class (n, classes) and domain (n, 2)."""
    from bench.metrics import resnet

    pixels = _pixels(m, part)
    check_set(part, 2, pixels)
    m.report(f"judge on {part}")
    network, device = m.once(_judge)
    probabilities = resnet.probabilities(network, pixels, device)
    if not all(np.isfinite(p).all() for p in probabilities):
        raise Undefined(f"the judge gives probabilities of {part} that are not finite")
    return probabilities


def _features(m: Measurement, part: str) -> np.ndarray:
    """The judge's features of a part: float64 (n, d)."""
    from bench.metrics import resnet

    m.report(f"judge's features of {part}")
    network, device = m.once(_judge)
    features = resnet.features(network, _pixels(m, part), device)
    if not np.isfinite(features).all():
        raise Undefined(f"the judge gives features of {part} that are not finite")
    return features


def _judge(m: Measurement) -> tuple[ResNet, torch.device]:
    """The judge of this data set, trained where no run has done it yet, and its device."""
    from bench.metrics import judge

    return judge.cached(m.once(training_examples), m.artifacts), m.artifacts.loop.compute.device


def _retrieved(m: Measurement, part: str, rows: np.ndarray) -> np.ndarray:
    """For each of these rows, whether its nearest held-out target image is its ground truth, pixel by pixel."""
    made, held_out = m.once(_features, part)[rows], m.once(_features, "reference")
    truth, real = m.outputs.truth, m.data.reference.pixels
    assert truth is not None
    nearest = np.concatenate([squared(made[some], held_out).argmin(1) for some in blocks(len(made))])
    return np.array([np.array_equal(truth[row], real[int(i)]) for row, i in zip(rows, nearest)])
