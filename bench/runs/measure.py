"""How the outputs of a run reach the metrics: methods, anchors and outside programs alike."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from bench.core.paths import artifacts_folder
from bench.data.task import Domain, TaskData, subset_order
from bench.metrics import METRICS, anchors, weights
from bench.metrics.data import Images, Outputs, Reference, Rows, Value
from bench.metrics.evaluate import each
from bench.metrics.measurement import Measurement
from bench.runs.context import RunContext
from bench.runs.outputs import OutputFiles, outputs_of
from bench.training.artifacts import Artifacts
from bench.training.loop import Loop

POOL = 20_000  # at most so many training images of each domain teach the classifiers


def measure_each(context: RunContext, names: Sequence[str] | None) -> Iterator[tuple[str, Value]]:
    """These metrics of the run's stored outputs, one after the other; None: those of every run."""
    data = context.data
    if context.spec.kind == "anchor":
        outputs, reference = anchor(context.spec.method, data)
    else:
        outputs, reference = OutputFiles(context.folder).read(data), reference_of(data)
    compute = replace(context.compute, amp="off")
    loop = Loop(compute, context.reporter, context.settings.checkpoint_seconds)
    artifacts = Artifacts(artifacts_folder(), loop)
    measurement = Measurement(outputs, reference, str(compute.device), context.reporter.note, artifacts)
    with compute.full_float32():
        yield from each(measurement, names)


def weights_used(values: Mapping[str, Value]) -> dict[str, str]:
    """The sha256 of each pre-trained network behind these metrics."""
    measured = {name for name, value in values.items() if value.value is not None}
    networks = {network for name in measured for network in METRICS[name].needs}
    return {name: weights.sha256(name) for name in sorted(networks)}


def anchor(name: str, data: TaskData) -> tuple[Outputs, Reference]:
    """The images of an anchor row, and what they are measured against."""
    if name == "real":
        return anchors.real(reference_of(data))
    unchanged = outputs_of(data, {"images": data.source_test.images()})
    make = {
        "identity": anchors.identity,
        "copies": anchors.copies,
        "truth": anchors.truth,
        "truth-blurred": anchors.truth_blurred,
    }[name]
    return make(unchanged, reference_of(data))


def reference_of(data: TaskData) -> Reference:
    """The real images that a run on these data is measured against."""
    target = data.target_train
    source, hidden = _teachers(data.source_train), data.source_train.hidden
    return Reference(
        reference=_images(data.target_test),
        target_train=_images(data.target_train),
        source_train=_rows(source),
        label_names=data.label_names,
        target_pool=_rows(_teachers(target)),
        source_test=_images(data.source_test),
        kind=target.kind,
        far=float(target.bank.manifest.get("far", 0.0)),
        hidden=hidden if (hidden >= 0).any() else None,
    )


def _teachers(domain: Domain) -> Domain:
    """The images that the data set keeps for classifiers; where it keeps none, at most POOL training images of the
    domain, in the bank's order: those that come first in its subset order."""
    kept = domain.bank.rows(domain.name, "judge")
    if len(kept):
        return Domain(domain.name, domain.bank, kept)
    return Domain(domain.name, domain.bank, np.sort(subset_order(domain.bank, domain.name, 0)[:POOL]))


def _images(domain: Domain) -> Images:
    return Images(domain.images(), domain.labels)


def _rows(domain: Domain) -> Images:
    """The same, read from disk only where it is asked for."""
    return Images(Rows(domain.bank.images, domain.rows), domain.labels)
