"""Every metric: what is measured against what. The formulas are in the files of the families."""

from math import inf

import numpy as np

from bench.metrics import intervals
from bench.metrics.data import Value
from bench.metrics.frechet import frechet_distance
from bench.metrics.kernel import KernelDistance
from bench.metrics.measurement import Measurement, Undefined
from bench.metrics.neighbours import closer_than_first_percentile, median_ratio
from bench.metrics.perceptual import SMALLEST
from bench.metrics.precision_recall import NEIGHBOURS, covered
from bench.metrics.registry import metric

EFFNET, INCEPTION, LPIPS = ("effnet-lite0",), ("inception",), ("lpips-alex",)


@metric(better="lower", range=(-inf, inf), needs=EFFNET, scale=1000)
def kd_effnet(m: Measurement) -> Value:
    """Kernel distance on EfficientNet-Lite0 features, outputs against held-out target images (x1000)"""
    return _kernel_value(m.kernel("effnet", "reference"))


@metric(better="lower", range=(0, inf), needs=EFFNET)
def fd_effnet(m: Measurement) -> Value:
    """Frechet distance on EfficientNet-Lite0 features, outputs against held-out target images"""
    return _frechet_value(m, "effnet")


@metric(better="lower", range=(-inf, inf), needs=INCEPTION, scale=1000)
def kid(m: Measurement) -> Value:
    """Kernel Inception distance over the full sets, official Inception weights (x1000)"""
    return _kernel_value(m.kernel("inception", "reference"))


@metric(better="lower", range=(0, inf), needs=INCEPTION)
def fid(m: Measurement) -> Value:
    """Frechet Inception distance, official Inception weights"""
    return _frechet_value(m, "inception")


@metric(better=None, range=(-inf, inf), needs=EFFNET, scale=1000)
def kd_effnet_train(m: Measurement) -> Value:
    """kd_effnet against the target training subset instead: a copier is near zero here (x1000)"""
    return _kernel_value(m.kernel("effnet", "target_train"))


@metric(better=None, range=(-inf, inf), needs=EFFNET, scale=1000)
def kd_effnet_gap(m: Measurement) -> Value:
    """kd_effnet minus kd_effnet_train: large where training images were copied (x1000)"""
    held_out, training = m.kernel("effnet", "reference"), m.kernel("effnet", "target_train")
    gap = held_out.value - training.value
    low, high = intervals.jackknife(
        gap, held_out.without_x - training.without_x, held_out.without_y, training.without_y
    )
    return Value(gap, low, high, len(held_out.without_x), len(held_out.without_y))


@metric(better="higher", range=(0, 1), needs=EFFNET)
def precision_effnet(m: Measurement) -> Value:
    """Share of outputs inside the held-out target images' neighbourhoods (k = 5, EfficientNet-Lite0)"""
    outputs, reference = m.pair("effnet", "reference", fewest=NEIGHBOURS + 1)
    return intervals.share(covered(outputs, reference), len(reference))


@metric(better="higher", range=(0, 1), needs=EFFNET)
def recall_effnet(m: Measurement) -> Value:
    """Share of held-out target images inside the outputs' neighbourhoods (k = 5, EfficientNet-Lite0)"""
    outputs, reference = m.pair("effnet", "reference", fewest=NEIGHBOURS + 1)
    found = intervals.share(covered(reference, outputs), len(reference))
    return Value(found.value, found.low, found.high, len(outputs), len(reference))


@metric(better=None, range=(0, inf), needs=EFFNET)
def nn_ratio(m: Measurement) -> Value:
    """Median distance to the nearest target training image, over that of held-out images: 1 is fair, 0 a copier"""
    outputs, held_out = m.training_distances
    value = median_ratio(outputs, held_out)
    if not np.isfinite(value):
        raise Undefined("half of the held-out target images are identical to training images")
    low, high = intervals.half_samples(median_ratio, outputs, held_out)
    return Value(value, max(0.0, low), high, len(outputs), len(held_out))


@metric(better="lower", range=(0, 1), needs=EFFNET)
def nn_share_p1(m: Measurement) -> Value:
    """Share of outputs nearer to a target training image than 99 % of held-out images are: 1 % is fair"""
    outputs, held_out = m.training_distances
    return intervals.share(closer_than_first_percentile(outputs, held_out), len(held_out))


