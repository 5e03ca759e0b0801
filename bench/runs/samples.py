"""The two pictures that a run leaves: samples.png and nearest.png."""

from pathlib import Path

import numpy as np

from bench.data import montage
from bench.data.task import TaskData
from bench.runs.translate import Translator


def write_samples(folder: Path, translator: Translator, data: TaskData) -> None:
    """samples.png: held-out sources, their translations, and the ground truth where there is one."""
    rows = montage.sample_rows(len(data.source_test))
    lines = {"source": data.source_test.images(rows), "translation": translator.outputs(rows, "samples")}
    truth = data.truth[rows]
    if (truth >= 0).all():
        lines["truth"] = data.target_test.images(truth)
    montage.save(folder / "samples.png", montage.labelled(lines, montage.sample_scale(data.resolution)))


def write_nearest(folder: Path, translated: np.ndarray, data: TaskData) -> None:
    """nearest.png: measured translations of the sources of samples.png, and for each the nearest image of the target
    training subset and of the held-out target images (which nobody can have copied).

    translated  uint8 (n, 3, R, R)
    """
    made = translated[montage.sample_rows(len(translated))]
    lines = {"translation": made}
    for name, real in (("training", data.target_train.images()), ("held-out", data.target_test.images())):
        lines[f"nearest\n{name}"] = real[montage.nearest(made, real)]
    montage.save(folder / "nearest.png", montage.labelled(lines, montage.sample_scale(data.resolution)))
