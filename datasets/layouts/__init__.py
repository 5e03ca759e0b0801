"""What several official layouts have in common: folders, lists, boxes, draws by hash. No data set by itself."""

import csv
import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from unicodedata import normalize

import numpy as np
from PIL import Image

from bench import Item, UserError, image_files, read_rgb, square

HELD_OUT = 0.2  # the share of a small set that is held out, as in bench.data.bank
Box = tuple[int, int, int, int]  # left, top, right, bottom in pixels


def inside(root: Path, *names: str) -> Path:
    """`root`, or the folder of it that an archive unpacks to, so that --from may name either."""
    return next((root / name for name in names if (root / name).is_dir()), root)


def entry(
    root: Path,
    file: Path,
    domain: str,
    split: str = "train",
    label: str | None = None,
    pair: str | None = None,
    attributes: tuple[str, ...] = (),
    below: Path | None = None,
) -> Item:
    """An item of an image file whose id is its path below `below` (or `root`): equal wherever the archive lies."""
    name = normalize("NFC", file.relative_to(below or root).as_posix())
    return Item(name, domain, split, label, file.relative_to(root).as_posix(), pair, attributes)


def images_of(folder: Path, mend: str) -> list[Path]:
    """The images of a folder that must be there and not be empty; `mend` says where it comes from."""
    if not folder.is_dir():
        raise UserError(f"there is no folder {folder}; {mend}")
    files = list(image_files(folder))
    if not files:
        raise UserError(f"no images in {folder}; {mend}")
    return files


def class_folders(folder: Path, mend: str) -> dict[str, list[Path]]:
    """Class -> images, of a folder that holds one folder a class."""
    files = images_of(folder, mend)
    classes: dict[str, list[Path]] = {}
    for file in files:
        parts = file.relative_to(folder).parts
        if len(parts) < 2:
            raise UserError(f"{file} is in no class folder; {mend}")
        classes.setdefault(normalize("NFC", parts[0]), []).append(file)
    return classes


def train_test_folders(root: Path, place: Path, side: str, domain: str, mend: str) -> list[Item]:
    """One side (A or B) of the CycleGAN layout: trainA/, testA/, trainB/, testB/."""
    return [
        entry(root, file, domain, split)
        for split in ("train", "test")
        for file in images_of(place / f"{split}{side}", mend)
    ]


def require_file(path: Path, mend: str) -> Path:
    if not path.is_file():
        raise UserError(f"there is no file {path}; {mend}")
    return path


def require_listed(files: Iterable[Path], listed_in: Path) -> None:
    """Every file that a label file names is there; else the archive is half extracted or the list is another's."""
    files = list(files)
    missing = [file for file in files if not file.is_file()]
    if missing:
        raise UserError(
            f"{listed_in} names {len(missing)} of {len(files)} images that are not there, the first is {missing[0]}; "
            "extract the archive again, or take the list that belongs to it"
        )


def read_text(path: Path, mend: str) -> list[str]:
    """The lines of a text file that are not blank."""
    try:
        text = require_file(path, mend).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"cannot read {path} ({error}); {mend}") from None
    return [line.strip() for line in text.splitlines() if line.strip()]


def read_columns(path: Path, count: int, mend: str, skip: int = 0) -> list[list[str]]:
    """A table with `count` columns between blanks, without its first `skip` lines."""
    rows = [line.split() for line in read_text(path, mend)[skip:]]
    for number, row in enumerate(rows, start=skip + 1):
        if len(row) != count:
            raise UserError(
                f"line {number} of {path} has {len(row)} columns instead of {count}: it is another version; {mend}"
            )
    if not rows:
        raise UserError(f"{path} is empty; {mend}")
    return rows


def read_csv(path: Path, columns: Sequence[str], mend: str) -> list[dict[str, str]]:
    """A table with commas and a line of names that holds at least `columns`."""
    rows = list(csv.DictReader(read_text(path, mend), skipinitialspace=True))
    missing = [name for name in columns if not rows or rows[0].get(name) is None]
    if missing:
        raise UserError(f"{path} has no column {missing[0]!r} (wanted: {','.join(columns)}); {mend}")
    for number, row in enumerate(rows, start=2):
        if any(row[name] is None for name in columns):
            raise UserError(f"line {number} of {path} is cut off; {mend}")
    return rows


def read_matlab(path: Path, names: Sequence[str], mend: str) -> dict[str, Any]:
    """Variables of a .mat file of version 5 (the kind that SciPy reads), structures as records."""
    from scipy.io import loadmat

    try:
        content = loadmat(require_file(path, mend), squeeze_me=True)
    except NotImplementedError:
        raise UserError(f"{path} is a MATLAB 7.3 file, the official one is older; {mend}") from None
    except (OSError, ValueError, TypeError, EOFError) as error:
        raise UserError(f"cannot read {path} ({str(error).splitlines()[0]}); {mend}") from None
    missing = [name for name in names if name not in content]
    if missing:
        raise UserError(f"{path} holds no {missing[0]!r}: it is another file of that name; {mend}")
    return {name: content[name] for name in names}


