"""The Animal Faces of FUNIT, which two data sets read. No data set by itself.

Either ImageNet's class folders with FUNIT's list of faces, animalface_coordinates.txt (lines of `<synset>/<image> left
top right bottom`, as FUNIT's extraction tool reads them), or the crops that the tool has cut, by class folder.
"""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from bench import UserError, read_rgb
from bench.datasets.layouts import Box, class_folders, crop, fit, inside, read_box, read_columns, require_listed

LISTS = ("animalface_coordinates.txt", "animal_face_coordinates.txt", "datasets/animalface_coordinates.txt")
MEND = (
    "it is a line like n02085620/n02085620_10074.JPEG 95 40 290 235; get the list again from "
    "https://github.com/NVlabs/FUNIT (datasets/)"
)
# The classes that FUNIT holds back: datasets/animals_test_class_names.txt of its repository.
FUNIT_TEST = (
    *("n02086240", "n02091467", "n02092002", "n02095314", "n02095889", "n02096437", "n02098286", "n02099429"),
    *("n02099849", "n02101006", "n02102480", "n02105412", "n02105855", "n02106030", "n02106382", "n02107142"),
    *("n02110627", "n02110806", "n02110958", "n02112018", "n02112350", "n02113023", "n02113799", "n02115641"),
    *("n02115913", "n02123045", "n02123394", "n02124075", "n02125311", "n02138441"),
)


@dataclass(frozen=True)
class Face:
    """One face: its class, its file below the root, and its box in it (None: the file is the crop)."""

    id: str
    synset: str
    file: str
    box: Box | None

    @property
    def photo(self) -> str:
        """Names the photograph: the crops of one photograph share it."""
        stem = Path(self.file).name.split("_")
        return "_".join(stem[:2]).split(".")[0]


def coordinates(root: Path) -> Path | None:
    return next((root / name for name in LISTS if (root / name).is_file()), None)


def faces(root: Path, layout: str, wanted: tuple[str, ...] | None = None) -> list[Face]:
    """All faces of the `wanted` classes (None: of all)."""
    path = coordinates(root)
    if path is None:
        place = inside(root, "animals")
        folders = class_folders(place, f"it needs {layout}")
        return [
            Face(file.relative_to(place).as_posix(), synset, file.relative_to(root).as_posix(), None)
            for synset, files in folders.items()
            if wanted is None or synset in wanted
            for file in files
        ]
    listed = [face for face in _listed(root, path, path.stat().st_mtime_ns) if wanted is None or face.synset in wanted]
    require_listed(sorted({root / face.file for face in listed}), path)
    return listed


def load_face(root: Path, file: str, id: str, resolution: int) -> np.ndarray:
    """The crop of a face. Small ones are enlarged: FUNIT's list holds faces of any size."""
    image, path = read_rgb(root / file), str(root / file)
    if coordinates(root) is not None:
        image = crop(image, _box_of(id), path)
    return fit(image, resolution, path)


def _box_of(id: str) -> Box:
    left, top, right, bottom = (int(number) for number in id.rsplit("@", 1)[1].split(","))
    return left, top, right, bottom


@lru_cache(maxsize=1)
def _listed(root: Path, path: Path, modified: int) -> list[Face]:
    images = next((p for p in (root / "ILSVRC/Data/CLS-LOC/train", root / "train") if p.is_dir()), root)
    below = images.relative_to(root)
    by_id = {}
    for name, *numbers in read_columns(path, 5, MEND):
        if name.count("/") != 1:
            raise UserError(f"{path} names {name!r}; {MEND}")
        box = read_box(numbers, name, MEND)
        id = f"{name}@{','.join(map(str, box))}"
        by_id[id] = Face(id, name.split("/")[0], (below / name).as_posix(), box)
    return list(by_id.values())
