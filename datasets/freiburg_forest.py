"""Freiburg Forest: RGB, depth, near infrared and segmentation of forest tracks, of M&MNets (thesis 4.6.4, table 4.8).

Layout as the annotated multispectral release has it: train/ and test/ each hold rgb/, nir_gray/, depth_gray/ and
GT_color/ whose files share what stands before the first underscore (b1-09517_Clipped.jpg, b1-09517.tif,
b1-09517_Clipped_redict_depth_gray.png, b1-09517_Clipped.png or _mask.png). Colours of the labels as in its classes.
"""

from pathlib import Path

import numpy as np
from PIL import Image

from bench import (
    VOID,
    Dataset,
    Item,
    UserError,
    grey_image,
    label_image,
    nearest_square,
    read_rgb,
    read_values,
    register,
    square,
)
from bench.datasets.layouts import by_hash, images_of, inside

CLASSES = ("Sky", "Trail", "Grass", "Vegetation", "Obstacle")  # ids 0 to 4; trees are vegetation (thesis 4.6.1)
COLOURS = {(0, 120, 255): 0, (170, 170, 170): 1, (0, 255, 0): 2, (102, 102, 51): 3, (0, 60, 0): 3, (0, 0, 0): 4}
FOLDERS = {"rgb": "rgb", "nir": "nir_gray", "depth": "depth_gray", "segmentation": "GT_color"}
FIRST, SECOND = ("rgb", "segmentation"), ("rgb", "depth", "nir")


@register
class FreiburgForest(Dataset):
    """Forest tracks, depth -> segmentation (5 ids); 256x256. `freiburg_forest:nir-segmentation` and so on.

    Official split (230 / 136). As in the thesis the training scenes fall in two halves (by hash): one shows (rgb,
    segmentation), the other (rgb, depth, nir). Held-out scenes are seen in all four, as each other's truth. Depth is
    the release's 8-bit relative depth, not metres, so it is kept as grey. The thesis cuts 256x256 out of 1024x768 at
    random; here the centre square is resized. Any colour outside of the list is "no label" (255).
    """

    name = "freiburg_forest"
    domains = ("depth", "segmentation", "rgb", "nir")
    kinds = {"depth": "grey", "nir": "grey", "segmentation": "labels"}
    resolution = 256
    protocol = "mnm"
    homepage = "http://deepscene.cs.uni-freiburg.de"
    license = "unchecked (research)"
    layout = "train/ and test/, each with rgb/ nir_gray/ depth_gray/ GT_color/ (freiburg_forest_annotated.tar.gz)"
    paper = "thesis section 4.6.4, table 4.8"
    compare = "IoU of table 4.8, with other halves and another crop"

    def scan(self, root: Path) -> list[Item]:
        place = inside(root, "freiburg_forest_multispectral_annotated", "freiburg_forest_annotated")
        place = inside(place, "freiburg_forest_annotated")
        items = []
        for split in ("train", "test"):
            scenes = {domain: _scenes(place / split / folder) for domain, folder in FOLDERS.items()}
            for domain, files in scenes.items():
                if odd := sorted(files.keys() ^ scenes["rgb"].keys()):
                    raise UserError(
                        f"{odd[0]} is in only one of rgb/ and {FOLDERS[domain]}/ of {place / split}; extract "
                        "freiburg_forest_annotated.tar.gz again"
                    )
            everything = by_hash([Item(s, "rgb", split, None, s) for s in scenes["rgb"]], "freiburg_forest")
            for i, scene in enumerate(everything):
                half = FIRST if i < len(everything) // 2 else SECOND
                for domain in self.domains if split == "test" else half:
                    file = scenes[domain][scene.id].relative_to(root).as_posix()
                    items.append(Item(scene.id, domain, split, None, file, scene.id))
        return items

    def load(self, root: Path, item: Item, resolution: int) -> np.ndarray:
        path = root / item.file
        if item.domain == "rgb":
            return square(read_rgb(path), resolution, str(path))
        if item.domain == "segmentation":
            return label_image(nearest_square(_ids(np.asarray(read_rgb(path))), resolution, str(path)))
        return grey_image(_shrunk(path, resolution))


def _scenes(folder: Path) -> dict[str, Path]:
    files = images_of(folder, "extract freiburg_forest_annotated.tar.gz again")
    return {file.stem.split("_")[0]: file for file in files}


def _ids(image: np.ndarray) -> np.ndarray:
    """uint8 (H, W, 3) -> ids (H, W)."""
    ids = np.full(image.shape[:2], VOID, dtype=np.uint8)
    for colour, number in COLOURS.items():
        ids[(image == colour).all(axis=-1)] = number
    return ids


def _shrunk(path: Path, resolution: int) -> np.ndarray:
    """8- or 16-bit grey file -> (resolution, resolution) in [0, 1]: centre square, antialiased resize."""
    values = read_values(path)
    if values.dtype not in (np.uint8, np.uint16):
        raise UserError(f"the image {path} holds {values.dtype} values; 8 or 16 bits are expected")
    scaled = Image.fromarray(values.astype(np.float32) / np.iinfo(values.dtype).max)
    side = min(scaled.size)
    if side < resolution:
        raise UserError(f"the image {path} is smaller than {resolution} pixels; choose --resolution {side} or less")
    left, top = (scaled.width - side) // 2, (scaled.height - side) // 2
    box = (left, top, left + side, top + side)
    return np.asarray(scaled.resize((resolution, resolution), Image.Resampling.BICUBIC, box=box), dtype=np.float64)
