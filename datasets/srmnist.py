"""MNIST -> SR-MNIST, the skewed and rotated digits of "Batch weight for domain adaptation with mass shift" (2019).

Source: each class equally often. Target: zero with probability 1/2, otherwise uniform over 1-9; each image padded by 7,
rotated by uniform(-15, 15) degrees (bilinear), cropped at random to 33x33, resized to 32x32.

Departures from the paper:
- `fixed_draws`: the paper draws class and distortion anew at each step. Here the target is a fixed set, so that subset
  and held-out part mean something: each zero appears with nine distortions, each other digit with one, which gives
  the paper's class law exactly. Angle and crop come from the hash of the image id.
- `real_digits`: 5,000 digits ship instead of 70,000. They are shared out by hash so that no digit serves two purposes.
"""

import hashlib
from functools import lru_cache
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from PIL import Image

from bench.dataset import Dataset, Item
from bench.errors import UserError
from bench.images import square
from bench.registry import register

# Of the 500 digits of a class, in hash order: how many go where.
SHARES = (("mnist", "train", 200), ("srmnist", "train", 200), ("mnist", "test", 50), ("srmnist", "test", 50))
ZERO_DRAWS = 9  # 9 draws of each zero against 1 of each digit of the nine other classes: half of the images are zeros


@register
class SRMNIST(Dataset):
    """MNIST digits -> rotated, cropped digits of which half are zeros; 32x32, grey as RGB; ships with the project.

    2,000 + 500 source and 3,600 + 900 target images (train + test) from 5,000 digits; no pairs.
    """

    name = "srmnist"
    aliases = ("sr-mnist",)
    domains = ("mnist", "srmnist")
    labels = ("0", "1", "2", "3", "4", "5", "6", "7", "8", "9")
    resolution = 32
    homepage = "http://yann.lecun.com/exdb/mnist"
    license = "CC BY-SA 3.0"
    layout = "mnist5k.npz: images uint8 (5000, 28, 28), labels uint8 (5000,)"

    def embedded(self) -> Path:
        return Path(__file__).parent / "embedded" / "mnist5k.npz"

    def scan(self, root: Path) -> list[Item]:
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
        images, _ = _digits(root)
        digit = images[int(item.file.removeprefix("images/"))]
        image = _distorted(digit, item.id) if item.domain == "srmnist" else Image.fromarray(digit)
        image = image.resize((32, 32), Image.Resampling.BILINEAR)
        return square(image.convert("RGB"), resolution, item.file)


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
