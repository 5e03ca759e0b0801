"""Edges -> photographs of shoes and bags with another share of shoes, a task of the batch-weight paper (section 4.2).

Each file of pix2pix's edges2shoes and edges2handbags is 512x256: the edges on the left, the photograph on the right.
"""

from pathlib import Path

import numpy as np

from bench import Dataset, Item, register
from bench.datasets.layouts import by_hash, entry, images_of, side_by_side

ARCHIVES = {"shoes": "edges2shoes", "bags": "edges2handbags"}
SPLITS = {"train": "train", "val": "test"}
SHOES = 0.9  # of the photographs


@register
class EdgesShoesBags(Dataset):
    """Edges (26 % shoes, as in the archives: 50k of 188k) -> photographs (90 % shoes), 128x128.

    The paper draws the photographs anew at each step; here the set is fixed: all shoes and as many bags, by hash, as
    make a tenth. The official val/ parts (200 + 200) are held out, with the same law. Each photograph is the
    truth of its edges.
    """

    name = "edges_shoes_bags"
    domains = ("edges", "photo")
    labels = ("shoes", "bags")
    resolution = 128
    training_pairs = True
    protocol = "batch-weight"
    homepage = "https://github.com/phillipi/pix2pix"
    license = "unchecked (non-commercial research)"
    layout = "edges2shoes/ and edges2handbags/, each with train/ and val/ of *_AB.jpg (edges left, photograph right)"
    paper = "batch-weight paper, figures 6a, 6c, 7"
    compare = "nothing: the paper prints pictures only"

    def scan(self, root: Path) -> list[Item]:
        items = []
        for folder, split in SPLITS.items():
            files = {label: _files(root, archive, folder) for label, archive in ARCHIVES.items()}
            edges = [_item(root, file, "edges", split, label) for label in files for file in files[label]]
            photographs = [_item(root, file, "photo", split, label) for label in files for file in files[label]]
            shoes = [item for item in photographs if item.label == "shoes"]
            bags = by_hash([item for item in photographs if item.label == "bags"], self.name)
            items += edges + shoes + bags[: max(1, round(len(shoes) * (1 - SHOES) / SHOES))]
        return items

    def load(self, root: Path, item: Item, resolution: int) -> np.ndarray:
        return side_by_side(root / item.file, "left" if item.domain == "edges" else "right", resolution)


def _files(root: Path, archive: str, folder: str) -> list[Path]:
    return images_of(root / archive / folder, f"extract {archive}.tar.gz of pix2pix (again)")


def _item(root: Path, file: Path, domain: str, split: str, label: str) -> Item:
    return entry(root, file, domain, split, label, pair=file.relative_to(root).as_posix())
