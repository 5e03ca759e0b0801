"""The archive of emoji in five styles, which `ink` and `styles` read. No data set by itself."""

import csv
import io
from functools import lru_cache
from pathlib import Path
from zipfile import BadZipFile, ZipFile

import numpy as np

from bench import UserError, read_rgb, square

ARCHIVE = Path(__file__).parent.parent / "embedded" / "styles64.zip"
LABELS = ("activities", "animals", "food", "objects", "people", "smileys", "symbols", "travel")


def emoji(root: Path) -> list[dict[str, str]]:
    """The rows of index.csv: name, category, split; the same 1,554 emoji are there in every style."""
    return list(csv.DictReader(io.StringIO(_read(root, "index.csv").decode("utf-8"))))


def file_of(row: dict[str, str], style: str) -> str:
    """Where the archive holds an emoji in this style."""
    return f"{style}/{row['split']}/{row['category']}/{row['name']}.png"


def picture(root: Path, file: str, resolution: int) -> np.ndarray:
    """uint8 (3, resolution, resolution)."""
    name = f"{root}:{file}"
    return square(read_rgb(io.BytesIO(_read(root, file)), name), resolution, name)


def content(root: Path, file: str) -> bytes:
    """The pixels: some emoji are drawn alike (a man and a person who kneel), also across training and held-out."""
    return picture(root, file, 64).tobytes()


def _read(root: Path, member: str) -> bytes:
    try:
        return _archive(root).read(member)
    except (OSError, BadZipFile, KeyError) as error:
        raise UserError(f"cannot read {member} of {root} ({error}); restore the archive from the repository") from None


@lru_cache(maxsize=1)
def _archive(root: Path) -> ZipFile:
    """Held in memory: opening it reads the table of 7,772 members, too slow to repeat for each image."""
    return ZipFile(io.BytesIO(root.read_bytes()))
