"""Images in, numbers out: the one path for methods, outside programs and anchor rows."""

from collections.abc import Callable, Sequence

import bench.metrics.catalogue  # noqa: F401 (registers the metrics)
from bench.errors import UserError
from bench.metrics.data import Outputs, Reference, Undefined, Value, undefined
from bench.metrics.measurement import Measurement
from bench.metrics.registry import default_names, find
from bench.weights import MissingWeights


def evaluate(
    outputs: Outputs,
    data: Reference,
    metrics: Sequence[str] | None = None,
    device: str = "cpu",
    report: Callable[[str], None] = lambda _: None,
) -> dict[str, Value]:
    """Measures `outputs` by the named metrics, those of every run where `metrics` is None.

    `report` receives one short line after each batch. What cannot be computed (no labels, too few images, a network
    that is not on this machine) is a Value without a number and with the reason. UserError: unknown metric, no
    outputs, a weights file with the wrong sha256.
    """
    chosen = [find(name) for name in (default_names() if metrics is None else metrics)]
    if not len(outputs.images):
        raise UserError("there are no outputs to measure; translate the held-out sources first")
    measurement = Measurement(outputs, data, device, report)
    values = {}
    for metric in chosen:
        try:
            values[metric.name] = metric.compute(measurement).checked(metric.version)
        except (Undefined, MissingWeights) as reason:
            values[metric.name] = undefined(str(reason), len(outputs.images), version=metric.version)
    return values
