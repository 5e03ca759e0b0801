"""Which metrics will have no value on these images, and why: known before anything is trained, in a second."""

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

import bench.metrics.catalogue  # noqa: F401 (registers the metrics)
from bench.metrics.data import Outputs, Reference, Undefined
from bench.metrics.measurement import Measurement
from bench.metrics.registry import default_names, find

if TYPE_CHECKING:
    from bench.training.artifacts import Artifacts


class Computable(Exception):
    """A metric has passed its own checks of the images and wants a network now."""


class Foresight(Measurement):
    """A measurement that stops each metric where it would begin to compute."""

    def _features(self, network: str, part: str) -> np.ndarray:
        raise Computable

    @cached_property
    def artifacts(self) -> "Artifacts":
        raise Computable

    @property
    def device(self) -> str:
        raise Computable

    @device.setter
    def device(self, _: str) -> None: ...


def foresee(outputs: Outputs, data: Reference, metrics: Sequence[str] | None = None) -> dict[str, Undefined]:
    """Metric -> reason, for those of the named metrics that cannot have a value; TooFew where more images mend it.

    outputs  stand-ins of the right number and shape, such as the untouched sources. What they have beside images
             (several outputs a source, a way back) counts as there.
    metrics  names; None stands for those of every run

    Each metric's own checks are run, up to the point where it wants features: of a reason that only shows later (a
    network that is not on this machine, images that look alike to a network) nothing is said.
    """
    measurement, reasons = Foresight(outputs, data), dict[str, Undefined]()
    for name in default_names() if metrics is None else metrics:
        try:
            find(name).compute(measurement)
        except Undefined as reason:
            reasons[name] = reason
        except Computable:
            continue
    return reasons
