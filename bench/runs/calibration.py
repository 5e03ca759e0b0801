"""What metrics make of images whose worth is known: the sources, the truth, both with small faults, and copies.

A metric that is to rank methods gives every truth with a small fault far more than every source with one, and no fault
of the source helps.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from bench.core.paths import artifacts_folder
from bench.core.progress import Reporter
from bench.data.task import TaskData
from bench.metrics import anchors
from bench.metrics.data import Outputs, Reference, Value
from bench.metrics.degradations import DEGRADATIONS, shifted
from bench.metrics.evaluate import each
from bench.metrics.measurement import Measurement
from bench.runs.measure import anchor, reference_of
from bench.runs.outputs import outputs_of
from bench.training.artifacts import Artifacts
from bench.training.compute import Compute
from bench.training.loop import Loop

NamedValues = tuple[str, dict[str, Value]]


def calibrate(
    data: TaskData, metrics: Sequence[str], compute: Compute, reporter: Reporter, most: int | None = None
) -> Iterator[NamedValues]:
    """Each row's name and its values, one row after the other.

    most  held-out sources that are measured, evenly spread over all of them; None: all
    """
    artifacts = Artifacts(artifacts_folder(), Loop(compute, reporter))
    for name, (outputs, reference) in rows(data, most):
        reporter.say(f"calibrating {data.dataset}: {name}")
        measurement = Measurement(outputs, reference, str(compute.device), reporter.note, artifacts)
        yield name, dict(each(measurement, metrics))


def rows(data: TaskData, most: int | None = None) -> Iterator[tuple[str, tuple[Outputs, Reference]]]:
    """The images of every row, with what they are measured against."""
    unchanged = thinned(outputs_of(data, {"images": data.source_test.images()}), most)
    reference = reference_of(data)
    yield from _with_faults("source", *anchors.identity(unchanged, reference))
    if unchanged.truth is None:
        perfect = anchor("real", data)
        yield from _with_faults("real", *perfect)
    else:
        perfect = anchors.truth(unchanged, reference)
        images, sources = perfect[0].images, perfect[0].sources
        assert sources is not None
        half = (sources.astype(np.uint16) + images) // 2
        yield "half source, half truth", (replace(perfect[0], images=half.astype(np.uint8)), reference)
        yield from _with_faults("truth", *perfect)
    moved = replace(perfect[0], images=shifted(perfect[0].images))
    yield f"{'real' if unchanged.truth is None else 'truth'}, moved by a pixel", (moved, perfect[1])
    yield "copies", anchors.copies(unchanged, reference)


def thinned(outputs: Outputs, most: int | None) -> Outputs:
    """Keeps at most so many of the outputs, evenly spread."""
    n = len(outputs.images)
    if most is None or n <= most:
        return outputs
    chosen = np.linspace(0, n - 1, most).round().astype(np.int64)
    fields = ("images", "source_labels", "sources", "truth", "has_truth")
    return Outputs(**{f: v[chosen] for f in fields if (v := getattr(outputs, f)) is not None})


def _with_faults(name: str, outputs: Outputs, reference: Reference) -> Iterator[tuple[str, tuple[Outputs, Reference]]]:
    yield name, (outputs, reference)
    for fault, degrade in DEGRADATIONS.items():
        yield f"{name}, {fault}", (replace(outputs, images=degrade(outputs.images)), reference)
