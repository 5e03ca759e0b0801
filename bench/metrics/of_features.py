"""Registered metrics on features that are at hand: what the functions for scripts and training loops call."""

from typing import Any

import numpy as np

import bench.metrics.catalogue  # noqa: F401 (registers the metrics)
from bench.core.errors import UserError
from bench.metrics.data import Images, Outputs, Reference, TooFew, Undefined, Value, undefined
from bench.metrics.measurement import FEWEST, Measurement
from bench.metrics.registry import find


class Measured(Value, frozen=True):
    """A Value that knows its metric: the registered name, with the network, or the family alone for other features."""

    metric: str = ""


# family -> network -> the registered metric that has the number
METRIC_OF = {
    "fd": {"effnet": "fd_effnet", "inception": "fid", "dinov2": "fd_dinov2"},
    "kd": {"effnet": "kd_effnet", "inception": "kid"},
    "kmmd": {"effnet": "kmmd_effnet", "inception": "kmmd"},
    "cmmd": {"clip": "cmmd"},
    "precision": {"effnet": "precision_effnet", "inception": "precision_inception"},
    "recall": {"effnet": "recall_effnet", "inception": "recall_inception"},
    "density": {"effnet": "density_effnet", "inception": "density_inception"},
    "coverage": {"effnet": "coverage_effnet", "inception": "coverage_inception"},
    "mean_variance": {"effnet": "mean_variance_effnet", "inception": "mean_variance"},
    "nn_ratio": {"effnet": "nn_ratio"},
    "nn_share_p1": {"effnet": "nn_share_p1"},
    "authentic_share": {"effnet": "authentic_share"},
    "c_t": {"effnet": "c_t"},
}
TWO_SETS = ("fd", "kd", "kmmd", "cmmd", "precision", "recall", "density", "coverage", "mean_variance")


class OfFeatures(Measurement):
    """A measurement whose parts are features (n, d) instead of images; whatever looks at pixels or labels has none."""

    def __init__(self, **parts: np.ndarray) -> None:
        """`outputs`, `reference` and, where a metric needs it, `target_train`: float64 (n, d) with one d."""
        self._parts = parts
        outputs = Outputs(_blank(parts.get("outputs")), _no_labels(parts.get("outputs")))
        real = {name: Images(_blank(rows), _no_labels(rows)) for name, rows in parts.items() if name != "outputs"}
        none = Images(_blank(None), _no_labels(None))
        super().__init__(outputs, Reference(real.get("reference", none), real.get("target_train", none), none))

    def _features(self, network: str, part: str) -> np.ndarray:
        if part not in self._parts:
            raise Undefined("no target training images were given")
        return self._parts[part]

    def two_sets(self, network: str, first: str, second: str, fewest: int = FEWEST) -> tuple[np.ndarray, np.ndarray]:
        """Features of two parts, each of at least `fewest` rows that are not all the same."""
        for part in (first, second):
            rows = self.features(network, part)
            if len(rows) < fewest:
                raise TooFew(f"images in {part}: {len(rows)}; at least {fewest} are needed")
            if len(rows) > 1 and (rows == rows[0]).all():
                raise Undefined(f"all {len(rows)} images in {part} are identical")
        return self.features(network, first), self.features(network, second)


def measure(family: str, network: str | None, measurement: OfFeatures) -> Measured:
    """The number of a family on these features; of a known network under its registered name.

    network  whose features they are; None: of some other network, and the name is that of the family alone

    Raises UserError for a network that has no metric of this family.
    """
    metric = find(metric_of(family, network or next(iter(METRIC_OF[family]))))
    try:
        value = metric.compute(measurement).checked(metric.version)
    except Undefined as reason:
        value = undefined(str(reason), len(measurement.outputs.images), version=metric.version)
    fields: dict[str, Any] = {name: getattr(value, name) for name in Value.__struct_fields__}
    return Measured(**fields, metric=metric.name if network else family)


def metric_of(family: str, network: str) -> str:
    """The registered name; UserError where there is none."""
    known = METRIC_OF[family]
    if network not in known:
        raise UserError(f"{family} has no metric on the network {network!r}; it has {', '.join(known)}")
    return known[network]


def _blank(rows: np.ndarray | None) -> np.ndarray:
    return np.zeros((0 if rows is None else len(rows), 3, 1, 1), np.uint8)


def _no_labels(rows: np.ndarray | None) -> np.ndarray:
    return np.full(0 if rows is None else len(rows), -1, np.int64)
