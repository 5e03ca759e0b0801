"""The images of a run on disk, and how they reach the metrics: methods, anchors and outside programs alike."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bench.core.errors import UserError
from bench.core.files import atomic
from bench.core.paths import cache_root
from bench.core.progress import Reporter
from bench.core.typed import read_typed, write_typed
from bench.data.task import Domain, TaskData, subset_order
from bench.metrics import METRICS, anchors, weights
from bench.metrics.data import Images, Outputs, Reference, Rows, Value
from bench.metrics.evaluate import each
from bench.metrics.measurement import Measurement
from bench.runs.record import Cost
from bench.runs.spec import RunSpec
from bench.training.artifacts import Artifacts
from bench.training.loop import Loop

if TYPE_CHECKING:
    from bench.runs.lifecycle import Options

POOL = 20_000  # at most so many training images of each domain teach the classifiers


@dataclass(frozen=True)
class Made:
    """What a method made; bench.metrics.Outputs says what each is. `translated` are its images."""

    translated: np.ndarray
    diverse: np.ndarray | None = None
    reference_labels: np.ndarray | None = None
    returned: np.ndarray | None = None
    backward: np.ndarray | None = None
    alignment: np.ndarray | None = None


@dataclass(frozen=True)
class Files:
    """What one run leaves to be measured, each array where its Made has it, and cost.json, written last: with it they
    are whole."""

    folder: Path

    @property
    def complete(self) -> bool:
        return (self.folder / "cost.json").exists()

    @property
    def cost(self) -> Cost:
        return read_typed(self.folder / "cost.json", Cost, "delete it: what the run had made is then made again")

    def read(self) -> Made:
        """Raises UserError where the translations are missing or damaged."""
        paths = {field.name: self.folder / f"{field.name}.npy" for field in fields(Made)}
        return Made(**{n: _load(path) for n, path in paths.items() if n == "translated" or path.exists()})

    def write(self, made: Made) -> None:
        for field in fields(Made):
            array = getattr(made, field.name)
            if array is not None:
                _save(self.folder / f"{field.name}.npy", array)

    def finish(self, cost: Cost) -> None:
        write_typed(self.folder / "cost.json", cost)


def measure(
    spec: RunSpec, data: TaskData, files: Files, options: "Options", reporter: Reporter
) -> tuple[dict[str, Value], dict[str, str]]:
    """Metrics by name and the sha256 of each pre-trained network that they used."""
    values = dict(measure_each(spec, data, files, options, reporter))
    return values, weights_used(values)


def measure_each(
    spec: RunSpec, data: TaskData, files: Files, options: "Options", reporter: Reporter
) -> Iterator[tuple[str, Value]]:
    """`measure`, one metric after the other."""
    if spec.kind == "anchor":
        outputs, reference = _anchor(spec, data)
    else:
        outputs, reference = _outputs(data, files.read()), _reference(data)
    compute = replace(options.compute, amp="off")
    artifacts = Artifacts(cache_root() / "artifacts", Loop(compute, reporter, options.checkpoint_seconds))
    measurement = Measurement(outputs, reference, str(compute.device), reporter.note, artifacts)
    yield from each(measurement, options.metrics)


def weights_used(values: Mapping[str, Value]) -> dict[str, str]:
    """The sha256 of each pre-trained network behind these metrics."""
    measured = {name for name, value in values.items() if value.value is not None}
    networks = {network for name in measured for network in METRICS[name].needs}
    return {name: weights.sha256(name) for name in sorted(networks)}


def anchor_outputs(spec: RunSpec, data: TaskData) -> np.ndarray:
    return _anchor(spec, data)[0].images


def _anchor(spec: RunSpec, data: TaskData) -> tuple[Outputs, Reference]:
    if spec.method == "real":
        return anchors.real(_reference(data))
    unchanged = _outputs(data, Made(data.source_test.images()))
    make = {"identity": anchors.identity, "copies": anchors.copies}[spec.method]
    return make(unchanged, _reference(data))


def _outputs(data: TaskData, made: Made) -> Outputs:
    found = data.truth >= 0
    truth = data.target_test.images(np.where(found, data.truth, 0)) if found.any() else None
    return Outputs(
        images=made.translated,
        source_labels=data.source_test.labels,
        sources=data.source_test.images(),
        truth=truth,
        has_truth=found if truth is not None else None,
        diverse=made.diverse,
        reference_labels=made.reference_labels,
        returned=made.returned,
        backward=made.backward,
        alignment=made.alignment,
    )


def _reference(data: TaskData) -> Reference:
    target = data.target_train
    source = _teachers(data.source_train)
    return Reference(
        reference=_images(data.target_test),
        target_train=_images(data.target_train),
        source_train=Images(Rows(source.bank.images, source.rows), source.labels),
        label_names=data.label_names,
        target_pool=_images(_teachers(target)),
        kind=target.kind,
        far=float(target.bank.manifest.get("far", 0.0)),
    )


def _teachers(domain: Domain) -> Domain:
    """At most POOL training images of a domain, in the bank's order: those that come first in its subset order."""
    return Domain(domain.name, domain.bank, np.sort(subset_order(domain.bank, domain.name, 0)[:POOL]))


def _images(domain: Domain) -> Images:
    return Images(domain.images(), domain.labels)


def _load(path: Path) -> np.ndarray:
    try:
        return np.load(path, allow_pickle=False)
    except FileNotFoundError:
        raise UserError(f"there are no stored translations at {path}; put them back or run it again") from None
    except (ValueError, EOFError) as error:
        raise UserError(f"the stored translations {path} are damaged ({error}); run it again") from None


def _save(path: Path, images: np.ndarray) -> None:
    with atomic(path) as temporary, temporary.open("wb") as file:
        np.save(file, images)
