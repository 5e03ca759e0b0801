"""Stanford Cars, cars that are not red -> red cars, of BalaGAN (table 3).

The colour of a car is not annotated, and BalaGAN does not say how it was found. The rule here (RED, IS_RED, IS_OTHER):
a pixel is red when its hue is within 15 degrees of red with a saturation of at least 0.5 and a value of at least 0.25;
a car is red when at least 30 % of the inner part of its box (without a sixth at each edge) is, not red when less than
10 % is, and left out between. A file red_cars.txt beside the images overrides the rule for the images that it lists.

Layout from the devkit's README: cars_train_annos.mat and cars_test_annos.mat hold one record an image with bbox_x1,
bbox_y1, bbox_x2, bbox_y2 (pixels from 1) and fname.
"""

from functools import lru_cache
from pathlib import Path

import numpy as np

from bench import Dataset, Item, UserError, cache_root, digest, read_rgb, read_typed, register, write_json
from bench.datasets.layouts import (
    Box,
    by_hash,
    crop,
    entry,
    fit,
    hold_out,
    read_box,
    read_columns,
    read_matlab,
    require_listed,
)

RED = {"hue": 15 / 360, "saturation": 0.5, "value": 0.25}
IS_RED, IS_OTHER = 0.3, 0.1
VERDICTS = ("red", "other", "skip")
RULE_VERSION = 1
ANNOTATIONS = {"cars_train": "cars_train_annos.mat", "cars_test": "cars_test_annos.mat"}


@register
class StanfordCars(Dataset):
    """Cars cut out by their boxes, not red -> red; 7,500 and 500 train (BalaGAN section 4).

    Both official parts are pooled: together they hold fewer than 1,000 red cars (BalaGAN, figure 4). Red cars beyond
    the 500 are held out, and 1,000 others, by hash. red_cars.txt: lines of `cars_train/00001.jpg red|other|skip`.
    """

    name = "stanford_cars"
    aliases = ("cars",)
    domains = ("car", "red_car")
    train_sizes = {"car": 7500, "red_car": 500}
    resolution = 128
    protocol = "balagan"
    homepage = "https://ai.stanford.edu/~jkrause/cars/car_dataset.html (gone; mirrors carry the original archives)"
    license = "unchecked (non-commercial research)"
    layout = "cars_train/*.jpg, cars_test/*.jpg, devkit/cars_train_annos.mat, devkit/cars_test_annos.mat"
    paper = "BalaGAN table 3"
    compare = "FID of BalaGAN, by order of size only: its red cars are not listed, and neither is its FID code"

    def scan(self, root: Path) -> list[Item]:
        boxes = _boxes(root)
        verdicts = _verdicts(root, boxes) | _overrides(root, set(boxes))
        cars = {"red": "red_car", "other": "car"}
        items = [entry(root, root / file, cars[verdicts[file]]) for file in sorted(boxes) if verdicts[file] in cars]
        others = hold_out([item for item in items if item.domain == "car"], self.name, 1_000)
        return others + by_hash([item for item in items if item.domain == "red_car"], self.name)

    def load(self, root: Path, item: Item, resolution: int) -> np.ndarray:
        path = root / item.file
        return fit(crop(read_rgb(path), _boxes(root)[item.file], str(path)), resolution, str(path))


def redness(image: np.ndarray) -> float:
    """uint8 (H, W, 3) -> the share of red pixels in the inner part of a box."""
    height, width = image.shape[:2]
    inner = image[height // 6 : height - height // 6, width // 6 : width - width // 6].astype(np.float64) / 255
    red, green, blue = inner[..., 0], inner[..., 1], inner[..., 2]
    value = inner.max(axis=-1)
    chroma = value - inner.min(axis=-1)
    # With red the largest channel the hue is 60 degrees * (green - blue) / chroma, positive or negative.
    hue = np.abs(green - blue) / np.maximum(chroma, 1e-9) / 6
    coloured = (chroma >= RED["saturation"] * value) & (value >= RED["value"]) & (chroma > 0)
    return float(((red >= value) & (hue <= RED["hue"]) & coloured).mean())


def _boxes(root: Path) -> dict[str, Box]:
    """Image -> box from 0, right and bottom exclusive."""
    paths = [root / "devkit" / name for name in ANNOTATIONS.values()]
    return _read_boxes(root, tuple(path.stat().st_mtime_ns for path in paths if path.is_file()))


@lru_cache(maxsize=1)
def _read_boxes(root: Path, modified: tuple[int, ...]) -> dict[str, Box]:
    mend = f"get cars_train.tgz, cars_test.tgz and car_devkit.tgz, see {StanfordCars.homepage}"
    boxes: dict[str, Box] = {}
    for folder, name in ANNOTATIONS.items():
        named = _annotations(folder, root / "devkit" / name, mend)
        require_listed([root / file for file in named], root / "devkit" / name)
        boxes |= named
    return boxes


def _annotations(folder: str, path: Path, mend: str) -> dict[str, Box]:
    records = np.atleast_1d(read_matlab(path, ["annotations"], mend)["annotations"])
    names = ("bbox_x1", "bbox_y1", "bbox_x2", "bbox_y2")
    missing = [name for name in (*names, "fname") if name not in (records.dtype.names or ())]
    if missing:
        raise UserError(f"the annotations of {path} have no field {missing[0]!r}: it is another version; {mend}")
    boxes = {}
    for record in records:
        left, top, right, bottom = read_box([record[name] for name in names], str(record["fname"]), mend)
        boxes[f"{folder}/{record['fname']}"] = left - 1, top - 1, right, bottom
    return boxes


def _verdicts(root: Path, boxes: dict[str, Box]) -> dict[str, str]:
    """Judges the colour of every image once and keeps the verdicts in the cache: it takes minutes for 16,185 images."""
    stats = {file: (root / file).stat() for file in sorted(boxes)}
    facts = [[file, stat.st_size, stat.st_mtime_ns, boxes[file]] for file, stat in stats.items()]
    path = cache_root() / "colours" / f"stanford_cars-{digest([RULE_VERSION, str(root.resolve()), facts])[:16]}.json"
    shares = _kept(path)
    if shares is None or shares.keys() != boxes.keys():
        shares = {}
        for file, box in boxes.items():
            shares[file] = redness(np.asarray(crop(read_rgb(root / file), box, str(root / file))))
        write_json(path, shares)
    return {file: "red" if s >= IS_RED else "other" if s < IS_OTHER else "skip" for file, s in shares.items()}


def _kept(path: Path) -> dict[str, float] | None:
    try:
        return read_typed(path, dict[str, float], "they are judged again")
    except UserError:
        return None


def _overrides(root: Path, known: set[str]) -> dict[str, str]:
    path = root / "red_cars.txt"
    if not path.exists():
        return {}
    mend = "write lines like: cars_train/00001.jpg red (or other, or skip)"
    verdicts = dict(read_columns(path, 2, mend))
    for file, verdict in verdicts.items():
        if verdict not in VERDICTS:
            raise UserError(f"{path} calls {file} {verdict!r}; {mend}")
        if file not in known:
            raise UserError(f"{path} names {file}, which no annotation names; {mend}")
    return verdicts
