"""Images in, numbers out: the one path for methods, outside programs and anchor rows."""

from collections.abc import Callable, Iterator, Sequence

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
    return dict(each(outputs, data, metrics, device, report))


def each(
    outputs: Outputs,
    data: Reference,
    metrics: Sequence[str] | None = None,
    device: str = "cpu",
    report: Callable[[str], None] = lambda _: None,
) -> Iterator[tuple[str, Value]]:
    """`evaluate`, one metric after the other: what is finished survives where `report` raises."""
    chosen = [find(name) for name in (default_names() if metrics is None else metrics)]
    if not len(outputs.images):
        raise UserError("there are no outputs to measure; translate the held-out sources first")
    measurement = Measurement(outputs, data, device, report)
    for metric in chosen:
        try:
            yield metric.name, metric.compute(measurement).checked(metric.version)
        except (Undefined, MissingWeights) as reason:
            yield metric.name, undefined(str(reason), len(outputs.images), version=metric.version)
