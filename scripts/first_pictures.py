"""Draws the pictures that README opens with from the records and translations in results/reference and results/gpu.

    python scripts/first_pictures.py

docs/translations-DATASET.png  held-out sources, translations by some methods (most target images, seed 0), the truth
docs/scarcity-64px.png         the same of the 64-pixel grid of the GPU, with few and with many target images
docs/scarcity.png              right translations against the size of the target set, with the anchors, of both grids
"""

import argparse
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
GRID64 = Path("results") / "gpu" / "grid64"  # of scripts/gpu_grid.sh
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
    reference, grid64 = load_results(REFERENCE), load_results(GRID64)
    for dataset, methods in SHOWN.items():
        cells = {NAMES[method]: (method, 1000) for method in methods}
        translations(reference, dataset, cells, out / f"translations-{dataset}.png")
    cells = {f"{NAMES[m]}, {size}": (m, size) for m in ("mnm", "cut", "munit", "cyclegan") for size in (25, 1000)}
    translations(grid64, "ink", cells, out / "scarcity-64px.png")
    scarcity({"ink, 64 pixels": grid64, "fashion, 32 pixels": reference.query("dataset == 'fashion'")}, out)


def translations(table: pd.DataFrame, dataset: str, cells: dict[str, tuple[str, int]], path: Path) -> None:
    """A row of sources, one for each method and size of the target set, and the truth; each a row of images."""
    runs = table.query("dataset == @dataset and seed == 0 and kind == 'method'").set_index(["method", "target_size"])
    data = load_task(dataset, int(runs.index.get_level_values("target_size").max()), int(runs.resolution.max()))
    shown = np.linspace(0, len(data.source_test) - 1, COLUMNS).astype(int)
    rows = {"source": data.source_test.images(shown)}
    rows |= {name: read_translations(Path(runs.folder[cell]))[shown] for name, cell in cells.items()}
    rows["truth"] = data.target_test.images(data.truth[shown])
    figure, axes = plt.subplots(len(rows), 1, figsize=(9.4, 0.75 * len(rows)), squeeze=False)
    for axis, (name, images) in zip(axes[:, 0], rows.items()):
        axis.imshow(np.concatenate([framed(image) for image in images], axis=1), interpolation="nearest")
        axis.set_ylabel(name, rotation=0, ha="right", va="center")
        axis.set(xticks=[], yticks=[])
        axis.spines[:].set_visible(False)
    figure.subplots_adjust(left=0.14, right=0.99, top=0.99, bottom=0.01, hspace=0.05)
    figure.savefig(path, dpi=120)
    plt.close(figure)


def framed(image: np.ndarray) -> np.ndarray:
    """uint8 (3, R, R) -> (R, R + 2, 3) with a white line at its right."""
    return np.pad(image.transpose(1, 2, 0), ((0, 0), (0, 2), (0, 0)), constant_values=255)


def scarcity(grids: dict[str, pd.DataFrame], out: Path) -> None:
    """A panel a grid, in it one line a method: the mean over its training seeds, and each run as a point."""
    widths = [table.target_size.nunique() for table in grids.values()]
    figure, axes = plt.subplots(1, len(grids), figsize=(9.4, 4.4), width_ratios=widths, sharey=True)
    number: dict[str, int] = {}  # of a method's colour, the same in all panels
    for axis, (title, table) in zip(axes, grids.items()):
        methods = table[(table.kind == "method") & (table.status == "done")]
        largest = methods[methods.target_size == methods.target_size.max()]
        for method in largest.groupby("method")[PRIMARY].mean().sort_values(ascending=False).index:
            runs, style = methods[methods.method == method], line(number.setdefault(method, len(number)))
            means = runs.groupby("target_size")[PRIMARY].mean()
            axis.plot(means.index, means, label=NAMES[method], **style)
            axis.scatter(runs.target_size, runs[PRIMARY], s=10, alpha=0.5, color=style["color"])
        anchors(axis, table[table.kind == "anchor"])
        axis.set_xscale("log")
        axis.set_xticks(sorted(methods.target_size.unique()), map(str, sorted(methods.target_size.unique())))
        axis.minorticks_off()
        axis.set(title=title, xlabel="target images in training", ylim=(0, 1))
    axes[0].set_ylabel("translated: target, and the source's class")
    axes[-1].legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)
    figure.tight_layout()
    figure.savefig(out / "scarcity.png", dpi=120)
    plt.close(figure)


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
