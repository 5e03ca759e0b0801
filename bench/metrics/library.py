"""Metrics as functions: `bench.metrics.fd(made, real)` on features, images or loaders. No data set and no record.

Every function takes sets, each of which is

- features: an array or tensor (n, d) of any network of yours, or
- images: a folder, or an array or tensor (n, 3, R, R) or (n, R, R, 3): uint8 in [0, 255], or floating point within
  `value_range`, which is rounded to 8 bits, as a file of it would be, or
- a loader: an iterable of batches of images, or of tuples that begin with them.

`network` says which network sees images: "effnet" (EfficientNet-Lite0, the default), "inception" (the official FID
network), and for some "dinov2" or "clip". With features it says whose they are, and changes nothing but the name of the
result. The result is a `Measured`: `metric` is the registered name, network included ("fid" is Inception's and
"fd_effnet" EfficientNet's; "fd" alone: features of yours), `version` that of `bench list metrics`; `low` and `high` are
the 95 % interval where there is an honest one; where `value` is None `reason` says why.

All raise UserError for sets that are no images, floating-point images without a `value_range` or outside of it, and for
a network that is not on this machine.
"""

from typing import Any

import numpy as np

from bench.core.errors import UserError
from bench.metrics.of_features import METRIC_OF, Measured, OfFeatures, measure, metric_of
from bench.metrics.sets import Features, ValueRange, as_features

PARTS = {"made": "outputs", "real": "reference", "training": "target_train"}  # what bench.metrics.data calls them


def fd(
    made: Any, real: Any, *, network: str | None = None, value_range: ValueRange = None, device: str | None = None
) -> Measured:
    """Frechet distance (Heusel et al. 2017, equation 6), in [0, inf), lower is better; falls with the number of images.

    >>> import numpy as np
    >>> from bench.metrics import fd
    >>> made = np.array([[0.0, 0.0], [2.0, 0.0], [1.0, 3.0]])
    >>> distance = fd(made, made + [3.0, 4.0])  # the same spread, 5 apart
    >>> round(distance.value, 6), distance.metric
    (25.0, 'fd')
    """
    return _measure("fd", network, value_range, device, made=made, real=real)


def kd(
    made: Any, real: Any, *, network: str | None = None, value_range: ValueRange = None, device: str | None = None
) -> Measured:
    """Kernel distance: unbiased MMD with the cubic kernel (Binkowski et al. 2018, section 4), lower is better.

    Around 0 for two samples of one distribution, and may be negative. Tables show it times 1000; this is the value.
    """
    return _measure("kd", network, value_range, device, made=made, real=real)


def kmmd(
    made: Any, real: Any, *, network: str | None = None, value_range: ValueRange = None, device: str | None = None
) -> Measured:
    """Unbiased MMD with a Gaussian kernel, of variance the mean squared distance within `real`; lower is better."""
    return _measure("kmmd", network, value_range, device, made=made, real=real)


def cmmd(
    made: Any, real: Any, *, network: str | None = None, value_range: ValueRange = None, device: str | None = None
) -> Measured:
    """CMMD (Jayasumana et al. 2024, equation 4) on CLIP embeddings of length one; lower is better."""
    return _measure("cmmd", network, value_range, device, made=made, real=real)


def precision(
    made: Any, real: Any, *, network: str | None = None, value_range: ValueRange = None, device: str | None = None
) -> Measured:
    """Share of `made` inside the neighbourhoods of `real` (Kynkaanniemi et al. 2019, k = 5), in [0, 1]."""
    return _measure("precision", network, value_range, device, made=made, real=real)


def recall(
    made: Any, real: Any, *, network: str | None = None, value_range: ValueRange = None, device: str | None = None
) -> Measured:
    """Share of `real` inside the neighbourhoods of `made` (Kynkaanniemi et al. 2019, k = 5), in [0, 1]."""
    return _measure("recall", network, value_range, device, made=made, real=real)


def density(
    made: Any, real: Any, *, network: str | None = None, value_range: ValueRange = None, device: str | None = None
) -> Measured:
    """Neighbourhoods of `real` that an image of `made` lies in, over k = 5 (Naeem et al. 2020); 1 for a real sample."""
    return _measure("density", network, value_range, device, made=made, real=real)


def coverage(
    made: Any, real: Any, *, network: str | None = None, value_range: ValueRange = None, device: str | None = None
) -> Measured:
    """Share of `real` with an image of `made` in its neighbourhood (Naeem et al. 2020, k = 5), in [0, 1]."""
    return _measure("coverage", network, value_range, device, made=made, real=real)


def mean_variance(
    made: Any, real: Any, *, network: str | None = None, value_range: ValueRange = None, device: str | None = None
) -> Measured:
    """Variance of the features of `made`, mean over features; `parts` holds that of `real` too. In [0, inf)."""
    return _measure("mean_variance", network, value_range, device, made=made, real=real)


def nn_ratio(
    made: Any, real: Any, training: Any, *, network: str | None = None, value_range: ValueRange = None,
    device: str | None = None,
) -> Measured:  # fmt: skip
    """Median distance of `made` to the nearest image of `training`, over that of `real`: 1 is fair, 0 a copier."""
    return _measure("nn_ratio", network, value_range, device, made=made, real=real, training=training)


def nn_share_p1(
    made: Any, real: Any, training: Any, *, network: str | None = None, value_range: ValueRange = None,
    device: str | None = None,
) -> Measured:  # fmt: skip
    """Share of `made` nearer to an image of `training` than 99 % of `real` are: 0.01 is fair, 1 a copier."""
    return _measure("nn_share_p1", network, value_range, device, made=made, real=real, training=training)


def authentic_share(
    made: Any, training: Any, *, network: str | None = None, value_range: ValueRange = None, device: str | None = None
) -> Measured:
    """Share of `made` further from `training` than its images are from each other (Alaa et al. 2022, section 4.3)."""
    return _measure("authentic_share", network, value_range, device, made=made, training=training)


def c_t(
    made: Any, real: Any, training: Any, *, network: str | None = None, value_range: ValueRange = None,
    device: str | None = None,
) -> Measured:  # fmt: skip
    """Data-copying test (Meehan et al. 2020, section 3.2): below -3 `made` is nearer to `training` than `real` is."""
    return _measure("c_t", network, value_range, device, made=made, real=real, training=training)


def _measure(family: str, network: str | None, value_range: ValueRange, device: str | None, **sets: Any) -> Measured:
    """The sets are made, real and training; all are features, or none is."""
    given = {name: as_features(images, name) for name, images in sets.items()}
    rows = {name: features for name, features in given.items() if features is not None}
    if rows and len(rows) < len(sets):
        raise UserError(f"{family}: some of the sets are features (n, d) and some are images; give all as one kind")
    if not rows:
        network = network or next(iter(METRIC_OF[family]))
        metric_of(family, network)
        seen = Features(network, value_range, device)
        rows = {name: seen.of(images, name) for name, images in sets.items()}
    _check_dimensions(family, rows)
    return measure(family, network, OfFeatures(**{PARTS[name]: features for name, features in rows.items()}))


def _check_dimensions(family: str, rows: dict[str, np.ndarray]) -> None:
    dimensions = {name: features.shape[1] for name, features in rows.items()}
    if len(set(dimensions.values())) > 1:
        said = ", ".join(f"{name} {d}" for name, d in dimensions.items())
        raise UserError(f"{family}: features of different numbers of dimensions ({said}); take all of one network")
