"""Emoji in three styles, of which gradient and ink are never seen together: M&MNets' setting in small."""

from pathlib import Path

import numpy as np

from bench import Dataset, Item, register
from bench.datasets.layouts import first_half, styles


@register
class StylePairs(Dataset):
    """Fluent gradient -> Fluent ink, a pair that is never seen together in training, RGB 64x64; ships.

    One half of the training emoji (by hash of the name) is seen as (flat, gradient), the other as (flat, ink); held-out
    emoji in all three styles. `style_pairs:gradient-flat` and `style_pairs:flat-ink` are the pairs that are seen. All
    three styles are aligned, so every output has a truth.
    """

    name = "style_pairs"
    aliases = ("style-pairs",)
    domains = ("gradient", "ink", "flat")
    labels = styles.LABELS
    primary = "translated"
    resolution = 64
    mirror = False  # clocks, letters, arrows and hands
    protocol = "mnm"
    homepage = "https://github.com/microsoft/fluentui-emoji"
    license = "MIT"
    layout = "styles64.zip: index.csv and <style>/<split>/<category>/<name>.png"
    paper = "thesis chapter 4, in small"
    compare = "nothing: no paper uses it"

    def embedded(self) -> Path:
        return styles.ARCHIVE

    def scan(self, root: Path) -> list[Item]:
        items = []
        for row in styles.emoji(root):
            name, split, label = row["name"], row["split"], row["category"]
            shown = self.domains if split == "test" else ("flat", _other(name))
            items += [Item(name, style, split, label, styles.file_of(row, style), name) for style in shown]
        return items

    def load(self, root: Path, item: Item, resolution: int) -> np.ndarray:
        return styles.picture(root, item.file, resolution)

    def content(self, root: Path, item: Item) -> bytes:
        return styles.content(root, item.file)


def _other(name: str) -> str:
    """The style in which a training emoji is seen beside flat."""
    return "gradient" if first_half("style_pairs", name) else "ink"
