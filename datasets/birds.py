"""North American birds, 555 classes: the second many-class set of DeepI2I (table 1).

Layout from the README of NABirds: images.txt (`<id> <class>/<file>`), image_class_labels.txt (`<id> <class>`),
classes.txt (`<class> <name>`), images/<class, four digits>/<id without hyphens>.jpg.
"""

from pathlib import Path

import numpy as np

from bench import Item, UserError, read_rgb, register
from bench.datasets.layouts import fit, inside, key, read_columns, require_listed
from bench.datasets.layouts.many_classes import ManyClasses, Picture

TARGETS = 111 / 555  # FUNIT holds 111 of the 555 classes back


@register
class Birds(ManyClasses):
    """Birds of 555 kinds: 444 classes -> 111 others (FUNIT's numbers; its list is not public: drawn by hash); 128x128.

    `birds:0817-0818` is one class -> another. 90/10 in every class by hash, as DeepI2I (48,527 images; the release
    has 48,562). Whole photographs, centre square.
    """

    name = "birds"
    domains = ("seen", "unseen")
    resolution = 128
    protocol = "deepi2i"
    homepage = "https://dl.allaboutbirds.org/nabirds"
    license = "non-commercial research only (NABirds terms)"
    layout = "images/<class>/*.jpg, images.txt and image_class_labels.txt (nabirds.tar.gz)"
    paper = "DeepI2I table 1"
    compare = "mFID, mKID, RC, FC of DeepI2I, by order of size only: its split and its classifiers are not given"

    def pictures(self, root: Path) -> list[Picture]:
        place = inside(root, "nabirds")
        mend = "extract nabirds.tar.gz again"
        files = dict(read_columns(place / "images.txt", 2, mend))
        labels = dict(read_columns(place / "image_class_labels.txt", 2, mend))
        if odd := sorted(files.keys() ^ labels.keys()):
            raise UserError(f"only one of images.txt and image_class_labels.txt in {place} lists {odd[0]}; {mend}")
        require_listed([place / "images" / file for file in files.values()], place / "images.txt")
        below = (place / "images").relative_to(root).as_posix()
        return [Picture(file, labels[id].zfill(4), f"{below}/{file}", photo=file) for id, file in files.items()]

    def targets(self, classes: list[str]) -> set[str]:
        order = sorted(classes, key=lambda label: key("birds target", label))
        return set(order[: max(1, round(TARGETS * len(classes)))])

    def load(self, root: Path, item: Item, resolution: int) -> np.ndarray:
        return fit(read_rgb(root / item.file), resolution, str(root / item.file))
