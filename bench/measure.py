"""The images of a run on disk, and how they reach the metrics: methods, anchors and outside programs alike."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bench import weights
from bench.errors import UserError
from bench.files import atomic, write_json
from bench.metrics import METRICS, anchors
from bench.metrics.data import Images, Outputs, Reference, Rows
from bench.metrics.evaluate import each
from bench.progress import Reporter
from bench.spec import RunSpec
from bench.task import Domain, TaskData

if TYPE_CHECKING:
    from bench.runner import Options


@dataclass(frozen=True)
class Files:
    """The measured images of one run: translated.npy (n, 3, R, R) in the order of the held-out sources, diverse.npy
    (m, 10, 3, R, R) where a source has several translations, and cost.json, written last: with it they are whole."""

    folder: Path

    @property
    def complete(self) -> bool:
        return (self.folder / "cost.json").exists()

    @property
    def cost(self) -> dict[str, Any]:
        return json.loads((self.folder / "cost.json").read_text())

    @property
    def translated(self) -> np.ndarray:
        return _load(self.folder / "translated.npy")

    @property
    def diverse(self) -> np.ndarray | None:
        path = self.folder / "diverse.npy"
        return _load(path) if path.exists() else None

    def write(self, translated: np.ndarray, diverse: np.ndarray | None) -> None:
        _save(self.folder / "translated.npy", translated)
        if diverse is not None:
            _save(self.folder / "diverse.npy", diverse)

    def finish(self, cost: dict[str, Any]) -> None:
        write_json(self.folder / "cost.json", cost)


def measure(
    spec: RunSpec, data: TaskData, files: Files, options: "Options", reporter: Reporter
) -> tuple[dict[str, Any], dict[str, str]]:
    """Metrics by name, ready for the record, and the sha256 of each pre-trained network that they used."""
    values = dict(measure_each(spec, data, files, options, reporter))
    return values, weights_used(values)


def measure_each(
    spec: RunSpec, data: TaskData, files: Files, options: "Options", reporter: Reporter
) -> Iterator[tuple[str, dict[str, Any]]]:
    """`measure`, one metric after the other."""
    if spec.kind == "anchor":
        outputs, reference = _anchor(spec, data)
    else:
        outputs, reference = _outputs(data, files.translated, files.diverse), _reference(data)
    for name, value in each(outputs, reference, options.metrics, str(options.compute.device), reporter.note):
        yield name, value.to_dict()


def weights_used(values: Mapping[str, dict[str, Any]]) -> dict[str, str]:
    """The sha256 of each pre-trained network behind these metrics."""
    measured = {name for name, value in values.items() if value["value"] is not None}
    networks = {network for name in measured for network in METRICS[name].needs}
    return {name: weights.entry(name).sha256 for name in sorted(networks)}


def anchor_outputs(spec: RunSpec, data: TaskData) -> np.ndarray:
    return _anchor(spec, data)[0].images


def _anchor(spec: RunSpec, data: TaskData) -> tuple[Outputs, Reference]:
    if spec.method == "real":
        return anchors.real(_reference(data))
    unchanged = _outputs(data, data.source_test.images(), None)
    make = {"identity": anchors.identity, "copies": anchors.copies}[spec.method]
    return make(unchanged, _reference(data))


def _outputs(data: TaskData, translated: np.ndarray, diverse: np.ndarray | None) -> Outputs:
    found = data.truth >= 0
    truth = data.target_test.images(np.where(found, data.truth, 0)) if found.any() else None
    return Outputs(
        images=translated,
        source_labels=data.source_test.labels,
        sources=data.source_test.images(),
        truth=truth,
        has_truth=found if truth is not None else None,
        diverse=diverse,
    )


def _reference(data: TaskData) -> Reference:
    return Reference(
        reference=_images(data.target_test),
        target_train=_images(data.target_train),
        source_train=Images(Rows(data.source_train.bank.images, data.source_train.rows), data.source_train.labels),
        label_names=data.label_names,
    )


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
