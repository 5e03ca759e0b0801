"""Emoji drawn twice: 1,906 emoji in Twemoji style -> the same emoji in Noto style, so every output has a truth."""

import csv
import io
from functools import lru_cache
from pathlib import Path
from zipfile import BadZipFile, ZipFile

import numpy as np

from bench import Dataset, Item, UserError, read_rgb, register, square


@register
class Emoji(Dataset):
    """Emoji, Twemoji style -> Noto style, RGB 64x64, 9 categories; ships with the project.

    The split is that of the archive's index.csv and equal for both styles; an emoji's id and pair is its code point.
    """

    name = "emoji"
    domains = ("twemoji", "noto")
    labels = ("activities", "animals", "flags", "food", "objects", "people", "smileys", "symbols", "travel")
    primary = "translated"
    resolution = 64
    training_pairs = True
    mirror = False  # clocks, letters, arrows and flags
    homepage = "https://github.com/twitter/twemoji and https://github.com/googlefonts/noto-emoji"
    license = "Twemoji: CC-BY 4.0; Noto: Apache-2.0"
    layout = "emoji64.zip: index.csv and <style>/<split>/<category>/<code point>.png"

    def embedded(self) -> Path:
        return Path(__file__).parent / "embedded" / "emoji64.zip"

    def scan(self, root: Path) -> list[Item]:
        rows = csv.DictReader(io.StringIO(_read(root, "index.csv").decode("utf-8")))
        return [
            Item(
                id=row["codepoints"],
                domain=domain,
                split=row["split"],
                label=row["category"],
                file=f"{domain}/{row['split']}/{row['category']}/{row['codepoints']}.png",
                pair=row["codepoints"],
            )
            for row in rows
            for domain in self.domains
        ]

    def load(self, root: Path, item: Item, resolution: int) -> np.ndarray:
        name = f"{root}:{item.file}"
        return square(read_rgb(io.BytesIO(_read(root, item.file)), name), resolution, name)


def _read(root: Path, member: str) -> bytes:
    try:
        return _archive(root).read(member)
    except (OSError, BadZipFile, KeyError) as error:
        raise UserError(f"cannot read {member} of {root} ({error}); restore the archive from the repository") from None


@lru_cache(maxsize=1)
def _archive(root: Path) -> ZipFile:
    """Held in memory: opening it reads the table of 3,814 members, too slow to repeat for each image."""
    return ZipFile(io.BytesIO(root.read_bytes()))
