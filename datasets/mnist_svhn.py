"""MNIST -> SVHN without labels, a task of the batch-weight paper (section 4.2, figure 5)."""

from pathlib import Path

import numpy as np
from PIL import Image

from bench import Dataset, Item, register, square
from bench.datasets.layouts.digits import mnist, mnist_file, svhn


@register
class MNISTSVHN(Dataset):
    """Handwritten digits -> house numbers (cropped digits), 32x32, grey as RGB; labels for measuring.

    60,000 -> 73,257 train and 10,000, 26,032 held out, the official splits with their natural class frequencies (the
    paper calls MNIST's uniform: they are within 13 % of it). Digits of 28 pixels are resized to 32 (bilinear).
    """

    name = "mnist_svhn"
    domains = ("mnist", "svhn")
    labels = ("0", "1", "2", "3", "4", "5", "6", "7", "8", "9")
    resolution = 32
    mirror = False  # digits
    protocol = "batch-weight"
    homepage = "http://yann.lecun.com/exdb/mnist and http://ufldl.stanford.edu/housenumbers"
    license = "MNIST: CC BY-SA 3.0; SVHN: non-commercial use only"
    layout = "the four MNIST idx files (packed or not), train_32x32.mat and test_32x32.mat"
    paper = "batch-weight paper, figures 4 and 5"
    compare = "nothing: the paper prints pictures only"

    def scan(self, root: Path) -> list[Item]:
        items = []
        for split in ("train", "test"):
            files = {"mnist": mnist_file(root, split).name, "svhn": f"{split}_32x32.mat"}
            for domain, (_, labels) in (("mnist", mnist(root, split)), ("svhn", svhn(root, split))):
                items += [
                    Item(f"{split}/{i:05}", domain, split, str(label), files[domain])
                    for i, label in enumerate(labels.tolist())
                ]
        return items

    def load(self, root: Path, item: Item, resolution: int) -> np.ndarray:
        image = Image.fromarray(_pixels(root, item)).convert("RGB")
        if item.domain == "mnist":
            image = image.resize((32, 32), Image.Resampling.BILINEAR)
        return square(image, resolution, f"{item.id} of {item.file}")

    def content(self, root: Path, item: Item) -> bytes:
        return _pixels(root, item).tobytes()


def _pixels(root: Path, item: Item) -> np.ndarray:
    split, number = item.id.split("/")
    images, _ = mnist(root, split) if item.domain == "mnist" else svhn(root, split)
    return images[int(number)]
