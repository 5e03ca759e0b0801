"""Coloured emoji -> black ink drawings of the same emoji: two styles of one design, so every output has a truth."""

from pathlib import Path

import numpy as np

from bench import Dataset, Item, register
from bench.datasets.layouts import styles


@register
class Ink(Dataset):
    """Fluent emoji, flat colours -> black ink, RGB 64x64, 8 categories, aligned; ships with the project.

    1,554 emoji, a fifth of the names held out, the same in both styles. An emoji's id and pair is its name. Training
    emoji that are drawn like a held-out one are left out: one of flat and five of ink.
    """

    name = "ink"
    domains = ("flat", "ink")
    labels = ("activities", "animals", "food", "objects", "people", "smileys", "symbols", "travel")
    primary = "translated"
    resolution = 64
    training_pairs = True
    mirror = False  # clocks, letters, arrows and hands
    homepage = "https://github.com/microsoft/fluentui-emoji"
    license = "MIT"
    layout = "styles64.zip: index.csv and <style>/<split>/<category>/<name>.png"
    compare = "nothing: no paper uses it"

    def embedded(self) -> Path:
        return styles.ARCHIVE

    def scan(self, root: Path) -> list[Item]:
        return [
            Item(row["name"], domain, row["split"], row["category"], styles.file_of(row, domain), pair=row["name"])
            for row in styles.emoji(root)
            for domain in self.domains
        ]

    def load(self, root: Path, item: Item, resolution: int) -> np.ndarray:
        return styles.picture(root, item.file, resolution)

    def content(self, root: Path, item: Item) -> bytes:
        return styles.content(root, item.file)
