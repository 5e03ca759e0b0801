"""SUN RGB-D: depth -> segmentation without a single pair, of M&MNets (thesis section 4.6.3, tables 4.6, 4.7).

Layout from the data set's and from sunrgbd-meta-data's READMEs (the labels of SUNRGBD2Dseg.mat as PNG files):
SUNRGBD/<camera>/.../image/*.jpg, .../depth_bfx/*.png (16 bit, millimetres, the three low bits turned to the top), the
lists sunrgbd_testing_images.txt and sunrgbd_training_images.txt, and img-000001.png on: test first, then training.
The 37 classes become 13 by the table of NYUv2's 40 to 13 (Couprie et al. 2013), written out in TO_13.
"""

from pathlib import Path

import numpy as np

from bench import (
    Dataset,
    Item,
    UserError,
    depth_image,
    label_image,
    nearest_square,
    read_rgb,
    read_values,
    register,
    square,
)
from bench.datasets.layouts import hold_out, inside, key, read_text, require_listed
from bench.datasets.layouts.rooms import FIRST, SECOND

# Lines: wall to table, door to blinds, desk to floor_mat, clothes to towel, shower_curtain to bag; 0 is "none".
TO_13 = np.array(
    (
        0,
        *(12, 5, 6, 1, 4, 9, 10),
        *(12, 13, 6, 8, 6, 13),
        *(10, 6, 13, 6, 7, 7, 5),
        *(7, 3, 2, 6, 11, 7, 7),
        *(7, 7, 7, 7, 6, 7, 7, 7, 7, 7),
    ),
    dtype=np.uint8,
)
LISTS = ("sunrgbd_testing_images.txt", "sunrgbd_training_images.txt")  # in the order of the label images
TEST = 335


@register
class SUNRGBD(Dataset):
    """Real rooms, depth -> segmentation (14 ids); 256x256. `sun_rgbd:rgb-depth` and so on for other pairs.

    The thesis trains on 10,000 of the 10,335 images, 5,000 as (rgb, segmentation) and 5,000 as (rgb, depth), and tests
    on 335, without lists: all three are drawn by hash here. Held-out images are seen in all modalities, as each
    other's truth. Centre square; depth and labels by nearest neighbour; depth_bfx, the depth without holes.
    """

    name = "sun_rgbd"
    domains = ("depth", "segmentation", "rgb")
    kinds = {"depth": "depth", "segmentation": "labels"}
    far = 8.0  # metres; the data set's own toolbox cuts there
    resolution = 256
    protocol = "mnm"
    homepage = "https://rgbd.cs.princeton.edu and https://github.com/ankurhanda/sunrgbd-meta-data"
    license = "unchecked (research)"
    layout = (
        "SUNRGBD/ (SUNRGBD.zip), sunrgbd_train_test_labels/img-*.png, sunrgbd_testing_images.txt, "
        "sunrgbd_training_images.txt"
    )
    paper = "thesis sections 4.6.1, 4.6.3, tables 4.6, 4.7"
    compare = "mIoU, delta and RMSE of tables 4.6, 4.7, with another draw of the 335 test images"

    def scan(self, root: Path) -> list[Item]:
        mend = f"get it from {self.homepage}"
        place = inside(root, "sunrgbd-meta-data")
        lines = [line for name in LISTS for line in read_text(place / name, mend)]
        labels = root / "sunrgbd_train_test_labels"
        scenes = {line.removeprefix("SUNRGBD/"): labels / f"img-{i:06}.png" for i, line in enumerate(lines, start=1)}
        photos = [root / "SUNRGBD" / scene for scene in scenes]
        require_listed(photos, place / LISTS[1])
        require_listed(scenes.values(), labels)
        depths = {scene: _depth(root, root / "SUNRGBD" / scene) for scene in scenes}
        everything = [Item(scene, "rgb", "train", None, scene) for scene in scenes]
        held = {item.id for item in hold_out(everything, self.name, TEST) if item.split == "test"}
        items = []
        half = sorted(set(scenes) - held, key=lambda scene: key("sun_rgbd halves", scene))
        firsts = set(half[: len(half) // 2])
        for scene, label in scenes.items():
            files = {"rgb": root / "SUNRGBD" / scene, "segmentation": label, "depth": depths[scene]}
            seen = self.domains if scene in held else FIRST if scene in firsts else SECOND
            split = "test" if scene in held else "train"
            items += [
                Item(scene, domain, split, None, files[domain].relative_to(root).as_posix(), scene) for domain in seen
            ]
        return items

    def load(self, root: Path, item: Item, resolution: int) -> np.ndarray:
        path = root / item.file
        if item.domain == "rgb":
            return square(read_rgb(path), resolution, str(path))
        values = nearest_square(read_values(path).astype(np.int64), resolution, str(path))
        if item.domain == "depth":
            millimetres = (values >> 3) | ((values << 13) & 0xFFFF)
            return depth_image(millimetres / 1000, self.far)
        if values.max() >= len(TO_13):
            raise UserError(f"the label image {path} holds the id {values.max()}; SUN RGB-D has 37 classes")
        return label_image(TO_13[values])


def _depth(root: Path, photo: Path) -> Path:
    """The one file in depth_bfx/ beside image/; its name need not be the photograph's."""
    folder = photo.parent.parent / "depth_bfx"
    maps = sorted(folder.glob("*.png"))
    if len(maps) != 1:
        raise UserError(f"{folder} holds {len(maps)} depth images instead of one; extract SUNRGBD.zip again")
    return maps[0]