def key(purpose: str, name: str) -> str:
    """A number for a draw that depends on nothing but the two texts."""
    return hashlib.sha256(f"{purpose}\n{name}".encode()).hexdigest()


def by_hash(items: Iterable[Item], purpose: str, unit: Callable[[Item], str] = lambda item: item.id) -> list[Item]:
    """Orders items by their ids alone; items of one `unit` (a video, a person) stay together."""
    return sorted(items, key=lambda item: (key(purpose, unit(item)), item.id))


def first_half(purpose: str, unit: str) -> bool:
    """Which of two halves a video, scene or image belongs to, drawn by hash."""
    return int(key(purpose, unit)[:8], 16) % 2 == 0


def hold_out(items: Iterable[Item], purpose: str, at_most: int) -> list[Item]:
    """Moves a fifth, and at most `at_most`, to the test split, by hash."""
    order = by_hash(items, f"{purpose} held out")
    count = min(at_most, max(1, round(HELD_OUT * len(order))))
    return [replace(item, split="test" if i < count else "train") for i, item in enumerate(order)]


def draw(
    items: Iterable[Item],
    sizes: Mapping[tuple[str, str], tuple[int, int]],
    purpose: str,
    unit: Callable[[Item], str] = lambda item: item.id,
) -> list[Item]:
    """Draws (domain, label) -> (training, test) images by hash; what is not drawn is left out.

    With fewer images than the two numbers together the test part shrinks in proportion. No `unit` has images in both
    splits. A part that must have images and has none is a UserError.
    """
    items = list(items)
    tests: list[Item] = []
    orders = {}
    for (domain, label), (train, test) in sizes.items():
        mine = [item for item in items if (item.domain, item.label) == (domain, label)]
        if not mine:
            raise UserError(f"{purpose}: no images of {label} in the domain {domain}; add some to the label file")
        orders[domain, label] = by_hash(mine, purpose, unit)
        share = test / (train + test) * len(mine)
        tests += orders[domain, label][: min(test, int(np.ceil(share)))]
    held = {unit(item) for item in tests}
    chosen = [replace(item, split="test") for item in tests]
    for part, order in orders.items():
        free = [item for item in order if unit(item) not in held]
        chosen += [replace(item, split="train") for item in free[: sizes[part][0]]]
    return chosen


def read_box(texts: Sequence[Any], name: str, mend: str) -> Box:
    """Four numbers left, top, right, bottom that span at least one pixel."""
    try:
        left, top, right, bottom = (round(float(text)) for text in texts)
    except (TypeError, ValueError):
        raise UserError(f"the box {' '.join(map(str, texts))} of {name} is no four numbers; {mend}") from None
    if right <= left or bottom <= top:
        raise UserError(f"the box {left} {top} {right} {bottom} of {name} is empty; {mend}")
    return left, top, right, bottom


def crop(image: Image.Image, box: Box, name: str) -> Image.Image:
    """The part of the image inside the box; a box beyond the border is cut at it."""
    left, top, right, bottom = box
    visible = max(left, 0), max(top, 0), min(right, image.width), min(bottom, image.height)
    if visible[2] <= visible[0] or visible[3] <= visible[1]:
        size = f"{image.width}x{image.height}"
        raise UserError(f"the box {box} lies outside of {name} ({size}); the list belongs to other images")
    return image.crop(visible)


def centre(image: Image.Image, side: int) -> Image.Image:
    """The centre square of at most `side` pixels."""
    side = min(side, *image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    return image.crop((left, top, left + side, top + side))


def fit(image: Image.Image, resolution: int, name: str) -> np.ndarray:
    """Cuts like bench.data.images.square, but an image that is too small is enlarged: crops of objects have any
    size."""
    side = min(image.size)
    if side < resolution:
        image = centre(image, side).resize((resolution, resolution), Image.Resampling.BICUBIC)
    return square(image, resolution, name)


def side_by_side(path: Path, side: str, resolution: int) -> np.ndarray:
    """One half of a picture that is twice as wide as high, as uint8 (3, resolution, resolution)."""
    image = read_rgb(path)
    width, height = image.size
    if width != 2 * height:
        raise UserError(f"the image {path} is {width}x{height}, not two squares side by side; get the archive again")
    left = 0 if side == "left" else height
    return square(image.crop((left, 0, left + height, height)), resolution, str(path))
