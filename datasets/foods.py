"""Foods, 256 classes with boxes: the third many-class set of DeepI2I (table 1), UEC FOOD 256.

Layout from its README: one folder a class number with <image>.jpg and bb_info.txt (a line of names, then `<image> left
top right bottom` in pixels), and category.txt (a line of names, then `<number> <name>`, name with blanks).
"""

from pathlib import Path

import numpy as np

from bench import Item, UserError, read_rgb, register
from bench.datasets.layouts import Box, crop, fit, inside, key, read_box, read_columns, read_text, require_listed
from bench.datasets.layouts.many_classes import ManyClasses, Picture

TARGETS = 32 / 256  # FUNIT holds 32 of the 256 classes back


@register
class Foods(ManyClasses):
    """Dishes of 256 kinds, cut out by their boxes: 224 classes -> 32 others (FUNIT's numbers, drawn by hash); 128x128.

    `foods:1-36` is one class -> another. 90/10 in every class by photograph (31,395 images). A photograph of two
    dishes lies in the folders of both: it is one image of each, with the box of each. Small boxes are enlarged.
    """

    name = "foods"
    domains = ("seen", "unseen")
    resolution = 128
    protocol = "deepi2i"
    homepage = "http://foodcam.mobi/dataset256.html"
    license = "unchecked (non-commercial research)"
    layout = "UECFOOD256/<1-256>/*.jpg, UECFOOD256/<1-256>/bb_info.txt and UECFOOD256/category.txt"
    paper = "DeepI2I table 1"
    compare = "mFID, mKID, RC, FC of DeepI2I, by order of size only: its split and its classifiers are not given"

    def pictures(self, root: Path) -> list[Picture]:
        place = inside(root, "UECFOOD256", "dataset256")
        mend = "extract UECFOOD256.zip again"
        numbers = [line.split(None, 1)[0] for line in read_text(place / "category.txt", mend)[1:]]
        pictures = []
        for number in numbers:
            path = place / number / "bb_info.txt"
            rows = read_columns(path, 5, mend, skip=1)
            require_listed([place / number / f"{row[0]}.jpg" for row in rows], path)
            for image, *box in rows:
                file = (place / number / f"{image}.jpg").relative_to(root).as_posix()
                corners = ",".join(map(str, read_box(box, file, mend)))
                pictures.append(Picture(f"{number}/{image}@{corners}", number, file, photo=image))
        if not pictures:
            raise UserError(f"{place / 'category.txt'} lists no class; {mend}")
        return list({picture.id: picture for picture in pictures}.values())

    def targets(self, classes: list[str]) -> set[str]:
        order = sorted(classes, key=lambda label: key("foods target", label))
        return set(order[: max(1, round(TARGETS * len(classes)))])

    def load(self, root: Path, item: Item, resolution: int) -> np.ndarray:
        path = str(root / item.file)
        return fit(crop(read_rgb(root / item.file), _box(item), path), resolution, path)

    def content(self, root: Path, item: Item) -> bytes | None:
        return None if (raw := super().content(root, item)) is None else str(_box(item)).encode() + raw


def _box(item: Item) -> Box:
    left, top, right, bottom = (int(number) for number in item.id.rsplit("@", 1)[1].split(","))
    return left, top, right, bottom