@metric(better="higher", range=(0, 1), needs=EFFNET)
def class_kept(m: Measurement) -> Value:
    """Share of outputs in the class of their source, by a linear classifier on EfficientNet-Lite0 features"""
    labels = m.outputs.source_labels
    return _accuracy(m, m.features("effnet", "outputs"), labels)


@metric(better=None, range=(0, 1), needs=EFFNET)
def class_real(m: Measurement) -> Value:
    """Accuracy of the classifier of class_kept on held-out target images: what class_kept can reach"""
    return _accuracy(m, m.features("effnet", "reference"), m.data.reference.labels)


@metric(better="higher", range=(0, 1), needs=EFFNET)
def target_share(m: Measurement) -> Value:
    """Share of outputs called target by a linear source-or-target classifier on EfficientNet-Lite0 features"""
    outputs = m.features("effnet", "outputs")
    trained_on = len(m.data.source_train) + len(m.data.target_train)
    return intervals.share(m.domain_classifier.predict(outputs) == 1, trained_on)


@metric(better="higher", range=(0, inf), needs=LPIPS)
def lpips_diversity(m: Measurement) -> Value:
    """LPIPS (AlexNet) between outputs for one source, mean over all pairs and over sources"""
    diverse = m.outputs.diverse
    if diverse is None or not len(diverse) or diverse.shape[1] < 2:
        raise Undefined("one output for a source: nothing to compare")
    _check_size(diverse)
    return intervals.mean(m.lpips.diversity(diverse, m.report), diverse.shape[1])


@metric(better=None, range=(0, inf), needs=LPIPS)
def lpips_source(m: Measurement) -> Value:
    """LPIPS (AlexNet) of an output to its source: how much was changed"""
    if m.outputs.sources is None:
        raise Undefined("these images were not made from sources")
    _check_size(m.outputs.images)
    return intervals.mean(m.lpips_to_partners["sources"], len(m.outputs.sources))


@metric(better="lower", range=(0, inf), needs=LPIPS)
def lpips_truth(m: Measurement) -> Value:
    """LPIPS (AlexNet) of an output to the ground truth of its source"""
    rows = m.truth_rows
    _check_size(m.outputs.images)
    return intervals.mean(m.lpips_to_partners["truth"][rows], len(rows))


@metric(better="lower", range=(0, 1))
def l1_truth(m: Measurement) -> Value:
    """Mean absolute difference to the ground truth, pixels in [0, 1]"""
    rows, truth = m.truth_rows, m.outputs.truth
    assert truth is not None
    difference = [np.abs(m.outputs.images[i].astype(np.float64) - truth[i]).mean() / 255 for i in rows]
    return intervals.mean(np.array(difference), len(rows))


@metric(better="higher", range=(0, 59))
def psnr_truth(m: Measurement) -> Value:
    """Peak signal-to-noise ratio to the ground truth in dB, mean over images

    10 log10(255^2 / MSE), the MSE at least 1/12, the noise of rounding, so that a perfect image has 58.9 dB.
    """
    rows, truth = m.truth_rows, m.outputs.truth
    assert truth is not None
    errors = np.array([((m.outputs.images[i].astype(np.float64) - truth[i]) ** 2).mean() for i in rows])
    return intervals.mean(10 * np.log10(255**2 / np.maximum(errors, 1 / 12)), len(rows))


def _kernel_value(found: KernelDistance) -> Value:
    low, high = intervals.jackknife(found.value, found.without_x, found.without_y)
    return Value(found.value, low, high, len(found.without_x), len(found.without_y))


def _frechet_value(m: Measurement, network: str) -> Value:
    outputs, reference = m.pair(network, "reference")
    return Value(max(0.0, frechet_distance(outputs, reference)), n_gen=len(outputs), n_ref=len(reference))


def _accuracy(m: Measurement, features: np.ndarray, labels: np.ndarray) -> Value:
    labelled = labels >= 0
    if not labelled.any():
        raise Undefined("the data set has no class labels")
    right = m.class_classifier.predict(features[labelled]) == labels[labelled]
    return intervals.share(right, len(m.data.source_train) + len(m.data.target_train))


def _check_size(pixels: np.ndarray) -> None:
    if min(pixels.shape[-2:]) < SMALLEST:
        raise Undefined(f"LPIPS needs images of at least {SMALLEST} pixels, these have {min(pixels.shape[-2:])}")
