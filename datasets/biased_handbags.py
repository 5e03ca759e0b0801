"""UDIT's biased handbags (thesis tables 5.1-5.3): flat black -> red bags of which most are textured, and its sister.

The thesis selects bags of edges2handbags by hand and publishes no list, so the user writes one: labels.csv with the
columns file,color,texture, for example `train/17_AB.jpg,red,flat`.
"""

from pathlib import Path

import numpy as np

from bench import Dataset, Item, UserError, register, unknown
from bench.datasets.layouts import draw, entry, read_csv, require_file, require_listed, side_by_side

# (domain, label) -> images to train on (table 5.1) and to hold out. Of the source table 5.2 holds 100 out; of the
# target nothing. Here 100 of what an unbiased translation should give are: the label that the bias makes rare.
EXPERIMENTS = {
    "color": {
        ("source", "flat_black"): (755, 100),
        ("target", "textured_red"): (1000, 0),
        ("target", "flat_red"): (100, 100),
    },
    "texture": {
        ("source", "flat_red"): (1256, 100),
        ("target", "textured_black"): (1100, 0),
        ("target", "textured_red"): (100, 100),
    },
}
VALUES = {"color": ("red", "black"), "texture": ("flat", "textured")}


@register
class BiasedHandbags(Dataset):
    """Flat black bags -> 1,000 textured and 100 flat red ones; `biased_handbags:texture` is the other experiment.

    Sizes of tables 5.1 and 5.2, drawn by hash from labels.csv. The held-out target images are the rare kind only.
    """

    name = "biased_handbags"
    domains = ("source", "target")
    resolution = 256
    protocol = "udit"
    homepage = "https://github.com/phillipi/pix2pix (edges2handbags)"
    license = "unchecked (non-commercial research)"
    layout = "edges2handbags/train/*_AB.jpg, edges2handbags/val/*_AB.jpg and labels.csv (file,color,texture)"
    paper = "thesis chapter 5, tables 5.1-5.5"
    compare = "UDIT's shares of kept colours, with bags that were chosen anew: by order of size only"

    def __init__(self, argument: str | None = None) -> None:
        self.experiment = argument or "color"
        if self.experiment not in EXPERIMENTS:
            raise unknown("experiment of biased_handbags", self.experiment, EXPERIMENTS)
        super().__init__()
        if self.experiment != "color":
            self.argument = self.variant = self.experiment

    def scan(self, root: Path) -> list[Item]:
        sizes = EXPERIMENTS[self.experiment]
        domains = {label: domain for domain, label in sizes}
        items, files = [], []
        path = require_file(root / "labels.csv", "write it: file,color,texture and lines like train/17_AB.jpg,red,flat")
        for row in read_csv(path, ["file", *VALUES], "write lines like train/17_AB.jpg,red,flat"):
            for column, known in VALUES.items():
                if row[column] not in known:
                    raise UserError(f"{path} calls {row['file']} {row[column]!r}; write {' or '.join(known)}")
            files.append(root / "edges2handbags" / row["file"])
            label = f"{row['texture']}_{row['color']}"
            if label in domains:
                items.append(entry(root, files[-1], domains[label], label=label))
        require_listed(files, path)
        return draw(items, sizes, self.name)

    def load(self, root: Path, item: Item, resolution: int) -> np.ndarray:
        return side_by_side(root / item.file, "right", resolution)
