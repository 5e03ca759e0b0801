"""Emoji in opponent channels -> RGB: the zero-pair experiment of M&MNets (thesis section 4.5) on data that ship.

theta1 = R - G and theta2 = G - B, values from -255 to 255 (equation 4.14), kept as grey: black is -255, white 255.
"""

from pathlib import Path

import numpy as np

from bench import Dataset, Item, grey_image, register
from bench.datasets.emoji import Emoji
from bench.datasets.flowers_opponent import CHANNELS
from bench.datasets.layouts import first_half


@register
class EmojiOpponent(Dataset):
    """Emoji of both styles, G - B -> RGB, a pair that is never seen together in training; 64x64; ships.

    One half of the training emoji (by hash of the code point, so that both styles of an emoji are in one half) is seen
    as (theta1, theta2), the other as (theta1, rgb). Held-out emoji are those of `emoji`, seen in all three domains.
    `emoji_opponent:theta1-rgb` is the pair that is seen. Most emoji have few colours, and grey ones are zero in both
    opponent channels: what was lost with the third channel cannot all be found again.
    """

    name = "emoji_opponent"
    aliases = ("emoji-opponent",)
    domains = ("theta2", "rgb", "theta1")
    kinds = {"theta1": "grey", "theta2": "grey"}
    labels = ("activities", "animals", "flags", "food", "objects", "people", "smileys", "symbols", "travel")
    resolution = 64
    mirror = False  # clocks, letters, arrows and flags
    protocol = "mnm"
    homepage = "https://github.com/twitter/twemoji and https://github.com/googlefonts/noto-emoji"
    license = "Twemoji: CC-BY 4.0; Noto: Apache-2.0"
    layout = "emoji64.zip: index.csv and <style>/<split>/<category>/<code point>.png"
    paper = "thesis section 4.5, table 4.1 in small"
    compare = "nothing as a number: it shows the thesis's claim in minutes"

    def embedded(self) -> Path:
        return Emoji().embedded()

    def scan(self, root: Path) -> list[Item]:
        items = []
        for emoji in Emoji().scan(root):
            seen = self.domains if emoji.split == "test" else _seen(emoji.id)
            name = f"{emoji.domain}/{emoji.id}"
            items += [Item(name, domain, emoji.split, emoji.label, emoji.file, pair=name) for domain in seen]
        return items

    def load(self, root: Path, item: Item, resolution: int) -> np.ndarray:
        image = Emoji().load(root, item, resolution)
        if item.domain == "rgb":
            return image
        first, second = CHANNELS[item.domain]
        return grey_image((image[first].astype(int) - image[second] + 255) / 510)

    def content(self, root: Path, item: Item) -> bytes | None:
        return None  # as in emoji: its split is fixed


def _seen(codepoints: str) -> tuple[str, str]:
    return ("theta1", "theta2") if first_half("emoji_opponent", codepoints) else ("theta1", "rgb")
