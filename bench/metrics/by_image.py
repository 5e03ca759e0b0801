"""Metrics image by image, as functions: what an output has to do with its own partner, source or class.

The partner of image i is image i of another set: its ground truth, its source, the image that it is a copy of. Sets are
given as to bench.metrics.library: a folder (read in the order of the paths), an array or tensor (n, 3, R, R) or
(n, R, R, 3), uint8 in [0, 255] or floating point within `value_range`, or a loader. Everything is measured on 8 bits.

All raise UserError for sets that are no images, floating-point images without a `value_range` or outside of it, sets of
different sizes, and for a network that is not on this machine.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from bench.core.errors import UserError, unknown
from bench.metrics.data import Images, Outputs, Reference, Undefined
from bench.metrics.evaluate import evaluate
from bench.metrics.of_features import Measured
from bench.metrics.pixels import absolute_differences, signal_to_noise
from bench.metrics.sets import ValueRange, batches


def l1(made: Any, partners: Any, *, value_range: ValueRange = None) -> np.ndarray:
    """Mean absolute difference of pixels in [0, 1] of each image to its partner: float64 (n,) in [0, 1].

    The mean over images is the metric l1_truth where the partners are the ground truth.
    """
    return absolute_differences(*_paired(made, partners, value_range))


def psnr(made: Any, partners: Any, *, value_range: ValueRange = None) -> np.ndarray:
    """Peak signal-to-noise ratio of each image to its partner in dB: float64 (n,), at most 58.9 (equal images).

    10 log10(255^2 / MSE), the MSE of 8 bits at least 1/12, the noise of rounding. The mean over images is psnr_truth.

    >>> import numpy as np
    >>> from bench.metrics import psnr
    >>> black = np.zeros((1, 3, 8, 8), np.uint8)
    >>> psnr(black + np.uint8(255), black).tolist()
    [0.0]
    """
    return signal_to_noise(*_paired(made, partners, value_range))


def lpips(made: Any, partners: Any, *, value_range: ValueRange = None, device: str | None = None) -> np.ndarray:
    """LPIPS v0.1 with AlexNet (Zhang et al. 2018, equation 1) of each image to its partner: float64 (n,) in [0, inf).

    Images have at least 31 x 31 pixels. The mean over images is lpips_truth or lpips_source, by what the partners are.
    """
    images, others = _paired(made, partners, value_range)
    return _lpips(images, device).to_partners(images, [others], lambda _: None)[0]


def lpips_diversity(several: Any, *, value_range: ValueRange = None, device: str | None = None) -> np.ndarray:
    """LPIPS (AlexNet) between the outputs of each source, mean over their pairs: float64 (m,) in [0, inf).

    several  an array or tensor (m, k, 3, R, R) or (m, k, R, R, 3): k > 1 outputs for each of m sources, R at least 31
    """
    if getattr(several, "ndim", None) != 5 or several.shape[1] < 2 or not several.shape[0]:
        shape = getattr(several, "shape", type(several).__name__)
        raise UserError(f"several must be outputs (m, k, 3, R, R) with k > 1 for each of m > 0 sources, not {shape}")
    m, k = several.shape[:2]
    images = _set(several.reshape(m * k, *several.shape[2:]), "several", value_range)
    return _lpips(images, device).pairs(images.reshape(m, k, *images.shape[1:]), lambda _: None).mean(1)


def share_translated(
    made: Any, sources: Any, real: Any, training: Any, training_sources: Any, *,
    classes: Mapping[str, Any] | None = None, value_range: ValueRange = None, device: str | None = None,
) -> Measured:  # fmt: skip
    """The metric `translated`: share of `made` that a judge calls target and of the class of their source, in [0, 1].

    The judge is a small ResNet that learns from the two training sets (a minute on a CPU; kept in the cache for the
    next call with the same images).

    made, sources     the outputs, and the held-out sources that they were made of, in one order
    real              held-out target images: where the judge does not pass them, the number has no value
    training          target images that the judge learns from
    training_sources  source images that the judge learns from
    classes           by the name of a set (all but `made`) its classes, whole numbers (n,), -1 where there is none, of
                      one numbering for both domains; without them "target" alone counts
    """
    given = {"sources": sources, "real": real, "training": training, "training_sources": training_sources}
    sets = {name: _set(images, name, value_range) for name, images in {"made": made, **given}.items()}
    sides = {name: images.shape[2] for name, images in sets.items()}
    if len(set(sides.values())) > 1:
        raise UserError(f"the sets have different sides in pixels: {sides}; reduce all to one")
    outputs, origins = len(sets["made"]), len(sets["sources"])
    if outputs != origins:
        raise UserError(f"made has {outputs} images and sources {origins}; there must be one each")
    for name in classes or ():
        if name not in given:
            raise unknown("set with classes", name, given)
    known = {name: Images(sets[name], _labels(name, classes, len(sets[name]))) for name in given}
    return _judged(sets["made"], known, device)


def _judged(made: np.ndarray, known: dict[str, Images], device: str | None) -> Measured:
    from bench.metrics.registry import find
    from bench.training.compute import Compute

    source = known["sources"]
    outputs = Outputs(made, source.labels, np.asarray(source.pixels))
    reference = Reference(known["real"], known["training"], known["training_sources"], source_test=source)
    value = evaluate(outputs, reference, ["translated"], str(Compute.choose(device).device))["translated"]
    fields: dict[str, Any] = {name: getattr(value, name) for name in value.__struct_fields__}
    return Measured(**fields, metric=find("translated").name)


def _labels(name: str, classes: Mapping[str, Any] | None, n: int) -> np.ndarray:
    """int64 (n,): the classes of a set, -1 where none are given."""
    if classes is None or name not in classes:
        return np.full(n, -1, np.int64)
    labels = np.asarray(classes[name])
    if labels.shape != (n,) or not np.issubdtype(labels.dtype, np.integer) or labels.min(initial=0) < -1:
        raise UserError(f"classes of {name} must be {n} whole numbers from -1 on, one for each image")
    return labels.astype(np.int64)


def _paired(made: Any, partners: Any, value_range: ValueRange) -> tuple[np.ndarray, np.ndarray]:
    """Two sets of equal shape, uint8 (n, 3, R, R)."""
    images, others = _set(made, "made", value_range), _set(partners, "partners", value_range)
    if images.shape != others.shape:
        first, second = (f"{len(pixels)} of {pixels.shape[2]} pixels" for pixels in (images, others))
        raise UserError(f"image i of made goes with partner i, but there are {first} and {second}; give equal sets")
    return images, others


def _set(images: Any, name: str, value_range: ValueRange) -> np.ndarray:
    parts = list(batches(images, name, value_range))
    if len({part.shape[2] for part in parts}) != 1:
        raise UserError(f"{name} must be one image or more, all of one side; this loader has none or several sides")
    return np.concatenate(parts)


def _lpips(images: np.ndarray, device: str | None) -> Any:
    from bench.metrics.perceptual import Lpips, check_size
    from bench.training.compute import Compute

    try:
        check_size(images)
    except Undefined as reason:
        raise UserError(str(reason)) from None
    return Lpips(str(Compute.choose(device).device))
