"""The image files that somebody wants translated, and what their translations are called."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np

from bench.core.errors import UserError
from bench.data.images import CONTACT_SHEET, IMAGE_SUFFIXES, image_files, read_rgb
from bench.use.arrays import fitted


@dataclass(frozen=True)
class GivenImage:
    """An image file, and the name of its translation without .png: `a/b` for the file a/b.jpg of a folder."""

    path: Path
    name: str

    def read(self, resolution: int) -> np.ndarray:
        """uint8 (3, R, R): its centre square, resized. Raises UserError where the file cannot be read."""
        return fitted(read_rgb(self.path), resolution)


def given_images(paths: Sequence[Path]) -> list[GivenImage]:
    """The images among these files and below these folders, each with a name of its own.

    Raises UserError where there is none, where a path is missing, or where two would be called the same.
    """
    files = [(path, name) for given in paths for path, name in _below(given)]
    if not files:
        raise UserError(f"there are no images in {', '.join(map(str, paths))}; name image files or a folder of them")
    named = [GivenImage(path, stem) for (path, _), stem in zip(files, stems([name for _, name in files]))]
    for name, count in Counter(image.name for image in named).items():
        if count > 1:
            raise UserError(f"{count} images are called {name}; translate them one after the other, each to its --out")
    return named


def stems(names: Sequence[str]) -> list[str]:
    """The names without the endings of image files; those that would then be the same, or that of the sheet, keep
    theirs."""
    short = [_stem(name) for name in names]
    count = Counter([_stem(CONTACT_SHEET), *short])
    return [stem if count[stem] == 1 else name for name, stem in zip(names, short)]


def _below(path: Path) -> list[tuple[Path, str]]:
    if path.is_dir():
        return [(file, file.relative_to(path).as_posix()) for file in image_files(path)]
    if not path.is_file():
        raise UserError(f"there is no image or folder {path}; name files or folders that are there")
    return [(path, path.name)]


def _stem(name: str) -> str:
    return name[: -len(PurePosixPath(name).suffix)] if name.lower().endswith(IMAGE_SUFFIXES) else name
