"""Puts the judges of the embedded data sets into the package: python scripts/ship_judges.py

A judge is trained on this machine, or taken from its cache, and copied to bench/training/shipped. Run it where the
judge's VERSION or an embedded data set has changed, and measure the results that ship anew, since their scores are of
the old judge: python -m bench remeasure --all --results results/reference --metrics translated,truth_retrieved,kd_judge
"""

import shutil
from pathlib import Path

from bench.core.paths import artifacts_folder
from bench.core.progress import Quiet
from bench.core.typed import write_typed
from bench.data.task import load_task
from bench.metrics import judge, resnet
from bench.metrics.measurement import Measurement
from bench.metrics.resnet_accuracy import training_examples
from bench.runs.measure import anchor
from bench.training.artifacts import HASHES, SHIPPED, SPENT, Artifacts, hashes
from bench.training.compute import Compute
from bench.training.loop import Loop

SMALL = ("ink", "fashion", "fashion:boots", "fashion:biased", "styles", "styles:told", "emoji", "emoji_opponent")
# Data set and resolution in pixels; scripts/gpu_grid.sh trains on `ink` at 64.
TASKS = (*((dataset, 32) for dataset in SMALL), ("ink", 64))
SIZE = 25  # the judge learns from all images of both domains, so any size finds it
KEPT = (SPENT, "key.json", "weights.safetensors")


def folder_of(dataset: str, resolution: int) -> Path:
    """The folder of the task's judge, trained on one thread of the CPU where there is none."""
    outputs, reference = anchor("identity", load_task(dataset, SIZE, resolution, 0))
    artifacts = Artifacts(artifacts_folder(), Loop(Compute.choose("cpu"), Quiet()))
    measurement = Measurement(outputs, reference, "cpu", lambda _: None, artifacts)
    return resnet.artifact(measurement.once(training_examples), artifacts, judge.recipe())


def ship(folder: Path) -> Path:
    """The copy of an artifact in the package; one that is there already stays."""
    copy = SHIPPED / folder.parent.name / folder.name
    if not copy.exists():
        copy.mkdir(parents=True)
        for name in KEPT:
            shutil.copyfile(folder / name, copy / name)
        write_typed(copy / HASHES, hashes(copy))
    return copy


if __name__ == "__main__":
    for dataset, resolution in TASKS:
        print(dataset, resolution, ship(folder_of(dataset, resolution)))
