"""The images of a run on disk: methods, anchors and outside programs alike."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench.core.arrays import Shape, read_array
from bench.core.checksums import file_sha256, verify_file
from bench.core.files import atomic
from bench.core.typed import read_typed, write_typed
from bench.data.task import TaskData
from bench.metrics.data import Outputs
from bench.runs.packed import PACKED, restore
from bench.runs.record import Cost, read_record

HASHES = "outputs.json"  # the sha256 of each of the files below
ANEW = "put it back, or begin the run anew with --force, which keeps its record"

# What is stored of bench.metrics.Outputs, by the name of its file; the rest follows from the data.
STORED = {
    "images": "translated.npy",
    "diverse": "diverse.npy",
    "reference_labels": "reference_labels.npy",
    "returned": "returned.npy",
    "backward": "backward.npy",
    "alignment": "alignment.npy",
    "modes": "modes.npy",
}


@dataclass(frozen=True)
class OutputFiles:
    """What one run leaves to be measured, and cost.json, which is written last: with it they are whole."""

    folder: Path

    @property
    def complete(self) -> bool:
        return (self.folder / "cost.json").exists()

    @property
    def cost(self) -> Cost:
        return read_typed(self.folder / "cost.json", Cost, "delete it: what the run had made is then made again")

    def read(self, data: TaskData) -> Outputs:
        """Raises UserError where a file is missing or not what was written."""
        restore_translations(self.folder)
        self.verify(self.hashes())
        made = {}
        for name, (dtype, shape) in _shapes(data).items():
            path = self.folder / STORED[name]
            if name == "images" or path.exists():
                made[name] = read_array(path, dtype, shape, ANEW)
        return outputs_of(data, made)

    def write(self, outputs: Outputs) -> None:
        """All files, and then their hashes. Files of an earlier attempt that this one does not make go."""
        hashes = {}
        for name, file in STORED.items():
            array = getattr(outputs, name)
            if array is None:
                (self.folder / file).unlink(missing_ok=True)
            else:
                hashes[file] = _save(self.folder / file, array)
        write_typed(self.folder / HASHES, hashes)

    def hashes(self) -> dict[str, str]:
        """The sha256 of each file as it was written, by its name; empty for runs from before hashes were kept."""
        path = self.folder / HASHES
        return read_typed(path, dict[str, str], ANEW) if path.exists() else {}

    def verify(self, hashes: Mapping[str, str]) -> None:
        """Raises UserError where a file is missing or not what was written. It took 0.9 s a gigabyte on one core."""
        for file, written in hashes.items():
            verify_file(self.folder / file, written, ANEW)

    def finish(self, cost: Cost) -> None:
        write_typed(self.folder / "cost.json", cost)


def read_translations(folder: Path) -> np.ndarray:
    """uint8 (n, 3, R, R): the measured translations of the run in this folder.

    Raises UserError where they are missing or not what was written.
    """
    restore_translations(folder)
    files, name = OutputFiles(folder), STORED["images"]
    files.verify({file: sha256 for file, sha256 in files.hashes().items() if file == name})
    return read_array(folder / name, np.uint8, (None, 3, None, None), ANEW)


def restore_translations(folder: Path) -> None:
    """Unpacks the translations of a run that was kept (bench.runs.kept), where they are packed alone."""
    images, packed = folder / STORED["images"], folder / PACKED
    if images.exists() or not packed.exists():
        return
    record = read_record(folder / "record.json")
    n, sha256 = record.task.n_source_test, record.outputs.get(images.name)
    if n is not None and sha256 is not None:
        restore(packed, images, n, record.identity.resolution, sha256)


def outputs_of(data: TaskData, made: Mapping[str, Any]) -> Outputs:
    """What a program made of the held-out sources, with what the data know of these.

    made  fields of Outputs by name, `images` among them
    """
    known = data.truth >= 0
    truth = data.target_test.images(np.where(known, data.truth, 0)) if known.any() else None
    return Outputs(
        source_labels=data.source_test.labels,
        sources=data.source_test.images(),
        truth=truth,
        has_truth=known if truth is not None else None,
        **made,
    )


def _shapes(data: TaskData) -> dict[str, tuple[type, Shape]]:
    """dtype and shape of each array that is stored, as bench.metrics.Outputs says; None stands for any length."""
    image = data.source_test.bank.images.shape[1:]
    n = len(data.source_test)
    return {
        "images": (np.uint8, (n, *image)),
        "diverse": (np.uint8, (None, None, *image)),
        "reference_labels": (np.int64, (n,)),
        "returned": (np.uint8, (n, *image)),
        "backward": (np.uint8, (len(data.target_test), *image)),
        "alignment": (np.float64, (None,)),
        "modes": (np.int64, (len(data.source_train),)),
    }


def _save(path: Path, images: np.ndarray) -> str:
    """Writes the array; returns the sha256 of the file."""
    with atomic(path) as temporary:
        with temporary.open("wb") as file:
            np.save(file, images, allow_pickle=False)
        return file_sha256(temporary)
