"""Metrics that collect batches, for use inside a training loop: update, compute, reset."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from bench.core.errors import unknown
from bench.metrics.of_features import METRIC_OF, TWO_SETS, Measured, OfFeatures, measure
from bench.metrics.sets import Features, ValueRange

# registered metric -> (family, network)
KNOWN = {name: (family, network) for family in TWO_SETS for network, name in METRIC_OF[family].items()}
PARTS = ("outputs", "reference")


class RunningMetrics:
    """Distances between generated and real images that come in batches.

        running = RunningMetrics(["kd_effnet", "fd_effnet"], value_range=(-1, 1), device="cuda")
        running.update(real_batch, real=True)      # once
        running.update(fake_batch, real=False)     # after each epoch
        running.compute()["kd_effnet"].value
        running.reset()                            # forgets the generated images, keeps the real ones

    What is computed is what `bench evaluate` computes of the whole sets, however they are cut into batches. Features
    are kept in memory, not images: 5 kB an image for EfficientNet-Lite0. Neither gradients nor autocast, random
    numbers or the mode of your networks are touched.
    """

    def __init__(
        self, metrics: Sequence[str] | str, *, value_range: ValueRange = None, device: str | None = None
    ) -> None:
        """
        metrics      registered names, such as "kd_effnet", of those that compare two sets
        value_range  the floating-point values of black and white, such as (-1, 1); needed for floating-point images
        device       "cpu", "cuda" or "cuda:N"; by default a GPU where there is one

        Raises UserError for another metric, and for a network that is not on this machine.
        """
        names = (metrics,) if isinstance(metrics, str) else tuple(metrics)
        for name in names:
            if name not in KNOWN:
                raise unknown("metric of two sets", name, KNOWN)
        self._names = names
        networks = {KNOWN[name][1] for name in names}
        self._seen = {network: Features(network, value_range, device) for network in sorted(networks)}
        self._rows: dict[tuple[str, str], list[np.ndarray]] = {}
        self.reset(real=True)

    def update(self, images: Any, real: bool) -> None:
        """Adds a batch (n, 3, R, R) or (n, R, R, 3), uint8 or floating point within the range; or a whole loader."""
        part = "reference" if real else "outputs"
        loaded = list(images) if not hasattr(images, "ndim") and not isinstance(images, str) else images
        for network, features in self._seen.items():
            self._rows[network, part].append(features.of(loaded, "real images" if real else "generated images"))

    def compute(self) -> dict[str, Measured]:
        """The metrics, in the order of their names as given, of all images since the last reset.

        Where there are too few images the value is None and the reason says so.
        """
        return {name: self._measure(*KNOWN[name]) for name in self._names}

    def reset(self, real: bool = False) -> None:
        """Forgets the generated images; with `real` the real ones too."""
        for network in self._seen:
            for part in PARTS if real else PARTS[:1]:
                self._rows[network, part] = []

    def _measure(self, family: str, network: str) -> Measured:
        sets = {part: np.concatenate(rows) for part in PARTS if (rows := self._rows[network, part])}
        return measure(family, network, OfFeatures(**{part: sets.get(part, np.empty((0, 1))) for part in PARTS}))
