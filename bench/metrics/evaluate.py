"""Images in, numbers out: the one path for methods, outside programs and anchor rows."""

from collections.abc import Callable, Iterator, Sequence

from msgspec.structs import replace

import bench.metrics.catalogue  # noqa: F401 (registers the metrics)
from bench.core.errors import UserError
from bench.metrics.data import Outputs, Reference, Undefined, Value, undefined
from bench.metrics.measurement import Measurement
from bench.metrics.registry import default_names, find
from bench.metrics.weights import MissingWeights


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
    return dict(each(Measurement(outputs, data, device, report), metrics))


def each(measurement: Measurement, metrics: Sequence[str] | None = None) -> Iterator[tuple[str, Value]]:
    """`evaluate`, one metric after the other: what is finished survives where the measurement's `report` raises."""
    chosen = [find(name) for name in (default_names() if metrics is None else metrics)]
    n = len(measurement.outputs.images)
    if not n:
        raise UserError("there are no outputs to measure; translate the held-out sources first")
    for metric in chosen:
        try:
            value = metric.compute(measurement).checked(metric.version)
            if metric.trains:
                value = replace(value, network=measurement.artifacts.sha256(metric.trains))
            yield metric.name, value
        except (Undefined, MissingWeights) as reason:
            yield metric.name, undefined(str(reason), n, version=metric.version)
