"""Emoji in four styles, mixed and unnamed -> ink drawings: BalaGAN's setting, a rich source with hidden modes."""

from pathlib import Path

import numpy as np

from bench import Dataset, Item, register
from bench.datasets.layouts import styles


@register
class Styles(Dataset):
    """Emoji as Fluent gradient, Fluent flat, Noto and Twemoji draw them -> Fluent ink, RGB 64x64; ships.

    Each of 1,554 emoji is in the source four times, and no method is told which style an image has: it is the hidden
    label, against which mode finding can be scored. The truth of all four is the one ink drawing of the same name; only
    those of the two Fluent styles are aligned with it. A paired method gets one image of the source for each drawing.
    `styles:told` is the task of methods between many domains: the style of a source image is its label, and there are
    no categories.
    """

    name = "styles"
    domains = ("coloured", "ink")
    labels: tuple[str, ...] = ("activities", "animals", "food", "objects", "people", "smileys", "symbols", "travel")
    attributes = ("gradient", "flat", "noto", "twemoji")
    hidden = ("gradient", "flat", "noto", "twemoji")
    primary = "translated"
    resolution = 64
    training_pairs = True
    mirror = False  # clocks, letters, arrows and hands
    homepage = (
        "https://github.com/microsoft/fluentui-emoji, https://github.com/googlefonts/noto-emoji and "
        "https://github.com/twitter/twemoji"
    )
    license = "Fluent Emoji: MIT; Noto: Apache-2.0; Twemoji: CC-BY 4.0"
    layout = "styles64.zip: index.csv and <style>/<split>/<category>/<name>.png"
    compare = "nothing: no paper uses it"

    def __init__(self, argument: str | None = None) -> None:
        self.told = argument == "told"
        super().__init__(None if self.told else argument)
        if self.told:
            self.argument = self.variant = "told"
            self.labels = self.hidden

    def embedded(self) -> Path:
        return styles.ARCHIVE

    def scan(self, root: Path) -> list[Item]:
        items = []
        for row in styles.emoji(root):
            name, split, label = row["name"], row["split"], row["category"]
            items += [
                Item(f"{name}/{style}", "coloured", split, style if self.told else label, file, name, (style,))
                for style, file in ((style, styles.file_of(row, style)) for style in self.hidden)
            ]
            items.append(Item(name, "ink", split, None if self.told else label, styles.file_of(row, "ink"), name))
        return items

    def load(self, root: Path, item: Item, resolution: int) -> np.ndarray:
        return styles.picture(root, item.file, resolution)

    def content(self, root: Path, item: Item) -> bytes:
        return styles.content(root, item.file)
