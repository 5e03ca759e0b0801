"""MNIST -> SR-MNIST, the skewed and rotated digits of "Batch weight for domain adaptation with mass shift" (2019).

Source: each class equally often. Target: zero with probability 1/2, otherwise uniform over 1-9; each image padded by 7,
rotated by uniform(-15, 15) degrees (bilinear), cropped at random to 33x33, resized to 32x32.

Departures from the paper:
- `fixed_draws`: the paper draws class and distortion anew at each step. Here the target is a fixed set, so that subset
  and held-out part mean something: each zero appears with nine distortions, each other digit with one, which gives
  the paper's class law exactly. Angle and crop come from the hash of the image id.
- `real_digits`: 5,000 digits ship instead of 70,000. They are shared out by hash so that no digit serves two purposes.
  `srmnist:full` takes all 70,000 from the original files: of each class of the 60,000 one half is source and the other
  target, and so with the 10,000 held out. There each target zero appears so often that half of the images are zeros,
  as nearly as whole numbers allow.
"""

import hashlib
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from PIL import Image

from bench import Dataset, Item, UserError, register, square
from bench.datasets.layouts.digits import mnist, mnist_file

# Of the 500 digits of a class, in hash order: how many go where.
SHARES = (("mnist", "train", 200), ("srmnist", "train", 200), ("mnist", "test", 50), ("srmnist", "test", 50))
ZERO_DRAWS = 9  # 9 draws of each zero against 1 of each digit of the nine other classes: half of the images are zeros


@register
class SRMNIST(Dataset):
    """MNIST digits -> rotated, cropped digits of which half are zeros; 32x32, grey as RGB; ships with the project.

    2,000 + 500 source and 3,600 + 900 target images (train + test) from 5,000 digits; no pairs. `srmnist:full` is made
    of the 70,000 digits of the original idx files, about 30,000 + 5,000 and 54,000 + 9,000 images.
    """

    name = "srmnist"
    aliases = ("sr-mnist",)
    domains = ("mnist", "srmnist")
    labels = ("0", "1", "2", "3", "4", "5", "6", "7", "8", "9")
    primary = "translated"
    resolution = 32
    mirror = False  # digits
    protocol = "default"
    homepage = "http://yann.lecun.com/exdb/mnist"
    license = "CC BY-SA 3.0"
    layout = "mnist5k.npz (ships); for srmnist:full the four MNIST idx files, packed or not"
    paper = "batch-weight paper, figures 3 and 4"
    compare = "nothing as a number: the paper prints pictures and the curves of figure 3"

    def __init__(self, argument: str | None = None) -> None:
        self.full = argument == "full"
        super().__init__(None if self.full else argument)
        if self.full:
            self.argument = self.variant = "full"

    def embedded(self) -> Path | None:
        if self.full:
            return None
        return Path(__file__).parent / "embedded" / "mnist5k.npz"

    def scan(self, root: Path) -> list[Item]:
        if self.full:
            return [item for split in ("train", "test") for item in _full(root, split)]
        _, labels = _digits(root)
        items = []
        for label in range(10):
            digits = iter(sorted(np.flatnonzero(labels == label).tolist(), key=lambda i: _uniform(f"digit {i}")))
            for domain, split, count in SHARES:
                draws = ZERO_DRAWS if domain == "srmnist" and label == 0 else 1
                for digit in [next(digits) for _ in range(count)]:
                    items += [
                        Item(f"{digit:04}-{draw}", domain, split, str(label), f"images/{digit}")
                        for draw in range(draws)
                    ]
        return items

    def load(self, root: Path, item: Item, resolution: int) -> np.ndarray:
        digit = self.digit(root, item)
        image = _distorted(digit, item.id) if item.domain == "srmnist" else Image.fromarray(digit)
        image = image.resize((32, 32), Image.Resampling.BILINEAR)
        return square(image.convert("RGB"), resolution, item.file)

    def content(self, root: Path, item: Item) -> bytes:
        return self.digit(root, item).tobytes()

    def digit(self, root: Path, item: Item) -> np.ndarray:
        """uint8 (28, 28): the digit that the image is made of."""
        if self.full:
            split, number = item.id.split("-")[0].split("/")
            return mnist(root, split)[0][int(number)]
        return _digits(root)[0][int(item.file.removeprefix("images/"))]


def _full(root: Path, split: str) -> Iterator[Item]:
    """Half of the digits of each class as they are, the other half distorted, zeros in so many draws as make a half."""
    _, labels = mnist(root, split)
    file = mnist_file(root, split).name
    halves: dict[int, list[int]] = {}
    for label in range(10):
        digits = sorted(np.flatnonzero(labels == label).tolist(), key=lambda i: _uniform(f"full {split} {i}"))
        halves[label] = digits[len(digits) // 2 :]
        for digit in digits[: len(digits) // 2]:
            yield Item(f"{split}/{digit:05}-0", "mnist", split, str(label), file)
    others = sum(len(digits) for label, digits in halves.items() if label)
    zero_draws = max(1, round(others / max(1, len(halves[0]))))
    for label, digits in halves.items():
        for digit in digits:
            for draw in range(zero_draws if label == 0 else 1):
                yield Item(f"{split}/{digit:05}-{draw}", "srmnist", split, str(label), file)


def _distorted(digit: np.ndarray, id: str) -> Image.Image:
    """uint8 (28, 28) -> a 33x33 image: the distortion of the paper's code with the three draws that `id` stands for."""
    padded = Image.fromarray(np.pad(digit, 7))
    rotated = padded.rotate(30 * _uniform(f"angle {id}") - 15, Image.Resampling.BILINEAR)
    left, top = (int(10 * _uniform(f"{edge} {id}")) for edge in ("left", "top"))
    return rotated.crop((left, top, left + 33, top + 33))


def _uniform(key: str) -> float:
    """A number in [0, 1) that depends on the key alone, whatever the version of any random generator."""
    return int.from_bytes(hashlib.sha256(f"srmnist {key}".encode()).digest()[:6], "big") / 2**48


@lru_cache(maxsize=1)
def _digits(root: Path) -> tuple[np.ndarray, np.ndarray]:
    try:
        with np.load(root, allow_pickle=False) as archive:
            return archive["images"], archive["labels"]
    except (OSError, ValueError, KeyError, BadZipFile) as error:
        raise UserError(f"cannot read {root} ({error}); restore the file from the repository") from None
