"""SceneNet RGB-D: depth -> segmentation without a single pair, of M&MNets (thesis section 4.6.2, tables 4.2-4.5).

Layout from pySceneNetRGBD's README, scenenet.proto and semantic_classes/wnid_to_class.txt: train/<part>/<video>/ and
val/<part>/<video>/ hold photo/<frame>.jpg, depth/<frame>.png (16 bit, millimetres) and instance/<frame>.png (16 bit),
frames 0, 25, ..., 7475; scenenet_rgbd_train_<part>.pb and scenenet_rgbd_val.pb say what every instance is.
"""

from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image

from bench import (
    VOID,
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
from bench.datasets.layouts import first_half, read_text, require_listed
from bench.datasets.layouts.protobuf import fields
from bench.datasets.layouts.rooms import CLASSES, FIRST, SECOND, padded

EVERY = 30 * 25  # the thesis takes every 30th of the 300 frames, which are numbered in steps of 25
SIDE = 256
FOLDERS = {"rgb": ("photo", "jpg"), "depth": ("depth", "png"), "segmentation": ("instance", "png")}
MEND = "get train_*.tar.gz, val.tar.gz and the protobufs from https://robotvault.bitbucket.io/scenenet-rgbd.html"


@register
class SceneNetRGBD(Dataset):
    """Rendered rooms, depth -> segmentation (14 ids); 256x256. `scenenet_rgbd:rgb-depth` and so on for other pairs.

    Ten frames of each video: 0, 750, ... As in the thesis the training videos fall in two halves (by hash): one shows
    (rgb, segmentation), the other (rgb, depth). Held out: the videos of val/, in all three modalities, as each other's
    truth. Images of 320x240 are cut to 256 columns and filled up to 256 rows (labels 255, depth 0 "not measured", RGB
    black), as M&MNets' code does, so that nothing is resampled at 256.
    """

    name = "scenenet_rgbd"
    aliases = ("scenenet",)
    domains = ("depth", "segmentation", "rgb")
    kinds = {"depth": "depth", "segmentation": "labels"}
    far = 20.0
    resolution = 256
    protocol = "mnm"
    homepage = "https://robotvault.bitbucket.io/scenenet-rgbd.html"
    license = "unchecked (research)"
    layout = (
        "train/<0-16>/<video>/{photo,depth,instance}/, val/0/<video>/{photo,depth,instance}/, scenenet_rgbd_val.pb, "
        "scenenet_rgbd_train_<0-16>.pb (here or in train_protobufs/), pySceneNetRGBD's wnid_to_class.txt"
    )
    paper = "thesis sections 4.6.1, 4.6.2, tables 4.2-4.5"
    compare = "mIoU, delta and RMSE of tables 4.4, 4.5: the same videos, other halves"

    def scan(self, root: Path) -> list[Item]:
        classes(root)
        items = []
        for split, domains in (("train", None), ("val", self.domains)):
            videos = _videos_below(root / split)
            for part in sorted({video.parent.name for video in videos}):
                protobuf(root, f"{split}/{part}")
            for video, frames in videos.items():
                name = video.relative_to(root).as_posix()
                seen = domains or (FIRST if first_half("scenenet_rgbd", name) else SECOND)
                items += _items(root, video, frames, seen, "train" if split == "train" else "test")
        require_listed([root / item.file for item in items], root)
        return items

    def load(self, root: Path, item: Item, resolution: int) -> np.ndarray:
        path = root / item.file
        if item.domain == "rgb":
            image = Image.fromarray(padded(np.asarray(read_rgb(path)), SIDE, 0))
            return square(image, resolution, str(path))
        values = read_values(path)
        if item.domain == "segmentation":
            ids = _class_of_instance(root, item.file)[values]
            return label_image(nearest_square(padded(ids, SIDE, VOID), resolution, str(path)))
        return depth_image(nearest_square(padded(values, SIDE, 0), resolution, str(path)) / 1000, self.far)

    def content(self, root: Path, item: Item) -> bytes | None:
        """Equal numbers of instances mean different things in different videos."""
        return None if item.domain == "segmentation" else super().content(root, item)


def _videos_below(folder: Path) -> dict[Path, list[int]]:
    """<part>/<video>/ -> the numbers of its frames; all must have as many as the longest."""
    videos = {}
    for video in sorted(place for place in folder.glob("*/*") if place.is_dir()):
        videos[video] = sorted(int(file.stem) for file in (video / "photo").glob("*.jpg") if file.stem.isdigit())
    if not any(videos.values()):
        raise UserError(f"no images <part>/<video>/photo/*.jpg in {folder}; {MEND}")
    most = max(map(len, videos.values()))
    for video, frames in videos.items():
        if len(frames) != most:
            counts = f"{len(frames)} frames, other videos {most}"
            raise UserError(f"{video / 'photo'} holds {counts}; extract the archive again")
    return videos


def _items(root: Path, video: Path, numbers: list[int], domains: tuple[str, ...], split: str) -> list[Item]:
    name = video.relative_to(root).as_posix()
    return [
        Item(f"{name}/{number}", domain, split, None, f"{name}/{folder}/{number}.{suffix}", f"{name}/{number}")
        for number in numbers
        if number % EVERY == 0
        for domain in domains
        for folder, suffix in [FOLDERS[domain]]
    ]


@lru_cache(maxsize=1)
def classes(root: Path) -> dict[int, int]:
    """WordNet number -> class id, of wnid_to_class.txt: a line of names, then number, name, one of the 13 classes."""
    path = root / "wnid_to_class.txt"
    ids = {}
    for line in read_text(path, "get it from https://github.com/jmccormac/pySceneNetRGBD (semantic_classes/)")[1:]:
        words = line.split()
        if len(words) < 3 or not words[0].isdigit() or words[-1] not in CLASSES:
            raise UserError(f"{path} has the line {line!r}, not a number, a name and one of {', '.join(CLASSES[1:])}")
        ids[int(words[0])] = CLASSES.index(words[-1])
    return ids


def protobuf(root: Path, part: str) -> Path:
    """The file that describes the videos of train/<n> or val/<n>."""
    split, number = part.split("/")
    name = f"scenenet_rgbd_train_{number}.pb" if split == "train" else "scenenet_rgbd_val.pb"
    file = next((path for path in (root / name, root / "train_protobufs" / name) if path.is_file()), None)
    if file is None:
        raise UserError(f"there is no file {root / name} (nor in train_protobufs/); {MEND}")
    return file


def _class_of_instance(root: Path, file: str) -> np.ndarray:
    """uint8 (65536,): instance number -> class id, of the video of this file; 0 where there is none."""
    split, part, video = file.split("/")[:3]
    videos = _videos(protobuf(root, f"{split}/{part}"))
    if f"{part}/{video}" not in videos:
        raise UserError(f"{protobuf(root, f'{split}/{part}')} does not describe the video {part}/{video}; {MEND}")
    known = classes(root)
    table = np.zeros(65536, dtype=np.uint8)
    for number, word in videos[f"{part}/{video}"]:
        if word not in known:
            raise UserError(f"{root / 'wnid_to_class.txt'} does not know the WordNet number {word}; get it again")
        table[number] = known[word]
    return table


@lru_cache(maxsize=2)
def _videos(path: Path) -> dict[str, list[tuple[int, int]]]:
    """render_path -> (instance number, WordNet number) of all that is not background. Numbers of scenenet.proto."""
    try:
        videos = {}
        for _, trajectory in fields(path.read_bytes()):
            parts = list(fields(trajectory))
            instances = [dict(fields(value)) for number, value in parts if number == 2]
            place = next(value.decode() for number, value in parts if number == 4)
            named = [instance for instance in instances if instance.get(4) != 1 and instance.get(2)]
            videos[place] = [(instance.get(1, 0), int(instance[2])) for instance in named]
        return videos
    except (OSError, ValueError, IndexError, StopIteration, TypeError) as error:
        raise UserError(f"cannot read {path} ({error or 'not as scenenet.proto says'}); {MEND}") from None
