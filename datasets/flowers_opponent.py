"""Flowers in opponent channels -> RGB, the zero-pair experiment of M&MNets (thesis section 4.5, table 4.1).

theta1 = R - G and theta2 = G - B, values from -255 to 255 (equation 4.14), kept as grey: black is -255, white 255.

Layout from the README of the 102 category flowers: jpg/image_00001.jpg to image_08189.jpg, imagelabels.mat (labels),
setid.mat (trnid, valid, tstid), numbers from 1. The numbers of the ten classes are those of its list of categories.
"""

from pathlib import Path

import numpy as np

from bench import Dataset, Item, UserError, grey_image, read_rgb, register, square
from bench.datasets.layouts import entry, first_half, inside, read_matlab, require_listed

CLASSES = {
    **{77: "passionflower", 51: "petunia", 74: "rose", 46: "wallflower", 89: "watercress"},
    **{73: "waterlily", 88: "cyclamen", 94: "foxglove", 81: "frangipani", 83: "hibiscus"},
}
CHANNELS = {"theta1": (0, 1), "theta2": (1, 2)}  # minuend, subtrahend


@register
class FlowersOpponent(Dataset):
    """Ten kinds of flowers, G - B -> RGB, a pair that is never seen together in training; 128x128, centre square.

    As in the thesis, one half of the training flowers is seen as (theta1, theta2), the other as (theta1, rgb); the
    halves are drawn by hash. Held-out flowers are seen in all three, as each other's truth. The thesis names no
    split: here the large official part (tstid) trains and trnid and valid (10 each a class) are held out.
    `flowers_opponent:theta1-rgb` is the pair that is seen.
    """

    name = "flowers_opponent"
    domains = ("theta2", "rgb", "theta1")
    kinds = {"theta1": "grey", "theta2": "grey"}
    labels = (
        *("cyclamen", "foxglove", "frangipani", "hibiscus", "passionflower"),
        *("petunia", "rose", "wallflower", "watercress", "waterlily"),
    )
    resolution = 128
    protocol = "mnm"
    homepage = "https://www.robots.ox.ac.uk/~vgg/data/flowers/102"
    license = "unchecked (photographs from the web, research)"
    layout = "jpg/image_*.jpg, imagelabels.mat and setid.mat (102flowers.tgz unpacks to jpg/)"
    paper = "thesis section 4.5, table 4.1"
    compare = "accuracies of table 4.1, with another split and another classifier"

    def scan(self, root: Path) -> list[Item]:
        mend = f"get 102flowers.tgz, imagelabels.mat and setid.mat from {self.homepage}"
        labels = np.atleast_1d(read_matlab(root / "imagelabels.mat", ["labels"], mend)["labels"]).astype(int)
        parts = read_matlab(root / "setid.mat", ["trnid", "valid", "tstid"], mend)
        numbers = {name: {int(number) for number in np.atleast_1d(parts[name])} for name in parts}
        train, test = numbers["tstid"], numbers["trnid"] | numbers["valid"]
        if train & test or len(train | test) != len(labels) or max(train | test) > len(labels):
            raise UserError(
                f"{root / 'setid.mat'} does not share out the {len(labels)} images of {root / 'imagelabels.mat'}: they "
                f"differ in version; {mend}"
            )
        jpg = inside(root, "102flowers") / "jpg"
        wanted = [i for i, label in enumerate(labels.tolist(), start=1) if label in CLASSES]
        require_listed([jpg / f"image_{number:05}.jpg" for number in wanted], root / "imagelabels.mat")
        return [
            entry(root, jpg / f"image_{n:05}.jpg", domain, split, CLASSES[labels[n - 1]], f"{n:05}", below=jpg)
            for n in wanted
            for split in ["test" if n in test else "train"]
            for domain in (self.domains if split == "test" else _seen(n))
        ]

    def load(self, root: Path, item: Item, resolution: int) -> np.ndarray:
        path = root / item.file
        image = square(read_rgb(path), resolution, str(path))
        if item.domain == "rgb":
            return image
        first, second = CHANNELS[item.domain]
        return grey_image((image[first].astype(int) - image[second] + 255) / 510)


def _seen(number: int) -> tuple[str, str]:
    return ("theta1", "theta2") if first_half("flowers_opponent", str(number)) else ("theta1", "rgb")
