"""Digits of 8x8 pixels (UCI, in scikit-learn) with a shift of mass: the batch-weight paper's claim in small.

Source: the classes 0, 1, 4, 7 equally often. Target: 0.6 times the image, one pixel to the right, minus 0.3 (of values
in [-1, 1]), where one class has seven images for one of each other: 0.7 and three times 0.1. Both have noise of
deviation 0.02. No digit serves two purposes: of each class 65 are source and 65 target, 24 of each are held out. What
makes the law is that the frequent class shows each of its digits seven times, each time with other noise.
"""

import gzip
import hashlib
import zlib
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from PIL import Image

from bench import Dataset, Item, UserError, register, square

# Of the 178 or more digits of a class, in hash order: how many go where.
SHARES = (("plain", "train", 65), ("moved", "train", 65), ("plain", "test", 24), ("moved", "test", 24))
DRAWS = 7  # of each target digit of the frequent class


@register
class Digits8(Dataset):
    """Digits 0, 1, 4, 7, equally often -> moved and paler ones, 70 % zeros (`digits8:4`: fours); 8x8; ships.

    260 + 96 source and 650 + 240 target images (train + test), made of 712 of scikit-learn's digits; no pairs.
    """

    name = "digits8"
    domains = ("plain", "moved")
    labels = ("0", "1", "4", "7")
    primary = "translated"
    resolution = 8
    mirror = False  # digits
    homepage = "https://archive.ics.uci.edu/dataset/80"
    license = "CC-BY 4.0"
    layout = "digits.csv.gz of scikit-learn: 1,797 lines of 64 values (0-16) and the digit"
    compare = "nothing as a number: it shows the batch-weight paper's claim in seconds"

    def __init__(self, argument: str | None = None) -> None:
        self.frequent = "0"
        if argument in self.labels:
            self.frequent, argument = argument, None
        super().__init__(argument)
        if self.frequent != "0":
            self.argument = self.variant = self.frequent

    def embedded(self) -> Path | None:
        sklearn = find_spec("sklearn")
        assert sklearn is not None and sklearn.origin is not None
        return Path(sklearn.origin).parent / "datasets" / "data" / "digits.csv.gz"

    def scan(self, root: Path) -> list[Item]:
        labels = _table(root)[:, 64]
        items = []
        for label in self.labels:
            rows = iter(sorted(np.flatnonzero(labels == int(label)).tolist(), key=lambda row: _seed(f"digit {row}")))
            for domain, split, count in SHARES:
                draws = DRAWS if domain == "moved" and label == self.frequent else 1
                for row in [next(rows) for _ in range(count)]:
                    items += [Item(f"{row:04}-{draw}", domain, split, label, f"digits/{row}") for draw in range(draws)]
        return items

    def load(self, root: Path, item: Item, resolution: int) -> np.ndarray:
        image = self.digit(root, item) / 8 - 1.0
        if item.domain == "moved":
            image = 0.6 * np.roll(image, 1, axis=1) - 0.3
        # RandomState's numbers are the same in every version of numpy
        image = image + np.random.RandomState(_seed(f"noise {item.id}")).normal(0, 0.02, (8, 8))
        pixels = np.rint((image.clip(-1, 1) + 1) * 127.5).astype(np.uint8)
        return square(Image.fromarray(pixels).convert("RGB"), resolution, item.file)

    def content(self, root: Path, item: Item) -> bytes:
        return self.digit(root, item).tobytes()

    def digit(self, root: Path, item: Item) -> np.ndarray:
        """uint8 (8, 8), 0 to 16: the digit that the image is made of."""
        return _table(root)[int(item.file.removeprefix("digits/")), :64].reshape(8, 8)


@lru_cache(maxsize=1)
def _table(root: Path) -> np.ndarray:
    """uint8 (1797, 65): 64 pixels and the digit."""
    try:
        with gzip.open(root, "rt", encoding="ascii") as file:
            table = np.loadtxt(file, delimiter=",")
        if table.shape != (1797, 65):
            raise ValueError(f"its table is {table.shape}, not (1797, 65)")
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise UserError(f"cannot read {root} ({error}); install scikit-learn again") from None
    return table.astype(np.uint8)


def _seed(key: str) -> int:
    return int.from_bytes(hashlib.sha256(f"digits8 {key}".encode()).digest()[:4], "big")
