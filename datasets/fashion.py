"""Outlines -> photographs of shoes and bags with another share of shoes: the batch-weight paper's task in small.

The photographs are Fashion-MNIST's sandals, sneakers, bags and ankle boots, 2,500 training and 400 test images each.
The paper (section 4.2) translates edges, 26 % of them of shoes, to photographs, 90 % of them of shoes.

`fashion:biased` is UDIT's question (thesis chapter 5): the kind of thing must stay, but most outlines are of one kind
and most photographs of another. As in table 5.1 ten images are of the common kind for one of each other; as in
table 5.3 the classifiers that measure learn from other images, of all kinds equally many.

`fashion:tuning` is for choosing settings: the training images are those of `fashion`, the held-out ones are training
photographs of Fashion-MNIST that `fashion` does not use. So what is chosen by it has not seen what `fashion` holds out.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from PIL import Image

from bench import Dataset, Item, UserError, register, square

SHOES = ("sandal", "sneaker", "boot")
# Of the 2,500 training photographs of a class: how many become outlines, and how many others stay photographs. Shoes
# are 26 % of the outlines, 3 * 146 of 1,688, and 90 % of the photographs, 3 * 1,250 of 4,167.
OUTLINES = {"sandal": 146, "sneaker": 146, "boot": 146, "bag": 1250}
PHOTOGRAPHS = {"sandal": 1250, "sneaker": 1250, "boot": 1250, "bag": 417}
BIASED_OUTLINES = {"sandal": 100, "sneaker": 1000, "bag": 100, "boot": 100}
BIASED_PHOTOGRAPHS = {"sandal": 100, "sneaker": 100, "bag": 100, "boot": 1000}
FOR_JUDGES = 250  # of each class, outlines and photographs, behind those of which the biased task is made
HELD_OUT = 200  # of each class, all as outline and as photograph
MARGIN = 2  # pixels; black around the 28 x 28 of the archive


@register
class Fashion(Dataset):
    """Outlines (26 % shoes) -> photographs (90 %) of shoes and bags, 32x32, grey; ships. `fashion:biased`: UDIT's bias.

    1,688 outlines of one half of Fashion-MNIST's training images -> 4,167 photographs of the other half. Held out are
    200 of each class, each both as outline and photograph, so every output has a truth. Outlines are Canny's.
    `fashion:biased` has 1,000 outlines of sneakers and 100 of each other class -> 1,000 photographs of boots and 100 of
    each other class. `fashion:boots` is another task: photographs of the other three classes -> photographs of boots.
    `fashion:tuning` trains on the same images as `fashion` and holds out others: settings are chosen on it.
    """

    name = "fashion"
    domains = ("outlines", "photos")
    labels = ("sandal", "sneaker", "bag", "boot")
    primary = "translated"
    resolution = 32
    mirror = False  # every shoe points to the left
    homepage = "https://github.com/zalandoresearch/fashion-mnist"
    license = "MIT"
    layout = "fashion28.npz: images, outlines, labels and indices of train and test"
    paper = "batch-weight paper, figures 6a, 6c, 7, in small"
    compare = "nothing: the paper prints pictures only"

    def __init__(self, argument: str | None = None) -> None:
        variant = argument if argument in SCANS else ""
        if variant == "boots":
            self.domains = ("shoes_and_bags", "boots")
        super().__init__(None if variant else argument)
        if variant:
            self.argument = self.variant = variant

    def embedded(self) -> Path:
        return Path(__file__).parent / "embedded" / "fashion28.npz"

    def scan(self, root: Path) -> list[Item]:
        scan = SCANS[self.variant]
        return [item for split in ("train", "test") for item in scan(root, split)]

    def load(self, root: Path, item: Item, resolution: int) -> np.ndarray:
        padded = np.pad(self._pixels(root, item), MARGIN)
        return square(Image.fromarray(padded).convert("RGB"), resolution, item.file)

    def content(self, root: Path, item: Item) -> bytes:
        return self._pixels(root, item).tobytes()

    def _pixels(self, root: Path, item: Item) -> np.ndarray:
        """uint8 (28, 28)."""
        kind, split, number = item.file.split("/")
        pixels = _archive(root)[f"{split}_{kind}"][int(number)]
        return np.unpackbits(pixels).reshape(28, 28) * np.uint8(255) if kind == "outlines" else pixels


def _outlines(
    root: Path, split: str, n_outlines: Mapping[str, int] = OUTLINES, n_photographs: Mapping[str, int] = PHOTOGRAPHS
) -> list[Item]:
    items = []
    for label in Fashion.labels:
        rows = _rows(root, split, label)
        first, others = (rows[: len(rows) // 2], rows[len(rows) // 2 :]) if split == "train" else (rows, rows)
        outlines = n_outlines[label] if split == "train" else HELD_OUT
        photographs = n_photographs[label] if split == "train" else HELD_OUT
        items += [_item(root, split, row, "outlines", "outlines", label) for row in first[:outlines]]
        items += [_item(root, split, row, "photos", "images", label) for row in others[:photographs]]
    return items


def _tuning(root: Path, split: str) -> list[Item]:
    if split == "train":
        return _outlines(root, split)
    used = {item.id for item in _outlines(root, "train")}
    items = []
    for label in Fashion.labels:
        for domain, kind in (("outlines", "outlines"), ("photos", "images")):
            free = [_item(root, "train", row, domain, kind, label) for row in _rows(root, "train", label)]
            items += [replace(item, split="test") for item in free if item.id not in used][:HELD_OUT]
    return items


def _biased(root: Path, split: str) -> list[Item]:
    items = _outlines(root, split, BIASED_OUTLINES, BIASED_PHOTOGRAPHS)
    return items + _for_judges(root) if split == "train" else items


def _for_judges(root: Path) -> list[Item]:
    """The last images of each half of the training images, of which `_outlines` takes the first."""
    items = []
    for label in Fashion.labels:
        rows = _rows(root, "train", label)
        half = len(rows) // 2
        items += [_item(root, "train", row, "outlines", "outlines", label) for row in rows[half - FOR_JUDGES : half]]
        items += [_item(root, "train", row, "photos", "images", label) for row in rows[-FOR_JUDGES:]]
    return [replace(item, split="judge") for item in items]


def _boots(root: Path, split: str) -> list[Item]:
    return [
        _item(root, split, row, "boots" if label == "boot" else "shoes_and_bags", "images", label)
        for label in Fashion.labels
        for row in _rows(root, split, label)[: None if split == "train" else HELD_OUT]
    ]


def _rows(root: Path, split: str, label: str) -> list[int]:
    """The images of a class in an order that depends on their indices in Fashion-MNIST alone."""
    content = _archive(root)
    rows = np.flatnonzero(content[f"{split}_labels"] == Fashion.labels.index(label)).tolist()
    index = content[f"{split}_index"]
    return sorted(rows, key=lambda row: hashlib.sha256(f"fashion {split} {index[row]}".encode()).digest())


def _item(root: Path, split: str, row: int, domain: str, kind: str, label: str) -> Item:
    """`kind` is images or outlines. The id is the index in Fashion-MNIST, which outline and photograph share."""
    name = f"{split}/{_archive(root)[f'{split}_index'][row]:05}"
    return Item(name, domain, split, label, f"{kind}/{split}/{row}", pair=name)


SCANS = {
    "": _outlines,
    "biased": _biased,
    "boots": _boots,
    "tuning": _tuning,
}  # by what follows the colon in fashion:...


@lru_cache(maxsize=1)
def _archive(root: Path) -> dict[str, np.ndarray]:
    try:
        with np.load(root, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except (OSError, ValueError, KeyError, BadZipFile) as error:
        raise UserError(f"cannot read {root} ({error}); restore the file from the repository") from None
