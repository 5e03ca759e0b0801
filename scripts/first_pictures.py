"""Draws the pictures that README opens with from the records and translations in results/reference.

    python scripts/first_pictures.py

docs/translations-DATASET.png  held-out sources, translations by some methods (most target images, seed 0), the truth
docs/scarcity.png              right translations on `fashion` against the size of the target set, with the anchors
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from bench import load_results, load_task
from bench.leaderboard.plots.style import line
from bench.runs.outputs import read_translations

REFERENCE = Path("results") / "reference"
COLUMNS = 12  # sources in the picture
PRIMARY = "translated"
SHOWN = {"fashion": ("cut", "cyclegan", "mnm", "jdbw"), "ink": ("cut", "cyclegan")}
NAMES = {
    "jdbw": "JD-BW",
    "funit": "FUNIT",
    "sdit": "SDIT",
    "cut": "CUT",
    "cyclegan": "CycleGAN",
    "starganv2": "StarGAN v2",
    "munit": "MUNIT",
    "mnm": "M&MNets",
    "balagan": "BalaGAN",
    "deepi2i": "DeepI2I",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("docs"))
    out = parser.parse_args().out
    for dataset, methods in SHOWN.items():
        translations(dataset, methods, out / f"translations-{dataset}.png")
    scarcity("fashion", out / "scarcity.png")


def translations(dataset: str, methods: Sequence[str], path: Path) -> None:
    """A row of sources, one for each method, and the truth; each row a column of small images side by side."""
    runs = load_results(REFERENCE).query("dataset == @dataset and seed == 0 and kind == 'method'")
    most = int(runs.target_size.max())
    data = load_task(dataset, most, int(runs.resolution.max()))
    shown = np.linspace(0, len(data.source_test) - 1, COLUMNS).astype(int)
    rows = {"source": data.source_test.images(shown)}
    for method in methods:
        folder = Path(runs.query("method == @method and target_size == @most").folder.item())
        rows[NAMES.get(method, method)] = read_translations(folder)[shown]
    rows["truth"] = data.target_test.images(data.truth[shown])
    figure, axes = plt.subplots(len(rows), 1, figsize=(9.4, 0.75 * len(rows)), squeeze=False)
    for axis, (name, images) in zip(axes[:, 0], rows.items()):
        axis.imshow(np.concatenate([framed(image) for image in images], axis=1), interpolation="nearest")
        axis.set_ylabel(name, rotation=0, ha="right", va="center")
        axis.set(xticks=[], yticks=[])
        axis.spines[:].set_visible(False)
    figure.subplots_adjust(left=0.12, right=0.99, top=0.99, bottom=0.01, hspace=0.05)
    figure.savefig(path, dpi=120)
    plt.close(figure)


def framed(image: np.ndarray) -> np.ndarray:
    """uint8 (3, R, R) -> (R, R + 2, 3) with a white line at its right."""
    return np.pad(image.transpose(1, 2, 0), ((0, 0), (0, 2), (0, 0)), constant_values=255)


def scarcity(dataset: str, path: Path) -> None:
    """One line a method: the mean over its training seeds, and each run as a point."""
    table = load_results(REFERENCE).query("dataset == @dataset and status == 'done'")
    figure, axis = plt.subplots(figsize=(7, 4.2))
    methods = table[table.kind == "method"]
    largest = methods[methods.target_size == methods.target_size.max()]
    best = largest.groupby("method")[PRIMARY].mean().sort_values(ascending=False).index
    for number, method in enumerate(best):
        runs = methods[methods.method == method]
        means = runs.groupby("target_size")[PRIMARY].mean()
        axis.plot(means.index, means, label=NAMES.get(method, method), **line(number))
        axis.scatter(runs.target_size, runs[PRIMARY], s=10, alpha=0.5, color=line(number)["color"])
    anchors(axis, table[table.kind == "anchor"])
    axis.set_xscale("log")
    axis.set_xticks(sorted(methods.target_size.unique()), map(str, sorted(methods.target_size.unique())))
    axis.minorticks_off()
    axis.set(xlabel="target images in training", ylabel="translated: target, and the source's class", ylim=(0, 1))
    axis.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)
    figure.tight_layout()
    figure.savefig(path, dpi=120)


def anchors(axis: Axes, table: pd.DataFrame) -> None:
    """A dashed line for real images, and for untouched sources."""
    for name, words in (("truth", "the true images"), ("identity", "untouched sources")):
        values = table[table.method == name][PRIMARY]
        if len(values):
            axis.axhline(values.mean(), color="#777777", linestyle="--", linewidth=1)
            place = axis.get_yaxis_transform()
            axis.text(0.4, values.mean() + 0.01, words, fontsize=8, color="#555555", va="bottom", transform=place)


if __name__ == "__main__":
    main()
